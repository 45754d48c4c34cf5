//===- AppendixTest.cpp - Rows of pools, Hadamard, published numbers ------===//
//
// What the specification's appendix says of more than quantisers, as kernels
// and in the interpreter: stored rows byte by byte, the Hadamard transform bit
// by bit, and the published vectors of stream coefficients and router scores.
//
//===----------------------------------------------------------------------===//

#include "ExactCodes.h"
#include "Executors.h"
#include "test/Unit/Engine/KernelHarness.h"
#include "gtest/gtest.h"

#include <bit>
#include <cmath>
#include <numeric>

using namespace varve;
using namespace varve::test;

namespace {

//===----------------------------------------------------------------------===//
// Rows of pools
//===----------------------------------------------------------------------===//

/// One row as production caches store it: codes of `coded` elements, `plain`
/// bf16 elements, scales, and padding.
struct RowLayout {
  const ExactFormat &format;
  const char *type;
  int64_t coded, block, plain, bytes;

  int64_t getWidth() const { return coded + plain; }
};

/// The bytes and, as a reader sees them, the bits of the bf16 elements. The
/// padding is zero.
void storeRow(const RowLayout &layout, const std::vector<uint16_t> &x,
              uint8_t *row, uint16_t *read) {
  const ExactFormat &format = layout.format;
  int64_t codeBytes = layout.coded * format.getBits() / 8;
  std::memset(row, 0, layout.bytes);
  std::memcpy(row + codeBytes, &x[layout.coded], 2 * layout.plain);
  std::copy(x.begin() + layout.coded, x.end(), read + layout.coded);
  for (int64_t begin = 0; begin < layout.coded; begin += layout.block) {
    std::vector<float> group;
    for (int64_t i = 0; i < layout.block; ++i)
      group.push_back(widen(x[begin + i]));
    uint8_t scale = format.scaleOf(group);
    row[codeBytes + 2 * layout.plain + begin / layout.block] = scale;
    for (int64_t i = begin; i < begin + layout.block; ++i) {
      uint8_t code = format.codeOf(widen(x[i]), scale);
      if (format.getBits() == 8)
        row[i] = code;
      else
        row[i / 2] |= code << i % 2 * 4;
      read[i] = toBf16Bits(format.valueOf(code) * scaleValue(scale));
    }
  }
}

/// Appends `steps` times 128 rows to a window of as many, and compares the
/// staging area and what the interpreter remembers.
void checkRows(const RowLayout &layout, int64_t steps) {
  constexpr int64_t T = 128;
  int64_t width = layout.getWidth();
  std::string plain =
      layout.plain ? ", " + std::to_string(layout.plain) + " x bf16" : "";
  Executors executors(substitute(
      R"mlir(
varve.pool @w window size 128 : <$N$ x $C$ scaled $B$ x f8E8M0FNU$P$>
func.func @f(%x: tensor<?x$D$xbf16>, %p: tensor<?xi32> loc("positions"),
             %s: tensor<?xi32> loc("slots")) -> tensor<?x$D$xbf16> {
  varve.append %x to @w at(%p, %s) : tensor<?x$D$xbf16>, tensor<?xi32>, tensor<?xi32>
  %y = varve.hadamard %x : tensor<?x$D$xbf16>
  return %y : tensor<?x$D$xbf16>
})mlir",
      {{"N", std::to_string(layout.coded)},
       {"D", std::to_string(width)},
       {"B", std::to_string(layout.block)},
       {"C", layout.type},
       {"P", plain}}));
  Random random(layout.bytes);
  std::vector<int32_t> slots(T, 1), positions(T);
  for (int64_t step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
    std::vector<uint16_t> x;
    for (int64_t i = 0; i < T * width; ++i) {
      uint64_t bits = random.next();
      // Exponents that are together within a group, of all sizes between rows.
      uint64_t exponent = (i / width * 5 + 3 * step) % 230 + (bits >> 8 & 15);
      x.push_back(static_cast<uint16_t>((bits & 1) << 15 | exponent << 7 |
                                        (bits >> 24 & 127)));
    }
    std::iota(positions.begin(), positions.end(),
              static_cast<int32_t>(step * T));
    executors.run(T, {bytesOf(x), bytesOf(positions), bytesOf(slots)},
                  step * T);
    const PlanSizes &sizes = executors.getSizes();
    const Bytes &pool = executors.getMachine().getPoolBytes("w");
    ASSERT_EQ(pool.size(),
              size_t((sizes.slots * 128 + sizes.maxTokens) * layout.bytes));
    for (int64_t t = 0; t < T; ++t) {
      std::vector<uint16_t> row(x.begin() + t * width,
                                x.begin() + (t + 1) * width),
          read(width);
      Bytes expected(layout.bytes);
      storeRow(layout, row, expected.data(), read.data());
      const uint8_t *staged = &pool[(sizes.slots * 128 + t) * layout.bytes];
      Bytes actual(staged, staged + layout.bytes);
      int64_t used = layout.coded * layout.format.getBits() / 8 +
                     2 * layout.plain + layout.coded / layout.block;
      std::fill(actual.begin() + used, actual.end(), uint8_t(0));
      expectBytes(actual, expected, "row " + std::to_string(t));
      // Committed to the ring behind its readers.
      const uint8_t *kept = &pool[(128 + t) * layout.bytes];
      Bytes ring(kept, kept + used);
      expected.resize(used);
      expectBytes(ring, expected, "row of the ring " + std::to_string(t));
      llvm::ArrayRef<float> remembered =
          executors.getInterpreter().getPools().read("w", 1, step * T + t);
      ASSERT_EQ(remembered.size(), size_t(width));
      for (int64_t i = 0; i < width; ++i)
        ASSERT_EQ(std::bit_cast<uint32_t>(remembered[i]), uint32_t(read[i])
                                                              << 16)
            << "row " << t << ", element " << i;
    }
  }
}

