//===- CountedWorkTest.cpp - Costs against what the interpreter did -------===//
//
// Runs a small model and counts the products of every op where the reference
// computes them, one after the other. The ops' closed forms must say the same,
// for prefill, chunks, decode and batches.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "lib/Checkpoint/RandomWeights.h"
#include "lib/CostModel/Work.h"
#include "lib/Import/Import.h"
#include "lib/Interpret/Reference/ProductCount.h"
#include "lib/Interpret/Session.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/Overrides.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "gtest/gtest.h"
#include <map>

using namespace varve;
using namespace mlir::varve;

namespace {

class CountedWork : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    auto config = loadBuiltinConfig("tiny");
    ASSERT_TRUE(static_cast<bool>(config));
    // Ratios and window so small that a few tokens fill and complete them.
    ASSERT_EQ(llvm::toString(
                  applyOverrides(*config,
                                 {"ratio.hca=8", "sliding_window=5",
                                  "index_topk=3", "max_position_embeddings=64"},
                                 llvm::StringRef("SCH"))),
              "");
    mlir::DialectRegistry registry;
    registerInterpretModels(registry);
    context.appendDialectRegistry(registry);
    module = importModel(context, *config, "tiny");
    mlir::PassManager pm(&context);
    pm.addPass(mlir::varve::createApplyPrecisionPass({GetParam()}));
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    RandomWeightsOptions options;
    options.seed = 5;
    options.numExperts = config->numExperts;
    weights.emplace(options);
    interpreter.emplace(*module, *weights);
    auto created = Session::create(*interpreter);
    ASSERT_TRUE(static_cast<bool>(created));
    session.emplace(std::move(*created));
  }

  /// Runs `count` tokens of each sequence; logits of its last token only.
  void step(llvm::ArrayRef<int32_t> slots, int64_t count) {
    std::map<std::string, int64_t> counted;
    {
      reference::ScopedProductCount products;
      interpreter->setHook([&](llvm::StringRef name, unsigned, HostTensor &) {
        counted[name.str()] += products.take();
      });
      std::vector<StepToken> tokens;
      for (int32_t slot : slots)
        for (int64_t i = 0; i < count; ++i)
          tokens.push_back({slot, static_cast<int64_t>(tokens.size()) % 50,
                            /*wantsLogits=*/i + 1 == count});
      auto logits = session->step(tokens);
      ASSERT_TRUE(static_cast<bool>(logits));
      interpreter->setHook({});
    }
    StepShape shape;
    shape.sequences = shape.logitRows = slots.size();
    shape.tokens = count * slots.size();
    shape.context = session->getLength(slots.front());
    ASSERT_FALSE(static_cast<bool>(shape.check()));
    int64_t ops = 0;
    for (const FunctionWork &function : collectWork(*module))
      for (const OpWork &work : function.ops) {
        llvm::StringRef name =
            mlir::cast<mlir::NameLoc>(work.op->getLoc()).getName();
        int64_t cost =
            mlir::cast<CostOpInterface>(work.op).getCost(shape).productFlops;
        EXPECT_EQ(cost, counted[name.str()])
            << name.str() << ", " << shape.tokens << " tokens, context "
            << shape.context;
        ops += cost != 0;
      }
    EXPECT_GE(ops, 50);
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<RandomWeights> weights;
  std::optional<Interpreter> interpreter;
  std::optional<Session> session;
};

TEST_P(CountedWork, PrefillChunksAndDecode) {
  int32_t slot = session->addSequence();
  step({slot}, 1);
  step({slot}, 18);
  step({slot}, 1);
  step({slot}, 4);
  for (int i = 0; i < 8; ++i)
    step({slot}, 1);
}

TEST_P(CountedWork, Batches) {
  int32_t a = session->addSequence(), b = session->addSequence(),
          c = session->addSequence();
  step({a, b, c}, 13);
  step({a, b, c}, 1);
  step({a, b, c}, 2);
}

INSTANTIATE_TEST_SUITE_P(Precisions, CountedWork,
                         testing::Values("f32", "bf16", "native"));

} // namespace
