//===- PublishedTableTest.cpp - The published ratios, computed ------------===//
//
// Golden figures: specification 9.3 (cache at a context of 2^20 tokens) and 9.4
// (operations per decoded token). Of DeepSeek-V3.2 and the models themselves
// only the modules and configurations are given; everything here is asked from
// their ops.
//
// The specification takes rounded parameter counts (37, 49 and 13 billion) for
// the products with weights; the ops count exactly, which moves totals by less
// than half a percent.
//
//===----------------------------------------------------------------------===//

#include "test/Unit/Explore/ExploreTesting.h"

using namespace varve;

namespace {

class PublishedTable : public ExploreFixture {
protected:
  PublishedTable() {
    ExploreResult result = run(ask(
        {"deepseek-v3.2", "deepseek-v4-flash", "deepseek-v4-pro", "gqa-8"}));
    if (result.rows.size() == 4)
      for (const Row &row : result.rows)
        figures[row.mix] = row.figures;
    else
      ADD_FAILURE() << "expected four rows";
  }

  double percent(const Figures &a, const Figures &b, Metric metric) {
    return a[metric] / b[metric] * 100;
  }

  Figures figures[4];
  Figures &v32 = figures[0], &flash = figures[1], &pro = figures[2],
          &gqa = figures[3];
};

TEST_F(PublishedTable, BytesPerToken) {
  EXPECT_EQ(v32[Metric::KvPerToken], 48068); // 61 (656 + 132)
  EXPECT_EQ(flash[Metric::KvPerToken], 3514.25);
  EXPECT_NEAR(pro[Metric::KvPerToken], 5031.4, 0.05);
  EXPECT_EQ(gqa[Metric::KvPerToken], 249856); // 61 * 4096
}

TEST_F(PublishedTable, CacheOfAMillionTokens) {
  auto growing = [](const Figures &f) {
    return f[Metric::CacheBytes] - f[Metric::FixedBytes];
  };
  EXPECT_NEAR(growing(v32) / 1e9, 50.40, 0.005);
  EXPECT_NEAR(growing(pro) / 1e9, 5.276, 0.0005);
  EXPECT_NEAR(growing(flash) / 1e9, 3.685, 0.0005);
  EXPECT_NEAR(growing(flash) / growing(v32) * 100, 7.3, 0.05);
  EXPECT_NEAR(growing(pro) / growing(v32) * 100, 10.5, 0.05);
  EXPECT_NEAR(growing(pro) / growing(gqa) * 100, 2.0, 0.05);
  // Windows and states are counted by cache_bytes, and change no digit.
  EXPECT_NEAR(percent(flash, v32, Metric::CacheBytes), 7.3, 0.05);
  EXPECT_NEAR(percent(pro, v32, Metric::CacheBytes), 10.5, 0.05);
}

TEST_F(PublishedTable, OperationsOfMechanisms) {
  EXPECT_NEAR(v32[Metric::FlopsIndexer] / 1e9, 1048.0, 0.5);
  EXPECT_NEAR(pro[Metric::FlopsIndexer] / 1e9, 128.8, 0.05);
  EXPECT_NEAR(flash[Metric::FlopsIndexer] / 1e9, 90.2, 0.05);
  EXPECT_NEAR(v32[Metric::FlopsAttention] / 1e9, 34.8, 0.05);
  EXPECT_NEAR(pro[Metric::FlopsAttention] / 1e9, 9.1 + 67.6, 0.1);
  // 1.8 and 21.8, and the window of two sliding layers.
  EXPECT_NEAR(flash[Metric::FlopsAttention] / 1e9, 1.8 + 21.8, 0.1);
}

TEST_F(PublishedTable, OperationsOfWeightsAreTheActiveParameters) {
  EXPECT_NEAR(v32[Metric::FlopsWeights] / 2e9, 37, 0.6);
  EXPECT_NEAR(pro[Metric::FlopsWeights] / 2e9, 49, 0.6);
  EXPECT_NEAR(flash[Metric::FlopsWeights] / 2e9, 13, 0.6);
}

TEST_F(PublishedTable, OperationsUncounted) {
  EXPECT_NEAR(percent(flash, v32, Metric::FlopsToken), 12.1, 0.05);
  EXPECT_NEAR(percent(pro, v32, Metric::FlopsToken), 26.2, 0.05);
}

TEST_F(PublishedTable, OperationsWithBf16AttentionTwiceAndF4IndexerHalf) {
  EXPECT_NEAR(percent(flash, v32, Metric::FlopsEquivalent), 9.9, 0.1);
  EXPECT_NEAR(percent(pro, v32, Metric::FlopsEquivalent), 26.5, 0.1);
}

TEST_F(PublishedTable, OneTokenTouchesThePublishedWeightBytes) {
  EXPECT_NEAR(flash[Metric::WeightBytesRead] / 1e9, 11.22, 5e-3);
  EXPECT_NEAR(pro[Metric::WeightBytesRead] / 1e9, 39.67, 5e-3);
}

TEST_F(PublishedTable, Fp8IndexerKeys) {
  Query query = ask({"deepseek-v4-flash", "deepseek-v4-pro"});
  query.axes = {{"pool.keys", {"fp8"}}};
  ExploreResult result = run(query);
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[0].figures[Metric::KvPerToken], 3850.25);
  EXPECT_NEAR(result.rows[1].figures[Metric::KvPerToken], 5511.4, 0.05);
}

TEST_F(PublishedTable, Bf16Caches) {
  Query query = ask({"deepseek-v4-pro", "deepseek-v3.2"});
  query.axes = {{"pool.keys", {"bf16"}}, {"pool.entries", {"bf16"}}};
  ExploreResult result = run(query);
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[0].figures[Metric::KvPerToken], 9848);
  EXPECT_EQ(result.rows[1].figures[Metric::KvPerToken], 85888);
}

} // namespace
