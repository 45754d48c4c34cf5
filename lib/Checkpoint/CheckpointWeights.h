//===- CheckpointWeights.h - Weights from a checkpoint ----------*- C++ -*-===//
//
// The weights of a model, read from the files of a checkpoint. Opening it
// compares names, types and shapes of the whole checkpoint with the model and
// reads no data. What the data says is checked later:
//
//   routing tables   experts in range, none twice for a token   open()
//   scales           E8M0: not NaN (code 255);                  open()
//                    F32: finite and not negative
//   FP8 weights      no NaN code                        verifyValues()
//   wider floats     finite                             verifyValues()
//
// FP4 has no bad codes.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_CHECKPOINTWEIGHTS_H
#define VARVE_CHECKPOINT_CHECKPOINTWEIGHTS_H

#include "lib/Checkpoint/Checkpoint.h"
#include "lib/Checkpoint/WeightBinding.h"
#include "lib/Checkpoint/WeightSource.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace varve {

/// What a checkpoint holds under an official name.
struct TensorInfo {
  /// Element type as stored; packed FP4 is F4E2M1.
  WeightType type;
  /// In elements; of a name with `*`, the experts are the first dimension.
  llvm::SmallVector<int64_t, 3> shape;
  /// Name, type and shape in the file, of a stack its first tensor's.
  std::string storedName;
  SafetensorsType storedType;
  llvm::SmallVector<int64_t, 3> storedShape;
  std::string file;
};

/// Immutable, so readable from several threads. Tensors that it opens live no
/// longer than it does.
class CheckpointWeights final : public WeightSource {
public:
  /// Opens the checkpoint in `path` for the model `config`; see
  /// Checkpoint::open and bindWeights for what is accepted.
  static llvm::Expected<std::unique_ptr<CheckpointWeights>>
  open(llvm::StringRef path, const ModelConfig &config);

  static llvm::Expected<std::unique_ptr<CheckpointWeights>>
  create(std::unique_ptr<Checkpoint> checkpoint, const ModelConfig &config);

  const Checkpoint &getCheckpoint() const { return *checkpoint; }

  /// Whether draft blocks that the model declares are in the checkpoint.
  bool hasDraft() const { return bindings.hasDraft; }

  bool contains(llvm::StringRef name) const;

  /// Stored type and shape of a tensor, by official name, one expert's or (by
  /// `*`) all experts' of a layer. What needs a scale has one: the importer
  /// asks for it when the type is F8E4M3 or F4E2M1.
  llvm::Expected<TensorInfo> lookup(llvm::StringRef name) const;

  llvm::Expected<std::unique_ptr<WeightTensor>>
  open(llvm::StringRef name, WeightType type,
       llvm::ArrayRef<int64_t> shape) const override;

  /// Reads a tensor, by name as in lookup(), and checks its values.
  llvm::Error verifyValues(llvm::StringRef name) const;

  /// The same for all tensors: reads the whole checkpoint.
  llvm::Error verifyValues() const;

private:
  CheckpointWeights() = default;

  /// A binding and the parts of it that a name selects.
  struct Selection {
    const WeightBinding *binding;
    llvm::ArrayRef<WeightBinding::Part> parts;
    llvm::SmallVector<int64_t, 3> shape;
    /// Number of the first part.
    int64_t first;
  };
  llvm::Expected<Selection> select(llvm::StringRef name) const;

  std::unique_ptr<Checkpoint> checkpoint;
  WeightBindings bindings;
  int64_t numExperts = 0;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_CHECKPOINTWEIGHTS_H
