//===- MatrixOpTest.cpp - linear, grouped_linear, experts, routing --------===//

#include "test/Unit/Interpret/InterpreterTesting.h"
#include <cmath>

using namespace varve;
using namespace varve::test;

namespace {

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

const char *const kExperts = R"mlir(
  func.func @shared(%x: tensor<?x3xf32>, %ids: tensor<?x2xi32>)
      -> tensor<?x2x4xf32> {
    %w = varve.weight "experts.*.w" : tensor<5x4x3xf32>
    %y = varve.experts %x, %ids, %w
        : (tensor<?x3xf32>, tensor<?x2xi32>, tensor<5x4x3xf32>)
        -> tensor<?x2x4xf32>
    return %y : tensor<?x2x4xf32>
  }
  func.func @own(%x: tensor<?x2x3xf32>, %ids: tensor<?x2xi32>)
      -> tensor<?x2x4xf32> {
    %w = varve.weight "experts.*.w" : tensor<5x4x3xf32>
    %y = varve.experts %x, %ids, %w
        : (tensor<?x2x3xf32>, tensor<?x2xi32>, tensor<5x4x3xf32>)
        -> tensor<?x2x4xf32>
    return %y : tensor<?x2x4xf32>
  })mlir";

/// y[t, a] = W[ids[t, a]] x, where x is that of the token or of its place.
std::vector<double> expectedExperts(const std::vector<float> &x,
                                    const std::vector<int32_t> &ids,
                                    const std::vector<float> &w, bool own) {
  std::vector<double> y;
  for (size_t i = 0; i < ids.size(); ++i)
    for (int64_t n = 0; n < 4; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < 3; ++k)
        sum +=
            double(x[(own ? i : i / 2) * 3 + k]) * w[(ids[i] * 4 + n) * 3 + k];
      y.push_back(sum);
    }
  return y;
}

TEST(ExpertsOp, MultipliesWithTheExpertsOfEachToken) {
  Program program(kExperts);
  std::vector<float> w = randomFloats(5 * 4 * 3, 1);
  program.weights.add("experts.*.w", w);
  std::vector<int32_t> ids = {0, 4, 3, 0, 2, 4};
  std::vector<float> shared = randomFloats(3 * 3, 2);
  expectNear(program
                 .call("shared", {program.floats({3, 3}, shared),
                                  program.numbers({3, 2}, ids)})[0]
                 .floats(),
             expectedExperts(shared, ids, w, /*own=*/false));
  std::vector<float> own = randomFloats(3 * 2 * 3, 3);
  expectNear(program
                 .call("own", {program.floats({3, 2, 3}, own),
                               program.numbers({3, 2}, ids)})[0]
                 .floats(),
             expectedExperts(own, ids, w, /*own=*/true));
}

TEST(ExpertsOp, RefusesExpertsThatAreNotThere) {
  Program program(kExperts);
  program.weights.add("experts.*.w", randomFloats(5 * 4 * 3, 1));
  HostTensor x = program.floats({2, 3}, randomFloats(6, 2));
  EXPECT_EQ(
      program.errorOf("shared", {x, program.numbers({2, 2}, {0, 1, 5, 2})}),
      "'varve.experts' op expected experts below 5 but got 5 (token 1)\n");
  EXPECT_EQ(
      program.errorOf("shared", {x, program.numbers({2, 2}, {-1, 1, 3, 2})}),
      "'varve.experts' op expected experts below 5 but got -1 (token 0)\n");
}

