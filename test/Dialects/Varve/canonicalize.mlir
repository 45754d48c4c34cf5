// Canonicalisations, each with a twin that it must leave alone, and which ops
// vanish when nobody uses them.
//
// RUN: varve-opt %s --canonicalize | FileCheck %s
// A second run finds nothing to do.
// RUN: varve-opt %s --canonicalize -o %t.once
// RUN: varve-opt %t.once --canonicalize -o %t.twice
// RUN: diff %t.once %t.twice

varve.pool @window window size 128 : <8 x bf16>
varve.pool @entries entries ratio 4 page 256 : <8 x bf16>
varve.pool @state state size 8 : <32 x f32>

//===----------------------------------------------------------------------===//
// Rounding that cannot be observed
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @norm_drops_step_rounding_of_f32
// CHECK-NOT: round
// CHECK: varve.rms_norm %{{.+}} eps 1.000000e-05 : (tensor<?x8xbf16>) -> tensor<?x8xf32>
func.func @norm_drops_step_rounding_of_f32(%x: tensor<?x8xbf16>) -> tensor<?x8xf32> {
  %0 = varve.rms_norm %x eps 1.0e-05 round each_step : (tensor<?x8xbf16>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @norm_keeps_step_rounding_of_bf16
// CHECK: varve.rms_norm %{{.+}} eps 1.000000e-05 round each_step : (tensor<?x8xf32>) -> tensor<?x8xbf16>
func.func @norm_keeps_step_rounding_of_bf16(%x: tensor<?x8xf32>) -> tensor<?x8xbf16> {
  %0 = varve.rms_norm %x eps 1.0e-05 round each_step : (tensor<?x8xf32>) -> tensor<?x8xbf16>
  return %0 : tensor<?x8xbf16>
}

// CHECK-LABEL: func.func @score_drops_step_rounding_of_f32
// CHECK-NOT: round
// CHECK: varve.index_score %{{.+}}, %{{.+}} keys @entries scale 5.000000e-01 at(%{{.+}}, %{{.+}}) :
func.func @score_drops_step_rounding_of_f32(%q: tensor<?x4x8xbf16>, %w: tensor<?x4xbf16>, %n: tensor<?xi32>) -> tensor<?x?xf32> {
  %0 = varve.index_score %q, %w keys @entries scale 0.5 at (%n, %n) round each_step
    : (tensor<?x4x8xbf16>, tensor<?x4xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// CHECK-LABEL: func.func @score_keeps_step_rounding_of_bf16
// CHECK: varve.index_score {{.*}} round each_step
func.func @score_keeps_step_rounding_of_bf16(%q: tensor<?x4x8xbf16>, %w: tensor<?x4xbf16>, %n: tensor<?xi32>) -> tensor<?x?xbf16> {
  %0 = varve.index_score %q, %w keys @entries scale 0.5 at (%n, %n) round each_step
    : (tensor<?x4x8xbf16>, tensor<?x4xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xbf16>
  return %0 : tensor<?x?xbf16>
}

// Blocks stay: they are the order of the sums.
// CHECK-LABEL: func.func @attention_drops_f32_probabilities
// CHECK: varve.sparse_attention %{{.+}} window @window scale 5.000000e-01 at(%{{.+}}, %{{.+}}) block 64 : (
func.func @attention_drops_f32_probabilities(%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>) -> tensor<?x4x8xbf16> {
  %0 = varve.sparse_attention %q window @window scale 0.5 at (%n, %n) block 64 probabilities f32
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  return %0 : tensor<?x4x8xbf16>
}

// CHECK-LABEL: func.func @attention_keeps_bf16_probabilities
// CHECK: varve.sparse_attention {{.*}} block 64 probabilities bf16
func.func @attention_keeps_bf16_probabilities(%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>) -> tensor<?x4x8xbf16> {
  %0 = varve.sparse_attention %q window @window scale 0.5 at (%n, %n) block 64 probabilities bf16
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  return %0 : tensor<?x4x8xbf16>
}

//===----------------------------------------------------------------------===//
// One group
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @one_group_is_linear
// CHECK-SAME: %[[X:[^:]+]]: tensor<?x2x4xbf16>, %[[W:[^:]+]]: tensor<6x8xbf16>
// CHECK: varve.linear %[[X]], %[[W]] {strategy = "mine"} : (tensor<?x2x4xbf16>, tensor<6x8xbf16>) -> tensor<?x6xbf16>
func.func @one_group_is_linear(%x: tensor<?x2x4xbf16>, %w: tensor<6x8xbf16>) -> tensor<?x6xbf16> {
  %0 = varve.grouped_linear %x, %w groups 1 {strategy = "mine"} : (tensor<?x2x4xbf16>, tensor<6x8xbf16>) -> tensor<?x6xbf16>
  return %0 : tensor<?x6xbf16>
}

// CHECK-LABEL: func.func @one_group_of_codes_is_linear
// CHECK-SAME: %[[X:[^:]+]]: tensor<?x8xf8E4M3FN>, %[[XS:[^:]+]]: tensor<?x2xf32>, %[[W:[^:]+]]: tensor<6x8xf8E4M3FN>, %[[WS:[^:]+]]: tensor<2x2xf32>
// CHECK: varve.linear %[[X]] scaled %[[XS]] by 4, %[[W]] scaled %[[WS]] by [3, 4] :
func.func @one_group_of_codes_is_linear(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<6x8xf8E4M3FN>, %ws: tensor<2x2xf32>) -> tensor<?x6xbf16> {
  %0 = varve.grouped_linear %x scaled %xs by 4, %w scaled %ws by [3, 4] groups 1
    : (tensor<?x8xf8E4M3FN>, tensor<?x2xf32>, tensor<6x8xf8E4M3FN>, tensor<2x2xf32>) -> tensor<?x6xbf16>
  return %0 : tensor<?x6xbf16>
}

// CHECK-LABEL: func.func @two_groups_stay
// CHECK: varve.grouped_linear %{{.+}}, %{{.+}} groups 2
func.func @two_groups_stay(%x: tensor<?x8xbf16>, %w: tensor<6x4xbf16>) -> tensor<?x6xbf16> {
  %0 = varve.grouped_linear %x, %w groups 2 : (tensor<?x8xbf16>, tensor<6x4xbf16>) -> tensor<?x6xbf16>
  return %0 : tensor<?x6xbf16>
}

//===----------------------------------------------------------------------===//
// Unused ops
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @unused_computations_vanish
// CHECK-NEXT: return
func.func @unused_computations_vanish(
    %ids: tensor<?xi32>, %table: tensor<512x8xbf16>, %X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>,
    %base: tensor<8xf32>, %scale: tensor<3xf32>, %w: tensor<8x8xf32>, %routing: tensor<512x2xi64>,
    %stack: tensor<4x8x8xf32>) {
  %weight = varve.weight "norm.weight" : tensor<8xf32>
  %x = varve.embed %ids, %table : (tensor<?xi32>, tensor<512x8xbf16>) -> tensor<?x8xf32>
  %expanded = varve.stream_expand %x : (tensor<?x8xf32>) -> tensor<?x2x8xf32>
  %pre, %post, %logits = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  %comb = varve.sinkhorn %logits iterations 20 eps 1.0e-6 : tensor<?x2x2xf32>
  %y = varve.stream_collapse %X, %pre : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %mixed = varve.stream_mix %y, %X, %post, %comb
    : (tensor<?x8xf32>, tensor<?x2x8xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>) -> tensor<?x2x8xf32>
  %last = varve.take %mixed, %ids : (tensor<?x2x8xf32>, tensor<?xi32>) -> tensor<?x2x8xf32>
  %norm = varve.rms_norm %x weight %weight eps 1.0e-6 : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %linear = varve.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %w2 = varve.weight "attn.wo_a.weight" : tensor<8x4xf32>
  %grouped = varve.grouped_linear %x, %w2 groups 2 : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  %rope = varve.rope %x at %ids table <theta = 1.0e4 : f64, dim = 8> : tensor<?x8xf32>, tensor<?xi32>
  %hadamard = varve.hadamard %x : tensor<?x8xf32>
  %codes, %scales = varve.quantize %x block 4 : tensor<?x8xf32> -> tensor<?x8xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  %back = varve.dequantize %codes scaled %scales block 4 : (tensor<?x8xf8E4M3FN>, tensor<?x2xf8E8M0FNU>) -> tensor<?x8xf32>
  %chosen:2 = varve.route_topk %x active 2 scoring softmax scale 1.0 : tensor<?x8xf32>
  %hashed:2 = varve.route_hash %x, %ids, %routing scoring softmax scale 1.0 : tensor<?x8xf32>, tensor<?xi32>, tensor<512x2xi64>
  %up = varve.experts %x, %chosen#0, %stack : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<4x8x8xf32>) -> tensor<?x2x8xf32>
  %act = varve.swiglu %up, %up weights %chosen#1 limit 0.0 : (tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x2x8xf32>
  %sum = varve.combine %act, %chosen#0 : (tensor<?x2x8xf32>, tensor<?x2xi32>) -> tensor<?x8xf32>
  %next = varve.sample %sum temperature 0.0 : tensor<?x8xf32>
  return
}

// Reading a pool leaves no trace.
// CHECK-LABEL: func.func @unused_reads_vanish
// CHECK-NEXT: return
func.func @unused_reads_vanish(%q: tensor<?x4x8xbf16>, %w: tensor<?x4xbf16>, %n: tensor<?xi32>) {
  %scores = varve.index_score %q, %w keys @entries scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?x4xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  %best = varve.index_topk %scores k 4 : tensor<?x?xf32>
  %o = varve.sparse_attention %q window @window entries @entries indices %best scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?x4xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  return
}

// A compressor remembers tokens even if this step's entries are not wanted.
// CHECK-LABEL: func.func @writes_stay
// CHECK: varve.append
// CHECK: varve.compress
// CHECK: return
func.func @writes_stay(%rows: tensor<?x8xbf16>, %kv: tensor<?x16xf32>, %bias: tensor<4x16xf32>, %n: tensor<?xi32>) {
  varve.append %rows to @window at (%n, %n) : tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>
  %0:3 = varve.compress %kv, %kv, %bias in @state ratio 4 overlap at (%n, %n)
    : (tensor<?x16xf32>, tensor<?x16xf32>, tensor<4x16xf32>, tensor<?xi32>, tensor<?xi32>)
    -> (tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>)
  return
}
