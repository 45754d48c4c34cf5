//===- Explorer.h - From mixes to rows -------------------------*- C++ -*-===//
#ifndef VARVE_EXPLORE_EXPLORER_H
#define VARVE_EXPLORE_EXPLORER_H

#include "lib/Explore/LayerCosts.h"
#include "lib/Explore/Metrics.h"
#include "lib/Explore/Query.h"

namespace varve {

/// One mix under one condition.
struct Row {
  unsigned mix = 0; ///< index in ExploreResult::mixes
  int64_t context = 0, batch = 0;
  unsigned device = 0; ///< index in ExploreResult::devices
  Figures figures;
  Bound bound = Bound::Weights; ///< what most of the time goes to
};

/// A mix of the query, costed or refused.
struct MixResult {
  Mix mix;
  std::string precision;
  ModelCost cost; ///< empty where refused
  std::optional<Refusal> refusal;
};

struct ExploreResult {
  std::vector<MixResult> mixes;
  std::vector<Row> rows; ///< by mix, then device, batch, context
  Conditions conditions;
  Level level = Level::ClosedForm;
  int64_t tokens = 1;
  size_t numKinds = 0; ///< functions that were imported
  /// At level E3, as the device's driver says.
  std::string measuredOn;

  /// Index in `conditions.steps` of a row's step.
  size_t getStep(const Row &row) const;
};

/// The configuration of a mix that the explorer costed; `base` has one.
llvm::Expected<ModelConfig> makeConfig(const BaseModel &base, const Mix &mix);

/// Finds the model that a name of the query means; the explorer asks once for
/// each.
using LoadBaseFn =
    llvm::function_ref<llvm::Expected<BaseModel>(llvm::StringRef name)>;

/// Costs all mixes of `query` under all its conditions. Fails if the query
/// itself is wrong: unknown models, devices and settings, malformed values,
/// conditions that no step has. Mixes that make no sense are refused in the
/// result. `keepOps` keeps the costs of every op, for reports of few mixes.
llvm::Expected<ExploreResult> explore(mlir::MLIRContext &context,
                                      const Query &query, LoadBaseFn loadBase,
                                      bool keepOps);

} // namespace varve

#endif // VARVE_EXPLORE_EXPLORER_H
