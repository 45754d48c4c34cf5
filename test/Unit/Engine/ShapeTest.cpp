//===- ShapeTest.cpp - Shapes, reductions, element-wise ops, on x86 -------===//

#include "KernelHarness.h"

#include <cmath>
#include <cstdlib>
#include <numeric>

using namespace varve;
using namespace varve::test;

namespace {

/// Runs a kernel from a 3 x 5 x 18 tile %x to a tile %y of `type` (its shape
/// flattened for the store) and returns its elements.
template <typename T>
std::vector<T> runOn(const std::string &body, const std::string &shape,
                     const std::string &element, std::vector<float> &x) {
  int64_t count = 1;
  for (size_t at = 0; at < shape.size();) {
    size_t used;
    count *= std::stol(shape.substr(at), &used);
    at += used + 1;
  }
  auto kernel = Kernel::compile(substitute(R"mlir(
tile.func @f(%xv: !tile.view<3x5x18xf32>, %yv: !tile.view<$COUNT$x$E$>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %x = tile.load %xv[%c0, %c0, %c0] : !tile.view<3x5x18xf32> -> tensor<3x5x18xf32>
  %one = arith.constant dense<1.0> : tensor<16xf32>
  $BODY$
  %flat = tile.reshape %y : tensor<$SHAPE$x$E$> -> tensor<$COUNT$x$E$>
  tile.store %flat, %yv[%c0] : tensor<$COUNT$x$E$> -> !tile.view<$COUNT$x$E$>
  tile.return
})mlir",
                                           {{"BODY", body},
                                            {"SHAPE", shape},
                                            {"E", element},
                                            {"COUNT", std::to_string(count)}}));
  std::vector<T> y(count);
  if (kernel)
    kernel->run({view(x, {}), view(y, {})});
  return y;
}

std::vector<float> makeInput() { return Numbers(1).floats(3 * 5 * 18); }

TEST(ShapeTest, TransposeSliceConcat) {
  std::vector<float> x = makeInput();
  std::vector<float> y = runOn<float>(R"mlir(
  %t = tile.transpose %x [2, 0, 1] : tensor<3x5x18xf32> -> tensor<18x3x5xf32>
  %a = tile.slice %t[1, 0, 2] : tensor<18x3x5xf32> -> tensor<16x3x2xf32>
  %b = tile.slice %t[0, 0, 0] : tensor<18x3x5xf32> -> tensor<16x3x3xf32>
  %y = tile.concat %a, %b along 2
      : tensor<16x3x2xf32>, tensor<16x3x3xf32> -> tensor<16x3x5xf32>)mlir",
                                      "16x3x5", "f32", x);
  for (int64_t i = 0; i < 16; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 5; ++k)
        EXPECT_EQ(y[(i * 3 + j) * 5 + k], k < 2
                                              ? x[(j * 5 + k + 2) * 18 + i + 1]
                                              : x[(j * 5 + k - 2) * 18 + i]);
}

