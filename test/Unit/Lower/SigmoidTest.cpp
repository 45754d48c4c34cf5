//===- SigmoidTest.cpp - How exact coefficients and norms are -------------===//
//
// What follows rounds to few bits, and one of those roundings is a code, a
// choice or a logit: kernels compute them nearly as well as f32 can hold them.
//
//===----------------------------------------------------------------------===//

#include "Executors.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>

using namespace varve::test;

namespace {

TEST(SigmoidTest, AreNearlyTheNearestNumber) {
  constexpr int64_t kWidth = 16;
  Executors executors(R"mlir(
func.func @f(%logits: tensor<?x16xf32>) -> (tensor<?x16xi32>, tensor<?x16xf32>) {
  %ids, %g = varve.route_topk %logits active 16 scoring sigmoid scale 1.0
      : tensor<?x16xf32>
  return %ids, %g : tensor<?x16xi32>, tensor<?x16xf32>
})mlir");
  int64_t rows = isSample() ? 64 : 4096;
  std::vector<float> logits;
  Random random(3);
  for (int64_t i = 0; i < rows * kWidth; ++i) {
    double unit = static_cast<double>(random.next() >> 11) * 0x1p-53;
    logits.push_back(static_cast<float>((2 * unit - 1) * (i % 4 ? 4 : 80)));
  }
  const float special[] = {0.0f,   -0.0f,   87.0f,    -87.0f,   88.0f,
                           -88.0f, 1000.0f, -1000.0f, INFINITY, -INFINITY};
  std::copy(std::begin(special), std::end(special), logits.begin());
  Executors::Results results = executors.run(rows, {bytesOf(logits)});
  auto ids = numbersOf<int32_t>(results.executed[0]);
  auto sigmoids = numbersOf<float>(results.executed[1]);
  double worst = 0;
  for (int64_t i = 0; i < rows * kWidth; ++i) {
    float z = logits[i / kWidth * kWidth + ids[i]];
    double exact = 1 / (1 + std::exp(-static_cast<double>(z)));
    if (z < -87.0f) {
      EXPECT_LE(sigmoids[i], std::exp(-87.0) * 1.0001) << z;
      continue;
    }
    double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
    worst = std::max(worst, std::abs(sigmoids[i] - exact) / unit);
  }
  EXPECT_LE(worst, 0.65);
  RecordProperty("worst", std::to_string(worst));
}

/// The interpreter sums in f64; of many roundings to bf16 behind both, the
/// kernels take another way only next to a tie.
TEST(SigmoidTest, StreamsInFrontOfTheHeadRoundAlike) {
  constexpr int64_t kWidth = 256;
  Executors executors(R"mlir(
func.func @f(%x: tensor<?x4x256xbf16>) -> tensor<?x256xbf16> {
  %fn = varve.weight "hc_head_fn" : tensor<4x1024xf32>
  %base = varve.weight "hc_head_base" : tensor<4xf32>
  %scale = varve.weight "hc_head_scale" : tensor<1xf32>
  %pre = varve.stream_project %x, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
      : (tensor<?x4x256xbf16>, tensor<4x1024xf32>, tensor<4xf32>, tensor<1xf32>)
      -> tensor<?x4xf32>
  %c = varve.stream_collapse %x, %pre
      : (tensor<?x4x256xbf16>, tensor<?x4xf32>) -> tensor<?x256xbf16>
  %norm = varve.weight "norm.weight" : tensor<256xbf16>
  %n = varve.rms_norm %c weight %norm eps 1.0e-6
      : (tensor<?x256xbf16>, tensor<256xbf16>) -> tensor<?x256xbf16>
  return %n : tensor<?x256xbf16>
})mlir");
  int64_t rows = isSample() ? 96 : 400;
  std::vector<uint16_t> x;
  Random random(5);
  for (int64_t i = 0; i < rows * 4 * kWidth; ++i)
    // Sixteen binades of either sign.
    x.push_back(static_cast<uint16_t>((random.next() & 0x87FF) + 0x3B80));
  Executors::Results results = executors.run(rows, {bytesOf(x)});
  auto expected = numbersOf<uint16_t>(results.interpreted[0]);
  auto actual = numbersOf<uint16_t>(results.executed[0]);
  int64_t others = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LE(std::abs(expected[i] - actual[i]), 1) << i;
    others += expected[i] != actual[i];
  }
  // One in 2^16 roundings lies within an f32 unit of a tie.
  EXPECT_LE(others, 1 + static_cast<int64_t>(expected.size() >> 15));
  RecordProperty("others", std::to_string(others));
}

} // namespace
