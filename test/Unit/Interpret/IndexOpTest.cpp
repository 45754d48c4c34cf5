//===- IndexOpTest.cpp - index_score, index_topk, take, sample, embed -----===//

#include "test/Unit/Interpret/InterpreterTesting.h"
#include <cmath>

using namespace varve;
using namespace varve::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

const char *const kScore = R"mlir(
  varve.pool @keys entries ratio 2 page 8 : <3 x f32>
  func.func @fill(%k: tensor<?x3xf32>, %starts: tensor<?xi32>,
                  %slots: tensor<?xi32>) {
    varve.append %k to @keys at(%starts, %slots)
        : tensor<?x3xf32>, tensor<?xi32>, tensor<?xi32>
    return
  }
  func.func @f(%q: tensor<?x2x3xf32>, %w: tensor<?x2xf32>,
               %positions: tensor<?xi32>, %slots: tensor<?xi32>)
      -> tensor<?x?xf32> {
    %s = varve.index_score %q, %w keys @keys scale 0.25 at(%positions, %slots)
        : (tensor<?x2x3xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x?xf32>
    return %s : tensor<?x?xf32>
  })mlir";

TEST(IndexScoreOp, ScoresTheVisibleEntriesOfEachSequence) {
  Program program(kScore);
  std::vector<float> keys = randomFloats(5 * 3, 1);
  std::vector<float> q = randomFloats(4 * 6, 2), w = randomFloats(4 * 2, 3);
  // Slot 0 has entries 0 ... 2, slot 1 entries 0 and 1.
  program.call("fill",
               {program.floats({5, 3}, keys), program.numbers({0, 2, 4, 0, 2}),
                program.numbers({0, 0, 0, 1, 1})});
  std::vector<int32_t> positions = {5, 0, 3, 7}, slots = {0, 0, 1, -1};
  auto results = program.call(
      "f", {program.floats({4, 2, 3}, q), program.floats({4, 2}, w),
            program.numbers(positions), program.numbers(slots)});
  ASSERT_EQ(results.size(), 1u);
  // Position 7 sees four entries, of which a token without a slot has none.
  ASSERT_EQ(results[0].getShape(), llvm::ArrayRef<int64_t>({4, 4}));
  for (int64_t t = 0; t < 4; ++t)
    for (int64_t s = 0; s < 4; ++s) {
      bool visible = slots[t] >= 0 && s < (positions[t] + 1) / 2;
      double expected = 0;
      for (int64_t h = 0; visible && h < 2; ++h) {
        double dot = 0;
        for (int64_t c = 0; c < 3; ++c)
          dot +=
              double(q[(t * 2 + h) * 3 + c]) * keys[(slots[t] * 3 + s) * 3 + c];
        expected += 0.25 * w[t * 2 + h] * std::max(0.0, dot);
      }
      if (visible)
        EXPECT_NEAR(results[0].row(t)[s], expected, 1e-6) << t << ' ' << s;
      else
        EXPECT_EQ(results[0].row(t)[s], -kInfinity) << t << ' ' << s;
    }
}

