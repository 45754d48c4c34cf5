//===- BuiltinConfigsTest.cpp - Configurations by name ---------*- C++ -*-===//
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/Validate.h"
#include "test/Unit/Model/ModelTesting.h"
#include "llvm/ADT/STLExtras.h"

using namespace varve;
using llvm::StringRef;

namespace {
ModelConfig load(StringRef name) { return valueOf(loadBuiltinConfig(name)); }

size_t count(const ModelConfig &config, AttentionKind kind) {
  return llvm::count_if(config.layers, [&](const LayerConfig &layer) {
    return layer.attention == kind;
  });
}

// Numbers of all three tables: specification, sections 1.1 and 1.2.
TEST(BuiltinConfigsTest, flashIsTheReleasedOne) {
  ModelConfig config = load("deepseek-v4-flash");
  EXPECT_EQ(config.name, "deepseek-v4-flash");
  ASSERT_EQ(config.numLayers(), 43);
  EXPECT_EQ(count(config, AttentionKind::Sliding), 2u);
  EXPECT_EQ(count(config, AttentionKind::CSA), 21u);
  EXPECT_EQ(count(config, AttentionKind::HCA), 20u);
  for (int64_t i = 0; i < 43; ++i) {
    AttentionKind kind = i < 2   ? AttentionKind::Sliding
                         : i % 2 ? AttentionKind::HCA
                                 : AttentionKind::CSA;
    int64_t ratio = i < 2 ? 0 : i % 2 ? 128 : 4;
    RoutingKind routing = i < 3 ? RoutingKind::Hash : RoutingKind::TopK;
    EXPECT_EQ(config.layers[i], (LayerConfig{kind, ratio, routing})) << i;
  }
  EXPECT_EQ(config.hiddenSize, 4096);
  EXPECT_EQ(config.numHeads, 64);
  EXPECT_EQ(config.queryRank, 1024);
  EXPECT_EQ(config.outputGroups, 8);
  EXPECT_EQ(config.indexTopk, 512);
  EXPECT_EQ(config.numExperts, 256);
  EXPECT_EQ(config.expertSize, 2048);
  EXPECT_EQ(config.routeScale, 1.5);
}

TEST(BuiltinConfigsTest, proIsTheReleasedOne) {
  ModelConfig config = load("deepseek-v4-pro");
  ASSERT_EQ(config.numLayers(), 61);
  EXPECT_EQ(count(config, AttentionKind::Sliding), 0u);
  EXPECT_EQ(count(config, AttentionKind::CSA), 30u);
  EXPECT_EQ(count(config, AttentionKind::HCA), 31u);
  for (int64_t i = 0; i < 61; ++i) {
    bool csa = i >= 2 && i % 2 == 0;
    EXPECT_EQ(config.layers[i],
              (LayerConfig{csa ? AttentionKind::CSA : AttentionKind::HCA,
                           csa ? 4 : 128,
                           i < 3 ? RoutingKind::Hash : RoutingKind::TopK}))
        << i;
  }
  EXPECT_EQ(config.hiddenSize, 7168);
  EXPECT_EQ(config.numHeads, 128);
  EXPECT_EQ(config.queryRank, 1536);
  EXPECT_EQ(config.outputGroups, 16);
  EXPECT_EQ(config.indexTopk, 1024);
  EXPECT_EQ(config.numExperts, 384);
  EXPECT_EQ(config.expertSize, 3072);
  EXPECT_EQ(config.routeScale, 2.5);
}

TEST(BuiltinConfigsTest, bothReleasedModelsShareTheRest) {
  for (StringRef name : {"deepseek-v4-flash", "deepseek-v4-pro"}) {
    ModelConfig config = load(name);
    EXPECT_EQ(config.vocabSize, 129280);
    EXPECT_EQ(config.headDim, 512);
    EXPECT_EQ(config.ropeDim, 64);
    EXPECT_EQ(config.outputRank, 1024);
    EXPECT_EQ(config.window, 128);
    EXPECT_EQ(config.indexHeads, 64);
    EXPECT_EQ(config.indexHeadDim, 128);
    EXPECT_EQ(config.activeExperts, 6);
    EXPECT_EQ(config.streams, 4);
    EXPECT_EQ(config.sinkhornIterations, 20);
    EXPECT_EQ(config.swigluLimit, 10);
    EXPECT_EQ(config.maxPositions, 1048576);
    EXPECT_EQ(config.windowRope, plainRope(10000));
    EXPECT_EQ(config.compressRope, (RopeConfig{160000, 16, 32, 1, 65536}));
    EXPECT_EQ(config.draft.mtpLayers, 1);
    EXPECT_EQ(config.storage.linear, WeightType::F8E4M3);
    EXPECT_EQ(config.storage.experts, WeightType::F4E2M1);
    EXPECT_EQ(config.storage.dense, WeightType::BF16);
  }
}

TEST(BuiltinConfigsTest, tinyHasEverything) {
  ModelConfig config = load("tiny");
  for (AttentionKind kind :
       {AttentionKind::Sliding, AttentionKind::CSA, AttentionKind::HCA})
    EXPECT_GT(count(config, kind), 0u);
  EXPECT_EQ(config.layers.front().routing, RoutingKind::Hash);
  EXPECT_EQ(config.layers.back().routing, RoutingKind::TopK);
  EXPECT_TRUE(config.compressRope.factor.has_value());
  // What native precision asks for: fake quantisation of entries in groups of
  // 64, a Hadamard transform and FP4 groups of 32 in the indexer.
  EXPECT_EQ((config.headDim - config.ropeDim) % 64, 0);
  EXPECT_EQ(config.indexHeadDim & (config.indexHeadDim - 1), 0);
  EXPECT_EQ(config.indexHeadDim % 32, 0);
}

TEST(BuiltinConfigsTest, listIsUsable) {
  for (const BuiltinConfig &builtin : builtinConfigs()) {
    EXPECT_EQ(messageOf(validate(load(builtin.name))), "");
    EXPECT_FALSE(builtin.description.empty());
    EXPECT_FALSE(builtin.description.contains('\n'));
  }
  EXPECT_EQ(messageOf(loadBuiltinConfig("deepseek-v4-flsh")),
            "built-in model 'deepseek-v4-flsh': expected one of "
            "deepseek-v4-flash, deepseek-v4-pro, tiny; did you mean "
            "'deepseek-v4-flash'?");
  EXPECT_EQ(messageOf(loadBuiltinConfig("gpt-2")),
            "built-in model 'gpt-2': expected one of deepseek-v4-flash, "
            "deepseek-v4-pro, tiny");
}

} // namespace
