//===- MechanismTest.cpp - Attention and experts, lowered
//------------------===//
//
// Forms of the mechanisms that the built-in models do not have, from the ops to
// the launches. The programs themselves are tested in test/Unit/Programs.
//
//===----------------------------------------------------------------------===//

#include "LowerTesting.h"
#include "test/Unit/Engine/KernelHarness.h"
#include "gtest/gtest.h"

using namespace varve::test;

namespace {

/// A prompt, decoding, a chunk, padding, another sequence.
void run(const std::string &text, Tolerance tolerance = {}) {
  Twins twins(text);
  twins.step("f", {{0, 5}}, tolerance);
  twins.step("f", {{0, 1}, {1, 17}, {-1, 1}}, tolerance);
  for (int i = 0; i < 3; ++i)
    twins.step("f", {{1, 1}, {0, 1}}, tolerance);
  twins.step("f", {{0, 33}, {1, 2}}, tolerance);
  twins.step("f", {{2, 1}, {0, 1}}, tolerance);
}

TEST(MechanismTest, GroupedQueriesOverTheWholePast) {
  run(R"mlir(
varve.pool @k entries ratio 1 page 16 : <64 x bf16>
varve.pool @v entries ratio 1 page 16 : <32 x f16>
func.func @f(%q: tensor<?x6x32xf32>, %k: tensor<?x64xf32>, %v: tensor<?x32xf32>,
             %p: tensor<?xi32> loc("positions"), %s: tensor<?xi32> loc("slots"))
    -> tensor<?x6x16xf32> {
  varve.append %k to @k at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  varve.append %v to @v at(%p, %s) : tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>
  %o = varve.sparse_attention %q entries @k values @v scale 0.25 at(%p, %s) kv_heads 2
      : (tensor<?x6x32xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x6x16xf32>
  return %o : tensor<?x6x16xf32>
})mlir");
}

TEST(MechanismTest, WindowsOfCodesWithSinksAndRotation) {
  run(R"mlir(
varve.pool @w window size 8 : <64 x f8E4M3FN scaled 32 x f8E8M0FNU, 32 x bf16>
func.func @f(%q: tensor<?x4x96xbf16>, %k: tensor<?x96xbf16>,
             %p: tensor<?xi32> loc("positions"), %s: tensor<?xi32> loc("slots"))
    -> tensor<?x4x96xbf16> {
  %sink = varve.weight "sink" : tensor<4xf32>
  varve.append %k to @w at(%p, %s) : tensor<?x96xbf16>, tensor<?xi32>, tensor<?xi32>
  %o = varve.sparse_attention %q window @w sink %sink scale 0.125 at(%p, %s)
      block 16 probabilities bf16
      : (tensor<?x4x96xbf16>, tensor<4xf32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x4x96xbf16>
  %r = varve.rope inverse %o at %p table <theta = 10000.0, dim = 32>
      : tensor<?x4x96xbf16>, tensor<?xi32>
  return %r : tensor<?x4x96xbf16>
})mlir",
      {5e-3, 2e-2});
}

TEST(MechanismTest, CompressedEntriesThatAnIndexChooses) {
  run(R"mlir(
varve.pool @state state size 8 : <64 x f32>
varve.pool @keys entries ratio 4 page 16 : <16 x f32>
varve.pool @w window size 8 : <16 x f32>
func.func @f(%q: tensor<?x4x16xf32>, %kv: tensor<?x32xf32>, %gate: tensor<?x32xf32>,
             %k: tensor<?x16xf32>, %weights: tensor<?x4xf32>,
             %p: tensor<?xi32> loc("positions"), %s: tensor<?xi32> loc("slots"))
    -> (tensor<?x4x16xf32>, tensor<?x3xi32>) {
  %bias = varve.weight "ape" : tensor<4x32xf32>
  %norm = varve.weight "norm.weight" : tensor<16xf32>
  varve.append %k to @w at(%p, %s) : tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>
  %e, %starts, %eslots = varve.compress %kv, %gate, %bias in @state ratio 4 overlap
      at(%p, %s) : (tensor<?x32xf32>, tensor<?x32xf32>, tensor<4x32xf32>,
                    tensor<?xi32>, tensor<?xi32>)
      -> (tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>)
  %n = varve.rms_norm %e weight %norm eps 1.0e-6
      : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %h = varve.hadamard %n : tensor<?x16xf32>
  varve.append %h to @keys at(%starts, %eslots)
      : tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>
  %scores = varve.index_score %q, %weights keys @keys scale 0.5 at(%p, %s)
      : (tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x?xf32>
  %best = varve.index_topk %scores k 3 : tensor<?x?xf32>
  %o = varve.sparse_attention %q window @w entries @keys indices %best scale 0.25
      at(%p, %s) : (tensor<?x4x16xf32>, tensor<?x3xi32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x4x16xf32>
  return %o, %best : tensor<?x4x16xf32>, tensor<?x3xi32>
})mlir",
      {1e-4, 1e-3});
}

/// What comparisons with other implementations look at.
TEST(MechanismTest, ScoresAndResultsThatOthersStore) {
  run(R"mlir(
varve.pool @state state size 8 : <64 x f32>
varve.pool @keys entries ratio 4 page 16 : <16 x f32>
varve.pool @w window size 8 : <16 x f32>
func.func @f(%q: tensor<?x4x16xf32>, %kv: tensor<?x32xf32>, %gate: tensor<?x32xf32>,
             %k: tensor<?x16xf32>, %qa: tensor<?x3x16xf32>, %weights: tensor<?x4xf32>,
             %given: tensor<?x37xf32>,
             %p: tensor<?xi32> loc("positions"), %s: tensor<?xi32> loc("slots"))
    -> (tensor<?x3x16xf32>, tensor<?x3x16xf32>, tensor<?x24xf32>, tensor<?x3xi32>,
        tensor<?x5xi32>) {
  %bias = varve.weight "ape" : tensor<4x32xf32>
  %e, %starts, %eslots = varve.compress %kv, %gate, %bias in @state ratio 4 overlap
      at(%p, %s) : (tensor<?x32xf32>, tensor<?x32xf32>, tensor<4x32xf32>,
                    tensor<?xi32>, tensor<?xi32>)
      -> (tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>)
  varve.append %e to @keys at(%starts, %eslots)
      : tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>
  varve.append %k to @w at(%p, %s) : tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>
  %scores = varve.index_score %q, %weights keys @keys scale 0.5 at(%p, %s)
      : (tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x24xf32>
  %best = varve.index_topk %scores k 3 : tensor<?x24xf32>
  %other = varve.index_topk %given k 5 : tensor<?x37xf32>
  %o = varve.sparse_attention %qa window @w scale 0.25 at(%p, %s)
      : (tensor<?x3x16xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x3x16xf32>
  %r = varve.rope inverse %o at %p table <theta = 10000.0, dim = 8>
      : tensor<?x3x16xf32>, tensor<?xi32>
  return %o, %r, %scores, %best, %other : tensor<?x3x16xf32>, tensor<?x3x16xf32>,
      tensor<?x24xf32>, tensor<?x3xi32>, tensor<?x5xi32>
})mlir",
      {1e-4, 1e-3});
}

TEST(MechanismTest, RoutersAndExperts) {
  for (const char *scoring : {"sqrt_softplus", "sigmoid", "softmax"})
    run(substitute(R"mlir(
func.func @f(%x: tensor<?x64xbf16>, %logits: tensor<?x7xf32>)
    -> (tensor<?x64xf32>, tensor<?x3xi32>) {
  %bias = varve.weight "gate.bias" : tensor<7xf32>
  %ids, %g = varve.route_topk %logits bias %bias active 3 scoring $S$ normalize
      scale 1.5 : tensor<?x7xf32>, tensor<7xf32>
  %w1 = varve.weight "experts.*.w1.weight" : tensor<7x96x64xf4E2M1FN>
  %s1 = varve.weight "experts.*.w1.scale" : tensor<7x96x2xf8E8M0FNU>
  %w3 = varve.weight "experts.*.w3.weight" : tensor<7x96x64xf4E2M1FN>
  %s3 = varve.weight "experts.*.w3.scale" : tensor<7x96x2xf8E8M0FNU>
  %w2 = varve.weight "experts.*.w2.weight" : tensor<7x64x96xf32>
  %u = varve.experts %x, %ids, %w1 scaled %s1 by [1, 32]
      : (tensor<?x64xbf16>, tensor<?x3xi32>, tensor<7x96x64xf4E2M1FN>,
         tensor<7x96x2xf8E8M0FNU>) -> tensor<?x3x96xf32>
  %v = varve.experts %x, %ids, %w3 scaled %s3 by [1, 32]
      : (tensor<?x64xbf16>, tensor<?x3xi32>, tensor<7x96x64xf4E2M1FN>,
         tensor<7x96x2xf8E8M0FNU>) -> tensor<?x3x96xf32>
  %a = varve.swiglu %u, %v weights %g limit 10.0
      : (tensor<?x3x96xf32>, tensor<?x3x96xf32>, tensor<?x3xf32>) -> tensor<?x3x96xf32>
  %y = varve.experts %a, %ids, %w2
      : (tensor<?x3x96xf32>, tensor<?x3xi32>, tensor<7x64x96xf32>)
      -> tensor<?x3x64xf32>
  %z = varve.combine %y, %ids
      : (tensor<?x3x64xf32>, tensor<?x3xi32>) -> tensor<?x64xf32>
  return %z, %ids : tensor<?x64xf32>, tensor<?x3xi32>
})mlir",
                   {{"S", scoring}}),
        {1e-4, 1e-3});
}

TEST(MechanismTest, CodesOfRowsAndBack) {
  run(R"mlir(
func.func @f(%x: tensor<?x3x64xf32>)
    -> (tensor<?x3x64xf32>, tensor<?x3x64xf4E2M1FN>, tensor<?x3x2xf8E8M0FNU>) {
  %h = varve.hadamard %x : tensor<?x3x64xf32>
  %c, %s = varve.quantize %h block 32
      : tensor<?x3x64xf32> -> tensor<?x3x64xf4E2M1FN>, tensor<?x3x2xf8E8M0FNU>
  %y = varve.dequantize %c scaled %s block 32
      : (tensor<?x3x64xf4E2M1FN>, tensor<?x3x2xf8E8M0FNU>) -> tensor<?x3x64xf32>
  return %y, %c, %s : tensor<?x3x64xf32>, tensor<?x3x64xf4E2M1FN>, tensor<?x3x2xf8E8M0FNU>
})mlir",
      {0, 0});
}

} // namespace