TEST(ExpertsOp, AppliesTheScalesOfItsOwnTilesToEachExpert) {
  // FP4 codes with a scale a row and two columns: sums of few small numbers
  // times powers of two, so exact.
  Program program(R"mlir(
    func.func @f(%x: tensor<?x4xf32>, %ids: tensor<?x1xi32>)
        -> tensor<?x1x2xf32> {
      %w = varve.weight "e.*.weight" : tensor<3x2x4xf4E2M1FN>
      %s = varve.weight "e.*.scale" : tensor<3x2x2xf8E8M0FNU>
      %y = varve.experts %x, %ids, %w scaled %s by [1, 2]
          : (tensor<?x4xf32>, tensor<?x1xi32>, tensor<3x2x4xf4E2M1FN>,
             tensor<3x2x2xf8E8M0FNU>) -> tensor<?x1x2xf32>
      return %y : tensor<?x1x2xf32>
    })mlir");
  const float codes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -6};
  std::vector<float> w, s;
  for (int i = 0; i < 24; ++i)
    w.push_back(codes[i * 7 % 12]);
  for (int i = 0; i < 12; ++i)
    s.push_back(std::ldexp(1.0f, i % 5 - 2));
  program.weights.add("e.*.weight", w);
  program.weights.add("e.*.scale", s);
  std::vector<float> x = {1, -2, 3, 0.5, 4, 1, -1, 2, 0.25, 8, 1, 1};
  auto y = program.call(
      "f", {program.floats({3, 4}, x), program.numbers({3, 1}, {2, 0, 1})});
  ASSERT_EQ(y.size(), 1u);
  const int64_t experts[] = {2, 0, 1};
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t n = 0; n < 2; ++n) {
      double expected = 0;
      int64_t row = experts[t] * 2 + n;
      for (int64_t k = 0; k < 4; ++k)
        expected += double(x[t * 4 + k]) * w[row * 4 + k] * s[row * 2 + k / 2];
      EXPECT_EQ(y[0].floats()[t * 2 + n], expected) << t << ' ' << n;
    }
}

TEST(ExpertsOp, SumsInF32WhereSumsMayBeShort) {
  Program program(R"mlir(
    func.func @f(%x: tensor<?x4xf32>, %ids: tensor<?x1xi32>)
        -> (tensor<?x1x1xf32>, tensor<?x1x1xf32>) {
      %w = varve.weight "e.*.weight" : tensor<1x1x4xf4E2M1FN>
      %s = varve.weight "e.*.scale" : tensor<1x1x1xf8E8M0FNU>
      %c, %cs = varve.quantize %x block 4
          : tensor<?x4xf32> -> tensor<?x4xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
      %y = varve.experts %c scaled %cs by 4, %ids, %w scaled %s by [1, 4]
          : (tensor<?x4xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x1xi32>,
             tensor<1x1x4xf4E2M1FN>, tensor<1x1x1xf8E8M0FNU>)
          -> tensor<?x1x1xf32>
      %z = varve.experts %c scaled %cs by 4, %ids, %w scaled %s by [1, 4]
          short_sums
          : (tensor<?x4xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x1xi32>,
             tensor<1x1x4xf4E2M1FN>, tensor<1x1x1xf8E8M0FNU>)
          -> tensor<?x1x1xf32>
      return %y, %z : tensor<?x1x1xf32>, tensor<?x1x1xf32>
    })mlir");
  program.weights.add("e.*.weight", {6, 0.5, 1, 2});
  program.weights.add("e.*.scale", {1});
  // With 13 bits behind the point of the largest product the others are lost.
  std::vector<float> x = {448, 0x1p-9f, 0x1p-8f, 0};
  auto y = program.call(
      "f", {program.floats({1, 4}, x), program.numbers({1, 1}, {0})});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_EQ(y[0].floats()[0], 2688 + 0x1p-10f + 0x1p-8f);
  EXPECT_EQ(y[1].floats()[0], 2688 + 0x1p-10f + 0x1p-8f);
}