TEST(PoolRowsTest, EntriesOf584Bytes) {
  checkRows({ExactFormat::e4m3(), "f8E4M3FN", 448, 64, 64, 584},
            isSample() ? 1 : 50);
}

TEST(PoolRowsTest, IndexKeysOf68Bytes) {
  checkRows({ExactFormat::e2m1(), "f4E2M1FN", 128, 32, 0, 68},
            isSample() ? 1 : 100);
}

TEST(PoolRowsTest, IndexKeysOfFp8) {
  checkRows({ExactFormat::e4m3(), "f8E4M3FN", 128, 128, 0, 132},
            isSample() ? 1 : 20);
}

//===----------------------------------------------------------------------===//
// A.3: Hadamard
//===----------------------------------------------------------------------===//

const char *kHadamard = R"mlir(
func.func @f(%x: tensor<?x3x128xbf16>) -> tensor<?x3x128xbf16> {
  %y = varve.hadamard %x : tensor<?x3x128xbf16>
  return %y : tensor<?x3x128xbf16>
})mlir";

void checkHadamard(const std::vector<int64_t> &x, int exponent) {
  // Integers of 8 bits times a power of two: all sums are exact, and round
  // twice, as f32 times FP32(128^(-1/2)) and as bf16.
  std::vector<uint16_t> input, expected;
  for (int64_t number : x)
    input.push_back(toBf16Bits(std::ldexp(double(number), exponent)));
  double factor = std::bit_cast<float>(0x3DB504F3u);
  for (size_t row = 0; row < x.size(); row += 128)
    for (unsigned i = 0; i < 128; ++i) {
      int64_t sum = 0;
      for (unsigned j = 0; j < 128; ++j)
        sum += std::popcount(i & j) % 2 ? -x[row + j] : x[row + j];
      double exact = std::ldexp(double(sum), exponent) * factor;
      float once = std::bit_cast<float>(toF32Bits(exact));
      expected.push_back(toBf16Bits(once));
    }
  Executors executors(kHadamard);
  Executors::Results results =
      executors.run(static_cast<int64_t>(x.size()) / 384, {bytesOf(input)});
  ASSERT_EQ(results.executed.size(), 1u);
  expectBytes(results.interpreted[0], bytesOf(expected), "interpreter");
  expectBytes(results.executed[0], bytesOf(expected), "kernel");
}

TEST(HadamardTest, UnitVectors) {
  std::vector<int64_t> x(384 * 128);
  for (int64_t i = 0; i < 384; ++i)
    x[i * 128 + i % 128] = i < 128 ? 1 : -3;
  checkHadamard(x, 0);
}

TEST(HadamardTest, RandomIntegers) {
  Random random(9);
  for (int exponent : {-40, 0, 30}) {
    std::vector<int64_t> x(384 * (isSample() ? 16 : 256));
    for (int64_t &number : x)
      number = static_cast<int64_t>(random.next() % 511) - 255;
    // Signed zeros are as good as zeros: sums of 128 have none that are -0.
    checkHadamard(x, exponent);
  }
}

//===----------------------------------------------------------------------===//
// A.5 and A.6: published numbers
//===----------------------------------------------------------------------===//

/// Weights by name, the same number in each column of a row.
class RowWeights final : public WeightSource {
public:
  explicit RowWeights(std::map<std::string, std::vector<float>> rows)
      : rows(std::move(rows)) {}

