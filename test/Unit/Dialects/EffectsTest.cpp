//===- EffectsTest.cpp - Interfaces of the dialect's ops ------------------===//

#include "test/Unit/Dialects/ParsedModule.h"
#include "gmock/gmock.h"

using namespace mlir;
using namespace mlir::varve;
using testing::ElementsAre;

namespace {

constexpr char kPools[] = R"(
varve.pool @window window size 128 : <8 x bf16>
varve.pool @window.values window size 128 : <8 x bf16>
varve.pool @entries entries ratio 4 page 256 : <8 x bf16>
varve.pool @entries.values entries ratio 4 page 256 : <8 x bf16>
varve.pool @state state size 8 : <32 x f32>
)";

/// "read @pool" or "write @pool" for each effect of `op`, in order.
std::vector<std::string> effectsOf(Operation *op) {
  std::vector<std::string> texts;
  SmallVector<MemoryEffects::EffectInstance> effects;
  cast<MemoryEffectOpInterface>(op).getEffects(effects);
  for (const MemoryEffects::EffectInstance &effect : effects) {
    EXPECT_EQ(effect.getResource(), PoolResource::get());
    auto symbol = dyn_cast_or_null<FlatSymbolRefAttr>(effect.getSymbolRef());
    EXPECT_TRUE(symbol) << "an effect that names no pool";
    bool reads = isa<MemoryEffects::Read>(effect.getEffect());
    EXPECT_TRUE(reads || isa<MemoryEffects::Write>(effect.getEffect()));
    texts.push_back((reads ? "read @" : "write @") +
                    (symbol ? symbol.getValue().str() : "?"));
  }
  return texts;
}

TEST(Effects, AppendWritesItsPool) {
  ParsedModule module(
      kPools, "%x: tensor<?x8xbf16>, %n: tensor<?xi32>",
      "varve.append %x to @window at (%n, %n) : tensor<?x8xbf16>, "
      "tensor<?xi32>, tensor<?xi32>");
  ASSERT_TRUE(module);
  EXPECT_THAT(effectsOf(module.last<AppendOp>()), ElementsAre("write @window"));
}

TEST(Effects, CompressReadsAndWritesItsState) {
  ParsedModule module(kPools,
                      "%x: tensor<?x16xf32>, %b: tensor<4x16xf32>, "
                      "%n: tensor<?xi32>",
                      R"(
  %0:3 = varve.compress %x, %x, %b in @state ratio 4 overlap at (%n, %n)
    : (tensor<?x16xf32>, tensor<?x16xf32>, tensor<4x16xf32>, tensor<?xi32>,
       tensor<?xi32>) -> (tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>))");
  ASSERT_TRUE(module);
  EXPECT_THAT(effectsOf(module.last<CompressOp>()),
              ElementsAre("read @state", "write @state"));
}

TEST(Effects, IndexScoreReadsItsKeys) {
  ParsedModule module(kPools,
                      "%q: tensor<?x4x8xbf16>, %w: tensor<?x4xbf16>, "
                      "%n: tensor<?xi32>",
                      R"(
  %0 = varve.index_score %q, %w keys @entries scale 1.0 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?x4xbf16>, tensor<?xi32>, tensor<?xi32>)
    -> tensor<?x?xf32>)");
  ASSERT_TRUE(module);
  EXPECT_THAT(effectsOf(module.last<IndexScoreOp>()),
              ElementsAre("read @entries"));
}

TEST(Effects, AttentionReadsEveryPoolItNames) {
  constexpr char arguments[] = "%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>";
  ParsedModule all(kPools, arguments, R"(
  %0 = varve.sparse_attention %q window @window values @window.values
    entries @entries values @entries.values scale 1.0 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>)");
  ASSERT_TRUE(all);
  EXPECT_THAT(effectsOf(all.last<SparseAttentionOp>()),
              ElementsAre("read @window", "read @window.values",
                          "read @entries", "read @entries.values"));
  ParsedModule window(kPools, arguments, R"(
  %0 = varve.sparse_attention %q window @window scale 1.0 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>)");
  ASSERT_TRUE(window);
  EXPECT_THAT(effectsOf(window.last<SparseAttentionOp>()),
              ElementsAre("read @window"));
}

/// Ops that say what a model computes; the others declare pools or group ops
/// into kernels, whose costs and effects are those of what they hold.
static bool computes(RegisteredOperationName name) {
  return !llvm::is_contained({"varve.pool", "varve.kernel", "varve.kernel_func",
                              "varve.launch", "varve.yield"},
                             name.getStringRef());
}

TEST(Interfaces, EveryOpButThePoolDeclarationHasACost) {
  MLIRContext context;
  context.loadDialect<VarveDialect>();
  int ops = 0;
  for (RegisteredOperationName name :
       context.getRegisteredOperationsByDialect("varve")) {
    ++ops;
    EXPECT_EQ(name.hasInterface<CostOpInterface>(), computes(name))
        << name.getStringRef().str();
  }
  EXPECT_GT(ops, 20);
}

TEST(Interfaces, OpsEitherNamePoolsOrHaveNoEffects) {
  MLIRContext context;
  context.loadDialect<VarveDialect>();
  for (RegisteredOperationName name :
       context.getRegisteredOperationsByDialect("varve")) {
    if (!computes(name))
      continue;
    EXPECT_TRUE(name.hasInterface<MemoryEffectOpInterface>())
        << name.getStringRef().str();
    EXPECT_EQ(name.hasInterface<PoolUserOpInterface>(),
              !name.hasTrait<OpTrait::AlwaysSpeculatableImplTrait>())
        << name.getStringRef().str();
    EXPECT_EQ(name.hasInterface<PoolUserOpInterface>(),
              name.hasInterface<SymbolUserOpInterface>())
        << name.getStringRef().str();
  }
}

} // namespace