TEST(CombineOp, AddsExpertsAndTheSharedOne) {
  Program program(R"mlir(
    func.func @f(%x: tensor<?x2x3xf32>, %ids: tensor<?x2xi32>,
                 %shared: tensor<?x3xf32>) -> tensor<?x3xf32> {
      %y = varve.combine %x, %ids shared %shared
          : (tensor<?x2x3xf32>, tensor<?x2xi32>, tensor<?x3xf32>)
          -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })mlir");
  // In ascending expert number: 2^24 + 1 is lost, -2^24 + 1 is not.
  auto y = program.call(
      "f", {program.floats({2, 2, 3}, {1, 2, 3, 4, 5, 6, //
                                       -0x1p24f, 0, 0, 0x1p24f, 0, 0}),
            program.numbers({2, 2}, {0, 1, 5, 3}),
            program.floats({2, 3}, {10, 20, 30, 1, 0, 0})});
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(floatsOf(y[0]), (std::vector<float>{15, 27, 39, 1, 0, 0}));
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

TEST(RouteTopkOp, ChoosesByBiasAndWeighsWithout) {
  Program program(R"mlir(
    func.func @f(%z: tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
      %b = varve.weight "gate.bias" : tensor<3xf32>
      %ids, %weights = varve.route_topk %z bias %b active 2 scoring sigmoid
          normalize scale 1.5 : tensor<?x3xf32>, tensor<3xf32>
      return %ids, %weights : tensor<?x2xi32>, tensor<?x2xf32>
    })mlir");
  program.weights.add("gate.bias", {0.0f, 0.0f, 1.0f});
  auto results = program.call("f", {program.floats({1, 3}, {1, 2, -1})});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(numbersIn(results[0]), (std::vector<int32_t>{2, 1}));
  double a = 1 / (1 + std::exp(1.0)), b = 1 / (1 + std::exp(-2.0));
  expectNear(results[1].floats(), {1.5 * a / (a + b), 1.5 * b / (a + b)});
}

TEST(RouteHashOp, RefusesIdsAndExpertsThatAreNotThere) {
  Program program(R"mlir(
    func.func @f(%z: tensor<?x3xf32>, %ids: tensor<?xi32>)
        -> (tensor<?x2xi32>, tensor<?x2xf32>) {
      %table = varve.weight "tid2eid" : tensor<3x2xi64>
      %e, %weights = varve.route_hash %z, %ids, %table scoring sigmoid scale 1.0
          : tensor<?x3xf32>, tensor<?xi32>, tensor<3x2xi64>
      return %e, %weights : tensor<?x2xi32>, tensor<?x2xf32>
    })mlir");
  program.weights.addNumbers("tid2eid", {0, 1, 2, 1, 3, 0});
  HostTensor z = program.floats({1, 3}, {0, 0, 0});
  auto results = program.call("f", {z, program.numbers({1})});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(numbersIn(results[0]), (std::vector<int32_t>{2, 1}));
  EXPECT_EQ(floatsOf(results[1]), (std::vector<float>{0.5f, 0.5f}));
  EXPECT_EQ(program.errorOf("f", {z, program.numbers({3})}),
            "'varve.route_hash' op expected token ids below 3 but got 3 "
            "(token 0)\n");
  EXPECT_EQ(program.errorOf("f", {z, program.numbers({2})}),
            "'varve.route_hash' op expected experts below 3 in the routing "
            "table but got 3 (token id 2)\n");
}

//===----------------------------------------------------------------------===//
// Linear maps
//===----------------------------------------------------------------------===//

TEST(GroupedLinearOp, MultipliesEveryGroupWithItsOwnRows) {
  // 2 groups of 4 inputs (a group is one of two heads' pairs) and 3 outputs.
  Program program(R"mlir(
    func.func @f(%x: tensor<?x4x2xf32>) -> tensor<?x6xf32> {
      %w = varve.weight "wo_a" : tensor<6x4xf32>
      %y = varve.grouped_linear %x, %w groups 2
          : (tensor<?x4x2xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
      return %y : tensor<?x6xf32>
    })mlir");
  std::vector<float> w = randomFloats(24, 1), x = randomFloats(24, 2);
  program.weights.add("wo_a", w);
  std::vector<double> expected;
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t n = 0; n < 6; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < 4; ++k)
        sum += double(x[t * 8 + n / 3 * 4 + k]) * w[n * 4 + k];
      expected.push_back(sum);
    }
  expectNear(program.call("f", {program.floats({3, 4, 2}, x)})[0].floats(),
             expected);
}

TEST(LinearOp, RoundsItsResultToItsElementType) {
  Program program(R"mlir(
    func.func @f(%x: tensor<?x2xf32>) -> (tensor<?x1xbf16>, tensor<?x1xf16>) {
      %w = varve.weight "w" : tensor<1x2xf32>
      %b = varve.linear %x, %w
          : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xbf16>
      %h = varve.linear %x, %w
          : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf16>
      return %b, %h : tensor<?x1xbf16>, tensor<?x1xf16>
    })mlir");
  program.weights.add("w", {1, 1});
  // Just above, at (to even), and just below half a step of each type.
  auto results = program.call(
      "f", {program.floats({4, 2}, {1, 0x1.02p-8f, 1, 0x1p-8f, //
                                    1, 0x1.008p-11f, 1, 0x1p-11f})});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(floatsOf(results[0]), (std::vector<float>{1 + 0x1p-7f, 1, 1, 1}));
  EXPECT_EQ(floatsOf(results[1]),
            (std::vector<float>{1 + 0x1p-8f, 1 + 0x1p-8f, 1 + 0x1p-10f, 1}));
}

} // namespace
