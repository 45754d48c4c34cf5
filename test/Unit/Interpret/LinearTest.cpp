//===- LinearTest.cpp - Matrix products and their roundings ---------------===//

#include "lib/Interpret/Reference/Linear.h"
#include "test/Unit/Interpret/Inputs.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve::reference;
using std::vector;

namespace {

TEST(LinearTest, DotOfEveryLength) {
  // Sums of integers are exact in every order.
  for (int size = 0; size < 70; ++size) {
    vector<float> a, b;
    double expected = 0;
    for (int k = 0; k < size; ++k) {
      a.push_back(static_cast<float>(k + 1));
      b.push_back(static_cast<float>(2 * k - 7));
      expected += (k + 1.0) * (2.0 * k - 7.0);
    }
    EXPECT_EQ(dot(a, b), expected) << size;
  }
}

TEST(LinearTest, DotAccumulatesInDouble) {
  vector<float> a(40, 1.0f), b(40, 0x1p-30f);
  b[0] = 0x1p20f;
  EXPECT_EQ(dot(a, b), 0x1p20 + 39 * 0x1p-30);
}

TEST(LinearTest, DotOrderIsTheDocumentedOne) {
  // 2^60, then numbers that vanish beside it: only those that share the lane
  // of k = 0 do.
  vector<float> a(33, 1.0f), b(33, 1.0f);
  b[0] = 0x1p60f;
  b[16] = -0x1p60f;
  // Lane 0: 2^60 - 2^60 + 1; the other 15 lanes hold 2 each.
  EXPECT_EQ(dot(a, b), 31.0);
  b[16] = 1.0f;
  b[1] = -0x1p60f;
  // Lane 0 and all even lanes are added to 2^60, the odd ones to -2^60, and
  // vanish.
  EXPECT_EQ(dot(a, b), 0.0);
}

TEST(LinearTest, PlainRows) {
  const vector<float> x = {1, -2, 0.5}, w = {1, 2, 4, -1, 0, 8};
  ScaledMatrix W;
  W.codes = w;
  W.columns = 3;
  vector<float> y(2);
  linearRow({x}, W, y);
  EXPECT_EQ(y, (vector<float>{-1, 3}));
}

/// One-hot rows reveal which scales an element is multiplied by.
TEST(LinearTest, EveryElementMeetsItsScales) {
  constexpr int K = 320, N = 200; // both end in partial tiles
  for (int columns : {32, 128}) {
    constexpr int xBlock = 128, rows = 128;
    int scaleColumns = (K + columns - 1) / columns;
    vector<float> xScales = {0x1p1f, 0x1p2f, 0x1p4f};
    vector<float> wScales;
    for (int i = 0; i < 2 * scaleColumns; ++i)
      wScales.push_back(std::ldexp(1.0f, 3 * i));
    vector<float> codes(N * K, 1.0f), y(N);
    ScaledMatrix W{codes, K, wScales, rows, columns};
    for (int k = 0; k < K; ++k) {
      vector<float> x(K, 0.0f);
      x[k] = 3.0f;
      linearRow({x, xScales, xBlock}, W, y);
      for (int n : {0, 127, 128, 199})
        ASSERT_EQ(y[n], 3.0f * xScales[k / xBlock] *
                            wScales[n / rows * scaleColumns + k / columns])
            << "k = " << k << ", n = " << n << ", columns = " << columns;
    }
  }
}

TEST(LinearTest, BlockSumIsExactAndRoundsOnce) {
  // 448 * 448 * 84 = 16 859 136 > 2^24; 44 more products of 2^-1 each vanish
  // one by one in FP32, but not together.
  vector<float> x(128, 448.0f), w(128, 448.0f), one = {1.0f};
  for (int k = 84; k < 128; ++k)
    x[k] = 1.0f, w[k] = 0.5f;
  EXPECT_EQ(dotScaled({x, one, 128}, {w, one, 128}), 16'859'158.0f);
}

TEST(LinearTest, BlocksAddInAscendingOrderInFP32) {
  vector<float> ones(384, 1.0f), x(384, 0.0f);
  x[0] = x[128] = x[256] = 1.0f;
  vector<float> scales = {0x1p24f, 1.0f, 1.0f}, unit(3, 1.0f);
  // 2^24 + 1 rounds back to 2^24, twice; 1 + 1 + 2^24 would not.
  EXPECT_EQ(dotScaled({x, scales, 128}, {ones, unit, 128}), 0x1p24f);
  scales = {1.0f, 1.0f, 0x1p24f};
  EXPECT_EQ(dotScaled({x, scales, 128}, {ones, unit, 128}), 0x1p24f + 2);
  // Blocks are as narrow as the narrower of the two scales.
  vector<float> y(128, 0.0f), xScale = {1.0f}, wScales(4, 1.0f);
  y[0] = 0x1p24f;
  y[32] = y[64] = 1.0f;
  EXPECT_EQ(
      dotScaled({y, xScale, 128},
                {llvm::ArrayRef<float>(ones).take_front(128), wScales, 32}),
      0x1p24f);
  EXPECT_EQ(
      dotScaled({y, xScale, 128},
                {llvm::ArrayRef<float>(ones).take_front(128), xScale, 128}),
      0x1p24f + 2);
}

TEST(LinearTest, AnOperandWithoutScalesHasScaleOne) {
  vector<float> x = wave(96, 7, 1), w = wave(96, 11, 4);
  vector<float> scales = {0x1p-3f, 0x1p5f, 0x1p0f};
  float expected = 0;
  for (int block = 0; block < 3; ++block) {
    double partial = 0;
    for (int k = 32 * block; k < 32 * block + 32; ++k)
      partial += double(x[k]) * w[k];
    expected += static_cast<float>(partial) * scales[block];
  }
  EXPECT_EQ(dotScaled({x}, {w, scales, 32}), expected);
  EXPECT_EQ(dotScaled({w, scales, 32}, {x}), expected);
}

TEST(LinearDeathTest, BlocksMustNest) {
  vector<float> x(96, 1.0f), two(2, 1.0f), three(3, 1.0f);
  EXPECT_DEATH(dotScaled({x, two, 48}, {x, three, 32}), "must divide");
}

} // namespace
