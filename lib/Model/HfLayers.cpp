//===- HfLayers.cpp - The layer list of a config.json ---------------------===//

#include "lib/Model/HfReader.h"
#include "lib/Model/Validate.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace varve {

/// In the order of AttentionKind.
static constexpr StringRef attentionNames[] = {"sliding_attention",
                                               "compressed_sparse_attention",
                                               "heavily_compressed_attention"};
static constexpr StringRef csaName = attentionNames[1];
static constexpr StringRef hcaName = attentionNames[2];
static constexpr StringRef routingNames[] = {"moe", "hash_moe"};

/// What transformers takes where a file does not say.
static constexpr int64_t defaultCsaRatio = 4, defaultHcaRatio = 128,
                         defaultHashLayers = 3;

/// The kind that DeepSeek's program makes of an entry of `compress_ratios`.
static AttentionKind kindOfRatio(int64_t ratio) {
  return ratio == 0   ? AttentionKind::Sliding
         : ratio == 4 ? AttentionKind::CSA
                      : AttentionKind::HCA;
}

static StringRef nameOf(AttentionKind kind) {
  return attentionNames[static_cast<int>(kind)];
}

void HfReader::readLayers() {
  int64_t count = fields.requiredInteger("num_hidden_layers");
  if (!errors && (count < 1 || count > limits::layers))
    fields.mismatch("num_hidden_layers",
                    "an integer in [1, " + Twine(limits::layers) + "]");
  if (errors)
    return;
  config.layers.resize(count);
  bool ratesGiven = readRates();
  std::optional<std::vector<int64_t>> ratios =
      fields.integers("compress_ratios");
  std::optional<std::vector<StringRef>> types = fields.strings("layer_types");
  if (errors)
    return;
  if (ratios)
    readRatios(*ratios);
  if (types) {
    if (!ratesGiven && !ratios) {
      csaRatio = defaultCsaRatio;
      hcaRatio = defaultHcaRatio;
    }
    readLayerTypes(*types);
  }
  if (!errors)
    readRouting();
}

/// Reads the ratio of each kind of layer, given in either of two forms.
bool HfReader::readRates() {
  csaRatio = fields.integer("compress_rate_csa");
  hcaRatio = fields.integer("compress_rate_hca");
  std::optional<JsonFields> rates = fields.nested("compress_rates");
  if (rates) {
    const StringRef known[] = {csaName, hcaName};
    rates->refuseUnknown(known);
    auto merge = [&](std::optional<int64_t> &ratio, StringRef name,
                     StringRef flatName) {
      std::optional<int64_t> nested = rates->integer(name);
      if (ratio && nested && *ratio != *nested)
        fields.mismatch(flatName,
                        Twine(*nested) + ", which is compress_rates." + name);
      if (!ratio)
        ratio = nested;
    };
    merge(csaRatio, csaName, "compress_rate_csa");
    merge(hcaRatio, hcaName, "compress_rate_hca");
  } else if (csaRatio || hcaRatio) {
    csaRatio = csaRatio.value_or(defaultCsaRatio);
    hcaRatio = hcaRatio.value_or(defaultHcaRatio);
  }
  for (auto [ratio, name] :
       {std::pair(csaRatio, csaName), std::pair(hcaRatio, hcaName)})
    if (ratio && (*ratio < 1 || *ratio > limits::ratio))
      fields.mismatch(rates             ? ("compress_rates." + name).str()
                      : name == csaName ? "compress_rate_csa"
                                        : "compress_rate_hca",
                      "an integer in [1, " + Twine(limits::ratio) + "]",
                      Twine(*ratio));
  return csaRatio || hcaRatio;
}

