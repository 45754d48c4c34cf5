//===- NormTest.cpp - Row-wise kernels on x86 -----------------------------===//

#include "KernelHarness.h"

#include <cmath>

using namespace varve;
using namespace varve::test;

namespace {

/// RMSNorm, rounded to bf16, and its quantisation to e4m3 with one scale per
/// 128 columns. The rows of a persistent grid.
const char *kNormQuantize = R"mlir(
tile.func @norm(%x: !tile.view<?x256xbf16>, %w: !tile.view<256xf32>, %eps: f32,
                %y: !tile.view<?x256xbf16>, %q: !tile.view<?x256xf8E4M3FN>,
                %s: !tile.view<?x2xf32>)
    grid affine_map<()[s0] -> (s0)> [resident] warps 8 {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %p = tile.program_id 0
  %np = tile.num_programs 0
  %first = arith.muli %p, %c4 : index
  %step = arith.muli %np, %c4 : index
  %rows = tile.dim %x, 0 : !tile.view<?x256xbf16>
  tile.release_successor
  %wt = tile.load %w[%c0] : !tile.view<256xf32> -> tensor<256xf32>
  %wb = tile.broadcast %wt dims [1] : tensor<256xf32> -> tensor<4x256xf32>
  %epst = tile.splat %eps : tensor<4xf32>
  %inv = arith.constant dense<0.00390625> : tensor<4xf32>
  %floor = arith.constant dense<1.0e-10> : tensor<4x2xf32>
  %r448 = arith.constant dense<0.002232142857> : tensor<4x2xf32>
  tile.wait_predecessor
  scf.for %r = %first to %rows step %step {
    %t = tile.load %x[%r, %c0] cache streaming : !tile.view<?x256xbf16> -> tensor<4x256xbf16>
    %f = arith.extf %t : tensor<4x256xbf16> to tensor<4x256xf32>
    %sq = arith.mulf %f, %f : tensor<4x256xf32>
    %ss = tile.reduce sum %sq along 1 : tensor<4x256xf32>
    %mean = arith.mulf %ss, %inv : tensor<4xf32>
    %me = arith.addf %mean, %epst : tensor<4xf32>
    %g = math.rsqrt %me : tensor<4xf32>
    %gb = tile.broadcast %g dims [0] : tensor<4xf32> -> tensor<4x256xf32>
    %n = arith.mulf %f, %gb : tensor<4x256xf32>
    %o = arith.mulf %n, %wb : tensor<4x256xf32>
    %ob = arith.truncf %o : tensor<4x256xf32> to tensor<4x256xbf16>
    tile.store %ob, %y[%r, %c0] : tensor<4x256xbf16> -> !tile.view<?x256xbf16>
    %og = tile.reshape %o : tensor<4x256xf32> -> tensor<4x2x128xf32>
    %abs = math.absf %og : tensor<4x2x128xf32>
    %am = tile.reduce max %abs along 2 : tensor<4x2x128xf32>
    %amf = arith.maximumf %am, %floor : tensor<4x2xf32>
    %sc = arith.mulf %amf, %r448 : tensor<4x2xf32>
    %sb = tile.broadcast %sc dims [0, 1] : tensor<4x2xf32> -> tensor<4x2x128xf32>
    %qd = arith.divf %og, %sb : tensor<4x2x128xf32>
    %qq = arith.truncf %qd : tensor<4x2x128xf32> to tensor<4x2x128xf8E4M3FN>
    %q2 = tile.reshape %qq : tensor<4x2x128xf8E4M3FN> -> tensor<4x256xf8E4M3FN>
    tile.store %q2, %q[%r, %c0] : tensor<4x256xf8E4M3FN> -> !tile.view<?x256xf8E4M3FN>
    tile.store %sc, %s[%r, %c0] : tensor<4x2xf32> -> !tile.view<?x2xf32>
  }
  tile.return
})mlir";

