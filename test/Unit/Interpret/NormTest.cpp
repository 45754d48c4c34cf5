//===- NormTest.cpp - RMS norms with and without rounded steps ------------===//

#include "lib/Interpret/Reference/Norm.h"
#include "test/Unit/Interpret/Inputs.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve;
using namespace varve::reference;
using std::vector;

namespace {

/// BF16(3 wave(n, 13, 5)).
vector<float> input(int n) {
  vector<float> x = wave(n, 13, 5);
  for (float &value : x)
    value = roundToBf16(value * 3);
  return x;
}

// PyTorch 2.11, CPU, on BF16 rows of 32:
//   x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
// 29 of the 32 differ from the norm computed in FP32 and rounded once. Two
// pitfalls of the CPU kernels that the specification does not describe were
// avoided: below 32 rows the root itself rounds to BF16, and for row sizes that
// are no power of two the sum rounds to BF16 before the division.
TEST(NormTest, EachStepRoundedAsPyTorchDoes) {
  const vector<float> expected = {
      -1.4765625, -0.765625, -0.0546875,   0.65625,   1.3671875,  -1.421875,
      -0.7109375, 0.0,       0.7109375,    1.421875,  -1.3671875, -0.65625,
      0.0546875,  0.765625,  1.4765625,    -1.3125,   -0.6015625, 0.109375,
      0.8203125,  1.53125,   -1.2578125,   -0.546875, 0.1640625,  0.875,
      1.5859375,  -1.203125, -0.490234375, 0.21875,   0.92578125, 1.640625,
      -1.1484375, -0.4375};
  vector<float> y(32), once(32);
  rmsNorm(input(32), {}, 1e-6f, Rounding::BF16, y);
  EXPECT_EQ(y, expected);

  rmsNorm(input(32), {}, 1e-6f, Rounding::None, once);
  int differing = 0;
  for (int i = 0; i < 32; ++i)
    differing += roundToBf16(once[i]) != expected[i];
  EXPECT_EQ(differing, 29);
}

// The same for small rows, beside which eps counts: the BF16 codes of
// BF16(wave(32, 2 k + 1, 5) * 2^-10) normed, for k = 0 ... 63, as
// h = (31 h + code) mod 2^32. Here eps was added with
//   (x.square().mean(-1, keepdim=True).float() + 1e-6).bfloat16()
// because the CPU kernel for BF16 rounds the constant itself to BF16 first.
TEST(NormTest, SmallRowsAsPyTorchDoes) {
  uint32_t hash = 0;
  for (int k = 0; k < 64; ++k) {
    vector<float> x = wave(32, 2 * k + 1, 5);
    for (float &value : x)
      value = roundToBf16(value * 0x1p-10f);
    rmsNorm(x, {}, 1e-6f, Rounding::BF16, x);
    for (float value : x)
      hash = hash * 31 + floatToBf16(value);
  }
  EXPECT_EQ(hash, 0xCF316296u);
}

// The same, for a row whose mean depends on the rounding of the squares
// (1.09375 with it, 1.0859375 without).
TEST(NormTest, SquaresRoundAsPyTorchDoes) {
  vector<float> x = {1.0f, 139 / 128.0f};
  rmsNorm(x, {}, 1e-6f, Rounding::BF16, x);
  EXPECT_EQ(x, (vector<float>{0.95703125f, 1.0390625f}));
}

// PyTorch 2.11, CPU, in FP32, `wave(24, 7, 3)` as weight:
//   w * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6))
TEST(NormTest, WeightedInFP32AsPyTorchDoes) {
  const uint32_t expected[] = {
      0x402F09DD, 0x3F89B4B8, 0x3D569B4C, 0xBEABAF70, 0xBDB2D6C0, 0xBF0B7E8B,
      0xBF171E6C, 0x00000000, 0x3F9CEE5D, 0xC02E5E2E, 0x40008A5A, 0x3F2BAF70,
      0xBD00C394, 0xBDC84CAE, 0x3EF16EB6, 0xBF80C394, 0xBF3AE2F9, 0x3E39FE0F,
      0xBFCFE672, 0xC0163982, 0x3FAED0A3, 0x3EB2D6C0, 0xBD00C394, 0x3E64E9EB};
  vector<float> y(24);
  rmsNorm(input(24), wave(24, 7, 3), 1e-6f, Rounding::None, y);
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(std::bit_cast<uint32_t>(y[i] + 0.0f), expected[i]) << i;
}

TEST(NormTest, EpsilonIsInsideTheRoot) {
  vector<float> x = {1e-3f, -1e-3f}, y(2);
  rmsNorm(x, {}, 1e-6f, Rounding::None, y);
  EXPECT_NEAR(y[0], std::sqrt(0.5), 1e-7);
  vector<float> zeros(4, 0.0f), result(4);
  rmsNorm(zeros, {}, 1e-6f, Rounding::None, result);
  EXPECT_EQ(result, zeros);
}

TEST(NormDeathTest, RoundedStepsAreForTheWeightlessForm) {
  vector<float> x(2, 1.0f), y(2);
  EXPECT_DEATH(rmsNorm(x, x, 1e-6f, Rounding::BF16, y), "weightless");
}

} // namespace