TEST(IndexScoreOp, IsEmptyBeforeTheFirstEntry) {
  Program program(kScore);
  auto results =
      program.call("f", {program.floats({1, 2, 3}, randomFloats(6, 1)),
                         program.floats({1, 2}, {1, 1}), program.numbers({0}),
                         program.numbers({0})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].getShape(), llvm::ArrayRef<int64_t>({1, 0}));
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

TEST(IndexTopkOp, TakesTheLowerOfEqualScores) {
  Program program(R"mlir(
    func.func @f(%s: tensor<?x?xf32>) -> tensor<?x3xi32> {
      %k = varve.index_topk %s k 3 : tensor<?x?xf32>
      return %k : tensor<?x3xi32>
    })mlir");
  float none = -kInfinity;
  auto results =
      program.call("f", {program.floats({5, 4}, {1,    2,     2,    2,    //
                                                 0,    -0.0f, 0,    0,    //
                                                 none, 5,     none, none, //
                                                 none, none,  none, none, //
                                                 3,    none,  4,    3})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(numbersIn(results[0]), (std::vector<int32_t>{1, 2, 3,    //
                                                         0, 1, 2,    //
                                                         1, -1, -1,  //
                                                         -1, -1, -1, //
                                                         2, 0, 3}));
  // Fewer entries than places.
  auto few = program.call("f", {program.floats({1, 2}, {1, 2})});
  ASSERT_EQ(few.size(), 1u);
  EXPECT_EQ(numbersIn(few[0]), (std::vector<int32_t>{1, 0, -1}));
}

const char *const kTake = R"mlir(
  func.func @f(%x: tensor<?x2xf32>, %rows: tensor<?xi32>) -> tensor<?x2xf32> {
    %y = varve.take %x, %rows
        : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32>
  })mlir";

TEST(TakeOp, TakesRowsInAnyOrderAndNumber) {
  Program program(kTake);
  HostTensor x = program.floats({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(floatsOf(program.call("f", {x, program.numbers({2, 0, 2, 1})})[0]),
            (std::vector<float>{5, 6, 1, 2, 5, 6, 3, 4}));
  EXPECT_EQ(program.call("f", {x, program.numbers({})})[0].getNumRows(), 0);
}

TEST(TakeOp, RefusesRowsThatAreNotThere) {
  Program program(kTake);
  HostTensor x = program.floats({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(program.errorOf("f", {x, program.numbers({0, 3})}),
            "'varve.take' op expected row numbers below 3 but got 3\n");
  EXPECT_EQ(program.errorOf("f", {x, program.numbers({-1})}),
            "'varve.take' op expected row numbers below 3 but got -1\n");
}

TEST(EmbedOp, RefusesIdsOutsideTheTable) {
  Program program(R"mlir(
    func.func @f(%ids: tensor<?xi32>) -> tensor<?x2xf32> {
      %w = varve.weight "embed.weight" : tensor<3x2xf32>
      %x = varve.embed %ids, %w
          : (tensor<?xi32>, tensor<3x2xf32>) -> tensor<?x2xf32>
      return %x : tensor<?x2xf32>
    })mlir");
  program.weights.add("embed.weight", {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(floatsOf(program.call("f", {program.numbers({2, 0})})[0]),
            (std::vector<float>{5, 6, 1, 2}));
  EXPECT_EQ(program.errorOf("f", {program.numbers({0, 3})}),
            "'varve.embed' op expected token ids below the vocabulary of 3 but "
            "got 3 (token 1)\n");
  EXPECT_EQ(program.errorOf("f", {program.numbers({-1})}),
            "'varve.embed' op expected token ids below the vocabulary of 3 but "
            "got -1 (token 0)\n");
}

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

TEST(SampleOp, TakesTheLowestOfTheLargestAtTemperatureZero) {
  Program program(R"mlir(
    func.func @f(%logits: tensor<?x3xf32>) -> tensor<?xi32> {
      %ids = varve.sample %logits temperature 0.0 : tensor<?x3xf32>
      return %ids : tensor<?xi32>
    })mlir");
  auto results = program.call(
      "f", {program.floats({3, 3}, {1, 3, 3, -2, -1, -3, 0, 0, 0})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(numbersIn(results[0]), (std::vector<int32_t>{1, 1, 0}));
}

TEST(SampleOp, DrawsFromTheLikeliestOfTheMass) {
  // Probabilities 0.2, 0.5, 0.3 at temperature 2: of 0.7, the prefix is the
  // second and the third, of mass 0.8.
  Program program(R"mlir(
    func.func @f(%logits: tensor<?x3xf32>, %uniform: tensor<?xf32>)
        -> tensor<?xi32> {
      %ids = varve.sample %logits uniform %uniform temperature 2.0 top_p 0.7
          : tensor<?x3xf32>, tensor<?xf32>
      return %ids : tensor<?xi32>
    })mlir");
  std::vector<float> row;
  for (double p : {0.2, 0.5, 0.3})
    row.push_back(2 * std::log(p));
  std::vector<float> logits;
  for (int64_t i = 0; i < 4; ++i)
    llvm::append_range(logits, row);
  auto results =
      program.call("f", {program.floats({4, 3}, logits),
                         program.floats({4}, {0.0f, 0.62f, 0.63f, 0.999f})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(numbersIn(results[0]), (std::vector<int32_t>{1, 1, 2, 2}));
}

} // namespace
