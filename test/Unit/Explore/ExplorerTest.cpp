//===- ExplorerTest.cpp - Rows are what whole modules cost ----------------===//

#include "lib/CostModel/Memory.h"
#include "lib/Import/Import.h"
#include "lib/Model/LayerPattern.h"
#include "lib/Model/Overrides.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "test/Unit/Explore/ExploreTesting.h"
#include "gmock/gmock.h"

using namespace varve;
using namespace mlir::varve;
using testing::HasSubstr;

namespace {

class Explorer : public ExploreFixture {
protected:
  mlir::OwningOpRef<mlir::ModuleOp> importWhole(const ModelConfig &config) {
    auto module = importModel(context, config, "whole");
    mlir::PassManager pm(&context);
    pm.addPass(mlir::varve::createApplyPrecisionPass({"native"}));
    EXPECT_TRUE(mlir::succeeded(pm.run(*module)));
    return module;
  }
};

/// A mix, for which a model is imported as a whole beside it.
struct Case {
  std::string model, layers;
  std::vector<std::string> overrides;
};

TEST_F(Explorer, SumsOfKindsEqualWholeModules) {
  const Case cases[] = {
      {"deepseek-v4-flash", "", {}},
      {"deepseek-v4-pro", "S(CCH)20", {}},
      {"tiny", "SSCHCC", {"ratio.csa=8", "index_topk=32", "window=48"}},
      {"tiny", "H3", {"num_hash_layers=1"}},
  };
  for (const Case &test : cases) {
    SCOPED_TRACE(test.model + " " + test.layers);
    Query query = ask({}, {1, 100, 4096, 5000});
    query.batches = {1, 7};
    Mix mix{test.model, test.layers, {}};
    for (llvm::StringRef override : test.overrides)
      mix.settings.push_back(
          {override.split('=').first.str(), override.split('=').second.str()});
    query.mixes = {mix};
    ExploreResult result = run(query);
    ASSERT_EQ(result.rows.size(), 8u);

    ModelConfig config = llvm::cantFail(loadBuiltinConfig(test.model));
    std::optional<llvm::StringRef> layers;
    if (!test.layers.empty())
      layers = test.layers;
    ASSERT_FALSE(applyOverrides(config, test.overrides, layers));
    auto module = importWhole(config);
    for (const Row &row : result.rows) {
      StepShape step;
      step.tokens = step.sequences = step.logitRows = row.batch;
      step.context = row.context;
      OpCost whole;
      module->walk([&](CostOpInterface op) { whole += op.getCost(step); });
      const Figures &f = row.figures;
      EXPECT_EQ(f[Metric::FlopsF32], whole.flopsF32);
      EXPECT_EQ(f[Metric::FlopsBF16], whole.flopsBF16);
      EXPECT_EQ(f[Metric::FlopsF8], whole.flopsF8);
      EXPECT_EQ(f[Metric::FlopsF4], whole.flopsF4);
      EXPECT_EQ(f[Metric::WeightBytesRead], whole.weightBytes);
      EXPECT_EQ(f[Metric::PoolBytesRead], whole.poolBytesRead);
      EXPECT_EQ(f[Metric::PoolBytesWritten], whole.poolBytesWritten);
      EXPECT_EQ(f[Metric::WindowBytesRead] + f[Metric::EntryBytesRead] +
                    f[Metric::KeyBytesRead] + f[Metric::StateBytesRead],
                whole.poolBytesRead);
      SequenceMemory memory = getSequenceMemory(*module, row.context);
      EXPECT_EQ(f[Metric::CacheBytes], memory.getTotal());
      EXPECT_EQ(f[Metric::FixedBytes], memory.getFixed());
      EXPECT_DOUBLE_EQ(f[Metric::KvPerToken], getBytesPerToken(*module));
    }
  }
}

TEST_F(Explorer, TheStepIsSlowerThanItsBytesAllow) {
  ExploreResult result = run(ask({"deepseek-v4-flash"}, {8192}));
  ASSERT_EQ(result.rows.size(), 1u);
  const Figures &f = result.rows[0].figures;
  // 11.22 GB of weights at the measured 4.6 TB/s.
  EXPECT_NEAR(f[Metric::RoofMs], 11.22 / 4.6, 0.03);
  EXPECT_DOUBLE_EQ(f[Metric::StepMs], f[Metric::RoofMs] + f[Metric::LaunchMs]);
  EXPECT_DOUBLE_EQ(f[Metric::LaunchMs], f[Metric::Launches] * 1.9e-3);
  EXPECT_EQ(result.rows[0].bound, Bound::Weights);
  EXPECT_EQ(f[Metric::Devices], 2); // 156 GB
}

TEST_F(Explorer, ASettingForLayersThatAMixLacksRefusesIt) {
  Query query = ask({"deepseek-v4-flash"}, {4096});
  query.layers = {"SS(CH)*C", "S*"};
  query.axes = {{"ratio.hca", {"64", "128"}}};
  ExploreResult result = run(query);
  EXPECT_EQ(result.rows.size(), 2u);
  ASSERT_TRUE(result.mixes[2].refusal);
  EXPECT_THAT(result.mixes[2].refusal->rule,
              HasSubstr("override 'ratio.hca=64': expected a model with such "
                        "layers, got 'S43'"));
}

TEST_F(Explorer, ManyMixesNeedFewKinds) {
  Query query = ask({"deepseek-v4-flash"}, {4096, 8192});
  query.layers = {"SS(CH)*C", "(CH)21C", "SSS(CH)20"};
  query.axes = {{"ratio.csa", {"4", "8"}},
                {"ratio.hca", {"64", "128", "256"}},
                {"window", {"64", "128"}}};
  ExploreResult result = run(query);
  EXPECT_EQ(result.rows.size(), 3u * 12 * 2);
  // C by ratio and window and H likewise, with and without hash routing, S by
  // window; embedding and head.
  EXPECT_LE(result.numKinds, 2 * (4 + 6) + 2 * 2 + 2u);
}

TEST_F(Explorer, RefusedMixesStayBesideTheOthers) {
  Query query = ask({"tiny"}, {4096});
  query.axes = {{"ratio.csa", {"3", "4"}}};
  ExploreResult result = run(query);
  ASSERT_EQ(result.mixes.size(), 2u);
  ASSERT_TRUE(result.mixes[0].refusal);
  EXPECT_FALSE(result.mixes[1].refusal);
  EXPECT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.rows[0].mix, 1u);
}

