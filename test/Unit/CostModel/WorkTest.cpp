//===- WorkTest.cpp - What the functions of a model cost ------------------===//
//
// Golden figures: specification 1.3 (weight bytes that one token touches), 9.3
// and 9.4; the keys of a query by hand.
//
//===----------------------------------------------------------------------===//

#include "lib/CostModel/Work.h"
#include "dialects/Varve/Varve.h"
#include "lib/CostModel/Memory.h"
#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "gtest/gtest.h"
#include <map>

using namespace varve;
using namespace mlir::varve;
using mlir::MLIRContext;
using mlir::ModuleOp;
using mlir::OwningOpRef;

namespace {

class WorkTest : public testing::Test {
protected:
  void load(const char *name) {
    auto config = loadBuiltinConfig(name);
    ASSERT_TRUE(bool(config)) << llvm::toString(config.takeError());
    module = importModel(context, *config, name);
    mlir::PassManager pm(&context);
    pm.addPass(mlir::varve::createApplyPrecisionPass({"native"}));
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    functions = collectWork(*module);
  }

  const FunctionWork &function(llvm::StringRef name) {
    for (const FunctionWork &work : functions)
      if (work.name == name)
        return work;
    ADD_FAILURE() << "no function " << name.str();
    return functions.front();
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::vector<FunctionWork> functions;
};

StepShape decode(int64_t context) {
  StepShape step;
  step.context = context;
  return step;
}

TEST_F(WorkTest, HasEmbedLayersAndHeadButNotTheStep) {
  load("deepseek-v4-flash");
  EXPECT_EQ(functions.size(), 45u);
  EXPECT_EQ(functions.front().name, "embed");
  EXPECT_TRUE(function("layers.0").isLayer());
  EXPECT_FALSE(function("head").isLayer());
}

TEST_F(WorkTest, NamesOpsWithinTheirLayer) {
  load("tiny");
  const FunctionWork &layer = function("layers.1");
  EXPECT_TRUE(llvm::any_of(layer.ops, [](const OpWork &op) {
    return op.name == "attn.wq_a" && op.kind == "linear" && op.anchor &&
           op.mechanism == Mechanism::Products;
  }));
  EXPECT_TRUE(llvm::any_of(layer.pools, [](const PoolWork &pool) {
    return pool.name == "attn.window" && pool.kind == "window";
  }));
}

TEST_F(WorkTest, OneTokenTouchesThePublishedWeightBytes) {
  load("deepseek-v4-flash");
  OpCost total;
  for (const FunctionWork &work : functions)
    total += work.getCost(decode(1 << 20));
  EXPECT_NEAR(total.weightBytes / 1e9, 11.22, 5e-3);
}

TEST_F(WorkTest, StoresThePublishedBytesWithoutDraftBlocks) {
  load("deepseek-v4-flash");
  int64_t bytes = 0;
  for (const FunctionWork &work : functions)
    bytes += work.weightBytes;
  // Specification 1.3: all tensors less those of the draft block.
  EXPECT_EQ(bytes, 159609485896 - 3593787756);
}

TEST_F(WorkTest, PoolsHoldWhatTheModuleSays) {
  load("deepseek-v4-flash");
  for (int64_t tokens : {1, 100, 4096, 1 << 20}) {
    int64_t bytes = 0;
    for (const FunctionWork &work : functions)
      for (const PoolWork &pool : work.pools)
        bytes += pool.getBytes(tokens);
    EXPECT_EQ(bytes, getSequenceMemory(*module, tokens).getTotal());
  }
}

TEST_F(WorkTest, AllocatesWholePagesAndRoomForTheStep) {
  load("deepseek-v4-flash");
  StepShape step;
  step.sequences = 3;
  step.tokens = 12;
  step.context = 1000; // four pages of 256
  std::map<std::string, int64_t> bytes;
  for (const PoolWork &pool : function("layers.2").pools)
    bytes[pool.name] = pool.getAllocatedBytes(step);
  EXPECT_EQ(bytes["attn.entries"], 3 * 4 * 64 * 584);
  EXPECT_EQ(bytes["attn.indexer.keys"], 3 * 4 * 64 * 68);
  EXPECT_EQ(bytes["attn.window"], (3 * 128 + 12) * 584);
  EXPECT_EQ(bytes["attn.compressor.state"], 3 * 65536);
}

TEST_F(WorkTest, CountsTheKeysOfAQuery) {
  load("deepseek-v4-flash");
  // Layer 0 slides, layer 2 picks 512 of 4:1, layer 3 reads all of 128:1.
  StepShape step = decode(1 << 20);
  EXPECT_EQ(function("layers.0").getAttendedKeys(step), 128);
  EXPECT_EQ(function("layers.2").getAttendedKeys(step), 128 + 512);
  EXPECT_EQ(function("layers.3").getAttendedKeys(step), 128 + 8192);
}

TEST_F(WorkTest, ScratchHoldsWhatIsAliveAtOnce) {
  module = mlir::parseSourceString<ModuleOp>(
      R"(
    func.func @layers.0(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {varve.repeat = 3 : i64} {
      %a = varve.hadamard %x : tensor<?x8xf32>
      %w = varve.weight "w" : tensor<2x8xf32>
      %b = varve.linear %a, %w : (tensor<?x8xf32>, tensor<2x8xf32>) -> tensor<?x2xf32>
      %u = varve.weight "u" : tensor<8x2xf32>
      %c = varve.linear %b, %u : (tensor<?x2xf32>, tensor<8x2xf32>) -> tensor<?x8xf32>
      return %c : tensor<?x8xf32>
    }
  )",
      [&] {
        context.loadDialect<VarveDialect, mlir::func::FuncDialect>();
        return &context;
      }());
  ASSERT_TRUE(module);
  functions = collectWork(*module);
  ASSERT_EQ(functions.size(), 1u);
  StepShape step;
  step.tokens = 5;
  step.context = 5;
  EXPECT_EQ(functions[0].repeat, 3);
  EXPECT_EQ(functions[0].weightBytes, 2 * 16 * 4);
  // x and a of 8 floats; then a and b; then b and c.
  EXPECT_EQ(functions[0].getScratchBytes(step), 5 * 16 * 4);
}

} // namespace
