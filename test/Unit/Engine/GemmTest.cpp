//===- GemmTest.cpp - Matrix products on x86 ------------------------------===//

#include "KernelHarness.h"

using namespace varve;
using namespace varve::test;

namespace {

//===----------------------------------------------------------------------===//
// A GEMM with an epilogue: relu(a b^T + bias), rounded to bf16. K = 96 is no
// multiple of the step 64, N = 80 none of the tile 32.
//===----------------------------------------------------------------------===//

constexpr int64_t kN = 80, kK = 96;

const char *kPlainGemm = R"mlir(
tile.func @gemm(%a: !tile.view<?x96xbf16>, %b: !tile.view<80x96xbf16>,
                %bias: !tile.view<80xf32>, %c: !tile.view<?x80xbf16>)
    grid affine_map<()[s0] -> (s0 ceildiv 32, 3)> [dim(%a, 0)] warps 4 {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %c96 = arith.constant 96 : index
  %i = tile.program_id 0
  %j = tile.program_id 1
  %m = arith.muli %i, %c32 : index
  %n = arith.muli %j, %c32 : index
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %sum = scf.for %k = %c0 to %c96 step %c64 iter_args(%acc = %zero)
      -> (tensor<32x32xf32>) {
    %x = tile.load %a[%m, %k] : !tile.view<?x96xbf16> -> tensor<32x64xbf16>
    %w = tile.load %b[%n, %k] : !tile.view<80x96xbf16> -> tensor<32x64xbf16>
    %d = tile.dot %x, %w transposed, %acc
        : tensor<32x64xbf16>, tensor<32x64xbf16> -> tensor<32x32xf32>
    scf.yield %d : tensor<32x32xf32>
  }
  %bs = tile.load %bias[%n] : !tile.view<80xf32> -> tensor<32xf32>
  %bb = tile.broadcast %bs dims [1] : tensor<32xf32> -> tensor<32x32xf32>
  %s = arith.addf %sum, %bb : tensor<32x32xf32>
  %r = arith.maximumf %s, %zero : tensor<32x32xf32>
  %o = arith.truncf %r : tensor<32x32xf32> to tensor<32x32xbf16>
  tile.store %o, %c[%m, %n] : tensor<32x32xbf16> -> !tile.view<?x80xbf16>
  tile.return
})mlir";

/// The same product with a producer role, a ring of three stages, and a
/// persistent grid.
const char *kPipelinedGemm = R"mlir(
!sa = !tile.buffer<32x64xbf16, #tile.shared<swizzle = 128>>
!ring = !tile.ring<3, !sa, !sa>
tile.func @gemm(%a: !tile.view<?x96xbf16>, %b: !tile.view<80x96xbf16>,
                %bias: !tile.view<80xf32>, %c: !tile.view<?x80xbf16>)
    grid affine_map<()[s0] -> (s0)> [resident] warps 8
    strategy #tile.strategy<dot = wgmma, in_flight = 1, staged_store = true> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %c96 = arith.constant 96 : index
  %c31 = arith.constant 31 : index
  %rows = tile.dim %a, 0 : !tile.view<?x96xbf16>
  %up = arith.addi %rows, %c31 : index
  %tm = arith.divui %up, %c32 : index
  %tiles = arith.muli %tm, %c3 : index
  %first = tile.program_id 0
  %step = tile.num_programs 0
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                 #tile.role<"math", warps = 4, registers = 232>] {
    %ring = tile.ring : !ring
    scf.for %t = %first to %tiles step %step {
      %i = arith.divui %t, %c3 : index
      %j = arith.remui %t, %c3 : index
      %m = arith.muli %i, %c32 : index
      %n = arith.muli %j, %c32 : index
      %sum = scf.for %k = %c0 to %c96 step %c64 iter_args(%acc = %zero)
          -> (tensor<32x32xf32>) {
        tile.on "load" {
          %s, %x, %w = tile.acquire %ring : !ring
          tile.copy %a[%m, %k] to %x : !tile.view<?x96xbf16> to !sa
          tile.copy %b[%n, %k] to %w : !tile.view<80x96xbf16> to !sa
          tile.commit %ring, %s : !ring
        }
        %next = tile.on "math" -> tensor<32x32xf32> {
          %s, %x, %w = tile.receive %ring : !ring
          %d = tile.dot %x, %w transposed, %acc : !sa, !sa -> tensor<32x32xf32>
          tile.release %ring, %s : !ring
          tile.yield %d : tensor<32x32xf32>
        }
        scf.yield %next : tensor<32x32xf32>
      }
      tile.on "math" {
        %bs = tile.load %bias[%n] : !tile.view<80xf32> -> tensor<32xf32>
        %bb = tile.broadcast %bs dims [1] : tensor<32xf32> -> tensor<32x32xf32>
        %s = arith.addf %sum, %bb : tensor<32x32xf32>
        %r = arith.maximumf %s, %zero : tensor<32x32xf32>
        %o = arith.truncf %r : tensor<32x32xf32> to tensor<32x32xbf16>
        tile.store %o, %c[%m, %n] : tensor<32x32xbf16> -> !tile.view<?x80xbf16>
      }
    }
  }
  tile.return
})mlir";

