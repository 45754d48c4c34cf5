//===- Overrides.cpp - Changing a configuration from the command line -----===//

#include "lib/Model/Overrides.h"
#include "lib/Model/HfReader.h"
#include "lib/Model/LayerPattern.h"
#include "lib/Model/Validate.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace varve {

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

static Error valueError(const Twine &expected, StringRef got) {
  return createStringError("expected " + expected + ", got '" + got + "'");
}

static Error parse(StringRef text, int64_t &value) {
  if (text.getAsInteger(10, value))
    return valueError("an integer", text);
  return Error::success();
}

static Error parse(StringRef text, double &value) {
  if (text.getAsDouble(value))
    return valueError("a number", text);
  return Error::success();
}

static Error parse(StringRef text, bool &value) {
  if (text != "true" && text != "false")
    return valueError("true or false", text);
  value = text == "true";
  return Error::success();
}

static Error parse(StringRef text, ScoringFunction &value) {
  std::optional<ScoringFunction> function = parseScoringFunction(text);
  if (!function)
    return valueError("sqrtsoftplus, sigmoid or softmax", text);
  value = *function;
  return Error::success();
}

static Error parse(StringRef text, WeightType &value) {
  std::optional<WeightType> type = parseExpertType(text);
  if (!type)
    return valueError("fp4, fp8, bfloat16, float16 or float32", text);
  value = *type;
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Setters
//===----------------------------------------------------------------------===//

using Setter = Error (*)(ModelConfig &, StringRef value);

template <auto Member> static Error set(ModelConfig &config, StringRef value) {
  return parse(value, config.*Member);
}

template <auto Rope, auto Member>
static Error setRope(ModelConfig &config, StringRef value) {
  return parse(value, config.*Rope.*Member);
}

static Error setYarnFactor(ModelConfig &config, StringRef value) {
  double factor;
  if (Error error = parse(value, factor))
    return error;
  RopeConfig &rope = config.compressRope;
  // As where a file gives a factor alone.
  if (!rope.factor)
    rope.originalMaxPositions = config.maxPositions;
  rope.factor = factor;
  return Error::success();
}

template <auto Member>
static Error setYarn(ModelConfig &config, StringRef value) {
  if (!config.compressRope.factor)
    return createStringError("expected a model with YaRN, got one without; set "
                             "rope_scaling.factor first");
  return parse(value, config.compressRope.*Member);
}

template <AttentionKind Kind>
static Error setRatio(ModelConfig &config, StringRef value) {
  int64_t ratio;
  if (Error error = parse(value, ratio))
    return error;
  bool found = false;
  for (LayerConfig &layer : config.layers) {
    if (layer.attention != Kind)
      continue;
    layer.ratio = ratio;
    found = true;
  }
  if (!found)
    return createStringError("expected a model with such layers, got '" +
                             layerString(config) + "'");
  return Error::success();
}

static Error setHashLayers(ModelConfig &config, StringRef value) {
  int64_t count;
  if (Error error = parse(value, count))
    return error;
  if (count < 0 || count > config.numLayers())
    return valueError("an integer in [0, " + Twine(config.numLayers()) + "]",
                      value);
  for (auto [index, layer] : enumerate(config.layers))
    layer.routing = static_cast<int64_t>(index) < count ? RoutingKind::Hash
                                                        : RoutingKind::TopK;
  return Error::success();
}

/// Says which pattern the user may have meant by `count` layers.
static std::string suggestLayers(const ModelConfig &config, int64_t count) {
  LayerKinds kinds;
  for (const LayerConfig &layer : config.layers)
    kinds.push_back(layer.attention);
  if (count < config.numLayers()) {
    kinds.resize(count);
    return ", for example --layers='" + layerString(kinds) + "'";
  }
  // The longest group of the present pattern, repeated to fill.
  std::string text = layerString(kinds);
  StringRef pattern = text;
  size_t close = pattern.rfind(')');
  if (close == StringRef::npos)
    return "";
  StringRef tail = pattern.drop_front(close + 1);
  std::string filling =
      (pattern.take_front(close + 1) + "*" + tail.ltrim("0123456789")).str();
  Expected<LayerKinds> filled = expandLayerPattern(filling, count);
  if (filled)
    return ", for example --layers='" + filling + "'";
  consumeError(filled.takeError());
  return "";
}

static Error setLayerCount(ModelConfig &config, StringRef value) {
  int64_t count;
  if (Error error = parse(value, count))
    return error;
  if (count < 1 || count > limits::layers)
    return valueError("an integer in [1, " + Twine(limits::layers) + "]",
                      value);
  if (count == config.numLayers())
    return Error::success();
  const LayerConfig &first = config.layers.front();
  if (all_of(config.layers, [&](const LayerConfig &layer) {
        return layer.attention == first.attention && layer.ratio == first.ratio;
      }))
    return replaceLayers(
        config,
        StringRef("SCH").substr(static_cast<int>(first.attention), 1).str() +
            "*",
        count);
  return createStringError(
      formatv("expected --layers beside it, because '{0}' does not say what "
              "{1} layers are{2}",
              layerString(config), count, suggestLayers(config, count))
          .str());
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
struct Override {
  OverrideName text;
  Setter setter;
};
} // namespace

static constexpr StringRef layerCountName = "num_hidden_layers";

static constexpr Override table[] = {
    {{"vocab_size", "tokens of the vocabulary"}, set<&ModelConfig::vocabSize>},
    {{"hidden_size", "width of a residual stream"},
     set<&ModelConfig::hiddenSize>},
    {{layerCountName, "layers; a mix of kinds needs --layers as well"},
     setLayerCount},
    {{"num_hash_layers", "layers from the first on that route by token id"},
     setHashLayers},
    {{"num_attention_heads", "query heads"}, set<&ModelConfig::numHeads>},
    {{"head_dim", "width of a head, and of its key and value"},
     set<&ModelConfig::headDim>},
    {{"qk_rope_head_dim", "rotated part of a head"},
     set<&ModelConfig::ropeDim>},
    {{"q_lora_rank", "rank of the query projection"},
     set<&ModelConfig::queryRank>},
    {{"o_groups", "groups of heads in the output projection"},
     set<&ModelConfig::outputGroups>},
    {{"o_lora_rank", "rank of the output projection, per group"},
     set<&ModelConfig::outputRank>},
    {{"sliding_window", "tokens that every layer sees raw"},
     set<&ModelConfig::window>},
    {{"window", "sliding_window"}, set<&ModelConfig::window>},
    {{"ratio.csa", "tokens per entry of the C layers"},
     setRatio<AttentionKind::CSA>},
    {{"ratio.hca", "tokens per entry of the H layers"},
     setRatio<AttentionKind::HCA>},
    {{"index_n_heads", "heads of the indexer"}, set<&ModelConfig::indexHeads>},
    {{"index_head_dim", "width of an indexer head"},
     set<&ModelConfig::indexHeadDim>},
    {{"index_topk", "entries that a query of a C layer reads"},
     set<&ModelConfig::indexTopk>},
    {{"n_routed_experts", "experts to choose from"},
     set<&ModelConfig::numExperts>},
    {{"n_shared_experts", "experts that every token uses"},
     set<&ModelConfig::numSharedExperts>},
    {{"num_experts_per_tok", "experts chosen for a token"},
     set<&ModelConfig::activeExperts>},
    {{"moe_intermediate_size", "inner width of an expert"},
     set<&ModelConfig::expertSize>},
    {{"scoring_func", "router score: sqrtsoftplus, sigmoid or softmax"},
     set<&ModelConfig::scoring>},
    {{"norm_topk_prob", "whether the weights of the chosen experts sum to 1"},
     set<&ModelConfig::normalizeRouteWeights>},
    {{"routed_scaling_factor", "factor on the routed experts' weights"},
     set<&ModelConfig::routeScale>},
    {{"swiglu_limit", "bound of an expert's inner values; 0: none"},
     set<&ModelConfig::swigluLimit>},
    {{"hc_mult", "residual streams"}, set<&ModelConfig::streams>},
    {{"hc_sinkhorn_iters", "normalisation passes of the stream mix"},
     set<&ModelConfig::sinkhornIterations>},
    {{"hc_eps", "epsilon of the stream mix"}, set<&ModelConfig::streamEpsilon>},
    {{"rms_norm_eps", "epsilon of the RMS norms"},
     set<&ModelConfig::normEpsilon>},
    {{"max_position_embeddings", "longest sequence, tokens"},
     set<&ModelConfig::maxPositions>},
    {{"rope_theta", "rotary base of the S layers"},
     setRope<&ModelConfig::windowRope, &RopeConfig::theta>},
    {{"compress_rope_theta", "rotary base of the C and H layers"},
     setRope<&ModelConfig::compressRope, &RopeConfig::theta>},
    {{"rope_scaling.factor", "YaRN factor of the C and H layers"},
     setYarnFactor},
    {{"rope_scaling.original_max_position_embeddings",
      "sequence length before YaRN, tokens"},
     setYarn<&RopeConfig::originalMaxPositions>},
    {{"rope_scaling.beta_fast", "rotations from which YaRN leaves a pair"},
     setYarn<&RopeConfig::betaFast>},
    {{"rope_scaling.beta_slow", "rotations below which YaRN stretches a pair"},
     setYarn<&RopeConfig::betaSlow>},
    {{"bos_token_id", "token that starts a sequence; -1: none"},
     set<&ModelConfig::bosTokenId>},
    {{"eos_token_id", "token that ends a sequence; -1: none"},
     set<&ModelConfig::eosTokenId>},
    {{"num_nextn_predict_layers", "draft blocks behind the layers"},
     [](ModelConfig &config, StringRef value) {
       return parse(value, config.draft.mtpLayers);
     }},
    {{"expert_dtype", "element type of the routed experts"},
     [](ModelConfig &config, StringRef value) {
       return parse(value, config.storage.experts);
     }},
};

ArrayRef<OverrideName> overrideNames() {
  static const std::vector<OverrideName> names = [] {
    std::vector<OverrideName> result;
    for (const Override &override : table)
      result.push_back(override.text);
    return result;
  }();
  return names;
}

//===----------------------------------------------------------------------===//
// Applying
//===----------------------------------------------------------------------===//

static Error prefixed(StringRef override, Error error) {
  return createStringError("override '" + override +
                           "': " + toString(std::move(error)));
}

Error assignOverride(ModelConfig &config, StringRef override) {
  auto [name, value] = override.split('=');
  if (!override.contains('='))
    return prefixed(override, createStringError("expected name=value"));
  const Override *found =
      find_if(table, [name = name](const Override &candidate) {
        return candidate.text.name == name;
      });
  if (found == std::end(table)) {
    auto names = map_range(
        table, [](const Override &candidate) { return candidate.text.name; });
    return prefixed(override, createStringError("unknown name '" + name + "'" +
                                                didYouMean(name, names)));
  }
  if (Error error = found->setter(config, value))
    return prefixed(override, std::move(error));
  return Error::success();
}

Error applyOverride(ModelConfig &config, StringRef override) {
  ModelConfig changed = config;
  if (Error error = assignOverride(changed, override))
    return error;
  if (Error error = validate(changed))
    return prefixed(override, std::move(error));
  config = std::move(changed);
  return Error::success();
}

Error applyOverrides(ModelConfig &config, ArrayRef<std::string> overrides,
                     std::optional<StringRef> layers) {
  if (overrides.empty() && !layers)
    return Error::success();
  ModelConfig changed = config;
  // Layers first: the other overrides speak about the new ones.
  if (layers) {
    std::optional<int64_t> count;
    for (StringRef override : overrides)
      if (auto [name, value] = override.split('='); name == layerCountName) {
        int64_t number;
        if (Error error = parse(value, number))
          return prefixed(override, std::move(error));
        count = number;
      }
    if (Error error = replaceLayers(changed, *layers, count))
      return error;
  }
  for (StringRef override : overrides)
    if (Error error = assignOverride(changed, override))
      return error;
  std::string where = overrides.size() == 1 && !layers
                          ? "override '" + overrides.front() + "'"
                          : "overridden configuration";
  if (Error error = validate(changed, where))
    return error;
  config = std::move(changed);
  return Error::success();
}

} // namespace varve
