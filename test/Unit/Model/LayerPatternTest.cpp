//===- LayerPatternTest.cpp - Layer mixes as strings -----------*- C++ -*-===//
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/HfConfig.h"
#include "lib/Model/Validate.h"
#include "test/Unit/Model/ModelTesting.h"
#include <random>

using namespace varve;
using llvm::StringRef;

namespace {
/// One letter per layer, or the error.
std::string expand(StringRef pattern,
                   std::optional<int64_t> count = std::nullopt) {
  llvm::Expected<LayerKinds> kinds = expandLayerPattern(pattern, count);
  if (!kinds)
    return llvm::toString(kinds.takeError());
  std::string text;
  for (AttentionKind kind : *kinds)
    text += "SCH"[static_cast<int>(kind)];
  return text;
}

LayerKinds kindsOf(StringRef letters) {
  LayerKinds kinds;
  for (char letter : letters)
    kinds.push_back(static_cast<AttentionKind>(StringRef("SCH").find(letter)));
  return kinds;
}

TEST(LayerPatternTest, expands) {
  EXPECT_EQ(expand("SCH"), "SCH");
  EXPECT_EQ(expand("S2C3H"), "SSCCCH");
  EXPECT_EQ(expand("S{2}C{3}H"), "SSCCCH");
  EXPECT_EQ(expand("S2(CH)2C"), "SSCHCHC");
  EXPECT_EQ(expand("(S(CH)2)2"), "SCHCHSCHCH");
  EXPECT_EQ(expand("C12"), "CCCCCCCCCCCC");
  EXPECT_EQ(expand("SCH", 3), "SCH");
}

TEST(LayerPatternTest, fills) {
  EXPECT_EQ(expand("SS(CH)*C", 7), "SSCHCHC");
  EXPECT_EQ(expand("SS(CH)*C", 3), "SSC");
  EXPECT_EQ(expand("C*", 5), "CCCCC");
  EXPECT_EQ(expand("HC*H", 4), "HCCH");
  // A '*' inside a repeated group counts in each repetition.
  EXPECT_EQ(expand("(SC*H)2", 8), "SCCHSCCH");
}

TEST(LayerPatternTest, unreachableLengths) {
  EXPECT_EQ(expand("SS(CH)*C", 8),
            "layer pattern 'SS(CH)*C': expected 3, 5, 7, ... layers, got 8");
  EXPECT_EQ(expand("SS(CH)*C", 2),
            "layer pattern 'SS(CH)*C': expected 3, 5, 7, ... layers, got 2");
  EXPECT_EQ(expand("(CHH)*", 5),
            "layer pattern '(CHH)*': expected 3, 6, 9, ... layers, got 5");
  EXPECT_EQ(expand("SCH", 4),
            "layer pattern 'SCH': expected 4 layers, got 3; a '*' behind what "
            "may repeat fills the number");
  EXPECT_EQ(expand("C*"), "layer pattern 'C*': expected a number of layers "
                          "beside a '*', got none");
  EXPECT_EQ(expand("C*", 0),
            "layer pattern 'C*': expected between 1 and 1024 layers, got 0");
}

TEST(LayerPatternTest, syntaxErrors) {
  EXPECT_EQ(expand(""),
            "layer pattern '': expected S, C, H or '(', got the end");
  EXPECT_EQ(expand("SX"), "layer pattern 'SX': expected S, C, H or '(', got "
                          "'X' at position 2");
  EXPECT_EQ(expand("Sc"), "layer pattern 'Sc': expected S, C, H or '(', "
                          "capital as 'C', got 'c' at position 2");
  EXPECT_EQ(expand("(CH"), "layer pattern '(CH': expected ')', got the end");
  EXPECT_EQ(expand("CH)"), "layer pattern 'CH)': expected S, C, H or '(', got "
                           "')' at position 3");
  EXPECT_EQ(expand("()"), "layer pattern '()': expected S, C, H or '(', got "
                          "')' at position 2");
  EXPECT_EQ(expand("2C"), "layer pattern '2C': expected S, C, H or '(', got "
                          "'2' at position 1");
  EXPECT_EQ(expand("C0"), "layer pattern 'C0': expected a count in [1, 1024], "
                          "got '0' at position 2");
  EXPECT_EQ(expand("C99999999999999999999"),
            "layer pattern 'C99999999999999999999': expected a count in [1, "
            "1024], got '9' at position 2");
  EXPECT_EQ(expand("C{2"), "layer pattern 'C{2': expected '}', got the end");
  EXPECT_EQ(expand("C{}"),
            "layer pattern 'C{}': expected a number, got '}' at position 3");
  EXPECT_EQ(expand("C*H*", 9),
            "layer pattern 'C*H*': expected at most one '*', got two");
  EXPECT_EQ(expand("C2{3}"), "layer pattern 'C2{3}': expected S, C, H or '(', "
                             "got '{' at position 3");
}

TEST(LayerPatternTest, expansionIsBounded) {
  EXPECT_EQ(expand("C1024").size(), 1024u);
  EXPECT_EQ(expand("((((C1024)1024)1024)1024)1024"),
            "layer pattern '((((C1024)1024)1024)1024)1024': expected at most "
            "1024 layers, got more");
  EXPECT_EQ(expand("((((C*)1024)1024)1024)1024", 1024),
            "layer pattern '((((C*)1024)1024)1024)1024': expected at most 1024 "
            "layers, got more");
  EXPECT_EQ(expand(std::string(40, '(')),
            "layer pattern '((((((((((((((((((((((((((((((((((((((((': "
            "expected groups nested at most 16 deep, got '(' at position 17");
}

TEST(LayerPatternTest, shortestStrings) {
  EXPECT_EQ(layerString(*loadBuiltinConfig("deepseek-v4-flash")), "SS(CH)20C");
  EXPECT_EQ(layerString(*loadBuiltinConfig("deepseek-v4-pro")), "H(HC)30");
  EXPECT_EQ(layerString(kindsOf("S")), "S");
  EXPECT_EQ(layerString(kindsOf("SS")), "SS");
  EXPECT_EQ(layerString(kindsOf("SSS")), "S3");
  EXPECT_EQ(layerString(kindsOf("SCSC")), "SCSC");
  EXPECT_EQ(layerString(kindsOf("SCSCSC")), "(SC)3");
  EXPECT_EQ(layerString(kindsOf("SCCCHSCCCHSCCCH")), "(SC3H)3");
}

// Any list of layers survives the way to a string and back, and no string is
// longer than the list.
TEST(LayerPatternTest, roundTrip) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string letters;
    size_t length = 1 + random() % 90;
    while (letters.size() < length) {
      std::string piece;
      for (size_t i = 1 + random() % 4; i > 0; --i)
        piece += "SCH"[random() % 3];
      for (size_t i = 1 + random() % 6; i > 0; --i)
        letters += piece;
    }
    std::string text = layerString(kindsOf(letters));
    EXPECT_EQ(expand(text), letters);
    EXPECT_LE(text.size(), letters.size());
  }
  std::string longest = layerString(LayerKinds(1024, AttentionKind::HCA));
  EXPECT_EQ(longest, "H1024");
}

