//===- WeightBinding.h - Tensors found in a checkpoint ----------*- C++ -*-===//
//
// Compares what a model consists of with what a checkpoint holds, and says for
// every tensor where its bytes are and which type they have. The checkpoint
// decides the types: a configuration says FP8, but a converted copy may hold
// BF16.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_WEIGHTBINDING_H
#define VARVE_CHECKPOINT_WEIGHTBINDING_H

#include "lib/Checkpoint/Checkpoint.h"
#include "lib/Checkpoint/WeightInventory.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace varve {

/// One tensor, or one kind of tensor of all experts of a layer.
struct WeightBinding {
  /// Official name, `*` for the expert.
  std::string name;
  /// As stored.
  WeightType type;
  /// Of one tensor, in elements.
  llvm::SmallVector<int64_t, 2> shape;
  WeightRole role;
  struct Part {
    const uint8_t *data;
    CheckpointTensor tensor;
  };
  /// One, or one an expert.
  std::vector<Part> parts;

  bool isStacked() const { return name.find('*') != std::string::npos; }
};

struct WeightBindings {
  std::vector<WeightBinding> all;
  /// By name.
  llvm::StringMap<uint32_t> indexOfName;
  /// Whether the draft blocks that the model declares are there.
  bool hasDraft = false;
};

/// Finds every tensor of `inventory`. Accepted stored types:
///
/// | role | types |
/// |---|---|
/// | dense | F32, BF16, F16 |
/// | linear | F32, BF16, F16 without scale; F8_E4M3 with one |
/// | routed expert | the same; I8 or U8 (two FP4 a byte) with one |
/// | scale of FP8 | F8_E8M0, F32 |
/// | scale of FP4 | F8_E8M0 |
/// | routing table | I64, I32 |
///
/// All routed experts of a layer have one type. Draft blocks that the model
/// declares may be absent as a whole; those that it does not declare are
/// ignored, as are copies of embedding and head in draft blocks. Anything else
/// that is missing, surplus, or of another shape or type is an error; one
/// error reports all of them. Looks at names, types and shapes only, never at
/// the data.
llvm::Expected<WeightBindings> bindWeights(const Checkpoint &checkpoint,
                                           const WeightInventory &inventory,
                                           const StorageConfig &storage);

} // namespace varve

#endif // VARVE_CHECKPOINT_WEIGHTBINDING_H
