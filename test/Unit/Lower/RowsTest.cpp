//===- RowsTest.cpp - Kernels of row-wise ops -----------------------------===//

#include "LowerTesting.h"
#include "test/Unit/Engine/KernelHarness.h"
#include "gtest/gtest.h"

#include <cstdlib>

using namespace varve::test;

namespace {

/// bf16 results round to 8 bits: where sums differ in their last bit, a number
/// near the middle of two goes the other way.
constexpr Tolerance kBf16 = {1e-3, 8e-3};

/// Steps of all the sizes at which tiles are ragged.
void stepAll(Twins &twins, Tolerance tolerance) {
  for (int64_t count : {1, 3, 128, 129})
    twins.step("f", {{0, count}}, tolerance);
  twins.step("f", {{1, 5}, {0, 1}, {-1, 2}, {2, 9}}, tolerance);
}

class RowsTest : public testing::TestWithParam<const char *> {
protected:
  void check(const std::string &text) {
    std::string type = GetParam();
    Twins twins(substitute(text, {{"T", type}}));
    stepAll(twins, type == "f32" ? Tolerance() : kBf16);
  }
};

INSTANTIATE_TEST_SUITE_P(Types, RowsTest, testing::Values("f32", "bf16"));

TEST_P(RowsTest, NormWithWeight) {
  check(R"mlir(
func.func @f(%x: tensor<?x96x$T$>) -> tensor<?x96x$T$> {
  %w = varve.weight "norm" : tensor<96x$T$>
  %y = varve.rms_norm %x weight %w eps 1.0e-6
      : (tensor<?x96x$T$>, tensor<96x$T$>) -> tensor<?x96x$T$>
  return %y : tensor<?x96x$T$>
})mlir");
}

// The reference sums in f64. What follows a norm rounds to few bits and makes
// choices, so the kernel gives the same bits here and not almost the same.
TEST(ExactRowsTest, NormGivesTheBitsOfTheReference) {
  if (std::getenv("VARVE_ENGINE"))
    GTEST_SKIP() << "a property of the x86 engine";
  for (int64_t width : {96, 128, 512}) {
    Twins twins(substitute(R"mlir(
func.func @f(%x: tensor<?x$D$xbf16>) -> tensor<?x$D$xbf16> {
  %w = varve.weight "norm" : tensor<$D$xbf16>
  %y = varve.rms_norm %x weight %w eps 1.0e-6
      : (tensor<?x$D$xbf16>, tensor<$D$xbf16>) -> tensor<?x$D$xbf16>
  return %y : tensor<?x$D$xbf16>
})mlir",
                           {{"D", std::to_string(width)}}));
    for (int i = 0; i < 4; ++i)
      twins.step("f", {{0, 256}}, {0, 0});
  }
}

// 1 of 10,000 coefficients may still round the other way.
TEST(ExactRowsTest, StreamCoefficientsRoundAsThoseOfTheReference) {
  Twins twins(R"mlir(
func.func @f(%x: tensor<?x4x512xbf16>) -> tensor<?x512xbf16> {
  %fn = varve.weight "fn" : tensor<4x2048xf32>
  %base = varve.weight "base" : tensor<4xf32>
  %scale = varve.weight "scale" : tensor<1xf32>
  %pre = varve.stream_project %x, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
      : (tensor<?x4x512xbf16>, tensor<4x2048xf32>, tensor<4xf32>, tensor<1xf32>)
      -> tensor<?x4xf32>
  %s = varve.stream_collapse %x, %pre
      : (tensor<?x4x512xbf16>, tensor<?x4xf32>) -> tensor<?x512xbf16>
  return %s : tensor<?x512xbf16>
})mlir");
  for (int64_t count : {1, 3, 128})
    twins.step("f", {{0, count}}, {3e-5, 4e-3});
}

TEST_P(RowsTest, NormOfHeadsRoundingEachStepAndRotation) {
  check(R"mlir(
func.func @f(%x: tensor<?x6x128x$T$>, %positions: tensor<?xi32> loc("positions"))
    -> tensor<?x6x128x$T$> {
  %y = varve.rms_norm %x eps 1.0e-6 round each_step
      : (tensor<?x6x128x$T$>) -> tensor<?x6x128x$T$>
  %z = varve.rope %y at %positions table <theta = 160000.0 : f64, dim = 64,
      yarn = <factor = 16.0 : f64, beta_fast = 32.0 : f64, beta_slow = 1.0 : f64,
              original = 1024>> : tensor<?x6x128x$T$>, tensor<?xi32>
  return %z : tensor<?x6x128x$T$>
})mlir");
}

TEST_P(RowsTest, InverseRotationOfOddWidths) {
  check(R"mlir(
func.func @f(%x: tensor<?x72x$T$>, %positions: tensor<?xi32> loc("positions"))
    -> tensor<?x72x$T$> {
  %z = varve.rope inverse %x at %positions table <theta = 10000.0 : f64, dim = 12>
      : tensor<?x72x$T$>, tensor<?xi32>
  return %z : tensor<?x72x$T$>
})mlir");
}

