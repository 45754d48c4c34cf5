//===- BuiltinPoliciesTest.cpp - Built-in policies on whole models --------===//
//
// What the built-in policies make of the built-in models, held against the
// table of quantisation points (specification section 11) and the published
// sizes of cache entries (9.1).
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <map>
#include <set>

using namespace varve;
using namespace mlir::varve;
using mlir::MLIRContext;
using mlir::ModuleOp;
using mlir::Operation;
using mlir::OwningOpRef;
using mlir::ShapedType;
using mlir::Value;

namespace {

std::string nameOf(Operation *op) {
  auto loc = mlir::dyn_cast<mlir::NameLoc>(op->getLoc());
  return loc ? loc.getName().str() : "";
}

/// "layers.17.attn.wkv" -> "attn.wkv".
std::string withoutLayer(llvm::StringRef name) {
  if (name.consume_front("layers."))
    name = name.split('.').second;
  return name.str();
}

mlir::Type elementType(Value value) {
  return mlir::cast<ShapedType>(value.getType()).getElementType();
}

class BuiltinPolicies : public testing::Test {
protected:
  OwningOpRef<ModuleOp> load(const char *name, const char *policy) {
    auto config = loadBuiltinConfig(name);
    EXPECT_TRUE(bool(config)) << llvm::toString(config.takeError());
    OwningOpRef<ModuleOp> result = importModel(context, *config, name);
    EXPECT_TRUE(run(*result, createApplyPrecisionPass({policy})));
    EXPECT_TRUE(run(*result, createVerifyQuantizedPass()));
    return result;
  }

  bool run(ModuleOp target, std::unique_ptr<mlir::Pass> pass) {
    mlir::PassManager pm(&context);
    pm.addPass(std::move(pass));
    return mlir::succeeded(pm.run(target));
  }