/// Length of the shortest pattern by trying every split and every period:
/// slower than the search under test and sharing nothing with it.
size_t shortestLength(StringRef letters, std::map<std::string, size_t> &memo) {
  if (letters.empty())
    return 0;
  auto [entry, fresh] = memo.try_emplace(letters.str(), letters.size());
  if (!fresh)
    return entry->second;
  size_t best = letters.size(), n = letters.size();
  for (size_t split = 1; split < n; ++split)
    best = std::min(best, shortestLength(letters.take_front(split), memo) +
                              shortestLength(letters.drop_front(split), memo));
  for (size_t p = 1; p <= n / 2; ++p) {
    bool periodic = n % p == 0;
    for (size_t i = p; periodic && i < n; ++i)
      periodic = letters[i] == letters[i - p];
    if (periodic)
      best = std::min(best, shortestLength(letters.take_front(p), memo) +
                                (p > 1 ? 2 : 0) + std::to_string(n / p).size());
  }
  return memo[letters.str()] = best;
}

TEST(LayerPatternTest, noShorterStringExists) {
  std::mt19937 random(2);
  std::map<std::string, size_t> memo;
  for (int round = 0; round < 60; ++round) {
    std::string letters;
    while (letters.size() < 16) {
      std::string piece;
      for (size_t i = 1 + random() % 3; i > 0; --i)
        piece += "SCH"[random() % 3];
      for (size_t i = 1 + random() % 5; i > 0; --i)
        letters += piece;
    }
    EXPECT_EQ(layerString(kindsOf(letters)).size(),
              shortestLength(letters, memo))
        << letters;
  }
}

TEST(LayerPatternTest, appliesToAModel) {
  ModelConfig config = valueOf(loadBuiltinConfig("tiny"));
  EXPECT_EQ(describeLayers(config), "S/hash S/hash C4 H32 C4 H32");
  // Ratios are the model's; routing stays with the position.
  EXPECT_EQ(messageOf(applyLayerPattern(config, "HC*", 8)), "");
  EXPECT_EQ(describeLayers(config), "H32/hash C4/hash C4 C4 C4 C4 C4 C4");
  // A '*' alone keeps the number of layers; without H layers the ratio is
  // gone, and new ones take the usual 128.
  EXPECT_EQ(messageOf(applyLayerPattern(config, "S*")), "");
  EXPECT_EQ(describeLayers(config), "S/hash S/hash S S S S S S");
  EXPECT_EQ(messageOf(applyLayerPattern(config, "CH")), "");
  EXPECT_EQ(describeLayers(config), "C4/hash H128/hash");

  EXPECT_EQ(messageOf(applyLayerPattern(config, "CHX")),
            "layer pattern 'CHX': expected S, C, H or '(', got 'X' at position "
            "3");
  EXPECT_EQ(describeLayers(config), "C4/hash H128/hash");
  // C layers need an indexer.
  config.indexTopk = 0;
  config.layers = {{AttentionKind::HCA, 128, RoutingKind::TopK}};
  ASSERT_EQ(messageOf(validate(config)), "");
  EXPECT_EQ(messageOf(applyLayerPattern(config, "C")),
            "layer pattern 'C': field 'index_topk': expected an integer in [1, "
            "1048576], got 0");
  EXPECT_EQ(describeLayers(config), "H128");
}

TEST(LayerPatternTest, dropsADraftHeadWhoseLayersAreGone) {
  ModelConfig config = valueOf(loadBuiltinConfig("tiny"));
  config.draft = {0, 3, 16, 5, 7, {3, 4, 5}};
  ASSERT_EQ(messageOf(validate(config)), "");
  EXPECT_EQ(messageOf(applyLayerPattern(config, "C6")), "");
  EXPECT_EQ(config.draft.dsparkStages, 3);
  EXPECT_EQ(messageOf(applyLayerPattern(config, "C5")), "");
  EXPECT_EQ(config.draft.dsparkStages, 0);
}

} // namespace
