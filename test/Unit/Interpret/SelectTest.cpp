//===- SelectTest.cpp - Scores, orders, weights, samples ------------------===//

#include "lib/Interpret/Reference/Select.h"
#include "test/Unit/Interpret/Inputs.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve::reference;
using std::vector;

namespace {

//===----------------------------------------------------------------------===//
// Indexer
//===----------------------------------------------------------------------===//

// PyTorch 2.11 on BF16 tensors: dots, their products with the weights and the
// sum are BF16 tensors; in FP32 the score is another number.
TEST(IndexScoreTest, EachStepRoundedAsPyTorchDoes) {
  vector<float> q = wave(4 * 8, 29, 11), key = wave(8, 11, 50),
                weights = wave(4, 23, 9);
  EXPECT_EQ(indexScore(q, key, weights, 0.011048543f, Rounding::BF16),
            -0.00390625f);
  EXPECT_NEAR(indexScore(q, key, weights, 0.011048543f, Rounding::None),
              -0.003970570862, 1e-9);
}

// The same for 64 keys and 8 heads of 16: the BF16 codes of the scores as
// h = (31 h + code) mod 2^32. Differs when any of the four steps does not
// round.
TEST(IndexScoreTest, ManyKeysAsPyTorchDoes) {
  vector<float> q = wave(8 * 16, 29, 11), keys = wave(64 * 16, 37, 11),
                weights = wave(8, 23, 9);
  for (float &weight : weights)
    weight *= 3;
  uint32_t hash = 0;
  for (int s = 0; s < 64; ++s) {
    llvm::ArrayRef<float> key = llvm::ArrayRef<float>(keys).slice(s * 16, 16);
    hash = hash * 31 + varve::floatToBf16(indexScore(
                           q, key, weights, 0.011048543f, Rounding::BF16));
  }
  EXPECT_EQ(hash, 0x870879D0u);
}

TEST(IndexScoreTest, ReluBeforeTheWeight) {
  const vector<float> q = {1, 0, -1, 0, 0, 1}, key = {2, 3};
  // Dots 2, -2, 3.
  EXPECT_EQ(indexScore(q, key, {1.0f, 1.0f, 1.0f}, 1.0f, Rounding::None), 5);
  EXPECT_EQ(indexScore(q, key, {-1.0f, -1.0f, 0.5f}, 1.0f, Rounding::None),
            -0.5f);
}

TEST(TopkTest, BestFirstAndTiesByLowerNumber) {
  vector<int32_t> indices(4);
  topk({1.0f, 5.0f, 3.0f, 5.0f, 3.0f, -2.0f}, indices);
  EXPECT_EQ(indices, (vector<int32_t>{1, 3, 2, 4}));
  vector<int32_t> zeros(3);
  topk({-0.0f, 0.0f, -0.0f}, zeros);
  EXPECT_EQ(zeros, (vector<int32_t>{0, 1, 2}));
}

TEST(TopkTest, ATieAtTheCutGoesToTheLowerNumber) {
  vector<int32_t> indices(3);
  topk(vector<float>(100, 0.5f), indices);
  EXPECT_EQ(indices, (vector<int32_t>{0, 1, 2}));
}

TEST(TopkTest, InvisibleEntriesAreNeverSelected) {
  vector<int32_t> indices(4);
  topk({-INFINITY, -7.0f, NAN, INFINITY, -INFINITY}, indices);
  EXPECT_EQ(indices, (vector<int32_t>{3, 1, -1, -1}));
  topk({}, indices);
  EXPECT_EQ(indices, (vector<int32_t>(4, -1)));
}

//===----------------------------------------------------------------------===//
// Router
//===----------------------------------------------------------------------===//

// Specification A.6.
TEST(RouteTest, PublishedScores) {
  const vector<float> z = {-5, -1, 0, 1, 5};
  const double expected[] = {0.0819472, 0.5596979, 0.8325546, 1.1459763,
                             2.2375691};
  vector<float> a(5);
  routeScore(z, Scoring::SqrtSoftplus, a);
  for (int e = 0; e < 5; ++e)
    EXPECT_NEAR(a[e], expected[e], 6e-8) << z[e];
}

// PyTorch 2.11 in float64.
TEST(RouteTest, ScoresOfPyTorch) {
  const vector<float> z = {-100, -20, -5, -1, 0, 1, 5, 19, 21, 100};
  const double softplus[] = {1.9287498479639178e-22, 4.5399929739090794e-05,
                             0.08194722990509239,    0.5596978537731075,
                             0.8325546111576978,     1.145976303209723,
                             2.237569071221963,      4.358898944183358,
                             4.58257569495584,       10.0};
  const double sigmoid[] = {3.7200759760208356e-44,
                            2.0611536181902037e-09,
                            0.0066928509242848554,
                            0.2689414213699951,
                            0.5,
                            0.7310585786300049,
                            0.9933071490757153,
                            0.9999999943972036,
                            0.9999999992417439,
                            1.0};
  vector<float> a(10);
  routeScore(z, Scoring::SqrtSoftplus, a);
  for (int e = 0; e < 10; ++e)
    EXPECT_EQ(a[e], static_cast<float>(softplus[e])) << z[e];
  routeScore(z, Scoring::Sigmoid, a);
  for (int e = 0; e < 10; ++e)
    EXPECT_EQ(a[e], static_cast<float>(sigmoid[e])) << z[e];

  const double softmax[] = {0.08997599182352128, 0.6648376511409242,
                            0.2445801035714575, 0.0006062534640970338};
  vector<float> p(4);
  routeScore({1.0f, 3.0f, 2.0f, -4.0f}, Scoring::Softmax, p);
  for (int e = 0; e < 4; ++e)
    EXPECT_EQ(p[e], static_cast<float>(softmax[e])) << e;
}

TEST(RouteTest, ExtremeLogitsStayFinite) {
  vector<float> a(2);
  for (Scoring scoring :
       {Scoring::SqrtSoftplus, Scoring::Sigmoid, Scoring::Softmax}) {
    routeScore({3e38f, -3e38f}, scoring, a);
    EXPECT_TRUE(std::isfinite(a[0]));
    EXPECT_EQ(a[1], 0.0f);
  }
}

TEST(RouteTest, BiasSelectsButDoesNotWeigh) {
  const vector<float> a = {1, 2, 3, 4}, bias = {10, 0, 0, -10};
  vector<int32_t> ids(2);
  vector<float> weights(2);
  routeTopk(a, bias, {.normalize = true, .scale = 1.5f}, ids, weights);
  EXPECT_EQ(ids, (vector<int32_t>{0, 2}));
  EXPECT_EQ(weights, (vector<float>{0.375f, 1.125f}));
  routeTopk(a, {}, {.normalize = false, .scale = 2.0f}, ids, weights);
  EXPECT_EQ(ids, (vector<int32_t>{3, 2}));
  EXPECT_EQ(weights, (vector<float>{8, 6}));
}

TEST(RouteTest, TiesGoToTheLowerExpert) {
  vector<int32_t> ids(3);
  vector<float> weights(3);
  routeTopk({1, 2, 1, 2, 2}, {}, {}, ids, weights);
  EXPECT_EQ(ids, (vector<int32_t>{1, 3, 4}));
}

TEST(RouteTest, TableChoosesInItsOwnOrder) {
  vector<float> weights(3);
  routeWeights({1, 2, 3, 4}, {3, 0, 2}, {.normalize = true, .scale = 1.0f},
               weights);
  EXPECT_EQ(weights, (vector<float>{0.5f, 0.125f, 0.375f}));
}

TEST(RouteTest, AllScoresZeroGiveWeightsZero) {
  vector<float> weights(2);
  routeWeights({0, 0, 1}, {0, 1}, {.normalize = true, .scale = 1.5f}, weights);
  EXPECT_EQ(weights, (vector<float>{0, 0}));
}

TEST(RouteTest, ThereAreAlwaysDistinctExperts) {
  vector<int32_t> ids(3);
  vector<float> weights(3);
  routeTopk({NAN, NAN, 1, -INFINITY}, {}, {}, ids, weights);
  EXPECT_EQ(ids, (vector<int32_t>{2, 3, 0}));
}

TEST(RouteDeathTest, ExpertNumbersAreChecked) {
  vector<float> weights(1);
  EXPECT_DEATH(routeWeights({1, 2}, {2}, {}, weights), "expert number");
  EXPECT_DEATH(routeWeights({1, 2}, {-1}, {}, weights), "expert number");
}

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

TEST(SampleTest, GreedyTakesTheLowestOfTheLargest) {
  EXPECT_EQ(sampleGreedy({1, 7, 3, 7}), 1);
  EXPECT_EQ(sampleGreedy({-INFINITY, NAN, -3}), 2);
  EXPECT_EQ(sampleGreedy({NAN, NAN}), 0);
}

/// Probabilities 1/8, 1/2, 1/8, 1/4.
vector<float> eighths() {
  return {std::log(1.0f), std::log(4.0f), std::log(1.0f), std::log(2.0f)};
}

TEST(SampleTest, InverseOfTheCumulativeDistribution) {
  // Order: 1 (1/2), 3 (1/4), 0 (1/8), 2 (1/8).
  const std::pair<double, int32_t> cases[] = {
      {0.0, 1},  {0.49, 1}, {0.51, 3}, {0.74, 3},
      {0.76, 0}, {0.87, 0}, {0.88, 2}, {0.9999999, 2}};
  for (auto [uniform, id] : cases)
    EXPECT_EQ(sampleTopP(eighths(), 1.0, 1.0, uniform), id) << uniform;
}

TEST(SampleTest, TopPKeepsTheShortestSufficientPrefix) {
  // 0.7 needs {1, 3}: mass 3/4, of which id 1 has two thirds.
  EXPECT_EQ(sampleTopP(eighths(), 1.0, 0.7, 0.66), 1);
  EXPECT_EQ(sampleTopP(eighths(), 1.0, 0.7, 0.67), 3);
  EXPECT_EQ(sampleTopP(eighths(), 1.0, 0.7, 0.999999), 3);
  // 0.49 needs only the first.
  EXPECT_EQ(sampleTopP(eighths(), 1.0, 0.49, 0.999999), 1);
  EXPECT_EQ(sampleTopP(eighths(), 1.0, 1e-9, 0.999999), 1);
}

TEST(SampleTest, TemperatureDividesTheLogits) {
  // At 1/2 the weights are squared: 1, 16, 1, 4 of 22.
  EXPECT_EQ(sampleTopP(eighths(), 0.5, 1.0, 15.9 / 22), 1);
  EXPECT_EQ(sampleTopP(eighths(), 0.5, 1.0, 16.1 / 22), 3);
  EXPECT_EQ(sampleTopP(eighths(), 1e-300, 1.0, 0.999999), 1);
  // At a high temperature all ids are equally likely, in order of their p.
  EXPECT_EQ(sampleTopP(eighths(), 1e9, 1.0, 0.6), 0);
}

TEST(SampleTest, FrequenciesFollowTheProbabilities) {
  int counts[4] = {};
  constexpr int draws = 8000;
  for (int i = 0; i < draws; ++i)
    ++counts[sampleTopP(eighths(), 1.0, 1.0, (i + 0.5) / draws)];
  EXPECT_EQ(counts[1], 4000);
  EXPECT_NEAR(counts[3], 2000, 1);
  EXPECT_NEAR(counts[0], 1000, 1);
  EXPECT_NEAR(counts[2], 1000, 1);
}

TEST(SampleTest, LogitsThatAreNoNumbers) {
  const vector<float> logits = {NAN, 0, -INFINITY, 0};
  EXPECT_EQ(sampleTopP(logits, 1.0, 1.0, 0.0), 1);
  EXPECT_EQ(sampleTopP(logits, 1.0, 1.0, 0.999999), 3);
  EXPECT_EQ(sampleTopP({0, INFINITY, INFINITY}, 1.0, 1.0, 0.9), 1);
  EXPECT_EQ(sampleTopP({NAN, -INFINITY}, 1.0, 1.0, 0.9), 1);
}

} // namespace