TEST(NormTest, NormalisesAndQuantises) {
  auto kernel = Kernel::compile(kNormQuantize);
  ASSERT_TRUE(kernel);
  constexpr int64_t columns = 256;
  for (int64_t rows : {1, 3, 128, 129}) {
    SCOPED_TRACE(rows);
    std::vector<uint16_t> x = Numbers(1).bf16(rows * columns, 5.0f);
    for (int64_t i = 0; i < columns; ++i)
      x[i] = 0; // A row of zeros has scale floor / 448.
    std::vector<float> w = Numbers(2).floats(columns);
    std::vector<uint16_t> y(rows * columns);
    std::vector<uint8_t> q(rows * columns);
    std::vector<float> s(rows * 2);
    kernel->run({view(x, {rows, columns}, {rows}), view(w, {columns}),
                 scalar(1e-6f), view(y, {rows, columns}, {rows}),
                 view(q, {rows, columns}, {rows}), view(s, {rows, 2}, {rows})});
    std::vector<double> expected(rows * columns), scales(rows * 2);
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t c = 0; c < columns; ++c)
        sum += std::pow(bf16ToFloat(x[r * columns + c]), 2);
      for (int64_t c = 0; c < columns; ++c) {
        double value = bf16ToFloat(x[r * columns + c]) /
                       std::sqrt(sum / columns + 1e-6) * w[c];
        expected[r * columns + c] = value;
        double &scale = scales[r * 2 + c / 128];
        scale = std::max({scale, std::abs(value) / 448, 1e-10 / 448});
      }
    }
    expectNear([&](size_t i) { return bf16ToFloat(y[i]); },
               [&](size_t i) { return expected[i]; }, y.size(), 0, 0x1.01p-8);
    expectNear([&](size_t i) { return s[i]; },
               [&](size_t i) { return scales[i]; }, s.size(), 0, 2e-6);
    // A code is off by at most half a step: 2^-4 of the value, or half the
    // smallest subnormal 2^-9.
    expectNear(
        [&](size_t i) {
          double scale = s[i / columns * 2 + i % columns / 128];
          return e4m3ToFloat(q[i]) * scale;
        },
        [&](size_t i) { return expected[i]; }, q.size(),
        0x1p-10 * *std::max_element(scales.begin(), scales.end()), 0x1.01p-4);
    EXPECT_EQ(q[0] & 0x7F, 0) << "a zero of either sign";
  }
}

const char *kSoftmax = R"mlir(
tile.func @softmax(%x: !tile.view<?x129xf32>, %y: !tile.view<?x129xf32>)
    grid affine_map<()[s0] -> (s0 ceildiv 8)> [dim(%x, 0)] warps 4 {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %i = tile.program_id 0
  %r = arith.muli %i, %c8 : index
  %t = tile.load %x[%r, %c0] : !tile.view<?x129xf32> -> tensor<8x129xf32>
  %m = tile.reduce max %t along 1 : tensor<8x129xf32>
  %mb = tile.broadcast %m dims [0] : tensor<8xf32> -> tensor<8x129xf32>
  %d = arith.subf %t, %mb : tensor<8x129xf32>
  %e = math.exp %d : tensor<8x129xf32>
  %s = tile.reduce sum %e along 1 : tensor<8x129xf32>
  %sb = tile.broadcast %s dims [0] : tensor<8xf32> -> tensor<8x129xf32>
  %o = arith.divf %e, %sb : tensor<8x129xf32>
  tile.store %o, %y[%r, %c0] : tensor<8x129xf32> -> !tile.view<?x129xf32>
  tile.return
})mlir";

TEST(NormTest, SoftmaxOfRows) {
  auto kernel = Kernel::compile(kSoftmax);
  ASSERT_TRUE(kernel);
  constexpr int64_t columns = 129;
  for (int64_t rows : {1, 3, 128, 129}) {
    SCOPED_TRACE(rows);
    std::vector<float> x = Numbers(1).floats(rows * columns, 20.0f);
    x[5] = -INFINITY;
    std::vector<float> y(rows * columns);
    kernel->run({view(x, {rows}, {rows}), view(y, {rows}, {rows})});
    auto expected = [&](size_t i) {
      double sum = 0;
      for (int64_t c = 0; c < columns; ++c)
        sum += std::exp(static_cast<double>(x[i / columns * columns + c]));
      return std::exp(static_cast<double>(x[i])) / sum;
    };
    expectNear([&](size_t i) { return y[i]; }, expected, y.size(), 1e-30, 4e-6);
    EXPECT_EQ(y[5], 0.0f);
  }
}

} // namespace
