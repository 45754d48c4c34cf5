//===- MatrixTest.cpp - The products of configs/kernels, and conversions --===//

#include "KernelHarness.h"

#include <fstream>
#include <sstream>

using namespace varve;
using namespace varve::test;

namespace {

std::string readKernel(const std::string &name) {
  std::ifstream file(std::string(VARVE_TEST_DATA) + "/../../configs/kernels/" +
                     name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string number(int64_t value) { return std::to_string(value); }

/// A product of bf16 matrices by a kernel of the signature (a, b, c).
void checkBf16(const std::string &file, int64_t n, int64_t k,
               const std::vector<int64_t> &rows) {
  auto kernel = Kernel::compile(
      substitute(readKernel(file), {{"N", number(n)}, {"K", number(k)}}));
  ASSERT_TRUE(kernel);
  for (int64_t m : rows) {
    SCOPED_TRACE(m);
    std::vector<uint16_t> a = Numbers(1).bf16(m * k),
                          b = Numbers(2).bf16(n * k);
    std::vector<uint16_t> c((m + 1) * n, 0xBEEF);
    kernel->run({view(a, {m, k}, {m}), view(b, {n, k}), view(c, {m, n}, {m})});
    auto expected = [&](size_t i) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(bf16ToFloat(a[i / n * k + j])) *
               bf16ToFloat(b[i % n * k + j]);
      return sum;
    };
    expectNear([&](size_t i) { return bf16ToFloat(c[i]); }, expected, m * n,
               1e-4 * k, 0.004);
    for (int64_t i = m * n; i < (m + 1) * n; ++i)
      EXPECT_EQ(c[i], 0xBEEF);
  }
}

TEST(MatrixTest, GemmOfMatrixInstructions) {
  checkBf16("gemm-bf16-mma.mlir", 128, 192, {1, 130});
}

TEST(MatrixTest, FewRowsOfBf16) {
  checkBf16("gemm-bf16-few.mlir", 64, 1280, {1, 16, 19});
}

/// `sums` goes into the strategy: whether they may be short.
void checkFewRowsOfFp8(const std::string &sums) {
  constexpr int64_t n = 160, k = 2304;
  std::string text = substitute(
      readKernel("gemm-fp8-few.mlir"),
      {{"N", number(n)}, {"K", number(k)}, {"KB", "18"}, {"NB", "2"}});
  const std::string strategy = "dot = mma_sync";
  text.insert(text.find(strategy) + strategy.size(), sums);
  auto kernel = Kernel::compile(text);
  ASSERT_TRUE(kernel);
  for (int64_t m : {1, 19}) {
    SCOPED_TRACE(m);
    Numbers numbers(5);
    std::vector<uint8_t> x = numbers.e4m3(m * k), w = numbers.e4m3(n * k);
    std::vector<float> xs = numbers.floats(m * 18), ws = numbers.floats(2 * 18);
    std::vector<uint16_t> y(m * n);
    kernel->run({view(x, {m, k}, {m}), view(xs, {m, 18}, {m}), view(w, {n, k}),
                 view(ws, {2, 18}), view(y, {m, n}, {m})});
    auto expected = [&](size_t i) {
      int64_t row = i / n, column = i % n;
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(e4m3ToFloat(x[row * k + j])) *
               e4m3ToFloat(w[column * k + j]) * xs[row * 18 + j / 128] *
               ws[column / 128 * 18 + j / 128];
      return sum;
    };
    expectNear([&](size_t i) { return bf16ToFloat(y[i]); }, expected, m * n,
               0.05, 0.004);
  }
}

TEST(MatrixTest, FewRowsOfFp8) { checkFewRowsOfFp8(""); }

TEST(MatrixTest, FewRowsOfFp8ByShortSums) {
  checkFewRowsOfFp8(", short_sums = true");
}

//===----------------------------------------------------------------------===//
// Weights that become bf16 in registers: codes from a ring, one scale a row
//===----------------------------------------------------------------------===//

const char *kDequantized = R"mlir(
!x = !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>>
!w = !tile.buffer<32x64xf8E4M3FN, #tile.shared<swizzle = 64>>
!ring = !tile.ring<3, !x, !w>
tile.func @dequantized(%x: !tile.view<?x320xbf16>, %w: !tile.view<64x320xf8E4M3FN>,
                       %s: !tile.view<64xf32>, %y: !tile.view<?x64xf32>)
    grid affine_map<()[s0] -> (2, s0 ceildiv 16)> [dim(%x, 0)] warps 8 {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %c320 = arith.constant 320 : index
  %i = tile.program_id 0
  %j = tile.program_id 1
  %n = arith.muli %i, %c32 : index
  %m = arith.muli %j, %c16 : index
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %factors = tile.on "math" -> tensor<32x64xf32> {
      %f = tile.load %s[%n] : !tile.view<64xf32> -> tensor<32xf32>
      %b = tile.broadcast %f dims [0] : tensor<32xf32> -> tensor<32x64xf32>
      tile.yield %b : tensor<32x64xf32>
    }
    %sum = scf.for %k = %c0 to %c320 step %c64 iter_args(%acc = %zero)
        -> (tensor<16x32xf32>) {
      tile.on "load" {
        %t, %bx, %bw = tile.acquire %ring : !ring
        tile.copy %x[%m, %k] to %bx : !tile.view<?x320xbf16> to !x
        tile.copy %w[%n, %k] to %bw : !tile.view<64x320xf8E4M3FN> to !w
        tile.commit %ring, %t : !ring
      }
      %next = tile.on "math" -> tensor<16x32xf32> {
        %t, %bx, %bw = tile.receive %ring : !ring
        %codes = tile.read %bw : !w -> tensor<32x64xf8E4M3FN>
        %wide = arith.extf %codes : tensor<32x64xf8E4M3FN> to tensor<32x64xf32>
        %scaled = arith.mulf %wide, %factors : tensor<32x64xf32>
        %round = arith.truncf %scaled : tensor<32x64xf32> to tensor<32x64xbf16>
        %d = tile.dot %bx, %round transposed, %acc
            : !x, tensor<32x64xbf16> -> tensor<16x32xf32>
        tile.release %ring, %t : !ring
        tile.yield %d : tensor<16x32xf32>
      }
      scf.yield %next : tensor<16x32xf32>
    }
    tile.on "math" {
      tile.store %sum, %y[%m, %n] : tensor<16x32xf32> -> !tile.view<?x64xf32>
    }
  }
  tile.return
})mlir";

TEST(MatrixTest, WeightsDequantizedInRegisters) {
  auto kernel = Kernel::compile(kDequantized);
  ASSERT_TRUE(kernel);
  constexpr int64_t n = 64, k = 320;
  for (int64_t m : {1, 17}) {
    SCOPED_TRACE(m);
    std::vector<uint16_t> x = Numbers(1).bf16(m * k);
    std::vector<uint8_t> w = Numbers(2).e4m3(n * k);
    std::vector<float> s = Numbers(3).floats(n), y(m * n);
    kernel->run({view(x, {m, k}, {m}), view(w, {n, k}), view(s, {n}),
                 view(y, {m, n}, {m})});
    auto expected = [&](size_t i) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(bf16ToFloat(x[i / n * k + j])) *
               roundToBf16(e4m3ToFloat(w[i % n * k + j]) * s[i % n]);
      return sum;
    };
    expectNear([&](size_t i) { return y[i]; }, expected, m * n, 1e-3, 1e-5);
  }
}

} // namespace
