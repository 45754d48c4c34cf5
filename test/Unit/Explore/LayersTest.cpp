//===- LayersTest.cpp - Other layers for a model --------------------------===//

#include "lib/Explore/Layers.h"
#include "lib/Model/BuiltinConfigs.h"
#include "gtest/gtest.h"

using namespace varve;

namespace {

/// The layers of tiny (SSCHCH) after `text`, or the error.
std::string apply(llvm::StringRef text,
                  std::optional<int64_t> count = std::nullopt) {
  ModelConfig config = llvm::cantFail(loadBuiltinConfig("tiny"));
  if (llvm::Error error = applyLayers(config, text, count))
    return llvm::toString(std::move(error));
  return describeLayers(config);
}

TEST(Layers, TinyIsWhatTheTestsAssume) { EXPECT_EQ(apply("0:S"), "SSCHCH"); }

TEST(Layers, PatternsReplaceAll) {
  EXPECT_EQ(apply("S(CH)*C"), "SCHCHC");
  EXPECT_EQ(apply("S*", 3), "S3");
}

TEST(Layers, RangesChangeSomeLayers) {
  EXPECT_EQ(apply("0-5/3:C"), "CSC3H");
  EXPECT_EQ(apply("1-4:CH"), "SCHCHH");
  EXPECT_EQ(apply("5:S+0:H"), "HSCHCS");
}

TEST(Layers, RangesMayGiveRatios) {
  EXPECT_EQ(apply("2:C@8"), "6|0:S+1:S+2:C@8+3:H@32+4:C@4+5:H@32");
  EXPECT_EQ(apply("2:C@8+4:C@8"), "SSCHCH");
}

TEST(Layers, ACountCutsOrExtends) {
  EXPECT_EQ(apply("3|0:C"), "CSC");
  EXPECT_EQ(apply("8|7:H"), "SSCHCHSH");
}

TEST(Layers, WhatIsDescribedCanBeApplied) {
  for (llvm::StringRef text : {"S(CH)*C", "2:C@8", "3|0:C", "0-5/2:CH@64"})
    EXPECT_EQ(apply(apply(text)), apply(text)) << text.str();
}

TEST(Layers, MistakesAreShown) {
  EXPECT_EQ(apply("6:C"), "layers '6:C': expected a layer up to 5, got '6:C'");
  EXPECT_EQ(apply("3-1:C"), "layers '3-1:C': expected a range from a smaller "
                            "to a larger layer before, got ':C'");
  EXPECT_EQ(apply("0-5/0:C"),
            "layers '0-5/0:C': expected a step of at least 1 before, got ':C'");
  EXPECT_EQ(apply("0:X"), "layers '0:X': expected S, C or H, got 'X'");
  EXPECT_EQ(apply("0:C:"), "layers '0:C:': expected '+' or the end, got ':'");
  EXPECT_EQ(apply("0:S@4"), "layers '0:S@4': expected a ratio behind C or H "
                            "only: S layers compress nothing, got '4'");
  EXPECT_EQ(apply("0|0:S"),
            "layers '0|0:S': expected at least one layer before, got '|0:S'");
}

} // namespace