  MLIRContext context;
};

/// Names, without layers, of ops with an f32 result.
std::set<std::string> f32Ops(ModuleOp target) {
  std::set<std::string> names;
  target.walk([&](Operation *op) {
    if (mlir::isa<WeightOp>(op) || !mlir::isa<VarveDialect>(op->getDialect()))
      return;
    for (Value result : op->getResults())
      if (elementType(result).isF32())
        names.insert(withoutLayer(nameOf(op)));
  });
  return names;
}

const std::set<std::string> kIslands = {"hc_attn.project",
                                        "hc_attn.sinkhorn",
                                        "hc_ffn.project",
                                        "hc_ffn.sinkhorn",
                                        "hc_head.project",
                                        "attn.compressor.wkv",
                                        "attn.compressor.wgate",
                                        "attn.indexer.compressor.wkv",
                                        "attn.indexer.compressor.wgate",
                                        "ffn.gate",
                                        "ffn.route",
                                        "head"};

TEST_F(BuiltinPolicies, NativeKeepsExactlyTheseValuesInF32) {
  for (const char *model : {"tiny", "deepseek-v4-flash"})
    EXPECT_EQ(f32Ops(*load(model, "native")), kIslands) << model;
}

TEST_F(BuiltinPolicies, Bf16KeepsTheIndexScoresInF32Too) {
  std::set<std::string> expected = kIslands;
  expected.insert("attn.indexer.score");
  for (const char *model : {"tiny", "deepseek-v4-flash"})
    EXPECT_EQ(f32Ops(*load(model, "bf16")), expected) << model;
}

/// Quantised inputs by the name of their op, without layers: "type/block".
std::map<std::string, std::string> quantizedInputs(ModuleOp target) {
  std::map<std::string, std::string> inputs;
  auto note = [&](Operation *op, Value x, uint64_t block) {
    std::string text;
    llvm::raw_string_ostream(text) << elementType(x) << "/" << block;
    auto [known, isNew] = inputs.try_emplace(withoutLayer(nameOf(op)), text);
    EXPECT_EQ(known->second, text) << nameOf(op);
  };
  target.walk([&](Operation *op) {
    if (auto linear = mlir::dyn_cast<LinearOp>(op);
        linear && linear.getXScale())
      note(op, linear.getX(), *linear.getXBlock());
    if (auto linear = mlir::dyn_cast<GroupedLinearOp>(op);
        linear && linear.getXScale())
      note(op, linear.getX(), *linear.getXBlock());
    if (auto experts = mlir::dyn_cast<ExpertsOp>(op);
        experts && experts.getXScale())
      note(op, experts.getX(), *experts.getXBlock());
    if (auto score = mlir::dyn_cast<IndexScoreOp>(op);
        score && score.getQScale())
      note(op, score.getQ(), *score.getQBlock());
  });
  return inputs;
}

TEST_F(BuiltinPolicies, NativeQuantizesTheInputsOfPoints1And2And5) {
  const std::map<std::string, std::string> expected = {
      {"attn.wq_a", "f8E4M3FN/128"},
      {"attn.wq_b", "f8E4M3FN/128"},
      {"attn.wkv", "f8E4M3FN/128"},
      {"attn.wo_b", "f8E4M3FN/128"},
      {"attn.indexer.wq_b", "f8E4M3FN/128"},
      {"attn.indexer.score", "f4E2M1FN/32"},
      {"ffn.shared_experts.w1", "f8E4M3FN/128"},
      {"ffn.shared_experts.w2", "f8E4M3FN/128"},
      {"ffn.shared_experts.w3", "f8E4M3FN/128"},
      {"ffn.experts.w1", "f8E4M3FN/128"},
      {"ffn.experts.w2", "f8E4M3FN/128"},
      {"ffn.experts.w3", "f8E4M3FN/128"}};
  for (const char *model : {"tiny", "deepseek-v4-flash"})
    EXPECT_EQ(quantizedInputs(*load(model, "native")), expected) << model;
}

TEST_F(BuiltinPolicies, OtherPoliciesQuantizeNothing) {
  for (const char *policy : {"f32", "bf16"}) {
    auto target = load("tiny", policy);
    EXPECT_TRUE(quantizedInputs(*target).empty());
    target->walk([](Operation *op) {
      EXPECT_FALSE((mlir::isa<QuantizeOp, HadamardOp>(op))) << nameOf(op);
    });
  }
}

/// The values that a layer quantises, each once: the normed input of the
/// attention, the query latent (shared by queries and index queries), the
/// output latents; the normed input of the experts (shared by routed and
/// shared ones), and the two gated activations. A CSA layer adds its index
/// queries.
TEST_F(BuiltinPolicies, NativeQuantizesEachValueOnce) {
  std::set<std::string> everyLayer = {
      "attn_norm.quantize",       "attn.q_norm.quantize",
      "attn.wo_a.quantize",       "ffn_norm.quantize",
      "ffn.experts.act.quantize", "ffn.shared_experts.act.quantize"};
  std::set<std::string> csaLayer = everyLayer;
  csaLayer.insert("attn.indexer.q_rope.hadamard.quantize");
  auto target = load("deepseek-v4-flash", "native");
  unsigned layers = 0, csaLayers = 0;
  for (auto function : target->getOps<mlir::func::FuncOp>()) {
    std::multiset<std::string> values;
    function.walk(
        [&](QuantizeOp op) { values.insert(withoutLayer(nameOf(op))); });
    if (!function.getSymName().starts_with("layers.")) {
      EXPECT_TRUE(values.empty()) << function.getSymName().str();
      continue;
    }
    bool isCsa = false;
    function.walk([&](IndexScoreOp) { isCsa = true; });
    const std::set<std::string> &expected = isCsa ? csaLayer : everyLayer;
    EXPECT_THAT(values, testing::UnorderedElementsAreArray(expected))
        << function.getSymName().str();
    ++layers;
    csaLayers += isCsa;
  }
  EXPECT_EQ(layers, 43u);
  EXPECT_EQ(csaLayers, 21u);
}

/// Bytes of rows by the last part of the pools' names.
std::map<std::string, std::set<int64_t>> rowBytes(ModuleOp target) {
  std::map<std::string, std::set<int64_t>> bytes;
  for (PoolOp pool : target.getOps<PoolOp>())
    bytes[pool.getSymName().rsplit('.').second.str()].insert(
        pool.getFormat().getRowBytes());
  return bytes;
}

TEST_F(BuiltinPolicies, NativeEntriesAreAsLargeAsPublished) {
  using Bytes = std::map<std::string, std::set<int64_t>>;
  // States: kv and score rows of c dc f32 each (5.5): 2 * 1024 * 4,
  // 2 * 256 * 4 and 2 * 512 * 4.
  for (const char *model : {"deepseek-v4-flash", "deepseek-v4-pro"})
    EXPECT_EQ(rowBytes(*load(model, "native")),
              (Bytes{{"window", {584}},
                     {"entries", {584}},
                     {"keys", {68}},
                     {"state", {8192, 2048, 4096}}}))
        << model;
  EXPECT_EQ(rowBytes(*load("deepseek-v4-flash", "bf16")),
            (Bytes{{"window", {1024}},
                   {"entries", {1024}},
                   {"keys", {256}},
                   {"state", {8192, 2048, 4096}}}));
}

TEST_F(BuiltinPolicies, NativeRoundsInsideOpsAsTheReleasedModels) {
  auto target = load("deepseek-v4-flash", "native");
  unsigned attentions = 0, scores = 0, headNorms = 0, otherNorms = 0;
  target->walk([&](Operation *op) {
    if (auto attention = mlir::dyn_cast<SparseAttentionOp>(op)) {
      ++attentions;
      EXPECT_EQ(attention.getBlock(), 64u);
      EXPECT_TRUE(attention.getProbabilities() &&
                  attention.getProbabilities()->isBF16());
    } else if (auto score = mlir::dyn_cast<IndexScoreOp>(op)) {
      ++scores;
      EXPECT_EQ(score.getRounding(), Rounding::EachStep);
    } else if (auto norm = mlir::dyn_cast<RmsNormOp>(op)) {
      bool ofHeads = nameOf(op).ends_with(".q_head_norm");
      ++(ofHeads ? headNorms : otherNorms);
      EXPECT_EQ(norm.getRounding(),
                ofHeads ? Rounding::EachStep : Rounding::Once);
    }
  });
  EXPECT_EQ(attentions, 43u);
  EXPECT_EQ(scores, 21u);
  EXPECT_EQ(headNorms, 43u);
  // attn, ffn, q, kv of each layer, compressors, index compressors, the last.
  EXPECT_EQ(otherNorms, 43u * 4 + 41 + 21 + 1);
}

TEST_F(BuiltinPolicies, HadamardIsOnQueriesAndKeysOfTheIndexOnly) {
  std::multiset<std::string> names;
  load("deepseek-v4-flash", "native")->walk([&](HadamardOp op) {
    names.insert(withoutLayer(nameOf(op)));
  });
  EXPECT_EQ(names.size(), 2u * 21);
  EXPECT_EQ(names.count("attn.indexer.q_rope.hadamard"), 21u);
  EXPECT_EQ(names.count("attn.indexer.compressor.rope.hadamard"), 21u);
}

TEST_F(BuiltinPolicies, F32OnlyRecordsItself) {
  auto config = loadBuiltinConfig("tiny");
  ASSERT_TRUE(bool(config));
  OwningOpRef<ModuleOp> before = importModel(context, *config, "tiny");
  auto after = load("tiny", "f32");
  EXPECT_EQ((*after)->getAttrOfType<mlir::StringAttr>(kPrecisionAttrName),
            "f32");
  (*after)->removeAttr(kPrecisionAttrName);
  EXPECT_TRUE(mlir::OperationEquivalence::isEquivalentTo(
      before.get(), after.get(), mlir::OperationEquivalence::None));
}

/// A checkpoint that transformers wrote has plain weights: nothing is
/// quantised but caches and the index ("bf16 weights mode").
TEST_F(BuiltinPolicies, NativeLeavesInputsOfPlainWeightsAlone) {
  auto config = loadBuiltinConfig("tiny");
  ASSERT_TRUE(bool(config));
  OwningOpRef<ModuleOp> target = importModel(
      context, *config, "tiny", [](llvm::StringRef, WeightType implied) {
        return implied == WeightType::F8E4M3 || implied == WeightType::F4E2M1
                   ? WeightType::BF16
                   : implied;
      });
  ASSERT_TRUE(run(*target, createApplyPrecisionPass({"native"})));
  EXPECT_EQ(quantizedInputs(*target),
            (std::map<std::string, std::string>{
                {"attn.indexer.score", "f4E2M1FN/32"}}));
  // 64 elements in E4M3 with a scale, 64 in bf16, three bytes of padding.
  EXPECT_EQ(rowBytes(*target)["window"], (std::set<int64_t>{64 + 128 + 4}));
}

} // namespace
