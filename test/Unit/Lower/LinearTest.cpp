//===- LinearTest.cpp - Products with weights -----------------------------===//

#include "LowerTesting.h"
#include "test/Unit/Engine/KernelHarness.h"
#include "gtest/gtest.h"

using namespace varve::test;

namespace {

constexpr Tolerance kBf16 = {1e-3, 8e-3};

void check(const std::string &text, Tolerance tolerance) {
  Twins twins(text);
  for (int64_t count : {1, 3, 16, 17, 128, 129})
    twins.step("f", {{0, count}}, tolerance);
}

TEST(LinearTest, NumbersOfOneType) {
  for (const char *type : {"f32", "bf16"})
    check(substitute(R"mlir(
func.func @f(%x: tensor<?x3x40x$T$>) -> tensor<?x2x36xf32> {
  %w = varve.weight "w" : tensor<72x120x$T$>
  %y = varve.linear %x, %w
      : (tensor<?x3x40x$T$>, tensor<72x120x$T$>) -> tensor<?x2x36xf32>
  return %y : tensor<?x2x36xf32>
})mlir",
                     {{"T", type}}),
          Tolerance());
}

TEST(LinearTest, NumbersOfTwoTypes) {
  check(R"mlir(
func.func @f(%x: tensor<?x120xf32>) -> tensor<?x72xbf16> {
  %w = varve.weight "w" : tensor<72x120xbf16>
  %y = varve.linear %x, %w
      : (tensor<?x120xf32>, tensor<72x120xbf16>) -> tensor<?x72xbf16>
  return %y : tensor<?x72xbf16>
})mlir",
        kBf16);
}

TEST(LinearTest, WeightsOfCodes) {
  for (const char *x : {"f32", "bf16"})
    for (auto [w, block, scales] : {std::tuple("f8E4M3FN", "[128, 128]", "2x3"),
                                    std::tuple("f4E2M1FN", "[1, 32]", "200x9")})
      check(substitute(R"mlir(
func.func @f(%x: tensor<?x272x$X$>) -> tensor<?x200xf32> {
  %w = varve.weight "a.weight" : tensor<200x272x$W$>
  %s = varve.weight "a.scale" : tensor<$S$xf8E8M0FNU>
  %y = varve.linear %x, %w scaled %s by $B$
      : (tensor<?x272x$X$>, tensor<200x272x$W$>, tensor<$S$xf8E8M0FNU>)
      -> tensor<?x200xf32>
  return %y : tensor<?x200xf32>
})mlir",
                       {{"X", x}, {"W", w}, {"B", block}, {"S", scales}}),
            Tolerance());
}

TEST(LinearTest, CodesOnBothSides) {
  check(R"mlir(
func.func @f(%x: tensor<?x272xf8E4M3FN>, %xs: tensor<?x3xf8E8M0FNU>)
    -> tensor<?x200xf32> {
  %w = varve.weight "a.weight" : tensor<200x272xf8E4M3FN>
  %s = varve.weight "a.scale" : tensor<2x3xf8E8M0FNU>
  %y = varve.linear %x scaled %xs by 128, %w scaled %s by [128, 128]
      : (tensor<?x272xf8E4M3FN>, tensor<?x3xf8E8M0FNU>, tensor<200x272xf8E4M3FN>,
         tensor<2x3xf8E8M0FNU>) -> tensor<?x200xf32>
  return %y : tensor<?x200xf32>
})mlir",
        Tolerance());
}

TEST(LinearTest, Groups) {
  check(R"mlir(
func.func @f(%x: tensor<?x6x48xbf16>) -> tensor<?x72xf32> {
  %w = varve.weight "a.weight" : tensor<72x96xf8E4M3FN>
  %s = varve.weight "a.scale" : tensor<2x1xf8E8M0FNU>
  %y = varve.grouped_linear %x, %w scaled %s by [64, 128] groups 3
      : (tensor<?x6x48xbf16>, tensor<72x96xf8E4M3FN>, tensor<2x1xf8E8M0FNU>)
      -> tensor<?x72xf32>
  return %y : tensor<?x72xf32>
})mlir",
        Tolerance());
}

// Tiles within a group, of codes that are converted in registers.
TEST(LinearTest, GroupsAsWideAsATile) {
  check(R"mlir(
func.func @f(%x: tensor<?x8x192xbf16>) -> tensor<?x128xbf16> {
  %w = varve.weight "a.weight" : tensor<128x768xf8E4M3FN>
  %s = varve.weight "a.scale" : tensor<1x6xf8E8M0FNU>
  %y = varve.grouped_linear %x, %w scaled %s by [128, 128] groups 2
      : (tensor<?x8x192xbf16>, tensor<128x768xf8E4M3FN>, tensor<1x6xf8E8M0FNU>)
      -> tensor<?x128xbf16>
  return %y : tensor<?x128xbf16>
})mlir",
        {1e-3, 1e-2});
}

TEST(LinearTest, GateOfTwoProducts) {
  check(R"mlir(
func.func @f(%x: tensor<?x120xbf16>) -> tensor<?x72xf32> {
  %w1 = varve.weight "w1" : tensor<72x120xbf16>
  %w3 = varve.weight "w3" : tensor<72x120xbf16>
  %g = varve.linear %x, %w1
      : (tensor<?x120xbf16>, tensor<72x120xbf16>) -> tensor<?x72xf32>
  %u = varve.linear %x, %w3
      : (tensor<?x120xbf16>, tensor<72x120xbf16>) -> tensor<?x72xf32>
  %y = varve.swiglu %g, %u limit 10.0
      : (tensor<?x72xf32>, tensor<?x72xf32>) -> tensor<?x72xf32>
  return %y : tensor<?x72xf32>
})mlir",
        {1e-4, 1e-3});
}

} // namespace