struct GemmData {
  explicit GemmData(int64_t rows)
      : rows(rows), a(Numbers(1).bf16(rows * kK)), b(Numbers(2).bf16(kN * kK)),
        bias(Numbers(3).floats(kN)) {}

  double expected(size_t i) const {
    int64_t m = i / kN, n = i % kN;
    double sum = bias[n];
    for (int64_t k = 0; k < kK; ++k)
      sum += static_cast<double>(bf16ToFloat(a[m * kK + k])) *
             bf16ToFloat(b[n * kK + k]);
    return std::max(sum, 0.0);
  }

  std::vector<uint16_t> run(Kernel &kernel, bool inReverse) {
    // A row behind the end shows stores outside the view.
    std::vector<uint16_t> c((rows + 1) * kN, 0xBEEF);
    kernel.run({view(a, {rows, kK}, {rows}), view(b, {kN, kK}),
                view(bias, {kN}), view(c, {rows, kN}, {rows})},
               inReverse);
    for (int64_t n = 0; n < kN; ++n)
      EXPECT_EQ(c[rows * kN + n], 0xBEEF);
    return c;
  }

  int64_t rows;
  std::vector<uint16_t> a, b;
  std::vector<float> bias;
};

TEST(GemmTest, PlainMatchesLoopsForRaggedShapes) {
  auto kernel = Kernel::compile(kPlainGemm);
  ASSERT_TRUE(kernel);
  for (int64_t rows : {1, 3, 128, 129}) {
    SCOPED_TRACE(rows);
    GemmData data(rows);
    std::vector<uint16_t> c = data.run(*kernel, false);
    expectNear([&](size_t i) { return bf16ToFloat(c[i]); },
               [&](size_t i) { return data.expected(i); }, rows * kN, 1e-4,
               0x1p-8);
    EXPECT_EQ(c, data.run(*kernel, true)) << "blocks depend on their order";
  }
}

TEST(GemmTest, PipelineEqualsPlain) {
  auto plain = Kernel::compile(kPlainGemm);
  auto pipelined = Kernel::compile(kPipelinedGemm);
  ASSERT_TRUE(plain && pipelined);
  for (int64_t rows : {1, 3, 128, 129}) {
    GemmData data(rows);
    EXPECT_EQ(data.run(*plain, false), data.run(*pipelined, false)) << rows;
  }
}

TEST(GemmTest, MergedRolesEqualPlain) {
  auto plain = Kernel::compile(kPlainGemm);
  auto merged = Kernel::compile(kPipelinedGemm, 512, true, /*mergeRoles=*/true);
  ASSERT_TRUE(plain && merged);
  for (int64_t rows : {1, 3, 128, 129}) {
    GemmData data(rows);
    EXPECT_EQ(data.run(*plain, false), data.run(*merged, true)) << rows;
  }
}

TEST(GemmTest, ProcessorLevelsAgreeBitByBit) {
  auto wide = Kernel::compile(kPlainGemm, 512);
  auto narrow = Kernel::compile(kPlainGemm, 256);
  auto portable = Kernel::compile(kPlainGemm, 256, /*hostFeatures=*/false);
  ASSERT_TRUE(wide && narrow && portable);
  GemmData data(129);
  std::vector<uint16_t> c = data.run(*wide, false);
  EXPECT_EQ(c, data.run(*narrow, false));
  EXPECT_EQ(c, data.run(*portable, false));
}

TEST(GemmTest, EmptyGridRunsNothing) {
  auto kernel = Kernel::compile(kPlainGemm);
  ASSERT_TRUE(kernel);
  GemmData data(0);
  data.run(*kernel, false);
}

