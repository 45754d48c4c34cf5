//===- Validate.cpp - What every model configuration must satisfy ---------===//

#include "lib/Model/Validate.h"
#include "lib/Support/JsonFields.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace llvm;

namespace varve {

static Error mismatch(const Twine &field, const Twine &expected,
                      const Twine &got) {
  return createStringError("field '" + field + "': expected " + expected +
                           ", got " + got);
}

static Error checkInteger(const Twine &field, int64_t value, int64_t low,
                          int64_t high) {
  if (value >= low && value <= high)
    return Error::success();
  return mismatch(field, formatv("an integer in [{0}, {1}]", low, high).str(),
                  Twine(value));
}

/// NaN fails every comparison, so it is refused like any other bad value.
static Error checkNumber(const Twine &field, double value, double low,
                         double high) {
  if (value >= low && value <= high)
    return Error::success();
  return mismatch(field,
                  formatv("a number in [{0}, {1}]", shortestDecimal(low),
                          shortestDecimal(high))
                      .str(),
                  shortestDecimal(value));
}

static bool hasLayer(const ModelConfig &config, AttentionKind kind) {
  return any_of(config.layers, [&](const LayerConfig &layer) {
    return layer.attention == kind;
  });
}

static Error checkSizes(const ModelConfig &config) {
  // The indexer's sizes may be absent where no layer has an indexer.
  int64_t indexMin = hasLayer(config, AttentionKind::CSA) ? 1 : 0;
  struct Field {
    StringRef name;
    int64_t value, low, high;
  };
  const Field fields[] = {
      {"vocab_size", config.vocabSize, 1, limits::vocab},
      {"hidden_size", config.hiddenSize, 1, limits::width},
      {"num_hidden_layers", config.numLayers(), 1, limits::layers},
      {"num_attention_heads", config.numHeads, 1, limits::heads},
      {"head_dim", config.headDim, 1, limits::headDim},
      {"qk_rope_head_dim", config.ropeDim, 2, config.headDim},
      {"q_lora_rank", config.queryRank, 1, limits::width},
      {"o_groups", config.outputGroups, 1, limits::heads},
      {"o_lora_rank", config.outputRank, 1, limits::width},
      {"sliding_window", config.window, 1, limits::window},
      {"index_n_heads", config.indexHeads, indexMin, limits::heads},
      {"index_head_dim", config.indexHeadDim, indexMin, limits::headDim},
      {"index_topk", config.indexTopk, indexMin, limits::topk},
      {"n_routed_experts", config.numExperts, 1, limits::experts},
      {"num_experts_per_tok", config.activeExperts, 1, config.numExperts},
      {"moe_intermediate_size", config.expertSize, 1, limits::width},
      {"hc_mult", config.streams, 1, limits::streams},
      {"hc_sinkhorn_iters", config.sinkhornIterations, 1, limits::iterations},
      {"max_position_embeddings", config.maxPositions, 1, limits::positions},
      {"bos_token_id", config.bosTokenId, -1, config.vocabSize - 1},
      {"eos_token_id", config.eosTokenId, -1, config.vocabSize - 1},
  };
  for (const Field &field : fields)
    if (Error error =
            checkInteger(field.name, field.value, field.low, field.high))
      return error;
  for (auto [index, token] : enumerate(config.otherEosTokenIds))
    if (Error error = checkInteger("eos_token_id[" + Twine(index + 1) + "]",
                                   token, 0, config.vocabSize - 1))
      return error;
  return Error::success();
}

static Error checkNumbers(const ModelConfig &config) {
  struct Field {
    StringRef name;
    double value, low, high;
  };
  const Field fields[] = {
      {"rms_norm_eps", config.normEpsilon, 0, 1},
      {"hc_eps", config.streamEpsilon, 0, 1},
      {"routed_scaling_factor", config.routeScale, 1e-6, 1e6},
      {"swiglu_limit", config.swigluLimit, 0, 1e30},
  };
  for (const Field &field : fields)
    if (Error error =
            checkNumber(field.name, field.value, field.low, field.high))
      return error;
  return Error::success();
}

static Error checkRelations(const ModelConfig &config) {
  if (config.ropeDim % 2)
    return mismatch("qk_rope_head_dim", "an even number",
                    Twine(config.ropeDim));
  if (config.numHeads % config.outputGroups)
    return mismatch("o_groups",
                    "a divisor of num_attention_heads (" +
                        Twine(config.numHeads) + ")",
                    Twine(config.outputGroups));
  if (hasLayer(config, AttentionKind::CSA) &&
      config.indexHeadDim < config.ropeDim)
    return mismatch("index_head_dim",
                    "at least qk_rope_head_dim (" + Twine(config.ropeDim) +
                        "), which are rotated",
                    Twine(config.indexHeadDim));
  // Programs for these models disagree about more than one shared expert:
  // DeepSeek's refuses it, transformers builds one, others one that is wider.
  if (config.numSharedExperts != 1)
    return mismatch("n_shared_experts", "1", Twine(config.numSharedExperts));
  return Error::success();
}

static Error checkLayers(const ModelConfig &config) {
  for (auto [index, layer] : enumerate(config.layers)) {
    bool sliding = layer.attention == AttentionKind::Sliding;
    if (Error error =
            checkInteger("compress_ratios[" + Twine(index) + "]", layer.ratio,
                         sliding ? 0 : 1, sliding ? 0 : limits::ratio))
      return error;
  }
  return Error::success();
}

static Error checkRope(const RopeConfig &rope, StringRef theta,
                       StringRef scaling) {
  // 1 would make all frequencies equal and YaRN divide by ln 1.
  if (!(rope.theta > 1 && rope.theta <= 1e15))
    return mismatch(theta, "a number in (1, 1e15]",
                    shortestDecimal(rope.theta));
  if (!rope.factor)
    return Error::success();
  if (Error error = checkNumber(scaling + ".factor", *rope.factor, 1, 1e6))
    return error;
  if (Error error =
          checkInteger(scaling + ".original_max_position_embeddings",
                       rope.originalMaxPositions, 1, limits::positions))
    return error;
  if (Error error =
          checkNumber(scaling + ".beta_slow", rope.betaSlow, 1e-6, 1e6))
    return error;
  if (!(rope.betaFast >= rope.betaSlow && rope.betaFast <= 1e6))
    return mismatch(scaling + ".beta_fast",
                    "a number in [beta_slow (" +
                        shortestDecimal(rope.betaSlow) + "), 1000000]",
                    shortestDecimal(rope.betaFast));
  return Error::success();
}

static Error checkDraft(const ModelConfig &config) {
  const DraftConfig &draft = config.draft;
  if (Error error = checkInteger("num_nextn_predict_layers", draft.mtpLayers, 0,
                                 limits::draftBlocks))
    return error;
  if (Error error = checkInteger("dspark stages", draft.dsparkStages, 0,
                                 limits::draftBlocks))
    return error;
  if (!draft.dsparkStages)
    return Error::success();
  if (draft.mtpLayers)
    return mismatch("num_nextn_predict_layers", "0 beside a DSpark draft head",
                    Twine(draft.mtpLayers));
  if (Error error = checkInteger("dspark_block_size", draft.dsparkBlockSize, 1,
                                 limits::window))
    return error;
  if (Error error = checkInteger("dspark_markov_rank", draft.dsparkMarkovRank,
                                 1, limits::width))
    return error;
  if (Error error =
          checkInteger("dspark_noise_token_id", draft.dsparkNoiseTokenId, 0,
                       config.vocabSize - 1))
    return error;
  if (draft.dsparkTargetLayers.empty())
    return mismatch("dspark_target_layer_ids", "at least one layer", "none");
  if (draft.dsparkTargetLayers.size() > config.layers.size())
    return mismatch("dspark_target_layer_ids",
                    "at most " + Twine(config.numLayers()) + " layers",
                    Twine(draft.dsparkTargetLayers.size()));
  for (auto [index, layer] : enumerate(draft.dsparkTargetLayers))
    if (Error error =
            checkInteger("dspark_target_layer_ids[" + Twine(index) + "]", layer,
                         0, config.numLayers() - 1))
      return error;
  return Error::success();
}

static Error checkStorage(const StorageConfig &storage) {
  if (Error error = checkInteger("quantization_config.weight_block_size[0]",
                                 storage.scaleBlockRows, 1, limits::width))
    return error;
  return checkInteger("quantization_config.weight_block_size[1]",
                      storage.scaleBlockColumns, 1, limits::width);
}

Error validate(const ModelConfig &config) {
  // In this order: later checks rely on what the earlier ones established.
  if (Error error = checkSizes(config))
    return error;
  if (Error error = checkNumbers(config))
    return error;
  if (Error error = checkRelations(config))
    return error;
  if (Error error = checkLayers(config))
    return error;
  if (Error error =
          checkRope(config.windowRope, "rope_theta", "rope_parameters.main"))
    return error;
  if (Error error =
          checkRope(config.compressRope, "compress_rope_theta", "rope_scaling"))
    return error;
  if (Error error = checkDraft(config))
    return error;
  return checkStorage(config.storage);
}

Error validate(const ModelConfig &config, StringRef where) {
  if (Error error = validate(config))
    return createStringError(where + ": " + toString(std::move(error)));
  return Error::success();
}

} // namespace varve
