//===- SharedExpertsTest.cpp - Few layers' experts for all layers ---------===//

#include "runtime/Weights/SharedExperts.h"
#include "runtime/Error.h"
#include "runtime/Session/Memory.h"
#include "runtime/Session/Traffic.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

namespace {

/// Layers 2, 9 and 10 have experts; as text, 10 comes before 2.
std::vector<Weight> weightsOfThreeLayers() {
  return {
      {"layers.10.ffn.experts.*.w1.weight", Element::F4E2M1, {4, 6, 8}},
      {"layers.10.ffn.experts.*.w1.scale", Element::F8E8M0, {4, 6, 2}},
      {"layers.10.ffn.shared_experts.w1.weight", Element::F8E4M3, {6, 8}},
      {"layers.2.ffn.experts.*.w1.weight", Element::F4E2M1, {4, 6, 8}},
      {"layers.2.ffn.experts.*.w1.scale", Element::F8E8M0, {4, 6, 2}},
      {"layers.9.ffn.experts.*.w1.weight", Element::F4E2M1, {4, 6, 8}},
      {"layers.9.ffn.experts.*.w1.scale", Element::F8E8M0, {4, 6, 2}},
      {"layers.9.attn.wq_a.weight", Element::F8E4M3, {6, 8}},
  };
}

TEST(SharedExperts, GoRoundTheLayersInTheirOrder) {
  std::vector<Weight> weights = weightsOfThreeLayers();
  EXPECT_EQ(countExpertLayers(weights), 3);
  EXPECT_THAT(weightOwners(weights, 0), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(weightOwners(weights, 1), ElementsAre(3, 4, 2, 3, 4, 3, 4, 7));
  EXPECT_THAT(weightOwners(weights, 2), ElementsAre(3, 4, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(weightOwners(weights, 3), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(SharedExperts, OfOtherShapesAreRefused) {
  std::vector<Weight> weights = weightsOfThreeLayers();
  weights[5].shape = {4, 6, 10};
  EXPECT_THAT(
      [&] { weightOwners(weights, 1); },
      ThrowsMessage<Error>(HasSubstr(
          "--share-experts: 'layers.9.ffn.experts.*.w1.weight' f4E2M1FN [4, 6, "
          "10] cannot use the bytes of 'layers.2.ffn.experts.*.w1.weight' "
          "f4E2M1FN [4, 6, 8]")));
  weights = weightsOfThreeLayers();
  weights[1].name = "layers.10.ffn.experts.*.w4.scale";
  EXPECT_THAT([&] { weightOwners(weights, 1); },
              ThrowsMessage<Error>(HasSubstr("a layer that has no such")));
}

TEST(SharedExperts, AreAllocatedOnce) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  plan.weights = weightsOfThreeLayers();
  auto source = openWeights("random", plan.weights);
  Capacity wanted;
  MemoryLayout all =
      layoutMemory(plan, resolve(wanted, plan), *source, false, false);
  EXPECT_EQ(all.weightBytes, 8 * 256);
  EXPECT_EQ(all.sharedBytes, 0);
  EXPECT_THAT(all.describe(), Not(HasSubstr("share")));
  wanted.expertSets = 1;
  MemoryLayout one =
      layoutMemory(plan, resolve(wanted, plan), *source, false, false);
  EXPECT_EQ(one.weightBytes, 4 * 256);
  EXPECT_EQ(one.sharedBytes, 2 * (4 * 6 * 8 / 2 + 4 * 6 * 2));
  EXPECT_EQ(one.weights[0], one.weights[3]);
  EXPECT_EQ(one.weights[6], one.weights[4]);
  EXPECT_NE(one.weights[3], one.weights[4]);
  EXPECT_THAT(one.describe(),
              HasSubstr("(288 bytes more are experts that layers share)"));
}

TEST(SharedExperts, CountsAreChecked) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  Capacity wanted;
  wanted.expertSets = 1;
  EXPECT_THAT([&] { resolve(wanted, plan); },
              ThrowsMessage<Error>(HasSubstr(
                  "--share-experts: the model has no routed experts")));
  plan.weights = weightsOfThreeLayers();
  for (int64_t sets : {-1, 4}) {
    wanted.expertSets = sets;
    EXPECT_THAT([&] { resolve(wanted, plan); },
                ThrowsMessage<Error>(HasSubstr(
                    "--share-experts: expected 1 to 3 (the layers that have "
                    "experts), got ")));
  }
}

/// A program whose launches name the weights given by condition: always, or
/// only in steps of at most 4 tokens.
Program programOf(Plan &plan, const std::vector<uint32_t> &always,
                  const std::vector<uint32_t> &small) {
  Program program;
  plan.sizes = {Linear::ofSymbol(Symbol::Tokens)};
  program.conditions = {{Interval{0, 1, 4}}};
  for (uint32_t condition : {0u, 1u})
    for (uint32_t index : condition ? small : always) {
      Launch &launch = program.launches.emplace_back();
      launch.condition = condition;
      // Twice, in two ways: read once all the same.
      launch.words = {Word{Word::Kind::Weight, index, 0}};
      launch.maps = {MappedView{Word{Word::Kind::Weight, index, 0}, {}, {}}};
    }
  return program;
}

Sizes sizesOf(int64_t tokens, int64_t rows) {
  Sizes sizes;
  sizes[Symbol::Tokens] = tokens;
  sizes[Symbol::Rows] = rows;
  return sizes;
}

TEST(Traffic, CountsWhatAStepReads) {
  Plan plan;
  plan.weights = {
      {"layers.0.attn.wq_a.weight", Element::F8E4M3, {64, 128}},
      {"layers.0.attn.wq_a.scale", Element::F8E8M0, {1, 1}},
      {"head.weight", Element::BF16, {50, 128}},
      {"embed.weight", Element::BF16, {50, 128}},
      {"layers.0.ffn.experts.*.w1.weight", Element::F4E2M1, {8, 64, 128}},
      {"layers.0.ffn.gate.tid2eid", Element::I32, {50, 2}},
      {"layers.0.attn.compressor.ape", Element::F32, {4, 128}},
  };
  Program program = programOf(plan, {0, 1, 2, 3, 4, 5, 6}, {});
  Traffic one = trafficOf(plan, program, sizesOf(1, 1));
  // Two of eight experts.
  EXPECT_DOUBLE_EQ(one.weightBytes, 64 * 128 + 1 + 50 * 128 * 2 + 128 * 2 +
                                        8 * 64 * 128 / 2 * 2 / 8 + 8 +
                                        4 * 128 * 4);
  EXPECT_DOUBLE_EQ(one.operations, 2 * (64 * 128 + 50 * 128 + 2 * 64 * 128));
  EXPECT_FALSE(one.expertsUnknown);
  // Of two tokens, each expert is reached by neither with (6/8)^2.
  Traffic two = trafficOf(plan, program, sizesOf(2, 1));
  EXPECT_DOUBLE_EQ(two.weightBytes - one.weightBytes,
                   128 * 2 + 8 +
                       8 * 64 * 128 / 2 * ((1 - 36.0 / 64) - 2.0 / 8));
  EXPECT_DOUBLE_EQ(two.operations,
                   2 * (2 * 64 * 128 + 50 * 128 + 2 * 2 * 64 * 128));
  // Without a table by token nothing says how many experts there are.
  plan.weights[5].name = "layers.0.ffn.gate.other";
  EXPECT_TRUE(trafficOf(plan, program, sizesOf(1, 1)).expertsUnknown);
}

TEST(Traffic, KnowsOnlyTheLaunchesOfTheStep) {
  Plan plan;
  plan.weights = {{"a.weight", Element::BF16, {4, 4}},
                  {"b.weight", Element::BF16, {4, 4}}};
  Program program = programOf(plan, {0}, {1});
  EXPECT_THAT(program.launchesFor(plan, sizesOf(4, 0)), ElementsAre(0, 1));
  EXPECT_THAT(program.launchesFor(plan, sizesOf(5, 0)), ElementsAre(0));
  EXPECT_EQ(trafficOf(plan, program, sizesOf(4, 0)).weightBytes, 64);
  EXPECT_EQ(trafficOf(plan, program, sizesOf(5, 0)).weightBytes, 32);
}

TEST(Traffic, RemembersRowsUpToTheSizeOfThePools) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  // A window of 5, states of 4 and entries of one in 4 tokens, 4 bytes a row.
  EXPECT_EQ(rememberedBytes(plan, 0), 0);
  EXPECT_EQ(rememberedBytes(plan, 3), 4 * (3 + 3 + 0));
  EXPECT_EQ(rememberedBytes(plan, 13), 4 * (5 + 4 + 3));
}

} // namespace
