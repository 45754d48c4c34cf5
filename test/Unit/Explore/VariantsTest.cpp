//===- VariantsTest.cpp - Pools as a mix wants them -----------------------===//

#include "lib/Explore/Variants.h"
#include "test/Unit/Explore/ExploreTesting.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::HasSubstr;

namespace {

class Variants : public ExploreFixture {
protected:
  /// Figures of a model at a million tokens under a setting.
  Figures with(llvm::StringRef model, std::vector<Axis> axes) {
    Query query = ask({model.str()});
    query.axes = std::move(axes);
    ExploreResult result = run(query);
    if (result.rows.size() != 1) {
      ADD_FAILURE() << "expected one row";
      return {};
    }
    return result.rows[0].figures;
  }
};

TEST_F(Variants, FormatsOfEntriesKeepTheRotaryPart) {
  // 448 codes, 7 scales of a byte and one of padding, 64 bf16.
  EXPECT_EQ(with("deepseek-v4-flash",
                 {{"pool.entries", {"fp8"}}})[Metric::KvPerToken],
            3514.25);
  // 224 + 14 and padding to 16 + 128 bytes.
  EXPECT_EQ(with("deepseek-v4-flash",
                 {{"pool.entries", {"fp4"}}})[Metric::KvPerToken],
            21 * (368 + 68) / 4.0 + 20 * 368 / 128.0);
}

TEST_F(Variants, FormatsChangeBytesAndNoArithmetic) {
  Figures plain = with("deepseek-v4-flash", {});
  Figures wide = with("deepseek-v4-flash", {{"pool.window", {"bf16"}}});
  EXPECT_EQ(wide[Metric::FixedBytes] - plain[Metric::FixedBytes],
            43 * 128 * (1024 - 584));
  EXPECT_EQ(wide[Metric::FlopsToken], plain[Metric::FlopsToken]);
  EXPECT_EQ(wide[Metric::KvPerToken], plain[Metric::KvPerToken]);
}

TEST_F(Variants, SlidingEvictionBoundsACache) {
  Figures kept = with("gqa-8", {{"select.entries", {"4096"}}});
  EXPECT_EQ(kept[Metric::KvPerToken], 0);
  EXPECT_EQ(kept[Metric::CacheBytes], 61.0 * 4096 * 4096);
  EXPECT_EQ(kept[Metric::AttendedKeys], 61 * 4096);
}

TEST_F(Variants, ScoresCostBytesAndTime) {
  Figures eviction = with("gqa-8", {{"select.entries", {"4096"}}});
  Figures scored = with("gqa-8", {{"select.entries", {"4096:attention"}}});
  // Keys and values each have a pool, and each a score.
  EXPECT_EQ(scored[Metric::CacheBytes],
            eviction[Metric::CacheBytes] + 61.0 * 2 * 4096 * 4);
  EXPECT_GT(scored[Metric::PoolBytesRead], eviction[Metric::PoolBytesRead]);
  Figures rare = with("gqa-8", {{"select.entries", {"4096:key:4096"}}});
  Figures often = with("gqa-8", {{"select.entries", {"4096:key:16"}}});
  EXPECT_LT(rare[Metric::StepMs], often[Metric::StepMs]);
}

TEST_F(Variants, SelectionsComposeWithMixes) {
  Query query = ask({"deepseek-v4-flash"});
  query.layers = {"SS(CH)*C", "(CH)21C"};
  query.axes = {{"select.entries", {"1024", "4096"}},
                {"pool.keys", {"fp4", "fp8"}}};
  EXPECT_EQ(run(query).rows.size(), 8u);
}

TEST_F(Variants, OnlyKeysOfAnIndexerAreKeys) {
  Figures plain = with("gqa-8", {});
  EXPECT_EQ(with("gqa-8", {{"pool.keys", {"fp4"}}})[Metric::KvPerToken],
            plain[Metric::KvPerToken]);
}

TEST(VariantSettings, AreChecked) {
  auto errorOf = [](std::string name, std::string value) {
    return llvm::toString(checkVariantSetting({name, value}));
  };
  EXPECT_EQ(errorOf("pool.keys", "fp4"), "");
  EXPECT_EQ(errorOf("select.window", "64:key:8"), "");
  EXPECT_THAT(errorOf("pool.states", "fp4"),
              HasSubstr("expected pool.window, pool.entries or pool.keys"));
  EXPECT_THAT(
      errorOf("pool.keys", "int4"),
      HasSubstr("set 'pool.keys=int4': expected f32, bf16, fp8 or fp4"));
  for (std::string value : {"", "0", "x", "4:best", "4:key:0", "4:key:x"})
    EXPECT_THAT(errorOf("select.keys", value),
                HasSubstr("KEEP[:SCORE[:EVERY]]"))
        << value;
}

} // namespace