//===----------------------------------------------------------------------===//
// Products of all element types, transposed or not, in odd sizes
//===----------------------------------------------------------------------===//

const char *kDot = R"mlir(
tile.func @dot(%a: !tile.view<$AR$x$AC$x$T$>, %b: !tile.view<$BR$x$BC$x$T$>,
               %c: !tile.view<$M$x$N$xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.view<$AR$x$AC$x$T$> -> tensor<$AR$x$AC$x$T$>
  %y = tile.load %b[%c0, %c0] : !tile.view<$BR$x$BC$x$T$> -> tensor<$BR$x$BC$x$T$>
  %z = tile.load %c[%c0, %c0] : !tile.view<$M$x$N$xf32> -> tensor<$M$x$N$xf32>
  %d = tile.dot %x $TA$, %y $TB$, %z
      : tensor<$AR$x$AC$x$T$>, tensor<$BR$x$BC$x$T$> -> tensor<$M$x$N$xf32>
  tile.store %d, %c[%c0, %c0] : tensor<$M$x$N$xf32> -> !tile.view<$M$x$N$xf32>
  tile.return
})mlir";

struct Format {
  std::string type;
  int64_t bytes;
  std::function<float(const uint8_t *, size_t)> read;
};

template <typename T, float (*decode)(T)>
float readAs(const uint8_t *data, size_t i) {
  T code;
  std::memcpy(&code, data + i * sizeof(T), sizeof(T));
  return decode(code);
}

float identity(float value) { return value; }

const Format kFormats[] = {
    {"f32", 4, readAs<float, identity>},
    {"bf16", 2, readAs<uint16_t, bf16ToFloat>},
    {"f16", 2, readAs<uint16_t, f16ToFloat>},
    {"f8E4M3FN", 1, readAs<uint8_t, e4m3ToFloat>},
    {"f8E5M2", 1, readAs<uint8_t, e5m2ToFloat>},
};

/// Random codes of a format that are finite and not large.
std::vector<uint8_t> makeCodes(const Format &format, size_t count,
                               uint32_t seed) {
  Numbers numbers(seed);
  std::vector<uint8_t> data(count * format.bytes);
  for (size_t i = 0; i < count; ++i) {
    float value = numbers.next(2.0f);
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (format.type == "bf16")
      bits = floatToBf16(value);
    else if (format.type == "f16")
      bits = floatToF16(value);
    else if (format.type == "f8E4M3FN")
      bits = floatToE4m3(value);
    else if (format.type == "f8E5M2")
      bits = floatToE5m2(value);
    std::memcpy(&data[i * format.bytes], &bits, format.bytes);
  }
  return data;
}

void checkDot(const Format &format, int64_t m, int64_t n, int64_t k,
              bool aTransposed, bool bTransposed, int64_t vectorBits) {
  SCOPED_TRACE(format.type + " " + std::to_string(m) + " " + std::to_string(n) +
               " " + std::to_string(k) + (aTransposed ? " a^T" : "") +
               (bTransposed ? " b^T" : "") + " " + std::to_string(vectorBits));
  auto number = [](int64_t value) { return std::to_string(value); };
  auto kernel = Kernel::compile(
      substitute(kDot, {{"AR", number(aTransposed ? k : m)},
                        {"AC", number(aTransposed ? m : k)},
                        {"BR", number(bTransposed ? n : k)},
                        {"BC", number(bTransposed ? k : n)},
                        {"M", number(m)},
                        {"N", number(n)},
                        {"T", format.type},
                        {"TA", aTransposed ? "transposed" : ""},
                        {"TB", bTransposed ? "transposed" : ""}}),
      vectorBits);
  ASSERT_TRUE(kernel);
  std::vector<uint8_t> a = makeCodes(format, m * k, 1);
  std::vector<uint8_t> b = makeCodes(format, n * k, 2);
  std::vector<float> before = Numbers(3).floats(m * n), c = before;
  kernel->run({view(a, {}), view(b, {}), view(c, {})});
  auto expected = [&](size_t i) {
    int64_t row = i / n, column = i % n;
    double sum = before[i];
    for (int64_t j = 0; j < k; ++j)
      sum +=
          static_cast<double>(
              format.read(a.data(), aTransposed ? j * m + row : row * k + j)) *
          format.read(b.data(), bTransposed ? column * k + j : j * n + column);
    return sum;
  };
  expectNear([&](size_t i) { return c[i]; }, expected, m * n, 1e-5 * k, 1e-6);
}

