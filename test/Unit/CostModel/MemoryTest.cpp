//===- MemoryTest.cpp - What sequences occupy -----------------------------===//
//
// Golden figures: specification sections 5.5 and 9.3, which reproduce the
// published 10 % and 7 % of DeepSeek-V3.2's cache.
//
//===----------------------------------------------------------------------===//

#include "lib/CostModel/Memory.h"
#include "dialects/Varve/Varve.h"
#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "gtest/gtest.h"

using namespace varve;
using mlir::MLIRContext;
using mlir::ModuleOp;
using mlir::OwningOpRef;

namespace {

class MemoryTest : public testing::Test {
protected:
  OwningOpRef<ModuleOp> load(const char *name, const char *policy) {
    auto config = loadBuiltinConfig(name);
    EXPECT_TRUE(bool(config)) << llvm::toString(config.takeError());
    OwningOpRef<ModuleOp> module = importModel(context, *config, name);
    mlir::PassManager pm(&context);
    pm.addPass(mlir::varve::createApplyPrecisionPass({policy}));
    EXPECT_TRUE(mlir::succeeded(pm.run(*module)));
    return module;
  }

  MLIRContext context;
};

constexpr int64_t kMillion = 1048576;

TEST_F(MemoryTest, FlashNativeGrowsByThePublishedBytesPerToken) {
  auto module = load("deepseek-v4-flash", "native");
  EXPECT_DOUBLE_EQ(getBytesPerToken(*module), 3514.25);
  SequenceMemory memory = getSequenceMemory(*module, kMillion);
  // 21 * (584 + 68) * 2^18 + 20 * 584 * 2^13.
  EXPECT_EQ(memory.entryBytes, 3684958208);
  EXPECT_EQ(memory.windowBytes, int64_t(128) * 584 * 43);
  EXPECT_EQ(memory.stateBytes, 21 * (65536 + 16384) + 20 * 524288);
}

TEST_F(MemoryTest, ProNativeGrowsByThePublishedBytesPerToken) {
  auto module = load("deepseek-v4-pro", "native");
  EXPECT_NEAR(getBytesPerToken(*module), 5031.4, 0.05);
  SequenceMemory memory = getSequenceMemory(*module, kMillion);
  EXPECT_NEAR(memory.entryBytes, 5.276e9, 0.5e6);
  EXPECT_NEAR(memory.windowBytes, 4.56e6, 0.5e4);
  EXPECT_NEAR(memory.stateBytes, 18.71e6, 0.5e4);
}

TEST_F(MemoryTest, ProInBf16IsThePublished962GiB) {
  auto module = load("deepseek-v4-pro", "bf16");
  EXPECT_DOUBLE_EQ(getBytesPerToken(*module), 9848);
  SequenceMemory memory = getSequenceMemory(*module, kMillion);
  EXPECT_NEAR(memory.entryBytes / 1073741824.0, 9.62, 0.005);
}

TEST_F(MemoryTest, StatesDoNotDependOnThePrecision) {
  EXPECT_EQ(
      getSequenceMemory(*load("deepseek-v4-flash", "f32"), 1).stateBytes,
      getSequenceMemory(*load("deepseek-v4-flash", "native"), 1).stateBytes);
  EXPECT_NEAR(
      getSequenceMemory(*load("deepseek-v4-flash", "f32"), 1).stateBytes,
      12.21e6, 0.5e4);
}

/// The rows that the tokens 0 ... context - 1 leave behind, one by one.
int64_t countBytes(ModuleOp module, int64_t context,
                   mlir::varve::PoolKind kind) {
  int64_t bytes = 0;
  for (auto pool : module.getOps<mlir::varve::PoolOp>()) {
    if (pool.getKind() != kind)
      continue;
    int64_t rows = 0;
    for (int64_t t = 0; t < context; ++t)
      if (kind == mlir::varve::PoolKind::Entries)
        rows += (t + 1) % *pool.getRatio() == 0;
      else
        rows += t >= context - static_cast<int64_t>(*pool.getSize());
    bytes += rows * pool.getFormat().getRowBytes();
  }
  return bytes;
}

TEST_F(MemoryTest, AgreesWithCountingRowsTokenByToken) {
  using mlir::varve::PoolKind;
  for (const char *policy : {"f32", "bf16", "native"}) {
    auto module = load("tiny", policy);
    for (int64_t context : {0, 1, 3, 4, 5, 31, 32, 33, 127, 128, 1000}) {
      SequenceMemory memory = getSequenceMemory(*module, context);
      EXPECT_EQ(memory.entryBytes,
                countBytes(*module, context, PoolKind::Entries))
          << policy << ", " << context << " tokens";
      EXPECT_EQ(memory.windowBytes,
                countBytes(*module, context, PoolKind::Window))
          << policy << ", " << context << " tokens";
      EXPECT_EQ(memory.getTotal(), memory.entryBytes + memory.getFixed());
    }
  }
}

TEST_F(MemoryTest, AModuleWithoutPoolsOccupiesNothing) {
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(mlir::UnknownLoc::get(&context));
  EXPECT_EQ(getSequenceMemory(*module, kMillion).getTotal(), 0);
  EXPECT_EQ(getBytesPerToken(*module), 0.0);
}

} // namespace
