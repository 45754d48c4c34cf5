//===- ReleasedCostTest.cpp - Costs at the sizes of released models -------===//
//
// Against the published arithmetic: GFLOP of one decoded token at a context of
// 2^20 tokens (specification section 9.4), and the weight bytes that one token
// touches (section 1.3). Published numbers are rounded to the digits checked.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "test/Unit/Dialects/ParsedModule.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

/// One token with 2^20 - 1 before it.
StepShape decodeAtAMillion() {
  StepShape step;
  step.context = 1 << 20;
  return step;
}

/// GFLOP of an indexer of 64 heads of 128 in FP4, over keys of ratio `m`.
double indexerGflop(int64_t m) {
  ParsedModule module(
      llvm::formatv("varve.pool @keys entries ratio {0} page 256 : "
                    "<128 x f4E2M1FN scaled 32 x f8E8M0FNU>",
                    m)
          .str(),
      "%q: tensor<?x64x128xf4E2M1FN>, %s: tensor<?x64x4xf8E8M0FNU>, "
      "%w: tensor<?x64xbf16>, %n: tensor<?xi32>",
      R"(
  %0 = varve.index_score %q scaled %s by 32, %w keys @keys scale 0.011 at (%n, %n)
    : (tensor<?x64x128xf4E2M1FN>, tensor<?x64x4xf8E8M0FNU>, tensor<?x64xbf16>,
       tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xbf16>)");
  return module.cost<IndexScoreOp>(decodeAtAMillion()).flopsF4 / 1e9;
}

TEST(ReleasedCost, IndexerGflopPerToken) {
  EXPECT_NEAR(61 * indexerGflop(1), 1048.0, 0.5); // V3.2, one key per token
  EXPECT_NEAR(30 * indexerGflop(4), 128.8, 0.05); // V4-Pro
  EXPECT_NEAR(21 * indexerGflop(4), 90.2, 0.05);  // V4-Flash
}

/// GFLOP of attention of `heads` heads of size d to a window of W (0: none)
/// and entries of ratio m, the best k (0: all).
double attentionGflop(int64_t heads, int64_t d, int64_t dv, int64_t W,
                      int64_t m, int64_t k) {
  std::string window =
      W ? llvm::formatv("varve.pool @w window size {0} : <{1} x bf16>\n", W, d)
        : std::string();
  std::string entries = llvm::formatv(
      "varve.pool @e entries ratio {0} page 256 : <{1} x bf16>", m, d);
  std::string q = llvm::formatv("tensor<?x{0}x{1}xbf16>", heads, d);
  std::string result = llvm::formatv("tensor<?x{0}x{1}xbf16>", heads, dv);
  std::string indices =
      k ? llvm::formatv("tensor<?x{0}xi32>", k) : std::string();
  std::string arguments = "%q: " + q + ", %n: tensor<?xi32>";
  if (k)
    arguments += ", %i: " + indices;
  std::string op = "%0 = varve.sparse_attention %q";
  op += W ? " window @w entries @e" : " entries @e";
  op += k ? " indices %i" : "";
  op += " scale 0.044 at (%n, %n) : (" + q + (k ? ", " + indices : "") +
        ", tensor<?xi32>, tensor<?xi32>) -> " + result;
  ParsedModule module(window + entries, arguments, op);
  return module.cost<SparseAttentionOp>(decodeAtAMillion()).flopsBF16 / 1e9;
}

TEST(ReleasedCost, SparseAttentionGflopPerToken) {
  EXPECT_NEAR(61 * attentionGflop(128, 576, 512, 0, 1, 2048), 34.8, 0.05);
  EXPECT_NEAR(30 * attentionGflop(128, 512, 512, 128, 4, 1024), 9.1, 0.05);
  EXPECT_NEAR(21 * attentionGflop(64, 512, 512, 128, 4, 512), 1.8, 0.05);
}

TEST(ReleasedCost, HeavilyCompressedAttentionGflopPerToken) {
  EXPECT_NEAR(31 * attentionGflop(128, 512, 512, 128, 128, 0), 67.6, 0.05);
  EXPECT_NEAR(20 * attentionGflop(64, 512, 512, 128, 128, 0), 21.8, 0.05);
}

/// GB of weights that one token touches in an imported model.
double weightGigabytes(llvm::StringRef name) {
  auto config = ::varve::loadBuiltinConfig(name);
  if (!config) {
    ADD_FAILURE() << llvm::toString(config.takeError());
    return 0;
  }
  MLIRContext context;
  OwningOpRef<ModuleOp> module = ::varve::importModel(context, *config, name);
  OpCost total;
  module->walk(
      [&](CostOpInterface op) { total += op.getCost(decodeAtAMillion()); });
  return total.weightBytes / 1e9;
}

TEST(ReleasedCost, OneTokenTouchesThePublishedWeightBytes) {
  EXPECT_NEAR(weightGigabytes("deepseek-v4-flash"), 11.22, 5e-3);
  EXPECT_NEAR(weightGigabytes("deepseek-v4-pro"), 39.67, 5e-3);
}

} // namespace
