//===- LayerPattern.cpp - Layer mixes as short strings --------------------===//

#include "lib/Model/LayerPattern.h"
#include "lib/Model/Validate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace varve {

/// Groups deeper than this are refused, which bounds the parser's recursion.
static constexpr unsigned maxNesting = 16;

/// Longest group that `layerString` looks for.
static constexpr size_t maxPeriod = 64;

static constexpr char letters[] = "SCH"; // in the order of AttentionKind

//===----------------------------------------------------------------------===//
// Patterns to layers
//===----------------------------------------------------------------------===//

namespace {
/// Layers of a pattern as a function of how often the '*' repeats.
struct Length {
  int64_t fixed = 0;
  int64_t perRepetition = 0; ///< 0: no '*' inside
};

struct Element {
  char letter = 0; ///< 0: `group` instead
  std::vector<Element> group;
  int64_t count = 1;
  bool fills = false; ///< '*'
  Length length;
};

class PatternParser {
public:
  explicit PatternParser(StringRef pattern) : pattern(pattern), rest(pattern) {}

  Expected<std::vector<Element>> parse();

private:
  Expected<std::vector<Element>> parseSequence(unsigned depth);
  Error parseCount(Element &element);
  Error finish(Element &element);
  Error mismatch(const Twine &expected);

  StringRef pattern, rest;
  bool hasFill = false;
};
} // namespace

static Error patternError(StringRef pattern, const Twine &text) {
  return createStringError("layer pattern '" + pattern.take_front(80) +
                           (pattern.size() > 80 ? "...'" : "'") + ": " + text);
}

static Length lengthOf(ArrayRef<Element> elements) {
  Length sum;
  for (const Element &element : elements) {
    sum.fixed += element.length.fixed;
    sum.perRepetition += element.length.perRepetition;
  }
  return sum;
}

Error PatternParser::mismatch(const Twine &expected) {
  std::string got = "the end";
  if (!rest.empty()) {
    got = "'";
    raw_string_ostream os(got);
    printEscapedString(rest.take_front(1), os);
    got += formatv("' at position {0}", pattern.size() - rest.size() + 1);
  }
  return patternError(pattern, "expected " + expected + ", got " + got);
}

Expected<std::vector<Element>> PatternParser::parse() {
  Expected<std::vector<Element>> elements = parseSequence(0);
  if (elements && !rest.empty())
    return mismatch("S, C, H or '('");
  return elements;
}

Expected<std::vector<Element>> PatternParser::parseSequence(unsigned depth) {
  std::vector<Element> elements;
  while (elements.empty() || !(rest.empty() || rest.front() == ')')) {
    Element element;
    char next = rest.empty() ? 0 : rest.front();
    if (next && StringRef(letters).contains(next)) {
      element.letter = next;
      element.length.fixed = 1;
      rest = rest.drop_front();
    } else if (next == '(') {
      if (depth == maxNesting)
        return mismatch("groups nested at most " + Twine(maxNesting) + " deep");
      rest = rest.drop_front();
      Expected<std::vector<Element>> group = parseSequence(depth + 1);
      if (!group)
        return group.takeError();
      if (!rest.consume_front(")"))
        return mismatch("')'");
      element.length = lengthOf(*group);
      element.group = std::move(*group);
    } else {
      char upper = toUpper(next);
      bool wrongCase = next && StringRef(letters).contains(upper);
      return mismatch(
          "S, C, H or '('" +
          (wrongCase ? ", capital as '" + Twine(upper) + "'" : Twine()));
    }
    if (Error error = parseCount(element))
      return error;
    if (Error error = finish(element))
      return error;
    elements.push_back(std::move(element));
    // Each element stands for a layer or for a '*', of which there is one.
    if (lengthOf(elements).fixed > limits::layers)
      return patternError(pattern, "expected at most " + Twine(limits::layers) +
                                       " layers, got more");
  }
  return elements;
}

