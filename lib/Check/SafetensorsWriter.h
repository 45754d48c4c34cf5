//===- SafetensorsWriter.h - Tensors to a safetensors file -----*- C++ -*-===//
#ifndef VARVE_CHECK_SAFETENSORSWRITER_H
#define VARVE_CHECK_SAFETENSORSWRITER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace varve {

/// Collects tensors in host memory and writes them at once.
class SafetensorsWriter {
public:
  void add(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
           llvm::ArrayRef<float> numbers);
  void add(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
           llvm::ArrayRef<int64_t> numbers);

  /// The file appears whole or not at all.
  llvm::Error write(llvm::StringRef path) const;

private:
  struct Entry {
    std::string name, type;
    llvm::SmallVector<int64_t, 4> shape;
    size_t begin, end;
  };
  void add(llvm::StringRef name, llvm::StringRef type,
           llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<char> bytes);

  std::vector<Entry> entries;
  std::string data;
};

} // namespace varve

#endif // VARVE_CHECK_SAFETENSORSWRITER_H
