//===- OverridesTest.cpp - name=value on a configuration -------*- C++ -*-===//
#include "lib/Model/Overrides.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/Validate.h"
#include "test/Unit/Model/ModelTesting.h"
#include "llvm/ADT/STLExtras.h"

using namespace varve;
using llvm::StringRef;

namespace {
ModelConfig tiny() { return valueOf(loadBuiltinConfig("tiny")); }

/// The model after one override, which must work.
ModelConfig after(StringRef override) {
  ModelConfig config = tiny();
  EXPECT_EQ(messageOf(applyOverride(config, override)), "");
  return config;
}

std::string errorOf(StringRef override) {
  ModelConfig config = tiny();
  std::string message = messageOf(applyOverride(config, override));
  EXPECT_EQ(describeLayers(config), describeLayers(tiny()));
  return message;
}

TEST(OverridesTest, setsEveryKindOfField) {
  EXPECT_EQ(after("index_topk=256").indexTopk, 256);
  EXPECT_EQ(after("sliding_window=64").window, 64);
  EXPECT_EQ(after("window=64").window, 64);
  EXPECT_EQ(after("rms_norm_eps=1e-5").normEpsilon, 1e-5);
  EXPECT_EQ(after("norm_topk_prob=false").normalizeRouteWeights, false);
  EXPECT_EQ(after("scoring_func=sigmoid").scoring, ScoringFunction::Sigmoid);
  EXPECT_EQ(after("rope_theta=5e5").windowRope.theta, 5e5);
  EXPECT_EQ(after("compress_rope_theta=5e5").compressRope.theta, 5e5);
  EXPECT_EQ(after("rope_scaling.factor=2").compressRope.factor, 2);
  EXPECT_EQ(after("rope_scaling.beta_fast=8").compressRope.betaFast, 8);
  EXPECT_EQ(after("expert_dtype=fp8").storage.experts, WeightType::F8E4M3);
  EXPECT_EQ(after("num_nextn_predict_layers=2").draft.mtpLayers, 2);
  EXPECT_EQ(after("eos_token_id=-1").eosTokenId, -1);
}

TEST(OverridesTest, changesLayers) {
  EXPECT_EQ(describeLayers(after("ratio.csa=8")),
            "S/hash S/hash C8 H32 C8 H32");
  EXPECT_EQ(describeLayers(after("ratio.hca=64")),
            "S/hash S/hash C4 H64 C4 H64");
  EXPECT_EQ(describeLayers(after("num_hash_layers=0")), "S S C4 H32 C4 H32");
  EXPECT_EQ(describeLayers(after("num_hash_layers=6")),
            "S/hash S/hash C4/hash H32/hash C4/hash H32/hash");
  EXPECT_EQ(describeLayers(after("num_hidden_layers=6")),
            describeLayers(tiny()));
  ModelConfig config = tiny();
  ASSERT_EQ(messageOf(applyOverrides(config, {}, "H3")), "");
  EXPECT_EQ(messageOf(applyOverride(config, "num_hidden_layers=5")), "");
  EXPECT_EQ(describeLayers(config), "H32/hash H32/hash H32 H32 H32");
}

TEST(OverridesTest, yarnMayBeAdded) {
  ModelConfig config = tiny();
  config.compressRope = plainRope(160000);
  EXPECT_EQ(messageOf(applyOverride(config, "rope_scaling.beta_slow=2")),
            "override 'rope_scaling.beta_slow=2': expected a model with YaRN, "
            "got one without; set rope_scaling.factor first");
  EXPECT_EQ(messageOf(applyOverride(config, "rope_scaling.factor=4")), "");
  EXPECT_EQ(config.compressRope, (RopeConfig{160000, 4, 32, 1, 8192}));
}

TEST(OverridesTest, refusesWhatItCannotRead) {
  EXPECT_EQ(errorOf("index_topk"),
            "override 'index_topk': expected name=value");
  EXPECT_EQ(errorOf("index_top_k=3"),
            "override 'index_top_k=3': unknown name 'index_top_k'; did you "
            "mean 'index_topk'?");
  EXPECT_EQ(errorOf("colour=red"),
            "override 'colour=red': unknown name 'colour'");
  EXPECT_EQ(errorOf("index_topk=many"),
            "override 'index_topk=many': expected an integer, got 'many'");
  EXPECT_EQ(errorOf("index_topk=1.5"),
            "override 'index_topk=1.5': expected an integer, got '1.5'");
  EXPECT_EQ(errorOf("index_topk="),
            "override 'index_topk=': expected an integer, got ''");
  EXPECT_EQ(errorOf("index_topk=99999999999999999999"),
            "override 'index_topk=99999999999999999999': expected an integer, "
            "got '99999999999999999999'");
  EXPECT_EQ(errorOf("hc_eps=small"),
            "override 'hc_eps=small': expected a number, got 'small'");
  EXPECT_EQ(errorOf("norm_topk_prob=1"),
            "override 'norm_topk_prob=1': expected true or false, got '1'");
  EXPECT_EQ(errorOf("scoring_func=relu"),
            "override 'scoring_func=relu': expected sqrtsoftplus, sigmoid or "
            "softmax, got 'relu'");
  EXPECT_EQ(errorOf("expert_dtype=fp6"),
            "override 'expert_dtype=fp6': expected fp4, fp8, bfloat16, float16 "
            "or float32, got 'fp6'");
  EXPECT_EQ(errorOf("num_hash_layers=7"),
            "override 'num_hash_layers=7': expected an integer in [0, 6], got "
            "'7'");
}

TEST(OverridesTest, validatesTheResult) {
  EXPECT_EQ(errorOf("o_groups=3"),
            "override 'o_groups=3': field 'o_groups': expected a divisor of "
            "num_attention_heads (8), got 3");
  EXPECT_EQ(errorOf("window=0"),
            "override 'window=0': field 'sliding_window': expected an integer "
            "in [1, 1048576], got 0");
  EXPECT_EQ(errorOf("hc_eps=nan"), "override 'hc_eps=nan': field 'hc_eps': "
                                   "expected a number in [0, 1], got nan");
  EXPECT_EQ(errorOf("ratio.csa=0"),
            "override 'ratio.csa=0': field 'compress_ratios[2]': expected an "
            "integer in [1, 1048576], got 0");
}

TEST(OverridesTest, anAmbiguousNumberOfLayersNeedsAPattern) {
  EXPECT_EQ(errorOf("num_hidden_layers=5"),
            "override 'num_hidden_layers=5': expected --layers beside it, "
            "because 'SSCHCH' does not say what 5 layers are, for example "
            "--layers='SSCHC'");
  ModelConfig flash = valueOf(loadBuiltinConfig("deepseek-v4-flash"));
  EXPECT_EQ(messageOf(applyOverride(flash, "num_hidden_layers=61")),
            "override 'num_hidden_layers=61': expected --layers beside it, "
            "because 'SS(CH)20C' does not say what 61 layers are, for example "
            "--layers='SS(CH)*C'");
  EXPECT_EQ(
      messageOf(applyOverrides(flash, {"num_hidden_layers=61"}, "SS(CH)*C")),
      "");
  EXPECT_EQ(layerString(flash), "SS(CH)29C");
  EXPECT_EQ(errorOf("num_hidden_layers=0"),
            "override 'num_hidden_layers=0': expected an integer in [1, 1024], "
            "got '0'");
}

TEST(OverridesTest, severalAreValidatedTogether) {
  ModelConfig config = tiny();
  // Neither is valid alone.
  EXPECT_EQ(messageOf(applyOverrides(config,
                                     {"num_attention_heads=9", "o_groups=3"})),
            "");
  EXPECT_EQ(config.numHeads, 9);
  EXPECT_EQ(config.outputGroups, 3);
  EXPECT_EQ(messageOf(applyOverrides(config, {"o_groups=2", "window=8"})),
            "overridden configuration: field 'o_groups': expected a divisor of "
            "num_attention_heads (9), got 2");
  EXPECT_EQ(config.window, 32);
  // Ratios speak about the new layers, in whatever order they are given.
  EXPECT_EQ(messageOf(applyOverrides(config, {"ratio.hca=16"}, "CH")), "");
  EXPECT_EQ(describeLayers(config), "C4/hash H16/hash");
  EXPECT_EQ(messageOf(applyOverrides(config, {"ratio.csa=16"}, "H")),
            "override 'ratio.csa=16': expected a model with such layers, got "
            "'H'");
}

TEST(OverridesTest, namesAreDistinctAndDescribed) {
  std::vector<StringRef> names;
  for (const OverrideName &entry : overrideNames()) {
    EXPECT_FALSE(llvm::is_contained(names, entry.name)) << entry.name.str();
    EXPECT_FALSE(entry.description.empty()) << entry.name.str();
    names.push_back(entry.name);
  }
}

} // namespace