Error PatternParser::parseCount(Element &element) {
  if (rest.consume_front("*")) {
    if (hasFill)
      return patternError(pattern, "expected at most one '*', got two");
    hasFill = element.fills = true;
    return Error::success();
  }
  bool braced = rest.consume_front("{");
  StringRef digits = rest.take_while(isDigit);
  if (digits.empty())
    return braced ? mismatch("a number") : Error::success();
  if (digits.getAsInteger(10, element.count) || element.count < 1 ||
      element.count > limits::layers)
    return mismatch("a count in [1, " + Twine(limits::layers) + "]");
  rest = rest.drop_front(digits.size());
  if (braced && !rest.consume_front("}"))
    return mismatch("'}'");
  return Error::success();
}

/// Puts the repetition into the element's length.
Error PatternParser::finish(Element &element) {
  Length &length = element.length;
  if (element.fills) {
    length = {0, length.fixed};
    return Error::success();
  }
  // Both factors are at most limits::layers (the group's by its own check;
  // what a '*' repeats was a group before): no overflow.
  length.fixed *= element.count;
  length.perRepetition *= element.count;
  if (length.perRepetition > limits::layers)
    return patternError(pattern, "expected at most " + Twine(limits::layers) +
                                     " layers, got more");
  return Error::success();
}

static void append(LayerKinds &layers, ArrayRef<Element> elements,
                   int64_t repetitions) {
  for (const Element &element : elements) {
    int64_t count = element.fills ? repetitions : element.count;
    for (int64_t i = 0; i < count; ++i) {
      if (element.letter)
        layers.push_back(static_cast<AttentionKind>(
            StringRef(letters).find(element.letter)));
      else
        append(layers, element.group, repetitions);
    }
  }
}

/// How often the '*' of a pattern of `length` repeats in `layerCount` layers.
static Expected<int64_t> solve(StringRef pattern, Length length,
                               std::optional<int64_t> layerCount) {
  if (!length.perRepetition) {
    if (layerCount && *layerCount != length.fixed)
      return patternError(pattern,
                          formatv("expected {0} layers, got {1}; a '*' behind "
                                  "what may repeat fills the number",
                                  *layerCount, length.fixed)
                              .str());
    return 0;
  }
  if (!layerCount)
    return patternError(pattern,
                        "expected a number of layers beside a '*', got none");
  int64_t missing = *layerCount - length.fixed;
  if (*layerCount >= 1 && missing >= 0 && missing % length.perRepetition == 0)
    return missing / length.perRepetition;
  int64_t first = length.fixed ? length.fixed : length.perRepetition;
  return patternError(pattern,
                      formatv("expected {0}, {1}, {2}, ... layers, got {3}",
                              first, first + length.perRepetition,
                              first + 2 * length.perRepetition, *layerCount)
                          .str());
}

Expected<LayerKinds> expandLayerPattern(StringRef pattern,
                                        std::optional<int64_t> layerCount) {
  if (layerCount && (*layerCount < 1 || *layerCount > limits::layers))
    return patternError(pattern,
                        formatv("expected between 1 and {0} layers, got {1}",
                                limits::layers, *layerCount)
                            .str());
  Expected<std::vector<Element>> elements = PatternParser(pattern).parse();
  if (!elements)
    return elements.takeError();
  Expected<int64_t> repetitions =
      solve(pattern, lengthOf(*elements), layerCount);
  if (!repetitions)
    return repetitions.takeError();
  LayerKinds layers;
  append(layers, *elements, *repetitions);
  return layers;
}

//===----------------------------------------------------------------------===//
// Layers to patterns
//===----------------------------------------------------------------------===//

namespace {
/// Finds shortest patterns by dynamic programming from the end: the rest of a
/// string starts with a letter or with a repeated group.
class Shortener {
public:
  std::string shorten(StringRef layers);

private:
  StringRef shortenGroup(StringRef group);