TEST(DotTest, AllFormats) {
  for (const Format &format : kFormats)
    checkDot(format, 9, 40, 20, false, true, 512);
}

TEST(DotTest, AllTranspositions) {
  for (bool a : {false, true})
    for (bool b : {false, true}) {
      checkDot(kFormats[0], 17, 37, 33, a, b, 512);
      checkDot(kFormats[1], 17, 37, 33, a, b, 256);
    }
}

TEST(DotTest, SizesAroundTheRegisterBlocks) {
  for (int64_t m : {1, 8, 13})
    for (int64_t n : {1, 15, 16, 63})
      checkDot(kFormats[1], m, n, 32, false, true, 512);
  checkDot(kFormats[0], 1, 1, 1, false, false, 256);
}

//===----------------------------------------------------------------------===//
// Block-scaled FP8 x FP4, as in the experts: one f32 scale per token and 64
// columns, one e8m0 scale per row of the weight and 32 columns.
//===----------------------------------------------------------------------===//

const char *kScaledDot = R"mlir(
tile.func @scaled(%x: !tile.view<?x128xf8E4M3FN>, %xs: !tile.view<?x2xf32>,
                  %w: !tile.view<48x128xf4E2M1FN>, %ws: !tile.view<48x4xf8E8M0FNU>,
                  %y: !tile.view<?x48xf32>)
    grid affine_map<()[s0] -> (s0 ceildiv 16)> [dim(%x, 0)] warps 4 {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %i = tile.program_id 0
  %m = arith.muli %i, %c16 : index
  %a = tile.load %x[%m, %c0] : !tile.view<?x128xf8E4M3FN> -> tensor<16x128xf8E4M3FN>
  %as = tile.load %xs[%m, %c0] : !tile.view<?x2xf32> -> tensor<16x2xf32>
  %b = tile.load %w[%c0, %c0] : !tile.view<48x128xf4E2M1FN> -> tensor<48x128xf4E2M1FN>
  %bs = tile.load %ws[%c0, %c0] : !tile.view<48x4xf8E8M0FNU> -> tensor<48x4xf8E8M0FNU>
  %zero = arith.constant dense<0.0> : tensor<16x48xf32>
  %d = tile.dot %a scaled %as, %b transposed scaled %bs, %zero
      : tensor<16x128xf8E4M3FN> scaled tensor<16x2xf32>,
        tensor<48x128xf4E2M1FN> scaled tensor<48x4xf8E8M0FNU> -> tensor<16x48xf32>
  tile.store %d, %y[%m, %c0] : tensor<16x48xf32> -> !tile.view<?x48xf32>
  tile.return
})mlir";

TEST(DotTest, ScaledBlocksOfCodes) {
  auto kernel = Kernel::compile(kScaledDot);
  ASSERT_TRUE(kernel);
  constexpr int64_t n = 48, k = 128;
  for (int64_t rows : {1, 3, 128, 129}) {
    SCOPED_TRACE(rows);
    Numbers numbers(7);
    std::vector<uint8_t> x = numbers.e4m3(rows * k, 400.0f);
    std::vector<float> xs = numbers.floats(rows * 2);
    std::vector<uint8_t> w(n * k / 2), ws(n * 4);
    for (uint8_t &code : w)
      code = numbers.nextBelow(256);
    for (uint8_t &code : ws)
      code = 127 - 8 + numbers.nextBelow(16);
    std::vector<float> y(rows * n);
    kernel->run({view(x, {rows, k}, {rows}), view(xs, {rows, 2}, {rows}),
                 view(w, {n, k}), view(ws, {n, 4}),
                 view(y, {rows, n}, {rows})});
    auto getWeight = [&](int64_t row, int64_t column) {
      int64_t i = row * k + column;
      return e2m1ToFloat(i % 2 ? w[i / 2] >> 4 : w[i / 2] & 15);
    };
    double largest = 0;
    auto expected = [&](size_t i) {
      int64_t row = i / n, column = i % n;
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(e4m3ToFloat(x[row * k + j])) *
               xs[row * 2 + j / 64] * getWeight(column, j) *
               e8m0ToFloat(ws[column * 4 + j / 32]);
      largest = std::max(largest, std::abs(sum));
      return sum;
    };
    for (size_t i = 0; i < y.size(); ++i)
      expected(i);
    expectNear([&](size_t i) { return y[i]; }, expected, rows * n,
               1e-6 * largest, 1e-6);
  }
}

} // namespace
