//===- Safetensors.h - One safetensors file, mapped ------------*- C++ -*-===//
//
// The reader of the runtime. (The compiler has its own, on LLVM, that says more
// about broken files.) Opening reads the header and checks that every tensor
// lies inside the file, has the size that its type and shape say, and overlaps
// no other.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_WEIGHTS_SAFETENSORS_H
#define VARVE_RUNTIME_WEIGHTS_SAFETENSORS_H

#include "runtime/MappedFile.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace varve::runtime {

struct StoredTensor {
  std::string name;
  std::string type; ///< as headers spell it: "F8_E4M3"
  std::vector<int64_t> shape;
  Bytes bytes; ///< at any alignment

  /// "F32 [2, 3]".
  std::string describe() const;
};

class SafetensorsFile {
public:
  static std::unique_ptr<SafetensorsFile> open(const std::string &path);
  static std::unique_ptr<SafetensorsFile> parse(MappedFile file);

  const std::string &getPath() const { return file.getPath(); }
  const std::map<std::string, StoredTensor> &getTensors() const {
    return tensors;
  }
  /// Null if there is none of that name.
  const StoredTensor *find(const std::string &name) const;

private:
  explicit SafetensorsFile(MappedFile file) : file(std::move(file)) {}
  void readHeader();

  MappedFile file;
  std::map<std::string, StoredTensor> tensors;
};

/// The files of a checkpoint: `path` itself, or in a folder model.safetensors,
/// or the shards of model.safetensors.index.json, or the only *.safetensors
/// besides reference.safetensors.
std::vector<std::unique_ptr<SafetensorsFile>>
openCheckpoint(const std::string &path);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_WEIGHTS_SAFETENSORS_H