TEST_P(RowsTest, EmbeddingIntoStreams) {
  check(R"mlir(
func.func @f(%ids: tensor<?xi32>) -> tensor<?x4x96x$T$> {
  %table = varve.weight "embed" : tensor<8x96xbf16>
  %x = varve.embed %ids, %table
      : (tensor<?xi32>, tensor<8x96xbf16>) -> tensor<?x96x$T$>
  %y = varve.stream_expand %x : (tensor<?x96x$T$>) -> tensor<?x4x96x$T$>
  return %y : tensor<?x4x96x$T$>
})mlir");
}

TEST_P(RowsTest, MixOfStreams) {
  check(R"mlir(
func.func @f(%y: tensor<?x96x$T$>, %x: tensor<?x4x96x$T$>, %p: tensor<?x4xf32>,
             %c: tensor<?x4x4xf32>) -> tensor<?x4x96x$T$> {
  %z = varve.stream_mix %y, %x, %p, %c
      : (tensor<?x96x$T$>, tensor<?x4x96x$T$>, tensor<?x4xf32>, tensor<?x4x4xf32>)
      -> tensor<?x4x96x$T$>
  return %z : tensor<?x4x96x$T$>
})mlir");
}

TEST_P(RowsTest, StreamProjectionAndAllThatFollows) {
  check(R"mlir(
func.func @f(%x: tensor<?x4x96x$T$>)
    -> (tensor<?x4xf32>, tensor<?x4x4xf32>, tensor<?x96x$T$>) {
  %fn = varve.weight "fn" : tensor<24x384xf32>
  %base = varve.weight "base" : tensor<24xf32>
  %scale = varve.weight "scale" : tensor<3xf32>
  %pre, %post, %logits = varve.stream_project %x, %fn, %base, %scale
      norm_eps 1.0e-6 eps 1.0e-6
      : (tensor<?x4x96x$T$>, tensor<24x384xf32>, tensor<24xf32>, tensor<3xf32>)
      -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>)
  %c = varve.sinkhorn %logits iterations 20 eps 1.0e-6 : tensor<?x4x4xf32>
  %s = varve.stream_collapse %x, %pre
      : (tensor<?x4x96x$T$>, tensor<?x4xf32>) -> tensor<?x96x$T$>
  %w = varve.weight "norm" : tensor<96x$T$>
  %y = varve.rms_norm %s weight %w eps 1.0e-6
      : (tensor<?x96x$T$>, tensor<96x$T$>) -> tensor<?x96x$T$>
  return %post, %c, %y : tensor<?x4xf32>, tensor<?x4x4xf32>, tensor<?x96x$T$>
})mlir");
}

TEST_P(RowsTest, TakenRowsAndTheHeadForm) {
  check(R"mlir(
func.func @f(%x: tensor<?x4x96x$T$>, %rows: tensor<?xi32> loc("rows"))
    -> tensor<?x96x$T$> {
  %t = varve.take %x, %rows
      : (tensor<?x4x96x$T$>, tensor<?xi32>) -> tensor<?x4x96x$T$>
  %fn = varve.weight "fn" : tensor<4x384xf32>
  %base = varve.weight "base" : tensor<4xf32>
  %scale = varve.weight "scale" : tensor<1xf32>
  %pre = varve.stream_project %t, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
      : (tensor<?x4x96x$T$>, tensor<4x384xf32>, tensor<4xf32>, tensor<1xf32>)
      -> tensor<?x4xf32>
  %s = varve.stream_collapse %t, %pre
      : (tensor<?x4x96x$T$>, tensor<?x4xf32>) -> tensor<?x96x$T$>
  return %s : tensor<?x96x$T$>
})mlir");
}

TEST_P(RowsTest, SumOfExpertsInAscendingOrder) {
  check(R"mlir(
func.func @f(%x: tensor<?x6x96x$T$>, %ids: tensor<?x6xi32>, %s: tensor<?x96x$T$>)
    -> tensor<?x96x$T$> {
  %y = varve.combine %x, %ids shared %s
      : (tensor<?x6x96x$T$>, tensor<?x6xi32>, tensor<?x96x$T$>) -> tensor<?x96x$T$>
  return %y : tensor<?x96x$T$>
})mlir");
}

TEST_P(RowsTest, GateOfExperts) {
  check(R"mlir(
func.func @f(%g: tensor<?x2x96x$T$>, %u: tensor<?x2x96x$T$>, %w: tensor<?x2xf32>)
    -> tensor<?x2x96x$T$> {
  %y = varve.swiglu %g, %u weights %w limit 0.5
      : (tensor<?x2x96x$T$>, tensor<?x2x96x$T$>, tensor<?x2xf32>)
      -> tensor<?x2x96x$T$>
  return %y : tensor<?x2x96x$T$>
})mlir");
}

} // namespace
