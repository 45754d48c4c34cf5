//===- AssertTest.cpp - Checks fire, name their place, and can be off -----===//

#include "varve/Support/Assert.h"
#include "gtest/gtest.h"

namespace {

constexpr int checkedHalf(int value) {
  VARVE_ASSERT(value % 2 == 0, "an even number");
  return value / 2;
}

TEST(AssertTest, PassingCheckIsFreeToUseInConstants) {
  static_assert(checkedHalf(4) == 2);
}

TEST(AssertDeathTest, FailingCheckNamesPlaceMessageAndCondition) {
  EXPECT_DEATH(checkedHalf(3),
               "AssertTest\\.cpp:[0-9]+: internal error: an even number "
               "\\(value % 2 == 0 does not hold\\)");
}

TEST(AssertTest, ConditionIsEvaluatedOnce) {
  int evaluations = 0;
  VARVE_ASSERT(++evaluations == 1, "evaluated once");
  EXPECT_EQ(evaluations, 1);
}

} // namespace
