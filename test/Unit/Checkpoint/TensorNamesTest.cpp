//===- TensorNamesTest.cpp - Official names and their variants ------------===//

#include "lib/Checkpoint/TensorNames.h"
#include "lib/Checkpoint/Safetensors.h"
#include "test/Unit/Checkpoint/CheckpointTestUtils.h"

using namespace varve;
using namespace varve::test;

namespace {

struct Pair {
  const char *official;
  const char *module;
};

/// What transformers 5.17 makes of the official names: its own conversion
/// table, run on them, gave the second column.
const Pair pairs[] = {
    {"embed.weight", "model.embed_tokens.weight"},
    {"head.weight", "lm_head.weight"},
    {"norm.weight", "model.norm.weight"},
    {"hc_head_fn", "model.hc_head.hc_fn"},
    {"hc_head_base", "model.hc_head.hc_base"},
    {"hc_head_scale", "model.hc_head.hc_scale"},
    {"layers.4.attn_norm.weight", "model.layers.4.input_layernorm.weight"},
    {"layers.4.ffn_norm.weight",
     "model.layers.4.post_attention_layernorm.weight"},
    {"layers.4.hc_attn_fn", "model.layers.4.attn_hc.fn"},
    {"layers.4.hc_attn_base", "model.layers.4.attn_hc.base"},
    {"layers.4.hc_attn_scale", "model.layers.4.attn_hc.scale"},
    {"layers.4.hc_ffn_fn", "model.layers.4.ffn_hc.fn"},
    {"layers.4.hc_ffn_base", "model.layers.4.ffn_hc.base"},
    {"layers.4.hc_ffn_scale", "model.layers.4.ffn_hc.scale"},
    {"layers.4.attn.attn_sink", "model.layers.4.self_attn.sinks"},
    {"layers.4.attn.wq_a.weight", "model.layers.4.self_attn.q_a_proj.weight"},
    {"layers.4.attn.q_norm.weight", "model.layers.4.self_attn.q_a_norm.weight"},
    {"layers.4.attn.wq_b.weight", "model.layers.4.self_attn.q_b_proj.weight"},
    {"layers.4.attn.wkv.weight", "model.layers.4.self_attn.kv_proj.weight"},
    {"layers.4.attn.kv_norm.weight", "model.layers.4.self_attn.kv_norm.weight"},
    {"layers.4.attn.wo_a.weight", "model.layers.4.self_attn.o_a_proj.weight"},
    {"layers.4.attn.wo_b.weight", "model.layers.4.self_attn.o_b_proj.weight"},
    {"layers.4.attn.compressor.wkv.weight",
     "model.layers.4.self_attn.compressor.kv_proj.weight"},
    {"layers.4.attn.compressor.wgate.weight",
     "model.layers.4.self_attn.compressor.gate_proj.weight"},
    {"layers.4.attn.compressor.ape",
     "model.layers.4.self_attn.compressor.position_bias"},
    {"layers.4.attn.compressor.norm.weight",
     "model.layers.4.self_attn.compressor.kv_norm.weight"},
    {"layers.4.attn.indexer.wq_b.weight",
     "model.layers.4.self_attn.compressor.indexer.q_b_proj.weight"},
    {"layers.4.attn.indexer.weights_proj.weight",
     "model.layers.4.self_attn.compressor.indexer.scorer.weights_proj.weight"},
    {"layers.4.attn.indexer.compressor.wkv.weight",
     "model.layers.4.self_attn.compressor.indexer.kv_proj.weight"},
    {"layers.4.attn.indexer.compressor.wgate.weight",
     "model.layers.4.self_attn.compressor.indexer.gate_proj.weight"},
    {"layers.4.attn.indexer.compressor.ape",
     "model.layers.4.self_attn.compressor.indexer.position_bias"},
    {"layers.4.attn.indexer.compressor.norm.weight",
     "model.layers.4.self_attn.compressor.indexer.kv_norm.weight"},
    {"layers.4.ffn.gate.weight", "model.layers.4.mlp.gate.weight"},
    {"layers.4.ffn.gate.bias",
     "model.layers.4.mlp.gate.e_score_correction_bias"},
    {"layers.4.ffn.gate.tid2eid", "model.layers.4.mlp.gate.tid2eid"},
    {"layers.4.ffn.shared_experts.w1.weight",
     "model.layers.4.mlp.shared_experts.gate_proj.weight"},
    {"layers.4.ffn.shared_experts.w3.weight",
     "model.layers.4.mlp.shared_experts.up_proj.weight"},
    {"layers.4.ffn.shared_experts.w2.weight",
     "model.layers.4.mlp.shared_experts.down_proj.weight"},
    {"layers.4.ffn.experts.7.w1.weight",
     "model.layers.4.mlp.experts.gate_up_proj"},
    {"layers.4.ffn.experts.7.w3.weight",
     "model.layers.4.mlp.experts.gate_up_proj"},
    {"layers.4.ffn.experts.7.w2.weight",
     "model.layers.4.mlp.experts.down_proj"},
};

std::string patternOf(llvm::StringRef name) {
  std::optional<TensorName> parsed = parseTensorName(name);
  return parsed ? parsed->pattern : "unknown";
}

bool isExpert(llvm::StringRef name) { return name.contains("ffn.experts."); }

TEST(TensorNames, OfficialNamesAreThemselves) {
  for (const Pair &pair : pairs) {
    EXPECT_EQ(spellTensorName(pair.official, NamingScheme::Official),
              pair.official);
    if (isExpert(pair.official))
      continue;
    EXPECT_EQ(patternOf(pair.official), pair.official);
    EXPECT_EQ(parseTensorName(pair.official)->expert, -1);
    EXPECT_EQ(parseTensorName(pair.official)->layout, TensorLayout::Single);
  }
}

TEST(TensorNames, SpellsModulesAsTransformersDoes) {
  for (const Pair &pair : pairs)
    EXPECT_EQ(spellTensorName(pair.official, NamingScheme::Modules),
              pair.module);
}

TEST(TensorNames, UnderstandsModuleNames) {
  for (const Pair &pair : pairs) {
    if (isExpert(pair.official))
      continue;
    EXPECT_EQ(patternOf(pair.module), pair.official);
    // Models inside other models lose the prefix.
    llvm::StringRef name = pair.module;
    name.consume_front("model.");
    EXPECT_EQ(patternOf(name), pair.official);
  }
}

TEST(TensorNames, UnderstandsExperts) {
  std::optional<TensorName> name =
      parseTensorName("layers.4.ffn.experts.17.w3.scale");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->pattern, "layers.4.ffn.experts.*.w3.scale");
  EXPECT_EQ(name->expert, 17);
  EXPECT_EQ(name->layout, TensorLayout::Single);
  name = parseTensorName("model.layers.4.mlp.experts.17.up_proj.weight");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->pattern, "layers.4.ffn.experts.*.w3.weight");
  EXPECT_EQ(name->expert, 17);
  name = parseTensorName("layers.4.ffn.experts.*.w2.weight");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->pattern, "layers.4.ffn.experts.*.w2.weight");
  EXPECT_EQ(name->expert, -1);
}

