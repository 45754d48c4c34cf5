//===- StepShapeTest.cpp - Sums over the tokens of a step -----------------===//
//
// The closed forms against loops over sequences, tokens and entries.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/VarveCost.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <limits>
#include <vector>

using mlir::varve::OpCost;
using mlir::varve::StepShape;

namespace {

constexpr int64_t kMaxNumber = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxCount = std::numeric_limits<int64_t>::max();

StepShape shape(int64_t tokens, int64_t sequences, int64_t context) {
  StepShape step;
  step.tokens = tokens;
  step.sequences = sequences;
  step.context = context;
  return step;
}

/// Decode, prefill from nothing, chunks that start and end anywhere relative to
/// the windows of all ratios, alone and batched.
std::vector<StepShape> shapes() {
  std::vector<StepShape> all;
  for (int64_t sequences : {1, 3})
    for (int64_t perSequence : {1, 2, 3, 4, 5, 7, 8, 127, 128, 129, 300})
      for (int64_t before : {0, 1, 2, 3, 4, 5, 7, 8, 9, 126, 127, 128, 511})
        all.push_back(
            shape(sequences * perSequence, sequences, before + perSequence));
  return all;
}

/// Calls `visit(position)` for every token of the step.
template <typename Visit>
void forEachPosition(const StepShape &step, Visit visit) {
  for (int64_t sequence = 0; sequence < step.sequences; ++sequence)
    for (int64_t i = 0; i < step.tokens / step.sequences; ++i)
      visit(step.context - step.tokens / step.sequences + i);
}

/// Entries of ratio m whose last token is at most at `position`.
int64_t countVisible(int64_t position, int64_t m) {
  int64_t visible = 0;
  while ((visible + 1) * m - 1 <= position)
    ++visible;
  return visible;
}

TEST(StepShape, VisibleEntriesAreThoseWhoseLastTokenHasBeenProcessed) {
  for (const StepShape &step : shapes())
    for (int64_t m : {1, 2, 3, 4, 7, 128, 1000}) {
      int64_t expected = 0;
      forEachPosition(step, [&](int64_t p) { expected += countVisible(p, m); });
      EXPECT_EQ(step.visibleEntries(m), expected)
          << step.tokens << " tokens, context " << step.context << ", m " << m;
    }
}

TEST(StepShape, SelectedEntriesAreCappedPerToken) {
  for (const StepShape &step : shapes())
    for (int64_t m : {1, 3, 4, 128})
      for (int64_t k : {1, 2, 5, 32, 512}) {
        int64_t expected = 0;
        forEachPosition(step, [&](int64_t p) {
          expected += std::min(countVisible(p, m), k);
        });
        EXPECT_EQ(step.selectedEntries(m, k), expected)
            << step.tokens << " tokens, context " << step.context << ", m " << m
            << ", k " << k;
      }
}

TEST(StepShape, WindowKeysAreTheLastPositionsWithTheQuerys) {
  for (const StepShape &step : shapes())
    for (int64_t W : {1, 2, 8, 128, 1000}) {
      int64_t expected = 0;
      forEachPosition(step, [&](int64_t p) {
        for (int64_t key = std::max<int64_t>(0, p - W + 1); key <= p; ++key)
          ++expected;
      });
      EXPECT_EQ(step.windowKeys(W), expected)
          << step.tokens << " tokens, context " << step.context << ", W " << W;
    }
}

TEST(StepShape, EntriesAreCompletedByTheLastTokenOfTheirWindow) {
  for (const StepShape &step : shapes())
    for (int64_t m : {1, 2, 3, 4, 7, 128, 1000}) {
      int64_t expected = 0;
      forEachPosition(step, [&](int64_t p) { expected += (p + 1) % m == 0; });
      EXPECT_EQ(step.completedEntries(m), expected)
          << step.tokens << " tokens, context " << step.context << ", m " << m;
    }
}

TEST(StepShape, PrefillOfAMillionTokensIsExact) {
  constexpr int64_t T = 1 << 20;
  StepShape step = shape(T, 1, T);
  int64_t visible = 0, selected = 0;
  for (int64_t p = 0; p < T; ++p) {
    visible += (p + 1) / 4;
    selected += std::min<int64_t>((p + 1) / 4, 1024);
  }
  EXPECT_EQ(step.visibleEntries(4), visible);
  EXPECT_EQ(step.selectedEntries(4, 1024), selected);
}

TEST(StepShape, TheLargestStepDoesNotOverflow) {
  StepShape step = shape(kMaxNumber, 1, kMaxNumber);
  ASSERT_FALSE(static_cast<bool>(step.check()));
  // N (N + 1) / 2 with N = 2^31 - 1.
  EXPECT_EQ(step.visibleEntries(1), kMaxNumber * (int64_t(1) << 30));
  EXPECT_EQ(step.windowKeys(kMaxNumber), kMaxNumber * (int64_t(1) << 30));
  EXPECT_EQ(step.selectedEntries(kMaxNumber, kMaxNumber), 1);
  EXPECT_EQ(step.completedEntries(1), kMaxNumber);
}

TEST(StepShape, ManySequencesAtTheLongestContextAreExact) {
  StepShape step = shape(1 << 30, 1 << 30, kMaxNumber);
  ASSERT_FALSE(static_cast<bool>(step.check()));
  EXPECT_EQ(step.visibleEntries(1), (int64_t(1) << 30) * kMaxNumber);
}

TEST(OpCost, SumsSaturate) {
  OpCost cost;
  cost.flopsBF16 = kMaxCount - 1;
  cost.flopsF32 = 5;
  cost.poolBytesRead = kMaxCount;
  cost.weightBytes = 1;
  EXPECT_EQ(cost.flops(), kMaxCount);
  EXPECT_EQ(cost.bytes(), kMaxCount);
  OpCost twice = cost;
  twice += cost;
  EXPECT_EQ(twice.flopsBF16, kMaxCount);
  EXPECT_EQ(twice.flopsF32, 10);
  EXPECT_EQ(twice.weightBytes, 2);
}

TEST(OpCost, SumAddsEveryField) {
  OpCost a{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  OpCost b{10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110};
  a += b;
  EXPECT_EQ(a.flopsF32, 11);
  EXPECT_EQ(a.flopsBF16, 22);
  EXPECT_EQ(a.flopsF8, 33);
  EXPECT_EQ(a.flopsF4, 44);
  EXPECT_EQ(a.weightBytes, 55);
  EXPECT_EQ(a.activationBytesRead, 66);
  EXPECT_EQ(a.activationBytesWritten, 77);
  EXPECT_EQ(a.poolBytesRead, 88);
  EXPECT_EQ(a.poolBytesWritten, 99);
  EXPECT_EQ(a.productFlops, 110);
  EXPECT_EQ(a.windowBytesRead, 121);
  EXPECT_EQ(a.flops(), 11 + 22 + 33 + 44);
  EXPECT_EQ(a.bytes(), 55 + 66 + 77 + 88 + 99);
}

//===----------------------------------------------------------------------===//
// StepShape::check
//===----------------------------------------------------------------------===//

std::string problemOf(const StepShape &step) {
  return llvm::toString(step.check());
}

TEST(StepShapeCheck, AcceptsDecodePrefillAndBatches) {
  EXPECT_EQ(problemOf(StepShape()), "");
  EXPECT_EQ(problemOf(shape(5, 1, 5)), "");
  EXPECT_EQ(problemOf(shape(12, 4, 3)), "");
}

TEST(StepShapeCheck, RefusesNumbersThatAreNotPositiveI32) {
  EXPECT_EQ(problemOf(shape(0, 1, 1)),
            "expected a positive i32 number as the step's tokens but got 0");
  EXPECT_EQ(problemOf(shape(1, 0, 1)),
            "expected a positive i32 number as the step's sequences but got 0");
  EXPECT_EQ(problemOf(shape(1, 1, -1)),
            "expected a positive i32 number as the step's context but got -1");
  EXPECT_EQ(problemOf(shape(1, 1, kMaxNumber + 1)),
            "expected a positive i32 number as the step's context but got "
            "2147483648");
}

TEST(StepShapeCheck, RefusesUnequalSequences) {
  EXPECT_EQ(problemOf(shape(5, 2, 8)),
            "expected sequences of equally many tokens in a step but got 5 "
            "tokens of 2 sequences");
}

TEST(StepShapeCheck, RefusesTokensBeforePositionZero) {
  EXPECT_EQ(problemOf(shape(8, 2, 3)),
            "expected a context of at least the 4 tokens that the step adds to "
            "a sequence but got 3");
}

TEST(StepShapeCheck, RefusesMoreLogitsThanTokens) {
  StepShape step = shape(4, 1, 4);
  step.logitRows = 5;
  EXPECT_EQ(problemOf(step),
            "expected logits for at most the 4 tokens of a step but got 5");
  step.logitRows = -1;
  EXPECT_EQ(problemOf(step),
            "expected logits for at most the 4 tokens of a step but got -1");
  step.logitRows = 0;
  EXPECT_EQ(problemOf(step), "");
}

} // namespace
