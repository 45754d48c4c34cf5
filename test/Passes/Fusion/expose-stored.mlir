// RUN: varve-opt %s -split-input-file -varve-insert-commits -varve-expose-stored --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

module attributes {varve.model = #varve.model<name = "m", layers = "C", vocab = 8, max_positions = 128>} {
varve.pool @layers.2.attn.indexer.keys entries ratio 4 page 16 : <16 x f32>
varve.pool @layers.2.attn.window window size 8 : <64 x f32>

// The layer stays as it is, for the step.
// CHECK-LABEL: func.func private @layers.2(
// CHECK-SAME: -> tensor<?x64xf32> {
// CHECK: varve.index_topk %{{.*}} k 3 : tensor<?x?xf32>

// The norm is replaced by an argument; the other half of the layer is there.
// CHECK-LABEL: func.func @layers.2.stored.attn(
// CHECK-SAME: tensor<?x64xf32> loc("streams"
// CHECK-SAME: %[[GIVEN:[a-z0-9]+]]: tensor<?x64xf32> loc("attn.input"
// CHECK-SAME: -> (tensor<?x64xf32>,
// CHECK-SAME: tensor<?x64xf32> {varve.port = "attn.output"},
// CHECK-SAME: tensor<?x3xi32> {varve.port = "indexer.topk"},
// CHECK-SAME: tensor<?x4x16xf32> {varve.port = "indexer.q"},
// CHECK-SAME: tensor<?x32xf32> {varve.port = "indexer.scores"})
// CHECK-NOT: loc("layers.2.attn_norm")
// CHECK: %[[O:.*]] = varve.linear %[[GIVEN]], {{.*}} loc("layers.2.attn.wo_b")
// CHECK: varve.append %[[GIVEN]] to @layers.2.attn.window
// CHECK: varve.commit @layers.2.attn.window
// CHECK: %[[Q:.*]] = varve.hadamard
// CHECK: %[[S:.*]] = varve.index_score %[[Q]], {{.*}} -> tensor<?x32xf32>
// CHECK: %[[K:.*]] = varve.index_topk %[[S]] k 3 : tensor<?x32xf32>
// CHECK: varve.rms_norm {{.*}} loc("layers.2.ffn_norm")
// CHECK: %[[R:.*]] = varve.combine
// CHECK: return %[[R]], %[[O]], %[[K]], %[[Q]], %[[S]]

// CHECK-LABEL: func.func @layers.2.stored.moe(
// CHECK-SAME: loc("moe.input"
// CHECK-SAME: -> (tensor<?x64xf32>,
// CHECK-SAME: tensor<?x7xf32> {varve.port = "router.logits"},
// CHECK-SAME: tensor<?x3xi32> {varve.port = "router.indices"},
// CHECK-SAME: tensor<?x3xf32> {varve.port = "router.weights"})
// CHECK: varve.rms_norm {{.*}} loc("layers.2.attn_norm")
// CHECK-NOT: loc("layers.2.ffn_norm")
// CHECK: %[[LOGITS:.*]] = varve.linear {{.*}} loc("layers.2.ffn.gate")
// CHECK: %[[IDS:.*]], %[[W:.*]] = varve.route_topk %[[LOGITS]]
// CHECK: return %{{.*}}, %[[LOGITS]], %[[IDS]], %[[W]]

// CHECK-LABEL: func.func @layers.2.stored.topk(
// CHECK-SAME: %[[SCORES:.*]]: tensor<?x32xf32> loc("indexer.scores"
// CHECK-SAME: -> (tensor<?x3xi32> {varve.port = "indexer.topk"})
// CHECK-NEXT: %[[BEST:.*]] = varve.index_topk %[[SCORES]] k 3 : tensor<?x32xf32>
// CHECK-NEXT: return %[[BEST]]
func.func private @layers.2(%x: tensor<?x64xf32> loc("streams"), %w: tensor<?x4xf32>,
    %u: tensor<?x4x16xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) -> tensor<?x64xf32> {
  %wo = varve.weight "layers.2.attn.wo_b.weight" : tensor<64x64xf32> loc("layers.2.attn.wo_b.weight")
  %wg = varve.weight "layers.2.ffn.gate.weight" : tensor<7x64xf32>
  %bias = varve.weight "layers.2.ffn.gate.bias" : tensor<7xf32>
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("layers.2.attn_norm")
  %o = varve.linear %n, %wo : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32> loc("layers.2.attn.wo_b")
  varve.append %n to @layers.2.attn.window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  %q = varve.hadamard %u : tensor<?x4x16xf32> loc("layers.2.attn.indexer.q_rope")
  %scores = varve.index_score %q, %w keys @layers.2.attn.indexer.keys scale 0.5 at(%p, %s)
      : (tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x?xf32> loc("layers.2.attn.indexer.score")
  %best = varve.index_topk %scores k 3 : tensor<?x?xf32> loc("layers.2.attn.indexer.topk")
  %m = varve.rms_norm %o eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("layers.2.ffn_norm")
  %logits = varve.linear %m, %wg : (tensor<?x64xf32>, tensor<7x64xf32>) -> tensor<?x7xf32> loc("layers.2.ffn.gate")
  %ids, %g = varve.route_topk %logits bias %bias active 3 scoring sigmoid normalize
      scale 1.5 : tensor<?x7xf32>, tensor<7xf32> loc("layers.2.ffn.route")
  %e = varve.weight "experts" : tensor<7x64x64xf32>
  %y = varve.experts %m, %ids, %e
      : (tensor<?x64xf32>, tensor<?x3xi32>, tensor<7x64x64xf32>) -> tensor<?x3x64xf32>
  %r = varve.combine %y, %ids : (tensor<?x3x64xf32>, tensor<?x3xi32>) -> tensor<?x64xf32>
  return %r : tensor<?x64xf32>
}
}

// -----

// Without the model's positions nobody knows how many entries there can be.
varve.pool @layers.0.attn.indexer.keys entries ratio 4 page 16 : <16 x f32>
// CHECK-NOT: stored.topk
// CHECK-LABEL: func.func @layers.0.stored.attn(
// CHECK-NOT: indexer.scores
// CHECK-SAME: {varve.port = "indexer.topk"}
// CHECK: -> tensor<?x?xf32> loc("layers.0.attn.indexer.score")
// CHECK-NOT: .stored.
func.func private @layers.0(%x: tensor<?x4x16xf32>, %w: tensor<?x4xf32>,
    %p: tensor<?xi32>, %s: tensor<?xi32>) -> tensor<?x3xi32> {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x4x16xf32>) -> tensor<?x4x16xf32> loc("layers.0.attn_norm")
  %scores = varve.index_score %n, %w keys @layers.0.attn.indexer.keys scale 0.5 at(%p, %s)
      : (tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x?xf32> loc("layers.0.attn.indexer.score")
  %best = varve.index_topk %scores k 3 : tensor<?x?xf32> loc("layers.0.attn.indexer.topk")
  %again = varve.index_topk %scores k 3 : tensor<?x?xf32>
  return %again : tensor<?x3xi32>
}

// -----

// Nothing to begin at, nothing to show, no layer.
// CHECK-LABEL: func.func private @layers.1(
// CHECK-NOT: func.func @
// CHECK-LABEL: func.func private @layers.x(
// CHECK-NOT: func.func @
func.func private @layers.1(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("layers.1.ffn_norm")
  return %n : tensor<?x64xf32>
}
func.func private @layers.x(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("layers.x.attn_norm")
  %o = varve.rms_norm %n eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("layers.x.attn.wo_b")
  return %o : tensor<?x64xf32>
}