  llvm::Expected<std::unique_ptr<WeightTensor>>
  open(llvm::StringRef name, WeightType type,
       llvm::ArrayRef<int64_t> shape) const override {
    return std::make_unique<Tensor>(rows.at(name.str()), type, shape);
  }

private:
  class Tensor final : public WeightTensor {
  public:
    Tensor(std::vector<float> rows, WeightType type,
           llvm::ArrayRef<int64_t> shape)
        : rows(std::move(rows)), type(type), shape(shape) {}
    WeightType getType() const override { return type; }
    llvm::ArrayRef<int64_t> getShape() const override { return shape; }
    void readRow(int64_t row, llvm::MutableArrayRef<float> out) const override {
      if (shape.size() == 1)
        llvm::copy(rows, out.begin());
      else
        llvm::fill(out, rows[row]);
    }
    void readRow(int64_t, llvm::MutableArrayRef<int64_t>) const override {}

  private:
    std::vector<float> rows;
    WeightType type;
    llvm::SmallVector<int64_t> shape;
  };

  std::map<std::string, std::vector<float>> rows;
};

void expectAll(const Executors::Results &results, size_t number,
               const std::vector<double> &expected, double tolerance) {
  ASSERT_LT(number, results.executed.size());
  for (auto *all : {&results.interpreted, &results.executed}) {
    std::vector<float> actual = numbersOf<float>((*all)[number]);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], tolerance)
          << "result " << number << ", element " << i;
  }
}

TEST(PublishedNumbersTest, CoefficientsOfStreams) {
  const std::vector<float> M = {.3f,  -.2f, .1f,  .5f, -.4f, .2f,  0,    .7f,
                                .9f,  -.3f, .2f,  .1f, 0,    .8f,  -.5f, .4f,
                                -.2f, .1f,  1.1f, .3f, .6f,  -.7f, .2f,  .5f};
  std::vector<float> base, fn;
  for (int i = 0; i < 24; ++i) {
    base.push_back(0.1f * static_cast<float>(i % 5 - 2));
    // 128 streams of 1 make M of it.
    fn.push_back(M[i] / 128);
  }
  Executors executors(
      R"mlir(
func.func @f(%x: tensor<?x4x32xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>) {
  %fn = varve.weight "fn" : tensor<24x128xf32>
  %base = varve.weight "base" : tensor<24xf32>
  %scale = varve.weight "scale" : tensor<3xf32>
  %pre, %post, %logits = varve.stream_project %x, %fn, %base, %scale
      norm_eps 1.0e-12 eps 1.0e-6
      : (tensor<?x4x32xf32>, tensor<24x128xf32>, tensor<24xf32>, tensor<3xf32>)
      -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>)
  %c = varve.sinkhorn %logits iterations 20 eps 1.0e-6 : tensor<?x4x4xf32>
  return %pre, %post, %c : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>
})mlir",
      std::make_unique<RowWeights>(std::map<std::string, std::vector<float>>{
          {"fn", fn}, {"base", base}, {"scale", {0.5f, 1.5f, 2.0f}}}));
  Executors::Results results =
      executors.run(1, {bytesOf(std::vector<float>(128, 1.0f))});
  expectAll(results, 0, {0.4875036, 0.4501670, 0.5124984, 0.5866186}, 3e-7);
  expectAll(results, 1, {0.8026247, 1.0499584, 0.9500416, 1.4815498}, 6e-7);
  expectAll(results, 2,
            {0.6067004, 0.1151703, 0.1287416, 0.1493868, 0.0684917, 0.7098604,
             0.0357478, 0.1858991, 0.0340374, 0.1297761, 0.6501498, 0.1860357,
             0.2907695, 0.0451922, 0.1853598, 0.4786774},
            6e-7);
}

TEST(PublishedNumbersTest, ScoresOfRouters) {
  Executors executors(R"mlir(
func.func @f(%logits: tensor<?x5xf32>) -> (tensor<?x5xf32>, tensor<?x5xi32>) {
  %ids, %weights = varve.route_topk %logits active 5 scoring sqrt_softplus
      scale 1.0 : tensor<?x5xf32>
  return %weights, %ids : tensor<?x5xf32>, tensor<?x5xi32>
})mlir");
  Executors::Results results =
      executors.run(1, {bytesOf(std::vector<float>{-5, 1, 0, 5, -1})});
  expectAll(results, 0, {2.2375691, 1.1459763, 0.8325546, 0.5596979, 0.0819472},
            3e-7);
  for (auto *all : {&results.interpreted, &results.executed})
    EXPECT_EQ(numbersOf<int32_t>(all->at(1)),
              (std::vector<int32_t>{3, 1, 2, 4, 0}));
}

} // namespace