TEST(TensorNames, UnderstandsFusedExperts) {
  struct Case {
    const char *stored, *pattern;
    TensorLayout layout;
  };
  for (const Case &c : {
           Case{"model.layers.4.mlp.experts.gate_up_proj",
                "layers.4.ffn.experts.*.w1.weight", TensorLayout::StackedPair},
           {"model.layers.4.mlp.experts.gate_up_proj_scale_inv",
            "layers.4.ffn.experts.*.w1.scale", TensorLayout::StackedPair},
           {"model.layers.4.mlp.experts.down_proj",
            "layers.4.ffn.experts.*.w2.weight", TensorLayout::Stacked},
           {"model.layers.4.mlp.experts.down_proj_scale_inv",
            "layers.4.ffn.experts.*.w2.scale", TensorLayout::Stacked},
       }) {
    std::optional<TensorName> name = parseTensorName(c.stored);
    ASSERT_TRUE(name) << c.stored;
    EXPECT_EQ(name->pattern, c.pattern);
    EXPECT_EQ(name->expert, -1);
    EXPECT_EQ(name->layout, c.layout);
    EXPECT_EQ(spellTensorName(c.pattern, NamingScheme::Modules), c.stored);
  }
}

// HF #45930: only a final component ".scale" is a scale.
TEST(TensorNames, TellsScalesFromStreamScales) {
  EXPECT_EQ(spellTensorName("layers.0.attn.wq_a.scale", NamingScheme::Modules),
            "model.layers.0.self_attn.q_a_proj.weight_scale_inv");
  for (const char *leaf : {"scale", "weight_scale", "weight_scale_inv"}) {
    EXPECT_EQ(
        patternOf(std::string("model.layers.0.self_attn.q_a_proj.") + leaf),
        "layers.0.attn.wq_a.scale");
    EXPECT_EQ(patternOf(std::string("layers.0.ffn.experts.0.w1.") + leaf),
              "layers.0.ffn.experts.*.w1.scale");
  }
  EXPECT_EQ(spellTensorName("layers.0.hc_attn_scale", NamingScheme::Modules),
            "model.layers.0.attn_hc.scale");
  EXPECT_EQ(patternOf("layers.0.hc_attn_weight_scale_inv"), "unknown");
  EXPECT_EQ(patternOf("layers.0.attn_hc.weight_scale_inv"), "unknown");
  EXPECT_EQ(patternOf("layers.0.attn_norm.scale"), "unknown");
  EXPECT_EQ(patternOf("hc_head_scale"), "hc_head_scale");
}

