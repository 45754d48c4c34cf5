//===- SigmoidTest.cpp - How exact sigmoids are ---------------------------===//
//
// What follows a sigmoid rounds to few bits, and one of those roundings is a
// code or a choice: kernels compute it nearly as well as f32 can hold it.
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

} // namespace
