//===- AllocationTest.cpp - The runtime allocates what was costed ---------===//
//
// Pools go from a mix to a plan, as the lowering declares them, through the
// package's encoding into the runtime, which says what it allocates.
//
//===----------------------------------------------------------------------===//

#include "dialects/Plan/Plan.h"
#include "lib/CostModel/Work.h"
#include "lib/Explore/Layers.h"
#include "lib/Import/Import.h"
#include "lib/Package/PlanEncoder.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Lower/KernelBuilder.h"
#include "passes/Quantize/Passes.h"
#include "runtime/Package/PlanReader.h"
#include "runtime/Session/Memory.h"
#include "test/Unit/Explore/ExploreTesting.h"

using namespace varve;
using namespace mlir::varve;

namespace {

class Allocation : public ExploreFixture {
protected:
  Allocation() { context.loadDialect<plan::PlanDialect>(); }

  /// The pools of a model as the runtime reads them.
  varve::runtime::Plan makePlan(mlir::ModuleOp model) {
    mlir::OpBuilder builder(&context);
    mlir::OwningOpRef<mlir::ModuleOp> module =
        mlir::ModuleOp::create(builder, builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
    for (PoolOp pool : model.getOps<PoolOp>())
      plan::PoolOp::create(
          builder, pool.getLoc(), pool.getSymNameAttr(),
          plan::PoolKindAttr::get(&context,
                                  static_cast<plan::PoolKind>(
                                      static_cast<unsigned>(pool.getKind()))),
          pool.getSizeAttr(), pool.getRatioAttr(), pool.getPageAttr(),
          mlir::StringAttr(), mlir::TypeAttr::get(getPoolType(pool)));
    auto target = TargetModel::lookup("x86-64");
    auto bytes = encodePlan(
        *module, **target,
        {model->getAttrOfType<ModelAttr>(kModelAttrName), "native"}, {});
    EXPECT_TRUE(mlir::succeeded(bytes));
    // The reader wants the alignment that a mapped file has.
    encoded.assign(bytes->begin(), bytes->end());
    return varve::runtime::readPlan(
        "test",
        {reinterpret_cast<const uint8_t *>(encoded.data()), encoded.size()});
  }

  std::vector<char> encoded;
};

TEST_F(Allocation, EqualsAllocatedBytesOfThreeMixesAtFourContexts) {
  const Mix mixes[] = {
      {"deepseek-v4-flash", "", {}},
      {"deepseek-v4-pro", "0-60/3:C@8", {}},
      {"tiny", "SSHHCC", {}},
  };
  for (const Mix &mix : mixes) {
    ModelConfig config = llvm::cantFail(loadBuiltinConfig(mix.model));
    if (!mix.layers.empty())
      ASSERT_FALSE(applyLayers(config, mix.layers, std::nullopt));
    auto module = importModel(context, config, "mix");
    mlir::PassManager pm(&context);
    pm.addPass(mlir::varve::createApplyPrecisionPass({"native"}));
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    varve::runtime::Plan plan = makePlan(*module);

    Query query = ask({}, {1, 300, 4096, 8000});
    query.batches = {1, 5};
    query.mixes = {mix};
    ExploreResult result = run(query);
    ASSERT_EQ(result.rows.size(), 8u);
    for (const Row &row : result.rows) {
      SCOPED_TRACE(mix.getLabel() + " at " + std::to_string(row.context));
      varve::runtime::Capacity wanted;
      wanted.maxSequences = row.batch;
      wanted.context = row.context;
      wanted.maxTokens = row.batch;
      varve::runtime::Sizes sizes = varve::runtime::largestSizes(
          varve::runtime::resolve(wanted, plan), plan);
      int64_t bytes = 0;
      for (const varve::runtime::Pool &pool : plan.pools)
        bytes += pool.bytes.evaluate(sizes);
      EXPECT_EQ(row.figures[Metric::AllocatedBytes], bytes);
    }
  }
}

} // namespace
