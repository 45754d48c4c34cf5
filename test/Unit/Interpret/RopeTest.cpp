//===- RopeTest.cpp - Frequencies, angles and rotations -------------------===//

#include "lib/Interpret/Reference/Rope.h"
#include "test/Unit/Interpret/Inputs.h"
#include "gtest/gtest.h"
#include <bit>
#include <cmath>

using namespace varve::reference;
using std::vector;

namespace {

const Yarn released = {16.0, 32.0, 1.0, 65536};

/// Whether `a` and `b` are equal or neighbouring floats.
testing::AssertionResult withinOneStep(float a, uint32_t b) {
  int64_t distance = int64_t(std::bit_cast<uint32_t>(a)) - int64_t(b);
  if (std::abs(distance) <= 1)
    return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << a << " is " << distance << " floats from "
         << std::bit_cast<float>(b);
}

// Specification A.4, nine digits.
TEST(RopeTest, PublishedTable) {
  struct Row {
    int i;
    double plain, yarn;
  };
  const Row rows[] = {{0, 1, 1},
                      {1, 0.749894209, 0.687656022},
                      {14, 0.0177827941, 0.00528685632},
                      {15, 0.0133352143, 0.00363553858},
                      {16, 0.01, 0.002265625},
                      {18, 0.00562341325, 0.000849689727},
                      {20, 0.00316227766, 0.000296977778},
                      {22, 0.00177827941, 9.0867843e-05},
                      {24, 0.001, 1.953125e-05},
                      {25, 0.000749894209, 5.37231267e-06},
                      {31, 0.000133352143, 5.68052904e-07}};
  RopeTable plain(10000, 64), yarn(160000, 64, released);
  ASSERT_EQ(plain.dims(), 64);
  for (const Row &row : rows) {
    // The table is in real arithmetic; FP32 operations add up to 2 roundings
    // (each 2^-24) without YaRN, a few more with it.
    EXPECT_NEAR(plain.getFrequencies()[row.i] / row.plain, 1, 0x1p-22) << row.i;
    EXPECT_NEAR(yarn.getFrequencies()[row.i] / row.yarn, 1, 0x1p-21) << row.i;
  }
}

// PyTorch 2.11, CPU, FP32, with the operations that DeepSeek's program and
// transformers share: f = 1.0 / theta ** (torch.arange(0, 64, 2) / 64), and
// with ramp = ((torch.arange(32) - lo) / (hi - lo)).clamp(0, 1),
// f / factor * (1 - (1 - ramp)) + f * (1 - ramp). PyTorch's power is not
// correctly rounded, hence a step of tolerance.
TEST(RopeTest, TablesOfPyTorch) {
  const uint32_t plain[] = {
      0x3F800000, 0x3F3FF911, 0x3F0FF59A, 0x3ED7E89B, 0x3EA1E89B, 0x3E72D423,
      0x3E361887, 0x3E088D77, 0x3DCCCCCD, 0x3D99940D, 0x3D6655C2, 0x3D2CBA15,
      0x3D0186E3, 0x3CC2434F, 0x3C91AD39, 0x3C5A7BF2, 0x3C23D70A, 0x3BF5B9B0,
      0x3BB8449C, 0x3B8A2E77, 0x3B4F3E38, 0x3B1B690D, 0x3AE91528, 0x3AAEC98E,
      0x3A83126F, 0x3A44948C, 0x3A136A16, 0x39DD1725, 0x39A5CB60, 0x3978A815,
      0x393A7753, 0x390BD472};
  const uint32_t yarn[] = {
      0x3F800000, 0x3F300A3A, 0x3EF21C1F, 0x3EA67D01, 0x3E64F92E, 0x3E1D7475,
      0x3DD88CB4, 0x3D94E963, 0x3D4CCCCD, 0x3D0CD4FB, 0x3CC1B019, 0x3C8530CE,
      0x3C372DBF, 0x3BFBED88, 0x3BAD3D5E, 0x3B6E4237, 0x3B147AE1, 0x3AB714E0,
      0x3A5EBDB6, 0x3A0530CE, 0x399BB3AF, 0x39305978, 0x38BE904D, 0x383E9B5F,
      0x37A3D70C, 0x36B443D0, 0x3677EBA6, 0x362A7BE8, 0x35EA77FF, 0x35A13BDC,
      0x355DBF30, 0x35187C4D};
  // original 256, factor 4.
  const uint32_t strong[] = {
      0x3F800000, 0x3F22D642, 0x3ECDCB1A, 0x3E810747, 0x3E204807, 0x3DC4D192,
      0x3D6E345F, 0x3D0D7751, 0x3CA3D70A, 0x3C3714E0, 0x3BC1B019, 0x3B8530CE,
      0x3B372DBF, 0x3AFBED88, 0x3AAD3D5E, 0x3A6E4237, 0x3A23D70A, 0x39E154C5,
      0x399AF347, 0x39551AE3, 0x39128AFF, 0x38C98AD3, 0x388A977E, 0x383E9B60,
      0x3803126F, 0x37B443D0, 0x3777EBA6, 0x372A7BE8, 0x36EA77FF, 0x36A13BDC,
      0x365DBF30, 0x36187C4D};
  RopeTable plainTable(10000, 64), yarnTable(160000, 64, released),
      strongTable(160000, 64, Yarn{4.0, 32.0, 1.0, 256});
  for (int i = 0; i < 32; ++i) {
    EXPECT_TRUE(withinOneStep(plainTable.getFrequencies()[i], plain[i])) << i;
    EXPECT_TRUE(withinOneStep(yarnTable.getFrequencies()[i], yarn[i])) << i;
    EXPECT_TRUE(withinOneStep(strongTable.getFrequencies()[i], strong[i])) << i;
  }
}

TEST(RopeTest, YarnLeavesThePairsBelowTheRampAlone) {
  RopeTable base(160000, 64), yarn(160000, 64, released);
  for (int i = 0; i < 32; ++i) {
    float expected = base.getFrequencies()[i];
    if (i <= 15) {
      EXPECT_EQ(yarn.getFrequencies()[i], expected) << i;
    } else if (i >= 25) {
      EXPECT_EQ(yarn.getFrequencies()[i], expected / 16) << i;
    } else {
      EXPECT_LT(yarn.getFrequencies()[i], expected) << i;
      EXPECT_GT(yarn.getFrequencies()[i], expected / 16) << i;
    }
  }
}

TEST(RopeTest, ARampOfNoWidthIsAStep) {
  // c(b) < 0 for both: lo = hi = 0.
  RopeTable base(10000, 8), yarn(10000, 8, Yarn{2.0, 32.0, 32.0, 64});
  EXPECT_EQ(yarn.getFrequencies()[0], base.getFrequencies()[0]);
  for (int i = 1; i < 4; ++i)
    EXPECT_EQ(yarn.getFrequencies()[i], base.getFrequencies()[i] / 2);
}

// Cosine and sine of FP32(1048575 * f_i) for theta 10000, pairs 0 and 1, whose
// angles are exactly 1048575 and 786320.3125, by PyTorch 2.11.
TEST(RopeTest, LargeAnglesAreReducedAccurately) {
  RopeTable table(10000, 64);
  vector<float> x(64, 0.0f);
  x[0] = x[2] = 1.0f;
  table.rotate(x, 1048575, /*inverse=*/false);
  EXPECT_TRUE(withinOneStep(x[0], 0x3F49BD23));
  EXPECT_TRUE(withinOneStep(x[1], 0xBF1D9959));
  EXPECT_TRUE(withinOneStep(x[2], 0x3DBB744F));
  EXPECT_TRUE(withinOneStep(x[3], 0xBF7EECE6));
}

TEST(RopeTest, RotatesAdjacentPairsOfTheTail) {
  RopeTable table(10000, 4);
  vector<float> x = {5, 6, 1, 0, 0, 1};
  table.rotate(x, 1, /*inverse=*/false);
  EXPECT_EQ(x[0], 5);
  EXPECT_EQ(x[1], 6);
  EXPECT_FLOAT_EQ(x[2], 0.540302306f);   // cos 1
  EXPECT_FLOAT_EQ(x[3], 0.841470985f);   // sin 1
  EXPECT_FLOAT_EQ(x[4], -0.0099998333f); // -sin 0.01
  EXPECT_FLOAT_EQ(x[5], 0.99995f);       // cos 0.01
}

TEST(RopeTest, InverseUndoes) {
  RopeTable table(160000, 64, released);
  for (int64_t position : {0, 1, 127, 65535, 1048575}) {
    vector<float> original = wave(80, 23, 6), x = original;
    table.rotate(x, position, /*inverse=*/false);
    if (position) {
      EXPECT_NE(x, original);
    }
    table.rotate(x, position, /*inverse=*/true);
    for (int i = 0; i < 80; ++i)
      EXPECT_NEAR(x[i], original[i], 1e-6) << i;
  }
}

} // namespace
