//===- StoredComparisonTest.cpp - Values inside layers --------------------===//

#include "lib/Check/StoredComparison.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve;

namespace {

/// 1 sequence of 10 tokens.
constexpr int64_t kTokens = 10;

LayerTensor rows(int64_t width, float number) {
  LayerTensor tensor;
  tensor.shape = {1, kTokens, width};
  tensor.numbers.assign(kTokens * width, number);
  return tensor;
}

LayerTensor choices(int64_t places) {
  LayerTensor tensor;
  tensor.shape = {1, kTokens, places};
  for (int64_t i = 0; i < kTokens * places; ++i)
    tensor.choices.push_back(i % places);
  return tensor;
}

struct Outcome {
  std::vector<CheckRow> rows;
  std::vector<std::string> missing;
  std::string error;
};

Outcome compareBoth(Mechanism mechanism, const LayerTensors &expected,
                    const LayerTensors &observed,
                    Accumulation accumulation = Accumulation::F32) {
  Outcome outcome;
  outcome.rows =
      compareStored(mechanism, 4, expected, observed,
                    nativeLimits(accumulation), outcome.missing, outcome.error);
  return outcome;
}

TEST(StoredComparison, NamesAreThoseOfReferences) {
  EXPECT_EQ(inputOf(Mechanism::Attention, 2), "attn.2.input");
  EXPECT_EQ(inputOf(Mechanism::Experts, 11), "moe.11.input");
  EXPECT_EQ(rulesOf(Mechanism::Attention)[1].nameIn(3), "attn.3.q_tail");
  EXPECT_EQ(rulesOf(Mechanism::Experts)[3].nameIn(3), "moe.3.output");
}

TEST(StoredComparison, TailsAreTheLastTokens) {
  LayerTensors observed, expected;
  observed["attn.q"] = rows(4, 1.0f);
  // The first two tokens are not in the tail.
  observed["attn.q"].numbers[0] = observed["attn.q"].numbers[7] = 99.0f;
  expected["attn.q"].shape = {1, 8, 4};
  expected["attn.q"].numbers.assign(32, 1.0f);
  Outcome outcome = compareBoth(Mechanism::Attention, expected, observed);
  ASSERT_EQ(outcome.rows.size(), 1u) << outcome.error;
  EXPECT_EQ(outcome.rows[0].what, "attn.4.q_tail");
  EXPECT_EQ(outcome.rows[0].layer, 4);
  EXPECT_EQ(outcome.rows[0].statistics.positions, 8);
  EXPECT_EQ(outcome.rows[0].statistics.equalElements, 1.0);
  observed["attn.q"].numbers[8] = 99.0f;
  outcome = compareBoth(Mechanism::Attention, expected, observed);
  EXPECT_FALSE(outcome.rows.at(0).passed());
}

TEST(StoredComparison, ScoresOfFewerEntries) {
  LayerTensors observed, expected;
  observed["indexer.scores"] = rows(5, 1.0f);
  expected["indexer.scores"] = rows(3, 1.0f);
  for (int64_t t = 0; t < kTokens; ++t)
    observed["indexer.scores"].numbers[t * 5 + 4] = -7.0f;
  Outcome outcome = compareBoth(Mechanism::Attention, expected, observed);
  ASSERT_EQ(outcome.rows.size(), 1u) << outcome.error;
  EXPECT_TRUE(outcome.rows[0].passed());
  std::swap(expected, observed);
  outcome = compareBoth(Mechanism::Attention, expected, observed);
  EXPECT_EQ(outcome.error, "tensor 'indexer.4.scores': expected the shape [1, "
                           "10, 3], got [1, 10, 5]");
}

TEST(StoredComparison, RowsOfPoolsAreEqualOrAStepAway) {
  LayerTensors observed, expected;
  observed["attn.entries"] = rows(100, 8.0f);
  observed["attn.entries"].codes = CodeKind::E4M3;
  expected["attn.entries"] = rows(100, 8.0f);
  auto check = [&](int64_t changed, float number) {
    LayerTensors other = observed;
    for (int64_t i = 0; i < changed; ++i)
      other["attn.entries"].numbers[i] = number;
    return compareBoth(Mechanism::Attention, expected, other).rows.at(0);
  };
  // Codes behind 8: 9, 10. Two elements of a thousand may be others.
  EXPECT_TRUE(check(2, 9.0f).passed());
  EXPECT_EQ(check(3, 9.0f).violations,
            (std::vector<std::string>{"equal elements 99.70% < 99.80%"}));
  EXPECT_EQ(check(1, 10.0f).violations,
            (std::vector<std::string>{"1 elements off by more than one step"}));
  EXPECT_EQ(check(2, NAN).violations,
            (std::vector<std::string>{"not finite where the reference is",
                                      "2 elements off by more than one step"}));
  observed["attn.entries"].codes = CodeKind::E2M1;
  EXPECT_TRUE(check(1, 12.0f).passed());
  observed["attn.entries"].codes = CodeKind::Plain;
  EXPECT_FALSE(check(1, 9.0f).passed());
}

TEST(StoredComparison, WhatFollowsFromAChoiceWhereItIsTheSame) {
  LayerTensors observed, expected;
  observed["router.indices"] = expected["router.indices"] = choices(2);
  observed["moe.output"] = expected["moe.output"] = rows(4, 1.0f);
  // Another expert at token 3, and another result.
  observed["router.indices"].choices[7] = 5;
  for (int64_t i = 12; i < 16; ++i)
    observed["moe.output"].numbers[i] = 50.0f;
  Outcome outcome = compareBoth(Mechanism::Experts, expected, observed);
  ASSERT_EQ(outcome.rows.size(), 2u);
  EXPECT_EQ(outcome.rows[0].what, "router.4.indices");
  EXPECT_EQ(outcome.rows[0].violations,
            (std::vector<std::string>{"equal elements 95.00% < 100.00%"}));
  EXPECT_EQ(outcome.rows[1].what, "moe.4.output where router.indices agrees");
  EXPECT_EQ(outcome.rows[1].statistics.positions, 9);
  EXPECT_TRUE(outcome.rows[1].passed());
  // Somewhere else it is an error.
  observed["moe.output"].numbers[0] = 50.0f;
  outcome = compareBoth(Mechanism::Experts, expected, observed);
  EXPECT_FALSE(outcome.rows.at(1).passed());
  // The same experts in another order weigh the same.
  observed["router.indices"] = choices(2);
  std::swap(observed["router.indices"].choices[0],
            observed["router.indices"].choices[1]);
  outcome = compareBoth(Mechanism::Experts, expected, observed);
  EXPECT_FALSE(outcome.rows.at(0).passed());
  EXPECT_EQ(outcome.rows.at(1).what, "moe.4.output");
}

TEST(StoredComparison, EntriesAreSetsUnlessScoresAreGiven) {
  LayerTensors observed, expected;
  expected["indexer.topk"] = choices(4);
  // Unused places: not wanted.
  expected["indexer.topk"].choices[3] = -1;
  observed = expected;
  std::swap(observed["indexer.topk"].choices[0],
            observed["indexer.topk"].choices[1]);
  observed["indexer.topk from scores"] = observed["indexer.topk"];
  Outcome outcome = compareBoth(Mechanism::Attention, expected, observed);
  ASSERT_EQ(outcome.rows.size(), 2u);
  EXPECT_TRUE(outcome.rows[0].passed());
  EXPECT_EQ(outcome.rows[1].what, "indexer.4.topk from indexer.4.scores");
  EXPECT_FALSE(outcome.rows[1].passed());
  EXPECT_NEAR(outcome.rows[1].statistics.equalElements, 37.0 / 39, 1e-12);
}

TEST(StoredComparison, WhatNobodyShowsIsNamed) {
  LayerTensors expected;
  expected["router.logits"] = rows(4, 1.0f);
  Outcome outcome = compareBoth(Mechanism::Experts, expected, {});
  EXPECT_TRUE(outcome.rows.empty());
  EXPECT_EQ(outcome.missing, (std::vector<std::string>{"router.4.logits"}));
}

} // namespace