TEST(TensorNames, UnderstandsOlderIndexerNames) {
  EXPECT_EQ(patternOf("model.layers.2.self_attn.compressor.indexer."
                      "weights_proj.weight"),
            "layers.2.attn.indexer.weights_proj.weight");
}

TEST(TensorNames, UnderstandsWhatTransformersSaves) {
  EXPECT_EQ(patternOf("model.layers.0.attn.norm.weight"),
            "layers.0.attn.kv_norm.weight");
  EXPECT_EQ(patternOf("model.hc_head.hc_fn"), "hc_head_fn");
  EXPECT_EQ(
      spellTensorName("layers.0.attn.kv_norm.weight", NamingScheme::Saved),
      "model.layers.0.attn.norm.weight");
  EXPECT_EQ(spellTensorName("head.weight", NamingScheme::Saved), "head.weight");
}

// Every name in files that transformers 5.17 and DeepSeek's program wrote is
// understood, and spelled as it stands there.
TEST(TensorNames, RoundTripsRealFiles) {
  for (auto [folder, scheme] :
       {std::pair("flash-tiny", NamingScheme::Saved),
        std::pair("csa-first", NamingScheme::Saved),
        std::pair("hca-only", NamingScheme::Saved),
        std::pair("native-flash-tiny", NamingScheme::Official)}) {
    auto file = SafetensorsFile::open(std::string(VARVE_TEST_DATA "/") +
                                      folder + "/model.safetensors");
    ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
    for (const SafetensorsTensor &tensor : (*file)->getTensors()) {
      std::optional<TensorName> name = parseTensorName(tensor.name);
      ASSERT_TRUE(name) << tensor.name.str();
      std::string official = name->expert < 0
                                 ? name->pattern
                                 : expertName(name->pattern, name->expert);
      EXPECT_EQ(spellTensorName(official, scheme), tensor.name);
    }
  }
}

// No two tensors of a model share a name in any scheme, except the experts
// that are fused, and every spelling leads back.
TEST(TensorNames, RoundTripsWholeModels) {
  llvm::Expected<WeightInventory> inventory =
      WeightInventory::create(quantized(smallConfig()));
  ASSERT_TRUE(static_cast<bool>(inventory));
  for (NamingScheme scheme :
       {NamingScheme::Official, NamingScheme::Saved, NamingScheme::Modules}) {
    std::set<std::string> seen;
    for (const WeightSpec &spec : inventory->getSpecs()) {
      std::optional<std::string> spelled = spellTensorName(spec.name, scheme);
      ASSERT_TRUE(spelled) << spec.name;
      bool isW3 = llvm::StringRef(spec.name).contains("experts.*.w3.");
      bool isNew = seen.insert(*spelled).second;
      if (scheme == NamingScheme::Modules && isW3) {
        EXPECT_FALSE(isNew);
        continue;
      }
      EXPECT_TRUE(isNew) << *spelled;
      EXPECT_EQ(patternOf(*spelled), spec.name);
    }
  }
}

TEST(TensorNames, KnowsDraftBlocks) {
  for (const char *name :
       {"mtp.0.e_proj.scale", "mtp.0.norm.weight", "mtp.2.hc_head_fn",
        "mtp.2.markov_head.markov_w1.weight", "mtp.0.main_proj.weight",
        "mtp.2.confidence_head.proj.weight", "mtp.1.attn.wq_a.weight"}) {
    EXPECT_EQ(patternOf(name), name);
    EXPECT_EQ(patternOf(std::string("model.") + name), name);
    EXPECT_EQ(spellTensorName(name, NamingScheme::Modules), std::nullopt);
  }
  EXPECT_EQ(patternOf("layers.0.e_proj.weight"), "unknown");
}

TEST(TensorNames, KnowsNothingElse) {
  for (const char *name :
       {"",
        "model",
        "model.",
        "layers",
        "layers.",
        "layers.0",
        "layers.0.",
        "layers.x.attn_norm.weight",
        "layers.00.attn_norm.weight",
        "layers.-1.attn_norm.weight",
        "layers.0.attn.wq_a",
        "layers.0.attn.wq_a.weight.weight",
        "layers.0.ffn.experts.01.w1.weight",
        "layers.0.ffn.experts..w1.weight",
        "layers.0.ffn.experts.1.w4.weight",
        "layers.0.ffn.experts.99999999999999999999.w1.weight",
        "attn_norm.weight",
        "embed.scale",
        "head.bias",
        "mtp.0.embed.weight"})
    EXPECT_EQ(patternOf(name), "unknown") << name;
}

TEST(TensorNames, OnlyOfficialNamesAreSpelled) {
  EXPECT_EQ(spellTensorName("model.norm.weight", NamingScheme::Official),
            std::nullopt);
  EXPECT_EQ(spellTensorName("layers.0.attn.norm.weight", NamingScheme::Saved),
            std::nullopt);
}

} // namespace
