//===- WeightInventory.h - The tensors a model consists of -----*- C++ -*-===//
//
// From a model's description to the complete list of its tensors: official
// name, stored type, shape, size and the part of the model it belongs to,
// draft blocks included (specification sections 2.1 and 10). The list is what
// a checkpoint is compared with, what random weights are made for, and what
// memory is estimated from. It has one entry for all experts of a layer, so it
// stays small: a few thousand entries for 145,116 tensors.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_WEIGHTINVENTORY_H
#define VARVE_CHECKPOINT_WEIGHTINVENTORY_H

#include "lib/Model/ModelConfig.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace varve {

/// Which stored types a tensor may have, and what its values mean.
enum class WeightRole {
  Dense,        ///< any plain float type
  Linear,       ///< plain, or FP8 with a scale a block
  LinearScale,  ///< of an FP8 Linear
  Expert,       ///< plain, FP8 with block scales, or FP4 with row scales
  ExpertScale,  ///< of an FP8 or FP4 Expert
  RoutingTable, ///< expert numbers by token id
};

/// Part of the model, for accounts of memory and traffic.
enum class WeightComponent {
  Embedding,
  Head,
  Norm,
  Streams,    ///< mHC
  Attention,  ///< projections and sinks
  Compressor, ///< of the entries
  Indexer,    ///< its own compressor included
  Router,     ///< routing tables included
  RoutedExperts,
  SharedExperts,
  Draft, ///< what a draft block has besides a layer's tensors
};

llvm::StringRef stringifyWeightComponent(WeightComponent component);

/// "bf16", "f4E2M1", …
llvm::StringRef stringifyWeightType(WeightType type);

/// One tensor, or the tensors of one kind of all experts of a layer.
struct WeightSpec {
  /// Official name; `*` stands for the expert when there are several.
  std::string name;
  WeightType type;
  /// Of one tensor, in elements (FP4 is not counted in bytes).
  llvm::SmallVector<int64_t, 2> shape;
  /// Tensors that this entry stands for: 1, or the number of experts.
  int64_t count = 1;
  WeightRole role = WeightRole::Dense;
  WeightComponent component = WeightComponent::Norm;
  /// Belongs to a draft block ("mtp.").
  bool draft = false;
  /// Number of the layer or draft block; -1 for the model's own tensors.
  int64_t layer = -1;

  /// Elements of all `count` tensors.
  int64_t getElements() const;
  /// Bytes of all `count` tensors.
  int64_t getBytes() const;
  /// Elements that count as parameters, the convention under which the
  /// released models have 284,332,240,471 and 1,572,997,201,763 of them
  /// (without draft blocks): every element, FP4 ones singly, but no scales and
  /// no routing tables.
  int64_t getParameters() const;
};

/// Sums over entries.
struct WeightTotals {
  int64_t tensors = 0;
  int64_t bytes = 0;
  int64_t parameters = 0;

  bool operator==(const WeightTotals &) const = default;
};

class WeightInventory {
public:
  /// Errors name the sizes of `config` from which no shape can be made.
  static llvm::Expected<WeightInventory> create(const ModelConfig &config);

  llvm::ArrayRef<WeightSpec> getSpecs() const { return specs; }

  /// By name as in WeightSpec; null when the model has no such tensor.
  const WeightSpec *find(llvm::StringRef name) const;

  /// Sums over the entries that `filter` keeps; all without one.
  WeightTotals
  getTotals(llvm::function_ref<bool(const WeightSpec &)> filter = {}) const;

private:
  std::vector<WeightSpec> specs;
  llvm::StringMap<uint32_t> indexOfName;
};

/// Shape of the scales of a weight of logical shape [rows, columns] stored as
/// `type` (F8E4M3 or F4E2M1).
llvm::SmallVector<int64_t, 2> scaleShapeOf(llvm::ArrayRef<int64_t> shape,
                                           WeightType type,
                                           const StorageConfig &storage);

} // namespace varve

#endif // VARVE_CHECKPOINT_WEIGHTINVENTORY_H