/// Rotary embedding of neighbouring pairs: reshapes, slices of one column,
/// products, and back.
TEST(ShapeTest, RotationOfPairs) {
  std::vector<float> x = makeInput();
  std::vector<float> y = runOn<float>(R"mlir(
  %angle = tile.iota 2 : tensor<3x5x9xi32>
  %f = arith.sitofp %angle : tensor<3x5x9xi32> to tensor<3x5x9xf32>
  %cos = math.cos %f : tensor<3x5x9xf32>
  %sin = math.sin %f : tensor<3x5x9xf32>
  %p = tile.reshape %x : tensor<3x5x18xf32> -> tensor<3x5x9x2xf32>
  %a4 = tile.slice %p[0, 0, 0, 0] : tensor<3x5x9x2xf32> -> tensor<3x5x9x1xf32>
  %b4 = tile.slice %p[0, 0, 0, 1] : tensor<3x5x9x2xf32> -> tensor<3x5x9x1xf32>
  %a = tile.reshape %a4 : tensor<3x5x9x1xf32> -> tensor<3x5x9xf32>
  %b = tile.reshape %b4 : tensor<3x5x9x1xf32> -> tensor<3x5x9xf32>
  %ac = arith.mulf %a, %cos : tensor<3x5x9xf32>
  %bs = arith.mulf %b, %sin : tensor<3x5x9xf32>
  %as = arith.mulf %a, %sin : tensor<3x5x9xf32>
  %bc = arith.mulf %b, %cos : tensor<3x5x9xf32>
  %u = arith.subf %ac, %bs : tensor<3x5x9xf32>
  %v = arith.addf %as, %bc : tensor<3x5x9xf32>
  %u4 = tile.reshape %u : tensor<3x5x9xf32> -> tensor<3x5x9x1xf32>
  %v4 = tile.reshape %v : tensor<3x5x9xf32> -> tensor<3x5x9x1xf32>
  %w = tile.concat %u4, %v4 along 3
      : tensor<3x5x9x1xf32>, tensor<3x5x9x1xf32> -> tensor<3x5x9x2xf32>
  %y = tile.reshape %w : tensor<3x5x9x2xf32> -> tensor<3x5x18xf32>)mlir",
                                      "3x5x18", "f32", x);
  auto expected = [&](size_t i) {
    double angle = static_cast<double>(i % 18 / 2);
    double a = x[i / 2 * 2], b = x[i / 2 * 2 + 1];
    return i % 2 ? a * std::sin(angle) + b * std::cos(angle)
                 : a * std::cos(angle) - b * std::sin(angle);
  };
  expectNear([&](size_t i) { return y[i]; }, expected, y.size(), 1e-6, 0);
}

TEST(ShapeTest, ReductionsOfEveryDimension) {
  std::vector<float> x = makeInput();
  x[0] = NAN;
  const int64_t strides[] = {90, 18, 1}, sizes[] = {3, 5, 18};
  const std::string shapes[] = {"5x18", "3x18", "3x5"};
  for (int64_t dim = 0; dim < 3; ++dim)
    for (std::string kind : {"sum", "max", "min"}) {
      SCOPED_TRACE(kind + " " + std::to_string(dim));
      std::vector<float> y =
          runOn<float>("%y = tile.reduce " + kind + " %x along " +
                           std::to_string(dim) + " : tensor<3x5x18xf32>",
                       shapes[dim], "f32", x);
      for (size_t i = 0; i < y.size(); ++i) {
        size_t inner = i % strides[dim], outer = i / strides[dim];
        size_t base = outer * strides[dim] * sizes[dim] + inner;
        double sum = 0;
        float largest = -INFINITY, least = INFINITY;
        for (int64_t j = 0; j < sizes[dim]; ++j) {
          float value = x[base + j * strides[dim]];
          sum += value;
          largest = std::fmax(largest, value);
          least = std::fmin(least, value);
        }
        if (kind == "sum" && base == 0)
          EXPECT_TRUE(std::isnan(y[i]));
        else if (kind == "sum")
          EXPECT_NEAR(y[i], sum, 1e-5);
        else
          EXPECT_EQ(y[i], kind == "max" ? largest : least);
      }
    }
}

TEST(ShapeTest, ReductionToAScalarOfLongAndOddRows) {
  for (int64_t count : {1, 15, 16, 31, 270}) {
    std::vector<float> x = makeInput();
    std::vector<int32_t> y =
        runOn<int32_t>(substitute(R"mlir(
  %f = tile.reshape %x : tensor<3x5x18xf32> -> tensor<270xf32>
  %s = tile.slice %f[0] : tensor<270xf32> -> tensor<$N$xf32>
  %k = arith.constant dense<1000.0> : tensor<$N$xf32>
  %m = arith.mulf %s, %k : tensor<$N$xf32>
  %i = arith.fptosi %m : tensor<$N$xf32> to tensor<$N$xi32>
  %sum = tile.reduce sum %i along 0 : tensor<$N$xi32>
  %y = tile.splat %sum : tensor<1xi32>)mlir",
                                  {{"N", std::to_string(count)}}),
                       "1", "i32", x);
    int32_t expected = 0;
    for (int64_t i = 0; i < count; ++i)
      expected += static_cast<int32_t>(x[i] * 1000.0f);
    EXPECT_EQ(y[0], expected) << count;
  }
}

