//===- PlanTest.cpp - Linear sizes ----------------------------------------===//

#include "runtime/Package/Plan.h"
#include "runtime/Error.h"
#include <gtest/gtest.h>

using namespace varve::runtime;

namespace {

Linear of(int64_t constant, int64_t tokens, int64_t rows, int64_t slots,
          int64_t maxTokens) {
  return {constant, {tokens, rows, slots, 0, 0, maxTokens}};
}

TEST(Linear, EvaluatesAndDetectsOverflow) {
  Sizes sizes;
  sizes[Symbol::Tokens] = 3;
  sizes[Symbol::Slots] = 5;
  EXPECT_EQ(of(7, 2, 9, 10, 0).evaluate(sizes), 7 + 6 + 50);
  EXPECT_FALSE(of(0, INT64_MAX, 0, 0, 0).tryEvaluate(sizes));
  EXPECT_FALSE(of(INT64_MAX, 1, 0, 0, 0).tryEvaluate(sizes));
  EXPECT_THROW(of(0, INT64_MAX, 0, 0, 0).evaluate(sizes), Error);
  EXPECT_FALSE(of(1, 0, 0, 0, 0).plus(of(INT64_MAX, 0, 0, 0, 0)));
  EXPECT_FALSE(of(0, 0, 0, 2, 0).times(INT64_MAX));
}

TEST(Linear, ComparesForAllSizes) {
  EXPECT_TRUE(of(0, 1, 0, 0, 0).isAtMost(of(0, 0, 0, 0, 1)));
  EXPECT_TRUE(of(0, 1, 1, 0, 0).isAtMost(of(0, 0, 0, 0, 2)));
  EXPECT_FALSE(of(0, 1, 1, 0, 0).isAtMost(of(0, 0, 0, 0, 1)));
  EXPECT_FALSE(of(0, 0, 0, 0, 1).isAtMost(of(0, 1, 0, 0, 0)));
  // There is at least one of everything but rows.
  EXPECT_TRUE(of(5, 0, 0, 0, 0).isAtMost(of(0, 0, 0, 5, 0)));
  EXPECT_FALSE(of(6, 0, 0, 0, 0).isAtMost(of(0, 0, 0, 5, 0)));
  EXPECT_TRUE(of(3, 0, 0, 0, 0).isAtMost(of(0, 3, 0, 0, 0)));
  EXPECT_FALSE(of(1, 0, 0, 0, 0).isAtMost(of(0, 0, 3, 0, 0)));
  EXPECT_TRUE(of(4, 0, 0, 2, 0).isAtMost(of(4, 0, 0, 3, 0)));
  EXPECT_FALSE(of(INT64_MIN, 0, 0, 0, 0).isAtMost(of(0, 0, 0, 0, 0)));
  EXPECT_TRUE(of(0, 0, 0, 0, 0).isNonNegative());
  EXPECT_FALSE(of(-1, 0, 0, 0, 0).isNonNegative());
}

TEST(Linear, Reads) {
  EXPECT_EQ(of(0, 0, 0, 128, 1).str(), "128 slots + max_tokens");
  EXPECT_EQ(of(-136, 0, 584, 0, 0).str(), "584 rows - 136");
  EXPECT_EQ(of(0, 0, 0, 0, 0).str(), "0");
  EXPECT_EQ(of(0, -1, 0, 0, 0).str(), "-tokens");
}

TEST(TensorType, Bytes) {
  TensorType packed{Element::F4E2M1,
                    {Linear::ofSymbol(Symbol::Tokens), Linear::ofConstant(6)}};
  EXPECT_EQ(packed.getBytes()->str(), "3 tokens");
  EXPECT_EQ(packed.str(), "tokens x 6 x f4E2M1FN");
  TensorType square{
      Element::F32,
      {Linear::ofSymbol(Symbol::Tokens), Linear::ofSymbol(Symbol::Tokens)}};
  EXPECT_FALSE(square.getBytes());
  TensorType large{
      Element::F32,
      {Linear::ofSymbol(Symbol::Tokens), Linear::ofConstant(INT64_MAX)}};
  EXPECT_FALSE(large.getBytes());
}

TEST(Storage, IsAsLargeAsItsLargestTerm) {
  Sizes most;
  most[Symbol::Tokens] = 100;
  Storage storage;
  storage.terms = {{of(0, 10, 0, 0, 0), {}},
                   {of(0, 1000, 0, 0, 0), {{Symbol::Tokens, 4}}}};
  EXPECT_EQ(storage.evaluate(most), 4000);
  most[Symbol::Tokens] = 2;
  EXPECT_EQ(storage.evaluate(most), 2000);
  EXPECT_EQ(Storage().evaluate(most), 0);
}

} // namespace
