//===- ExpertsTest.cpp - Activation and sum of the experts ----------------===//

#include "lib/Interpret/Reference/Experts.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve::reference;
using llvm::ArrayRef;
using std::vector;

namespace {

// PyTorch 2.11, FP32:
//   silu(u1.clamp(max=10)) * u3.clamp(-10, 10) * 0.3
TEST(SwigluTest, AsPyTorch) {
  const vector<float> u1 = {-12, -1.5, 0, 0.75, 9.5, 10.5},
                      u3 = {2, -11, 3, -0.5, 10.25, 1.25};
  const double expected[] = {
      -4.423805876285769e-05, 0.8209148645401001, 0,
      -0.07640761137008667,   28.497867584228516, 3.7498300075531006};
  vector<float> v(6);
  swiglu(u1, u3, 10.0f, 0.3f, v);
  for (int i = 0; i < 6; ++i)
    EXPECT_FLOAT_EQ(v[i], static_cast<float>(expected[i])) << i;
}

TEST(SwigluTest, GateIsLimitedFromAboveOnly) {
  vector<float> v(1), wide(1);
  // silu(-12) is not silu(-3).
  swiglu({-12.0f}, {1.0f}, 3.0f, std::nullopt, v);
  EXPECT_NEAR(v[0], -12 / (1 + std::exp(12.0)), 1e-9);
  swiglu({12.0f}, {1.0f}, 3.0f, std::nullopt, v);
  EXPECT_NEAR(v[0], 3 / (1 + std::exp(-3.0)), 1e-6);
  swiglu({1.0f}, {-12.0f}, 3.0f, std::nullopt, v);
  swiglu({1.0f}, {-3.0f}, 3.0f, std::nullopt, wide);
  EXPECT_EQ(v, wide);
}

TEST(SwigluTest, LimitOfZeroDoesNotClamp) {
  vector<float> v(1);
  swiglu({20.0f}, {50.0f}, 0.0f, std::nullopt, v);
  EXPECT_NEAR(v[0], 1000, 1e-4);
}

TEST(SwigluTest, ExtremesAndNaN) {
  vector<float> v(3);
  swiglu({-1000.0f, 1000.0f, NAN}, {1.0f, 1.0f, 1.0f}, 10.0f, std::nullopt, v);
  EXPECT_EQ(v[0], 0.0f);
  EXPECT_NEAR(v[1], 10, 1e-3);
  EXPECT_TRUE(std::isnan(v[2]));
}

TEST(CombineTest, AscendingExpertsThenTheSharedOne) {
  const vector<float> small = {1}, large = {0x1p24f}, negative = {-0x1p24f};
  const vector<ArrayRef<float>> rows = {negative, small, large};
  vector<float> y(1);
  // Ascending: large, small, negative: 2^24 + 1 rounds to 2^24.
  combine(rows, {7, 5, 2}, {}, y);
  EXPECT_EQ(y[0], 0.0f);
  // Ascending: large, negative, small.
  combine(rows, {5, 7, 2}, {}, y);
  EXPECT_EQ(y[0], 1.0f);
  // The shared expert is last whatever the numbers.
  const vector<ArrayRef<float>> two = {small, large};
  combine(two, {1, 0}, negative, y);
  EXPECT_EQ(y[0], 0.0f);
}

TEST(CombineTest, SumsRows) {
  const vector<float> a = {1, 2}, b = {10, 20}, shared = {100, 200};
  const vector<ArrayRef<float>> rows = {a, b};
  vector<float> y(2);
  combine(rows, {3, 1}, shared, y);
  EXPECT_EQ(y, (vector<float>{111, 222}));
  combine({}, {}, shared, y);
  EXPECT_EQ(y, shared);
}

} // namespace