void HfReader::readRatios(const std::vector<int64_t> &ratios) {
  size_t count = config.layers.size();
  if (ratios.size() < count || ratios.size() > count + limits::draftBlocks) {
    fields.mismatch("compress_ratios",
                    "num_hidden_layers (" + Twine(count) +
                        ") entries, then one per draft block",
                    Twine(ratios.size()));
    return;
  }
  for (auto [index, ratio] : enumerate(ratios)) {
    std::string path = formatv("compress_ratios[{0}]", index);
    if (index >= count) {
      if (ratio != 0)
        fields.mismatch(
            path, "0: only draft blocks follow the " + Twine(count) + " layers",
            Twine(ratio));
      continue;
    }
    if (ratio < 0 || ratio > limits::ratio)
      fields.mismatch(path, "an integer in [0, " + Twine(limits::ratio) + "]",
                      Twine(ratio));
    LayerConfig &layer = config.layers[index];
    layer.attention = kindOfRatio(ratio);
    layer.ratio = ratio;
    std::optional<int64_t> given =
        layer.attention == AttentionKind::CSA   ? csaRatio
        : layer.attention == AttentionKind::HCA ? hcaRatio
                                                : std::nullopt;
    if (given && *given != ratio)
      fields.mismatch(path,
                      Twine(*given) + ", the rate given for " +
                          nameOf(layer.attention),
                      Twine(ratio));
  }
  trailingRatios = ratios.size() - count;
}

void HfReader::readLayerTypes(const std::vector<StringRef> &types) {
  if (types.size() != config.layers.size()) {
    fields.mismatch("layer_types",
                    "num_hidden_layers (" + Twine(config.layers.size()) +
                        ") entries",
                    Twine(types.size()));
    return;
  }
  bool ratiosGiven = fields.has("compress_ratios");
  for (auto [index, type] : enumerate(types)) {
    std::string path = formatv("layer_types[{0}]", index);
    const StringRef *found = find(attentionNames, type);
    if (found == std::end(attentionNames)) {
      fields.mismatch(path, "a kind of attention layer",
                      quoted(type) + didYouMean(type, attentionNames));
      return;
    }
    auto kind = static_cast<AttentionKind>(found - attentionNames);
    LayerConfig &layer = config.layers[index];
    if (ratiosGiven) {
      if (layer.attention != kind)
        fields.mismatch(path,
                        "\"" + nameOf(layer.attention) +
                            "\", as compress_ratios[" + Twine(index) +
                            "] = " + Twine(layer.ratio) + " says",
                        quoted(type));
      continue;
    }
    layer.attention = kind;
    if (kind == AttentionKind::Sliding)
      continue;
    std::optional<int64_t> ratio =
        kind == AttentionKind::CSA ? csaRatio : hcaRatio;
    if (!ratio)
      fields.mismatch("compress_rates." + type.str(), "a ratio for " + path,
                      "nothing");
    layer.ratio = ratio.value_or(1);
  }
}

void HfReader::readRouting() {
  int64_t count = config.numLayers();
  std::optional<std::vector<StringRef>> types =
      fields.strings("mlp_layer_types");
  std::optional<int64_t> hashLayers = fields.integer("num_hash_layers");
  if (hashLayers && *hashLayers < 0)
    fields.mismatch("num_hash_layers", "0 or more");
  if (!types) {
    // A number beyond the last layer means all of them, as in the programs.
    int64_t first = byTransformers && !hashLayers
                        ? defaultHashLayers
                        : fields.requiredInteger("num_hash_layers");
    for (int64_t i = 0; i < std::min(first, count); ++i)
      config.layers[i].routing = RoutingKind::Hash;
    return;
  }
  if (static_cast<int64_t>(types->size()) != count) {
    fields.mismatch("mlp_layer_types",
                    "num_hidden_layers (" + Twine(count) + ") entries",
                    Twine(types->size()));
    return;
  }
  for (auto [index, type] : enumerate(*types)) {
    std::string path = formatv("mlp_layer_types[{0}]", index);
    if (!is_contained(routingNames, type))
      fields.mismatch(path, "\"moe\" or \"hash_moe\"",
                      quoted(type) + didYouMean(type, routingNames));
    bool hash = type == "hash_moe";
    if (hash)
      config.layers[index].routing = RoutingKind::Hash;
    bool hashByCount = static_cast<int64_t>(index) < hashLayers.value_or(0);
    if (hashLayers && hash != hashByCount)
      fields.mismatch(path,
                      Twine(hashByCount ? "\"hash_moe\"" : "\"moe\"") +
                          ", as num_hash_layers = " + Twine(*hashLayers) +
                          " says",
                      quoted(type));
  }
}

} // namespace varve
