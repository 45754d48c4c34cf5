//===- AttentionBuilder.cpp - Attention of a layer ------------------------===//
//
// Specification sections 4 to 7. Ops that write a pool come before the ops
// that read it, so that a token sees what its own step has stored.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ModuleBuilder.h"
#include <cmath>

using namespace mlir;
using namespace mlir::varve;
using namespace ::varve;
using llvm::Twine;

Value ModuleBuilder::buildQuery(Value latent, RopeAttr rope,
                                const Tokens &tokens) {
  Value q = linear("attn.wq_b", latent, {config.numHeads, config.headDim},
                   config.storage.linear);
  q = rmsNorm("attn.q_head_norm", q, /*weightName=*/"");
  return RopeOp::create(b, locate("attn.q_rope"), q, tokens.positions, rope,
                        /*inverse=*/false);
}

FlatSymbolRefAttr ModuleBuilder::buildWindow(Value x, RopeAttr rope,
                                             const Tokens &tokens) {
  Value kv = linear("attn.wkv", x, {config.headDim}, config.storage.linear);
  kv = rmsNorm("attn.kv_norm", kv, "attn.kv_norm.weight");
  kv = RopeOp::create(b, locate("attn.kv_rope"), kv, tokens.positions, rope,
                      /*inverse=*/false);
  FlatSymbolRefAttr window =
      pool("attn.window", PoolKind::Window, config.window, config.headDim);
  AppendOp::create(b, locate("attn.window.append"), kv, window,
                   tokens.positions, tokens.slots);
  return window;
}

FlatSymbolRefAttr
ModuleBuilder::buildCompressor(StringRef scope, StringRef poolName,
                               int64_t width, const LayerConfig &layer,
                               RopeAttr rope, Value x, const Tokens &tokens) {
  bool overlap = layer.attention == AttentionKind::CSA;
  int64_t halves = overlap ? 2 : 1, rowWidth = halves * width;
  Value kv = linear(scope + ".wkv", x, {rowWidth}, config.storage.dense);
  Value gate = linear(scope + ".wgate", x, {rowWidth}, config.storage.dense);
  Value bias = weight(scope + ".ape", {layer.ratio, rowWidth}, WeightType::F32);
  FlatSymbolRefAttr state = pool(scope + ".state", PoolKind::State,
                                 halves * layer.ratio, 2 * rowWidth);
  auto compress = CompressOp::create(
      b, locate(scope + ".compress"), rows({width}), numbers(), numbers(), kv,
      gate, bias, state, i64(layer.ratio),
      overlap ? b.getUnitAttr() : UnitAttr(), tokens.positions, tokens.slots);
  std::string normWeight = (scope + ".norm.weight").str();
  Value entries = rmsNorm(scope + ".norm", compress.getEntries(), normWeight);
  entries = RopeOp::create(b, locate(scope + ".rope"), entries,
                           compress.getStarts(), rope, /*inverse=*/false);
  FlatSymbolRefAttr target =
      pool(poolName, PoolKind::Entries, layer.ratio, width);
  AppendOp::create(b, locate(poolName + ".append"), entries, target,
                   compress.getStarts(), compress.getEntrySlots());
  return target;
}

Value ModuleBuilder::buildIndexer(int64_t layer, Value x, Value latent,
                                  RopeAttr rope, const Tokens &tokens) {
  int64_t heads = config.indexHeads, width = config.indexHeadDim;
  Value q = linear("attn.indexer.wq_b", latent, {heads, width},
                   config.storage.linear);
  q = RopeOp::create(b, locate("attn.indexer.q_rope"), q, tokens.positions,
                     rope,
                     /*inverse=*/false);
  Value weights =
      linear("attn.indexer.weights_proj", x, {heads}, config.storage.dense);
  FlatSymbolRefAttr keys =
      buildCompressor("attn.indexer.compressor", "attn.indexer.keys", width,
                      config.layers[layer], rope, x, tokens);
  double scale = 1.0 / std::sqrt(static_cast<double>(heads) * width);
  Value scores = IndexScoreOp::create(
      b, locate("attn.indexer.score"), rows({ShapedType::kDynamic}), q,
      /*q_scale=*/Value(), weights, keys, f64(scale),
      /*q_block=*/IntegerAttr(), tokens.positions, tokens.slots,
      RoundingAttr::get(&context, Rounding::Once));
  return IndexTopkOp::create(b, locate("attn.indexer.topk"), scores,
                             i64(config.indexTopk));
}

Value ModuleBuilder::buildAttention(int64_t layer, Value x,
                                    const Tokens &tokens) {
  const LayerConfig &kind = config.layers[layer];
  RopeAttr rope = ropeAttr(config.ropeOf(layer));
  Value latent =
      linear("attn.wq_a", x, {config.queryRank}, config.storage.linear);
  latent = rmsNorm("attn.q_norm", latent, "attn.q_norm.weight");
  Value q = buildQuery(latent, rope, tokens);
  FlatSymbolRefAttr window = buildWindow(x, rope, tokens);
  Value indices;
  if (kind.attention == AttentionKind::CSA)
    indices = buildIndexer(layer, x, latent, rope, tokens);
  FlatSymbolRefAttr entries;
  if (kind.attention != AttentionKind::Sliding)
    entries = buildCompressor("attn.compressor", "attn.entries", config.headDim,
                              kind, rope, x, tokens);
  Value sink = weight("attn.attn_sink", {config.numHeads}, WeightType::F32);
  double scale = 1.0 / std::sqrt(static_cast<double>(config.headDim));
  Value o = SparseAttentionOp::create(
      b, locate("attn.core"), q.getType(), q, indices, sink, tokens.positions,
      tokens.slots, window, /*window_values=*/FlatSymbolRefAttr(), entries,
      /*entry_values=*/FlatSymbolRefAttr(), f64(scale), /*kv_heads=*/i64(1),
      /*block=*/IntegerAttr(), /*probabilities=*/TypeAttr());
  o = RopeOp::create(b, locate("attn.o_rope"), o, tokens.positions, rope,
                     /*inverse=*/true);
  int64_t N = config.outputGroups * config.outputRank;
  int64_t K = config.numHeads * config.headDim / config.outputGroups;
  ScaledWeight w = scaledWeight("attn.wo_a", {N, K}, config.storage.linear);
  Value a = GroupedLinearOp::create(b, locate("attn.wo_a"), rows({N}), o,
                                    /*x_scale=*/Value(), w.codes, w.scale,
                                    i64(config.outputGroups),
                                    /*x_block=*/IntegerAttr(), w.block);
  return linear("attn.wo_b", a, {config.hiddenSize}, config.storage.linear);
}
