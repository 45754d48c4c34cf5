//===- RandomWeights.h - Weights from a seed -------------------*- C++ -*-===//
//
// Weights for runs without a checkpoint; RandomRows.h says which.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_RANDOMWEIGHTS_H
#define VARVE_CHECKPOINT_RANDOMWEIGHTS_H

#include "lib/Checkpoint/RandomRows.h"
#include "lib/Checkpoint/WeightSource.h"
#include "llvm/Support/Error.h"
#include <string>

namespace varve {

class RandomWeights final : public WeightSource {
public:
  explicit RandomWeights(const RandomWeightsOptions &options)
      : options(options) {}

  /// Any name is fine.
  llvm::Expected<std::unique_ptr<WeightTensor>>
  open(llvm::StringRef name, WeightType type,
       llvm::ArrayRef<int64_t> shape) const override;

private:
  RandomWeightsOptions options;
};

/// Where weights come from, as users write it.
struct WeightsOption {
  /// Empty: random weights.
  std::string path;
  uint64_t seed = 0;

  bool isRandom() const { return path.empty(); }
};

/// "random", "random:SEED" (seed 0 without one), or the path of a checkpoint.
llvm::Expected<WeightsOption> parseWeightsOption(llvm::StringRef text);

} // namespace varve

#endif // VARVE_CHECKPOINT_RANDOMWEIGHTS_H