TEST_F(Explorer, APrecisionThatContradictsAMixRefusesIt) {
  Query query = ask({"tiny"}, {4096});
  query.axes = {{"head_dim", {"100"}}, {"qk_rope_head_dim", {"64"}}};
  ExploreResult result = run(query);
  ASSERT_EQ(result.mixes.size(), 1u);
  ASSERT_TRUE(result.mixes[0].refusal);
  EXPECT_THAT(result.mixes[0].refusal->op, HasSubstr("layers.0.attn"));
  EXPECT_THAT(result.mixes[0].refusal->remedy, HasSubstr("--precision"));
}

TEST_F(Explorer, AWrongQueryIsAnError) {
  Query query = ask({"tiny"});
  query.axes = {{"index_topkk", {"4"}}};
  EXPECT_THAT(errorOf(query), HasSubstr("did you mean 'index_topk'?"));
  query = ask({"tiny"});
  query.targets = {"h2000"};
  EXPECT_THAT(errorOf(query), HasSubstr("--target: device 'h2000'"));
  query = ask({"tiny"}, {4});
  query.tokens = 5;
  EXPECT_THAT(errorOf(query),
              HasSubstr("--batch=1 --tokens=5 --context=4: expected a context "
                        "of at least the 5 tokens"));
  query = ask({"deepseek-v3.2"});
  query.layers = {"S"};
  EXPECT_THAT(errorOf(query), HasSubstr("is a module, whose layers are"));
  query = ask({"deepseek-v3.2"});
  query.axes = {{"index_topk", {"4"}}};
  EXPECT_THAT(errorOf(query), HasSubstr("only its pools can be set"));
}

TEST_F(Explorer, DetailsAddUpToTheRow) {
  ExploreResult result = run(ask({"tiny"}, {4096}), /*keepOps=*/true);
  ASSERT_EQ(result.rows.size(), 1u);
  double seconds = 0;
  for (const auto *kinds :
       {&result.mixes[0].cost.layerKinds, &result.mixes[0].cost.ends})
    for (const KindCount &entry : *kinds)
      for (const OpDetail &op : entry.kind->opDetails)
        seconds += entry.count * op.times[0].getTotal();
  EXPECT_NEAR(seconds * 1e3, result.rows[0].figures[Metric::StepMs], 1e-9);
}

TEST_F(Explorer, KernelsMoveTheSameWorkInFewerLaunches) {
  for (const char *model : {"deepseek-v4-flash", "deepseek-v4-pro", "tiny"}) {
    SCOPED_TRACE(model);
    Query query = ask({model}, {8192});
    query.batches = {1, 32};
    ExploreResult e0 = run(query);
    query.level = Level::Kernels;
    ExploreResult e1 = run(query, /*keepOps=*/true);
    ASSERT_EQ(e0.rows.size(), 2u);
    ASSERT_EQ(e1.rows.size(), 2u);
    for (auto [closed, formed] : llvm::zip_equal(e0.rows, e1.rows)) {
      const Figures &a = closed.figures, &b = formed.figures;
      for (Metric metric :
           {Metric::FlopsBF16, Metric::FlopsF8, Metric::FlopsF32,
            Metric::WeightBytesRead, Metric::PoolBytesRead, Metric::CacheBytes,
            Metric::FlopsToken})
        EXPECT_EQ(a[metric], b[metric]) << getMetricName(metric).str();
      // What passes between the ops of a kernel is not stored.
      EXPECT_LT(b[Metric::ValueBytes], 0.8 * a[Metric::ValueBytes]);
      EXPECT_LT(b[Metric::Launches], a[Metric::Ops]);
      // Programs are no faster than the roof.
      EXPECT_GT(b[Metric::KernelMs], b[Metric::RoofMs]);
      EXPECT_EQ(a[Metric::KernelMs], a[Metric::RoofMs]);
      EXPECT_GT(b[Metric::Registers], 40);
      EXPECT_GT(b[Metric::Occupancy], 0);
      EXPECT_LE(b[Metric::Occupancy], 1);
    }
    // Every op is in one kernel.
    for (const KindCount &entry : e1.mixes[0].cost.layerKinds) {
      OpCost sum;
      for (const OpDetail &kernel : entry.kind->opDetails)
        sum += kernel.costs[0];
      EXPECT_EQ(sum.flops(), entry.kind->steps[0].total.flops());
      EXPECT_EQ(sum.bytes(), entry.kind->steps[0].total.bytes());
    }
  }
}

TEST_F(Explorer, RepeatedLayersOfAModuleCountSoOften) {
  ExploreResult result = run(ask({"gqa-8"}, {4096}));
  ASSERT_EQ(result.mixes.size(), 1u);
  EXPECT_EQ(result.mixes[0].cost.layers, "G61");
  EXPECT_EQ(result.mixes[0].cost.strip.size(), 61u);
}

} // namespace
