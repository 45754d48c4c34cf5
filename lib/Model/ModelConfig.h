//===- ModelConfig.h - A hybrid-attention model, described -----*- C++ -*-===//
//
// The one description of a model that everything after the readers uses: the
// importer, the weight inventory, `varve inspect` and the explorer. It holds
// what the specification calls the configuration, independent of which of the
// JSON dialects in circulation it was read from, and with every layer's kind
// spelled out instead of implied by numbers.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_MODELCONFIG_H
#define VARVE_MODEL_MODELCONFIG_H

#include "varve/Support/WeightType.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace varve {

/// What a layer attends to besides its sliding window.
enum class AttentionKind {
  Sliding, ///< nothing: window only ('S')
  CSA,     ///< compressed sparse attention: overlapping windows, an indexer
           ///< that picks `indexTopk` entries a query ('C')
  HCA,     ///< heavily compressed attention: disjoint windows, every visible
           ///< entry ('H')
};

/// How a layer's routed experts are chosen.
enum class RoutingKind {
  TopK, ///< the highest biased scores
  Hash, ///< a table indexed by token id
};

/// Router score of a logit z.
enum class ScoringFunction {
  SqrtSoftplus, ///< sqrt(ln(1 + e^z))
  Sigmoid,      ///< 1 / (1 + e^-z)
  Softmax,      ///< e^z / sum e^z
};

/// Rotary embedding with optional YaRN interpolation (specification 4.4).
struct RopeConfig {
  double theta = 10000.0;
  /// YaRN is applied when `factor` has a value.
  std::optional<double> factor;
  double betaFast = 32.0;
  double betaSlow = 1.0;
  int64_t originalMaxPositions = 0;

  bool operator==(const RopeConfig &) const = default;
};

struct LayerConfig {
  AttentionKind attention = AttentionKind::Sliding;
  /// Tokens an entry stands for; 0 exactly when `attention` is Sliding.
  int64_t ratio = 0;
  RoutingKind routing = RoutingKind::TopK;

  bool operator==(const LayerConfig &) const = default;
};

/// Draft blocks behind the backbone. Varve does not execute them yet; it must
/// know their tensors to account for a checkpoint.
struct DraftConfig {
  /// Multi-token-prediction blocks (`num_nextn_predict_layers`).
  int64_t mtpLayers = 0;
  /// DSpark draft stages; 0 when the checkpoint has an MTP block instead.
  int64_t dsparkStages = 0;
  int64_t dsparkMarkovRank = 0;
  int64_t dsparkBlockSize = 0;
  int64_t dsparkNoiseTokenId = 0;
  llvm::SmallVector<int64_t> dsparkTargetLayers;
};

/// Element types of the stored weights by role. Official checkpoints store
/// FP8 linears and FP4 experts; what transformers writes is plain BF16 or F32.
struct StorageConfig {
  /// Linears with block scales when F8E4M3, without otherwise.
  WeightType linear = WeightType::BF16;
  /// Routed experts: F4E2M1 (scales per row and 32 columns), F8E4M3 (scales
  /// per `scaleBlock`), or plain.
  WeightType experts = WeightType::BF16;
  /// Embedding, head, norms, router, compressor and indexer projections.
  WeightType dense = WeightType::BF16;
  /// Rows and columns of one FP8 scale.
  int64_t scaleBlockRows = 128;
  int64_t scaleBlockColumns = 128;
  /// Columns of one FP4 scale.
  int64_t expertScaleBlock = 32;
};

/// Sizes carry the letters of the specification.
struct ModelConfig {
  std::string name;
  int64_t vocabSize = 0;    ///< V
  int64_t hiddenSize = 0;   ///< D
  int64_t numHeads = 0;     ///< H
  int64_t headDim = 0;      ///< d, key and value alike
  int64_t ropeDim = 0;      ///< r, the last r of d
  int64_t queryRank = 0;    ///< Rq
  int64_t outputGroups = 0; ///< G
  int64_t outputRank = 0;   ///< Ro, per group
  int64_t window = 0;       ///< W, tokens, the query included
  int64_t indexHeads = 0;   ///< Hi
  int64_t indexHeadDim = 0; ///< di
  int64_t indexTopk = 0;    ///< Ktop, entries
  int64_t numExperts = 0;   ///< E
  int64_t numSharedExperts = 0;
  int64_t activeExperts = 0; ///< A
  int64_t expertSize = 0;    ///< I
  int64_t streams = 0;       ///< hc
  int64_t sinkhornIterations = 0;
  double streamEpsilon = 1e-6; ///< added by mHC (`hc_eps`)
  double normEpsilon = 1e-6;   ///< of every RMS norm
  double routeScale = 1.0;
  bool normalizeRouteWeights = true;
  ScoringFunction scoring = ScoringFunction::SqrtSoftplus;
  double swigluLimit = 0.0; ///< 0: not clamped
  int64_t maxPositions = 0;
  RopeConfig windowRope;   ///< layers without compression
  RopeConfig compressRope; ///< everything in layers with compression
  int64_t bosTokenId = -1; ///< -1: none
  int64_t eosTokenId = -1; ///< -1: none
  /// Further tokens that end a sequence, where the file lists several.
  llvm::SmallVector<int64_t> otherEosTokenIds;
  std::vector<LayerConfig> layers;
  DraftConfig draft;
  StorageConfig storage;

  int64_t numLayers() const { return static_cast<int64_t>(layers.size()); }

  /// The rope of layer `layer`, shared by its queries, keys, entries and index.
  const RopeConfig &ropeOf(int64_t layer) const {
    return layers[layer].ratio ? compressRope : windowRope;
  }
};

} // namespace varve

#endif // VARVE_MODEL_MODELCONFIG_H