// The x86 engine carries the errors of its additions along. NVIDIA engines do
// not, so there is nothing to say about them here.
TEST(ShapeTest, SumsAreThoseOfExactArithmetic) {
  if (std::getenv("VARVE_ENGINE"))
    GTEST_SKIP() << "a property of the x86 engine";
  const int64_t strides[] = {90, 18, 1}, sizes[] = {3, 5, 18};
  const std::string shapes[] = {"5x18", "3x18", "3x5"};
  for (int64_t dim = 0; dim < 3; ++dim) {
    SCOPED_TRACE(dim);
    // Magnitudes from 2^-12 to 2^12, and pairs that cancel.
    std::vector<float> x = makeInput();
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = std::ldexp(x[i], static_cast<int>(i * 7 % 25) - 12);
    for (size_t i = 0; i + 7 * strides[dim] < x.size(); i += 11)
      x[i] = 1e4f, x[i + strides[dim]] = -1e4f;
    std::vector<float> y =
        runOn<float>("%y = tile.reduce sum %x along " + std::to_string(dim) +
                         " : tensor<3x5x18xf32>",
                     shapes[dim], "f32", x);
    for (size_t i = 0; i < y.size(); ++i) {
      size_t inner = i % strides[dim], outer = i / strides[dim];
      size_t base = outer * strides[dim] * sizes[dim] + inner;
      // Exact: f64 has room for 2^14 beside the last bits of 2^-12.
      double sum = 0;
      for (int64_t j = 0; j < sizes[dim]; ++j)
        sum += x[base + j * strides[dim]];
      EXPECT_EQ(y[i], static_cast<float>(sum)) << i;
    }
  }
}

TEST(ShapeTest, SumsOfInfinities) {
  std::vector<float> x = makeInput();
  x[2] = INFINITY;
  x[18 + 3] = -INFINITY;
  x[36 + 4] = INFINITY, x[36 + 5] = -INFINITY;
  x[54] = x[55] = 3e38f;
  std::vector<float> y = runOn<float>(
      "%y = tile.reduce sum %x along 2 : tensor<3x5x18xf32>", "3x5", "f32", x);
  EXPECT_EQ(y[0], INFINITY);
  EXPECT_EQ(y[1], -INFINITY);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], INFINITY) << "beyond the largest float";
}

TEST(ShapeTest, Scans) {
  std::vector<float> x = makeInput();
  for (bool exclusive : {false, true})
    for (int64_t dim = 0; dim < 3; ++dim) {
      SCOPED_TRACE(dim);
      const int64_t strides[] = {90, 18, 1}, sizes[] = {3, 5, 18};
      std::vector<float> y = runOn<float>(
          "%y = tile.scan %x along " + std::to_string(dim) +
              (exclusive ? " exclusive" : "") + " : tensor<3x5x18xf32>",
          "3x5x18", "f32", x);
      for (size_t i = 0; i < y.size(); ++i) {
        int64_t position = i / strides[dim] % sizes[dim];
        double sum = 0;
        for (int64_t j = 0; j <= position - exclusive; ++j)
          sum += x[i - (position - j) * strides[dim]];
        EXPECT_NEAR(y[i], sum, 1e-5) << i;
      }
    }
}

