//===- CompressTest.cpp - Pooling, visibility, windows --------------------===//

#include "lib/Interpret/Reference/Compress.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve::reference;
using std::vector;

namespace {

/// Rows of one token each, owning their numbers.
struct Tokens {
  vector<vector<float>> kv, score;
  void add(vector<float> values, vector<float> scores) {
    kv.push_back(std::move(values));
    score.push_back(std::move(scores));
  }
  /// Rows of tokens [begin, end).
  vector<CompressorRow> rows(size_t begin, size_t end) const {
    vector<CompressorRow> result;
    for (size_t t = begin; t < end; ++t)
      result.push_back({kv[t], score[t]});
    return result;
  }
};

// Specification 5.2, unit check: m = 4, one channel, all scores 0,
// kv^A_t = t, kv^B_t = 100 + t.
TEST(CompressTest, PublishedOverlappingWindows) {
  Tokens tokens;
  for (int t = 0; t < 8; ++t)
    tokens.add({float(t), float(100 + t)}, {0, 0});
  vector<float> entry(1);
  compressPoolOverlapping({}, tokens.rows(0, 4), entry);
  EXPECT_EQ(entry[0], 101.5f);
  compressPoolOverlapping(tokens.rows(0, 4), tokens.rows(4, 8), entry);
  EXPECT_EQ(entry[0], 53.5f);
}

TEST(CompressTest, AbsentPreviousWindowEqualsScoresOfMinusInfinity) {
  Tokens tokens;
  for (int t = 0; t < 4; ++t)
    tokens.add({NAN, NAN, NAN, NAN},
               {-INFINITY, -INFINITY, -INFINITY, -INFINITY});
  for (int t = 4; t < 8; ++t)
    tokens.add({1, 2, 3.0f * t, 4.0f * t}, {9, 9, 0.5f * t, -1.0f * t});
  vector<float> with(2), without(2);
  compressPoolOverlapping(tokens.rows(0, 4), tokens.rows(4, 8), with);
  compressPoolOverlapping({}, tokens.rows(4, 8), without);
  EXPECT_EQ(with, without);
  EXPECT_TRUE(std::isfinite(with[0]));
}

TEST(CompressTest, EveryChannelHasItsOwnSoftmax) {
  Tokens tokens;
  tokens.add({1, 1}, {0, std::log(3.0f)});
  tokens.add({5, 5}, {0, 0});
  vector<float> entry(2);
  compressPool(tokens.rows(0, 2), entry);
  EXPECT_EQ(entry[0], 3.0f);
  EXPECT_NEAR(entry[1], 2.0f, 1e-6); // (3 * 1 + 1 * 5) / 4
}

TEST(CompressTest, LargeScoresDoNotOverflow) {
  Tokens tokens;
  tokens.add({2}, {3e38f});
  tokens.add({4}, {3e38f});
  tokens.add({1e30f}, {-3e38f});
  vector<float> entry(1);
  compressPool(tokens.rows(0, 3), entry);
  EXPECT_EQ(entry[0], 3.0f);
}

TEST(CompressTest, NothingPresentIsZero) {
  Tokens tokens;
  tokens.add({NAN}, {-INFINITY});
  vector<float> entry = {7};
  compressPool(tokens.rows(0, 1), entry);
  EXPECT_EQ(entry[0], 0.0f);
}

TEST(CompressTest, ANaNScoreIsNotHidden) {
  Tokens tokens;
  tokens.add({1}, {NAN});
  tokens.add({2}, {0});
  vector<float> entry(1);
  compressPool(tokens.rows(0, 2), entry);
  EXPECT_TRUE(std::isnan(entry[0]));
}

// Specification A.7.
TEST(CompressTest, PublishedVisibility) {
  EXPECT_EQ(visibleEntries(2, 4), 0);
  EXPECT_EQ(visibleEntries(3, 4), 1);
  EXPECT_EQ(visibleEntries(6, 4), 1);
  EXPECT_EQ(visibleEntries(7, 4), 2);
  EXPECT_EQ(visibleEntries(126, 128), 0);
  EXPECT_EQ(visibleEntries(127, 128), 1);
  for (int64_t ratio : {1, 4, 128})
    for (int64_t t = 0; t < 300; ++t)
      EXPECT_EQ(completesEntry(t, ratio),
                visibleEntries(t, ratio) >
                    (t ? visibleEntries(t - 1, ratio) : 0));
}

// Specification A.7: slots of a ring of 128.
TEST(CompressTest, PublishedWindows) {
  auto slots = [](int64_t position) {
    vector<int64_t> result;
    for (int64_t u : windowPositions(position, 128))
      result.push_back(u < 0 ? -1 : u % 128);
    return result;
  };
  vector<int64_t> t3(128, -1), t127, t128, t300;
  for (int64_t u = 0; u < 4; ++u)
    t3[u] = u;
  for (int64_t u = 0; u < 128; ++u) {
    t127.push_back(u);
    t128.push_back((u + 1) % 128);
    t300.push_back((u + 45) % 128);
  }
  EXPECT_EQ(slots(3), t3);
  EXPECT_EQ(slots(127), t127);
  EXPECT_EQ(slots(128), t128);
  EXPECT_EQ(slots(300), t300);
  EXPECT_EQ(t300.front(), 45);
  EXPECT_EQ(t300.back(), 44);
}

} // namespace
