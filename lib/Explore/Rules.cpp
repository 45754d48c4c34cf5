//===- Rules.cpp - Which mixes make sense ---------------------------------===//

#include "lib/Explore/Rules.h"
#include "lib/Model/Validate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace varve {

std::string Refusal::getText() const {
  return (op.empty() ? "" : op + ": ") + rule + "; " + remedy;
}

static std::string opName(size_t layer, StringRef name, StringRef kind) {
  return formatv("layers.{0}.{1} ({2})", layer, name, kind).str();
}

/// The setting's value as a flag; null where it is absent.
static std::optional<StringRef> valueOf(ArrayRef<Setting> settings,
                                        StringRef name) {
  std::optional<StringRef> value;
  for (const Setting &setting : settings)
    if (setting.name == name)
      value = setting.value;
  return value;
}

/// The nearest divisors of a page at or below and above `ratio`.
static std::string suggestRatios(int64_t ratio) {
  int64_t below = 1;
  while (below * 2 <= std::min(ratio, kPageTokens))
    below *= 2;
  if (below * 2 > kPageTokens)
    return formatv("take {0}", below).str();
  return formatv("take {0} or {1}", below, below * 2).str();
}

static std::optional<Refusal> checkWindow(const ModelConfig &config) {
  if (config.window > 0)
    return std::nullopt;
  return Refusal{opName(0, "attn.window", "varve.pool"),
                 formatv("expected a window of at least 1 token, the query's "
                         "own, but got {0} (C1)",
                         config.window)
                     .str(),
                 "set window=1 or more; a layer always sees its own token, "
                 "whose entry is not complete yet"};
}

static std::optional<Refusal> checkIndexer(const ModelConfig &config,
                                           ArrayRef<Setting> settings,
                                           size_t index) {
  const LayerConfig &layer = config.layers[index];
  if (layer.attention == AttentionKind::HCA) {
    if (valueOf(settings, "indexer.hca").value_or("false") == "false")
      return std::nullopt;
    return Refusal{
        opName(index, "attn.core", "varve.sparse_attention"),
        "expected a heavily compressed layer to read all of its entries, but "
        "got one with an indexer",
        formatv("leave indexer.hca out, or make it a C layer of ratio {0} "
                "(--layers with 'C', or 'C@{0}' in a range), whose queries "
                "read the best entries",
                layer.ratio)
            .str()};
  }
  if (layer.attention != AttentionKind::CSA)
    return std::nullopt;
  bool disabled = valueOf(settings, "indexer.csa").value_or("true") == "false";
  if (!disabled && config.indexHeads > 0 && config.indexHeadDim > 0 &&
      config.indexTopk > 0)
    return std::nullopt;
  std::string got = disabled ? "indexer.csa=false"
                             : formatv("index_n_heads={0}, index_head_dim={1}, "
                                       "index_topk={2}",
                                       config.indexHeads, config.indexHeadDim,
                                       config.indexTopk)
                                   .str();
  return Refusal{opName(index, "attn.indexer.score", "varve.index_score"),
                 "expected a compressed sparse layer to have an indexer that "
                 "picks its entries, but got " +
                     got,
                 formatv("set index_n_heads, index_head_dim and index_topk to "
                         "positive numbers, or make it an H layer of ratio "
                         "{0}, which reads all entries",
                         layer.ratio)
                     .str()};
}

static std::optional<Refusal> checkRatio(const ModelConfig &config,
                                         size_t index) {
  const LayerConfig &layer = config.layers[index];
  if (layer.attention == AttentionKind::Sliding ||
      (layer.ratio > 0 && kPageTokens % layer.ratio == 0))
    return std::nullopt;
  return Refusal{opName(index, "attn.entries", "varve.pool"),
                 formatv("expected a ratio that divides the page of {0} tokens "
                         "(C2), which all entry pools share, but got {1}",
                         kPageTokens, layer.ratio)
                     .str(),
                 suggestRatios(layer.ratio)};
}

static std::optional<Refusal> checkTopk(const ModelConfig &config,
                                        size_t index) {
  const LayerConfig &layer = config.layers[index];
  if (layer.attention != AttentionKind::CSA)
    return std::nullopt;
  int64_t entries = config.maxPositions / layer.ratio;
  if (config.indexTopk <= entries)
    return std::nullopt;
  return Refusal{
      opName(index, "attn.indexer.topk", "varve.index_topk"),
      formatv("expected a top-k of at most the {0} entries that {1} positions "
              "at ratio {2} have, but got {3}",
              entries, config.maxPositions, layer.ratio, config.indexTopk)
          .str(),
      formatv("set index_topk={0} or less, or make it an H layer of ratio {1}, "
              "which reads all entries without an indexer",
              entries, layer.ratio)
          .str()};
}

std::optional<Refusal> checkMix(const ModelConfig &config,
                                ArrayRef<Setting> settings) {
  if (auto refusal = checkWindow(config))
    return refusal;
  for (size_t index = 0; index < config.layers.size(); ++index) {
    // Equal neighbours break the same rules.
    if (index && config.layers[index] == config.layers[index - 1])
      continue;
    if (auto refusal = checkIndexer(config, settings, index))
      return refusal;
    if (auto refusal = checkRatio(config, index))
      return refusal;
    if (auto refusal = checkTopk(config, index))
      return refusal;
  }
  if (Error error = validate(config))
    return Refusal{"", toString(std::move(error)),
                   "change this setting; `varve explore --help` lists the "
                   "names"};
  return std::nullopt;
}

} // namespace varve