TEST(ShapeTest, BroadcastsIotasConstantsAndMasks) {
  std::vector<float> x = makeInput();
  std::vector<int64_t> y = runOn<int64_t>(R"mlir(
  %k = arith.constant dense<[7, -3, 11]> : tensor<3xi64>
  %kb = tile.broadcast %k dims [0] : tensor<3xi64> -> tensor<3x5x18xi64>
  %j = tile.iota 0 : tensor<5xi64>
  %jb = tile.broadcast %j dims [1] : tensor<5xi64> -> tensor<3x5x18xi64>
  %i = tile.iota 2 : tensor<3x5x18xindex>
  %ii = arith.index_cast %i : tensor<3x5x18xindex> to tensor<3x5x18xi64>
  %m = arith.constant dense<[true, false, true]> : tensor<3xi1>
  %mb = tile.broadcast %m dims [0] : tensor<3xi1> -> tensor<3x5x18xi1>
  %s = arith.addi %kb, %jb : tensor<3x5x18xi64>
  %p = arith.muli %s, %ii : tensor<3x5x18xi64>
  %y = arith.select %mb, %p, %ii : tensor<3x5x18xi1>, tensor<3x5x18xi64>)mlir",
                                          "3x5x18", "i64", x);
  const int64_t constants[] = {7, -3, 11};
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 5; ++j)
      for (int64_t k = 0; k < 18; ++k)
        EXPECT_EQ(y[(i * 5 + j) * 18 + k], i == 1 ? k : (constants[i] + j) * k);
}

/// Values with several users and masks kept in arrays.
TEST(ShapeTest, SharedSubexpressions) {
  std::vector<float> x = makeInput();
  std::vector<float> y = runOn<float>(R"mlir(
  %zero = arith.constant dense<0.0> : tensor<3x5x18xf32>
  %e = math.exp %x : tensor<3x5x18xf32>
  %m = arith.cmpf ogt, %x, %zero : tensor<3x5x18xf32>
  %a = arith.addf %e, %x : tensor<3x5x18xf32>
  %b = arith.mulf %e, %a : tensor<3x5x18xf32>
  %c = arith.select %m, %b, %a : tensor<3x5x18xi1>, tensor<3x5x18xf32>
  %n = arith.uitofp %m : tensor<3x5x18xi1> to tensor<3x5x18xf32>
  %y = arith.addf %c, %n : tensor<3x5x18xf32>)mlir",
                                      "3x5x18", "f32", x);
  auto expected = [&](size_t i) {
    double e = std::exp(static_cast<double>(x[i])), a = e + x[i];
    return x[i] > 0 ? e * a + 1 : a;
  };
  expectNear([&](size_t i) { return y[i]; }, expected, y.size(), 1e-6, 2e-6);
}

/// A tile that costs nothing to recompute is an operand of a product, whose
/// working memory is used again, and is needed afterwards.
TEST(ShapeTest, OperandsOfProductsOutliveThem) {
  std::vector<float> x = makeInput();
  std::vector<float> y = runOn<float>(R"mlir(
  %a = tile.broadcast %one dims [0] : tensor<16xf32> -> tensor<16x16xf32>
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  %d = tile.dot %a, %a, %zero
      : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>
  %other = tile.load %xv[%c0, %c0, %c0] : !tile.view<3x5x18xf32> -> tensor<3x5x18xf32>
  %o = tile.extract %other[0, 0, 0] : tensor<3x5x18xf32>
  %os = tile.splat %o : tensor<16x16xf32>
  %s = arith.mulf %d, %os : tensor<16x16xf32>
  %y = arith.addf %s, %a : tensor<16x16xf32>)mlir",
                                      "16x16", "f32", x);
  for (float value : y)
    EXPECT_EQ(value, 16.0f * x[0] + 1.0f);
}

TEST(ShapeTest, ElementsAreScalarsForAll) {
  std::vector<float> x = makeInput();
  std::vector<float> y = runOn<float>(R"mlir(
  %a = tile.extract %x[2, 4, 17] : tensor<3x5x18xf32>
  %s = arith.addf %x, %x : tensor<3x5x18xf32>
  %b = tile.extract %s[0, 1, 3] : tensor<3x5x18xf32>
  %d = arith.subf %a, %b : f32
  %y = tile.splat %d : tensor<1xf32>)mlir",
                                      "1", "f32", x);
  EXPECT_EQ(y[0], x[269] - (x[21] + x[21]));
}

} // namespace
