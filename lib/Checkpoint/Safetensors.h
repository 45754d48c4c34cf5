//===- Safetensors.h - One safetensors file, mapped ------------*- C++ -*-===//
//
// A safetensors file is an eight-byte length, a JSON header that names each
// tensor's type, shape and place, and the data. Only the header is read here;
// the data stays a mapping whose pages are loaded when somebody looks at them,
// so opening the shards of a model costs nothing but their headers.
//
// Everything that the format promises is checked on opening, so that readers
// need no checks of their own: every tensor lies inside the file, has the size
// that its type and shape say, and the tensors cover the data without holes
// and overlaps. Alignment is not promised: data may start at any byte.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_SAFETENSORS_H
#define VARVE_CHECKPOINT_SAFETENSORS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/StringSaver.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace varve {

/// Element types of the format. Sub-byte types are packed, so a tensor of them
/// must fill whole bytes.
enum class SafetensorsType : uint8_t {
  Bool,
  F4,
  F6E2M3,
  F6E3M2,
  U8,
  I8,
  F8E5M2,
  F8E4M3,
  F8E8M0,
  F8E4M3FNUZ,
  F8E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64,
};

/// "F8_E4M3", as headers spell it.
llvm::StringRef stringifySafetensorsType(SafetensorsType type);
std::optional<SafetensorsType> parseSafetensorsType(llvm::StringRef name);
unsigned bitsOf(SafetensorsType type);

/// What the header says about a tensor. `begin` and `end` are bytes from the
/// start of the data.
struct SafetensorsTensor {
  llvm::StringRef name;
  SafetensorsType type;
  llvm::SmallVector<int64_t, 3> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// An opened file. Immutable, so readable from several threads. The file must
/// not shrink while it is open.
class SafetensorsFile {
public:
  /// The format's own limit on the header's length.
  static constexpr uint64_t maxHeaderBytes = 100'000'000;

  /// Maps `path` and reads its header. Errors name the file, the tensor, what
  /// was expected and what is there.
  static llvm::Expected<std::unique_ptr<SafetensorsFile>>
  open(llvm::StringRef path);

  /// The same for a buffer; its identifier takes the path's place.
  static llvm::Expected<std::unique_ptr<SafetensorsFile>>
  parse(std::unique_ptr<llvm::MemoryBuffer> buffer);

  llvm::StringRef getPath() const { return buffer->getBufferIdentifier(); }

  /// In the header's order.
  llvm::ArrayRef<SafetensorsTensor> getTensors() const { return tensors; }

  /// Null when the file has no such tensor.
  const SafetensorsTensor *find(llvm::StringRef name) const;

  /// The bytes of a tensor of this file, at any alignment.
  llvm::ArrayRef<uint8_t> getData(const SafetensorsTensor &tensor) const {
    return data.slice(tensor.begin, tensor.end - tensor.begin);
  }

private:
  explicit SafetensorsFile(std::unique_ptr<llvm::MemoryBuffer> buffer)
      : buffer(std::move(buffer)) {}

  llvm::Error readHeader();
  llvm::Error readEntries(llvm::StringRef header);
  llvm::Error checkSize(const SafetensorsTensor &tensor) const;
  llvm::Error checkCoverage() const;
  llvm::Error error(const llvm::Twine &message) const;

  std::unique_ptr<llvm::MemoryBuffer> buffer;
  llvm::ArrayRef<uint8_t> data;
  llvm::BumpPtrAllocator allocator;
  std::vector<SafetensorsTensor> tensors;
  llvm::DenseMap<llvm::StringRef, uint32_t> indexOfName;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_SAFETENSORS_H
