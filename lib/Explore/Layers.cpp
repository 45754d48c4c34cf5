//===- Layers.cpp - Other layers for a model ------------------------------===//

#include "lib/Explore/Layers.h"
#include "lib/Model/LayerPattern.h"
#include "lib/Model/Validate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace varve {

static constexpr StringLiteral letters = "SCH"; // in the order of AttentionKind

namespace {
class RangeParser {
public:
  RangeParser(ModelConfig &config, StringRef text)
      : config(config), text(text), rest(text) {}

  Error parse();

private:
  Error mismatch(const Twine &expected) {
    std::string got =
        rest.empty() ? "the end" : "'" + rest.take_front(12).str() + "'";
    return createStringError("layers '" + text.take_front(80) + "': expected " +
                             expected + ", got " + got);
  }
  Error parseNumber(int64_t &number, const Twine &what, int64_t high);
  Error parseKinds(std::vector<LayerConfig> &kinds);
  Error parseRange();

  ModelConfig &config;
  StringRef text, rest;
};
} // namespace

/// The ratio that the model's layers of a kind have.
static int64_t ratioOf(const ModelConfig &config, AttentionKind kind) {
  for (const LayerConfig &layer : config.layers)
    if (layer.attention == kind)
      return layer.ratio;
  return kind == AttentionKind::CSA ? 4 : kind == AttentionKind::HCA ? 128 : 0;
}

Error RangeParser::parseNumber(int64_t &number, const Twine &what,
                               int64_t high) {
  StringRef digits = rest.take_while(isDigit);
  if (digits.empty() || digits.getAsInteger(10, number) || number > high)
    return mismatch(what + " up to " + Twine(high));
  rest = rest.drop_front(digits.size());
  return Error::success();
}

Error RangeParser::parseKinds(std::vector<LayerConfig> &kinds) {
  while (!rest.empty() && letters.contains(rest.front())) {
    LayerConfig kind;
    kind.attention = static_cast<AttentionKind>(letters.find(rest.front()));
    kind.ratio = ratioOf(config, kind.attention);
    rest = rest.drop_front();
    if (rest.consume_front("@")) {
      if (kind.attention == AttentionKind::Sliding)
        return mismatch("a ratio behind C or H only: S layers compress "
                        "nothing");
      if (Error error = parseNumber(kind.ratio, "a ratio", limits::ratio))
        return error;
    }
    kinds.push_back(kind);
  }
  if (kinds.empty())
    return mismatch("S, C or H");
  return Error::success();
}

Error RangeParser::parseRange() {
  int64_t first, step = 1;
  if (Error error = parseNumber(first, "a layer", config.numLayers() - 1))
    return error;
  int64_t last = first;
  if (rest.consume_front("-"))
    if (Error error = parseNumber(last, "a layer", config.numLayers() - 1))
      return error;
  if (last < first)
    return mismatch("a range from a smaller to a larger layer before");
  if (rest.consume_front("/"))
    if (Error error = parseNumber(step, "a step", limits::layers))
      return error;
  if (step < 1)
    return mismatch("a step of at least 1 before");
  if (!rest.consume_front(":"))
    return mismatch("':'");
  std::vector<LayerConfig> kinds;
  if (Error error = parseKinds(kinds))
    return error;
  size_t next = 0;
  for (int64_t layer = first; layer <= last; layer += step) {
    LayerConfig changed = kinds[next++ % kinds.size()];
    changed.routing = config.layers[layer].routing;
    config.layers[layer] = changed;
  }
  return Error::success();
}

Error RangeParser::parse() {
  if (rest.contains('|')) {
    int64_t count;
    if (Error error = parseNumber(count, "a number of layers", limits::layers))
      return error;
    if (count < 1)
      return mismatch("at least one layer before");
    if (!rest.consume_front("|"))
      return mismatch("'|'");
    config.layers.resize(count);
  }
  do
    if (Error error = parseRange())
      return error;
  while (rest.consume_front("+"));
  if (!rest.empty())
    return mismatch("'+' or the end");
  if (any_of(config.draft.dsparkTargetLayers,
             [&](int64_t layer) { return layer >= config.numLayers(); }))
    config.draft = DraftConfig();
  return Error::success();
}

Error applyLayers(ModelConfig &config, StringRef text,
                  std::optional<int64_t> count) {
  if (text.contains(':'))
    return RangeParser(config, text).parse();
  return replaceLayers(config, text, count);
}

std::string describeLayers(const ModelConfig &config) {
  bool uniform = all_of(config.layers, [&](const LayerConfig &layer) {
    return layer.ratio == ratioOf(config, layer.attention);
  });
  if (uniform)
    return layerString(config);
  std::string text = itostr(config.numLayers()) + "|";
  for (auto [index, layer] : enumerate(config.layers)) {
    text += (index ? "+" : "") + utostr(index) + ":" +
            letters[static_cast<int>(layer.attention)];
    if (layer.ratio)
      text += "@" + itostr(layer.ratio);
  }
  return text;
}

} // namespace varve
