//===- SelectTest.cpp - The k best of a row, on x86 -----------------------===//

#include "KernelHarness.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace varve;
using namespace varve::test;

namespace {

/// The positions of the k best: descending, equal ones ascending, NaN last.
std::vector<int32_t> selectBest(const std::vector<float> &scores, int64_t k) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    bool aIsNan = std::isnan(scores[a]), bIsNan = std::isnan(scores[b]);
    if (aIsNan != bIsNan)
      return bIsNan;
    if (aIsNan || scores[a] == scores[b])
      return a < b;
    return scores[a] > scores[b];
  });
  order.resize(k);
  return order;
}

/// Scores with many ties, both zeros, infinities, NaN and subnormals.
std::vector<float> makeScores(int64_t count, uint32_t seed) {
  Numbers numbers(seed);
  const float special[] = {0.0f, -0.0f,  INFINITY, -INFINITY, NAN,
                           -NAN, 1e-40f, -1e-40f,  3.4e38f,   -3.4e38f};
  std::vector<float> scores(count);
  for (float &score : scores)
    score = numbers.nextBelow(4) == 0
                ? special[numbers.nextBelow(10)]
                : static_cast<float>(numbers.nextBelow(9)) - 4.0f;
  return scores;
}

const char *kSelect = R"mlir(
tile.func @select(%x: !tile.view<?x75xf32>, %v: !tile.view<?x$K$xf32>,
                  %i: !tile.view<?x$K$xi32>)
    grid affine_map<()[s0] -> (s0 ceildiv 2)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %p = tile.program_id 0
  %r = arith.muli %p, %c2 : index
  %t = tile.load %x[%r, %c0] : !tile.view<?x75xf32> -> tensor<2x75xf32>
  %b, %n = tile.select_topk %t : tensor<2x75xf32> -> tensor<2x$K$xf32>, tensor<2x$K$xi32>
  tile.store %b, %v[%r, %c0] : tensor<2x$K$xf32> -> !tile.view<?x$K$xf32>
  tile.store %n, %i[%r, %c0] : tensor<2x$K$xi32> -> !tile.view<?x$K$xi32>
  tile.return
})mlir";

TEST(SelectTest, TiesGoToTheLowerPosition) {
  for (int64_t k : {1, 6, 75}) {
    auto kernel =
        Kernel::compile(substitute(kSelect, {{"K", std::to_string(k)}}));
    ASSERT_TRUE(kernel);
    for (int64_t rows : {1, 3, 128, 129}) {
      SCOPED_TRACE(rows);
      std::vector<float> x = makeScores(rows * 75, rows + k);
      std::vector<float> values(rows * k);
      std::vector<int32_t> indices(rows * k);
      kernel->run({view(x, {rows}, {rows}), view(values, {rows}, {rows}),
                   view(indices, {rows}, {rows})});
      for (int64_t row = 0; row < rows; ++row) {
        std::vector<float> scores(x.begin() + row * 75,
                                  x.begin() + (row + 1) * 75);
        std::vector<int32_t> expected = selectBest(scores, k);
        for (int64_t i = 0; i < k; ++i) {
          ASSERT_EQ(indices[row * k + i], expected[i]) << row << " " << i;
          // The very bits: -0 stays -0, NaN stays NaN.
          EXPECT_EQ(std::memcmp(&values[row * k + i], &scores[expected[i]], 4),
                    0);
        }
      }
    }
  }
}

/// A selection over a long row in pieces of 32: the best so far and the next
/// piece select again, with their ids.
const char *kRunning = R"mlir(
tile.func @running(%x: !tile.view<?xf32>, %i: !tile.view<10xi32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %n = tile.dim %x, 0 : !tile.view<?xf32>
  %ninf = arith.constant 0xFF800000 : f32
  %v0 = tile.splat %ninf : tensor<10xf32>
  %i0 = arith.constant dense<-1> : tensor<10xi32>
  %iota = tile.iota 0 : tensor<32xi32>
  %v, %best = scf.for %k = %c0 to %n step %c32 iter_args(%vi = %v0, %ii = %i0)
      -> (tensor<10xf32>, tensor<10xi32>) {
    %t = tile.load %x[%k] else %ninf : !tile.view<?xf32> -> tensor<32xf32>
    %ki = arith.index_cast %k : index to i32
    %ks = tile.splat %ki : tensor<32xi32>
    %ids = arith.addi %iota, %ks : tensor<32xi32>
    %all = tile.concat %vi, %t along 0 : tensor<10xf32>, tensor<32xf32> -> tensor<42xf32>
    %allids = tile.concat %ii, %ids along 0 : tensor<10xi32>, tensor<32xi32> -> tensor<42xi32>
    %vn, %in = tile.select_topk %all ids %allids : tensor<42xi32>
        : tensor<42xf32> -> tensor<10xf32>, tensor<10xi32>
    scf.yield %vn, %in : tensor<10xf32>, tensor<10xi32>
  }
  tile.store %best, %i[%c0] : tensor<10xi32> -> !tile.view<10xi32>
  tile.return
})mlir";

TEST(SelectTest, RunningSelectionsCompose) {
  auto kernel = Kernel::compile(kRunning);
  ASSERT_TRUE(kernel);
  for (int64_t count : {10, 32, 33, 500}) {
    SCOPED_TRACE(count);
    Numbers numbers(count);
    std::vector<float> x(count);
    for (float &score : x)
      score = static_cast<float>(numbers.nextBelow(12));
    std::vector<int32_t> indices(10);
    kernel->run({view(x, {count}, {count}), view(indices, {10})});
    EXPECT_EQ(indices, selectBest(x, 10));
  }
}

const char *kBf16 = R"mlir(
tile.func @select(%x: !tile.view<40xbf16>, %v: !tile.view<5xbf16>, %i: !tile.view<5xi32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<40xbf16> -> tensor<40xbf16>
  %b, %n = tile.select_topk %t : tensor<40xbf16> -> tensor<5xbf16>, tensor<5xi32>
  tile.store %b, %v[%c0] : tensor<5xbf16> -> !tile.view<5xbf16>
  tile.store %n, %i[%c0] : tensor<5xi32> -> !tile.view<5xi32>
  tile.return
})mlir";

TEST(SelectTest, ScoresOf16Bits) {
  auto kernel = Kernel::compile(kBf16);
  ASSERT_TRUE(kernel);
  std::vector<uint16_t> x = Numbers(4).bf16(40), values(5);
  std::vector<int32_t> indices(5);
  kernel->run({view(x, {}), view(values, {}), view(indices, {})});
  std::vector<float> scores;
  for (uint16_t code : x)
    scores.push_back(bf16ToFloat(code));
  EXPECT_EQ(indices, selectBest(scores, 5));
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(values[i], x[indices[i]]);
}

} // namespace
