//===- Checkpoint.h - The tensors of a model's folder ----------*- C++ -*-===//
//
// A checkpoint is one safetensors file, or several with an index that says
// which tensor is where. This class makes one set of tensors of it, by the
// names in the files; what the names mean is the subject of TensorNames.h.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_CHECKPOINT_H
#define VARVE_CHECKPOINT_CHECKPOINT_H

#include "lib/Checkpoint/Safetensors.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace varve {

/// A tensor and the file it lies in.
struct CheckpointTensor {
  const SafetensorsFile *file = nullptr;
  const SafetensorsTensor *info = nullptr;

  llvm::StringRef getName() const { return info->name; }
  llvm::ArrayRef<uint8_t> getData() const { return file->getData(*info); }
};

/// Opened files; immutable.
class Checkpoint {
public:
  /// Opens a safetensors file, or in a folder the first that exists of
  ///
  /// 1. `model.safetensors`;
  /// 2. `model.safetensors.index.json` and the shards it names, all of them:
  ///    an error unless index and shards list the same tensors;
  /// 3. the only `*.safetensors` besides `reference.safetensors`.
  static llvm::Expected<std::unique_ptr<Checkpoint>> open(llvm::StringRef path);

  /// A checkpoint of files that are open already.
  static std::unique_ptr<Checkpoint>
  create(llvm::StringRef path,
         std::vector<std::unique_ptr<SafetensorsFile>> files);

  /// As given to open().
  llvm::StringRef getPath() const { return path; }

  llvm::ArrayRef<std::unique_ptr<SafetensorsFile>> getFiles() const {
    return files;
  }

  /// File by file, in the order of their headers.
  llvm::ArrayRef<CheckpointTensor> getTensors() const { return tensors; }

  /// Sum of the sizes of all tensors.
  uint64_t getBytes() const;

private:
  explicit Checkpoint(llvm::StringRef path) : path(path) {}

  void collectTensors();
  llvm::Error openFolder();
  llvm::Error openFile(llvm::StringRef file);
  llvm::Error openShards(llvm::StringRef index);

  std::string path;
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  std::vector<CheckpointTensor> tensors;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_CHECKPOINT_H