  StringMap<std::string> groups;
};
} // namespace

StringRef Shortener::shortenGroup(StringRef group) {
  if (group.size() == 1)
    return group;
  auto found = groups.find(group);
  if (found == groups.end())
    found =
        groups.insert({group, formatv("({0})", shorten(group)).str()}).first;
  return found->second;
}

std::string Shortener::shorten(StringRef layers) {
  size_t n = layers.size();
  // What layers i.. become starts with `count[i]` times `period[i]` layers.
  std::vector<size_t> size(n + 1), period(n, 1), count(n, 1);
  for (size_t i = n; i-- > 0;) {
    size[i] = 1 + size[i + 1];
    size_t longest = std::min((n - i) / 2, maxPeriod);
    for (size_t p = 1; p <= longest; ++p) {
      StringRef group = layers.substr(i, p);
      size_t text = 0;
      for (size_t k = 2; i + k * p <= n; ++k) {
        if (layers.substr(i + (k - 1) * p, p) != group)
          break;
        if (!text)
          text = shortenGroup(group).size();
        size_t total = text + utostr(k).size() + size[i + k * p];
        // Of equally short texts: plain letters over "S2", an early group
        // over a late one.
        if (total < size[i] || (total == size[i] && p > 1 && count[i] == 1)) {
          size[i] = total;
          period[i] = p;
          count[i] = k;
        }
      }
    }
  }
  std::string result;
  for (size_t i = 0; i < n; i += period[i] * count[i]) {
    result += shortenGroup(layers.substr(i, period[i]));
    if (count[i] > 1)
      result += utostr(count[i]);
  }
  return result;
}

std::string layerString(ArrayRef<AttentionKind> layers) {
  std::string plain;
  for (AttentionKind kind : layers)
    plain += letters[static_cast<int>(kind)];
  return Shortener().shorten(plain);
}

std::string layerString(const ModelConfig &config) {
  LayerKinds kinds;
  for (const LayerConfig &layer : config.layers)
    kinds.push_back(layer.attention);
  return layerString(kinds);
}

//===----------------------------------------------------------------------===//
// Patterns on a model
//===----------------------------------------------------------------------===//

static int64_t firstRatio(const ModelConfig &config, AttentionKind kind,
                          int64_t otherwise) {
  auto layer = find_if(config.layers, [&](const LayerConfig &candidate) {
    return candidate.attention == kind;
  });
  return layer == config.layers.end() ? otherwise : layer->ratio;
}

Error replaceLayers(ModelConfig &config, StringRef pattern,
                    std::optional<int64_t> layerCount) {
  if (!layerCount && pattern.contains('*'))
    layerCount = config.numLayers();
  Expected<LayerKinds> kinds = expandLayerPattern(pattern, layerCount);
  if (!kinds)
    return kinds.takeError();
  const int64_t ratios[] = {0, firstRatio(config, AttentionKind::CSA, 4),
                            firstRatio(config, AttentionKind::HCA, 128)};
  std::vector<LayerConfig> layers;
  for (auto [index, kind] : enumerate(*kinds)) {
    RoutingKind routing = index < config.layers.size()
                              ? config.layers[index].routing
                              : RoutingKind::TopK;
    layers.push_back({kind, ratios[static_cast<int>(kind)], routing});
  }
  config.layers = std::move(layers);
  if (any_of(config.draft.dsparkTargetLayers,
             [&](int64_t layer) { return layer >= config.numLayers(); }))
    config.draft = DraftConfig();
  return Error::success();
}

Error applyLayerPattern(ModelConfig &config, StringRef pattern,
                        std::optional<int64_t> layerCount) {
  ModelConfig changed = config;
  if (Error error = replaceLayers(changed, pattern, layerCount))
    return error;
  if (Error error =
          validate(changed, ("layer pattern '" + pattern + "'").str()))
    return error;
  config = std::move(changed);
  return Error::success();
}

} // namespace varve
