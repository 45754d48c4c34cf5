//===- RulesTest.cpp - Mixes that make no sense ---------------------------===//

#include "lib/Explore/Rules.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/Overrides.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::HasSubstr;

namespace {

std::optional<Refusal> check(std::vector<std::string> overrides,
                             std::vector<Setting> settings = {}) {
  ModelConfig config = llvm::cantFail(loadBuiltinConfig("deepseek-v4-flash"));
  for (const std::string &override : overrides)
    llvm::cantFail(assignOverride(config, override));
  return checkMix(config, settings);
}

TEST(Rules, ReleasedModelsPass) {
  for (llvm::StringRef name : {"deepseek-v4-flash", "deepseek-v4-pro", "tiny"})
    EXPECT_FALSE(
        checkMix(llvm::cantFail(loadBuiltinConfig(name)), {}).has_value());
}

TEST(Rules, ACsaLayerNeedsAnIndexer) {
  auto refusal = check({"index_n_heads=0"});
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->op, "layers.2.attn.indexer.score (varve.index_score)");
  EXPECT_THAT(refusal->rule, HasSubstr("to have an indexer that picks its "
                                       "entries, but got index_n_heads=0"));
  EXPECT_THAT(refusal->remedy, HasSubstr("make it an H layer of ratio 4"));
  EXPECT_TRUE(check({"index_topk=0"}));
  EXPECT_TRUE(check({"index_head_dim=0"}));
  EXPECT_TRUE(check({}, {{"indexer.csa", "false"}}));
  EXPECT_FALSE(check({}, {{"indexer.csa", "true"}}));
}

TEST(Rules, AnHcaLayerHasNoIndexer) {
  auto refusal = check({}, {{"indexer.hca", "true"}});
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->op, "layers.3.attn.core (varve.sparse_attention)");
  EXPECT_THAT(refusal->rule, HasSubstr("to read all of its entries, but got "
                                       "one with an indexer"));
  EXPECT_THAT(refusal->remedy, HasSubstr("make it a C layer of ratio 128"));
  EXPECT_FALSE(check({}, {{"indexer.hca", "false"}}));
}

TEST(Rules, ARatioDividesThePage) {
  auto refusal = check({"ratio.csa=3"});
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->op, "layers.2.attn.entries (varve.pool)");
  EXPECT_THAT(refusal->rule,
              HasSubstr("divides the page of 256 tokens (C2), which all entry "
                        "pools share, but got 3"));
  EXPECT_EQ(refusal->remedy, "take 2 or 4");
  EXPECT_EQ(check({"ratio.hca=512"})->remedy, "take 256");
  EXPECT_EQ(check({"ratio.hca=0"})->remedy, "take 1 or 2");
  EXPECT_FALSE(check({"ratio.hca=256"}));
}

TEST(Rules, AWindowHoldsTheQuery) {
  auto refusal = check({"window=0"});
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->op, "layers.0.attn.window (varve.pool)");
  EXPECT_THAT(refusal->rule, HasSubstr("at least 1 token, the query's own, but "
                                       "got 0 (C1)"));
  EXPECT_THAT(refusal->remedy, HasSubstr("set window=1 or more"));
  EXPECT_FALSE(check({"window=1"}));
}

TEST(Rules, ATopkIsAmongTheEntries) {
  auto refusal = check({"index_topk=262145"});
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->op, "layers.2.attn.indexer.topk (varve.index_topk)");
  EXPECT_THAT(refusal->rule,
              HasSubstr("at most the 262144 entries that 1048576 positions at "
                        "ratio 4 have, but got 262145"));
  EXPECT_THAT(refusal->remedy, HasSubstr("set index_topk=262144 or less"));
  EXPECT_FALSE(check({"index_topk=262144"}));
}

TEST(Rules, OtherFieldsAreValidated) {
  auto refusal = check({"o_groups=7"});
  ASSERT_TRUE(refusal);
  EXPECT_THAT(refusal->getText(),
              HasSubstr("field 'o_groups': expected a divisor of "
                        "num_attention_heads (64), got 7; change"));
}

} // namespace
