// What passes that know nothing of the dialect may do to its ops: equal weights
// and computations are one, reads of a pool are one unless a write is between
// them, writes are never merged, and pools are never dropped.
//
// RUN: varve-opt %s --cse --symbol-dce | FileCheck %s

// CHECK: varve.pool @window
varve.pool @window window size 128 : <8 x bf16>
// CHECK: varve.pool @entries
varve.pool @entries entries ratio 4 page 256 : <8 x bf16>
// CHECK: varve.pool @state
varve.pool @state state size 8 : <32 x f32>
// Nobody names this one, but the executor's memory has it.
// CHECK: varve.pool @unused
varve.pool @unused window size 128 : <8 x bf16>

// CHECK-LABEL: func.func @equal_weights_are_one
// CHECK: %[[A:.+]] = varve.weight "a" : tensor<8xf32>
// CHECK-NEXT: %[[B:.+]] = varve.weight "b" : tensor<8xf32>
// CHECK-NEXT: return %[[A]], %[[A]], %[[B]]
func.func @equal_weights_are_one() -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %0 = varve.weight "a" : tensor<8xf32>
  %1 = varve.weight "a" : tensor<8xf32>
  %2 = varve.weight "b" : tensor<8xf32>
  return %0, %1, %2 : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}

// CHECK-LABEL: func.func @equal_quantisations_are_one
// CHECK: %[[C:.+]], %[[S:.+]] = varve.quantize %{{.+}} block 4
// CHECK-NEXT: %[[OTHER:.+]], %{{.+}} = varve.quantize %{{.+}} block 8
// CHECK-NEXT: return %[[C]], %[[C]], %[[OTHER]]
func.func @equal_quantisations_are_one(%x: tensor<?x8xf32>) -> (tensor<?x8xf8E4M3FN>, tensor<?x8xf8E4M3FN>, tensor<?x8xf8E4M3FN>) {
  %c0, %s0 = varve.quantize %x block 4 : tensor<?x8xf32> -> tensor<?x8xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  %c1, %s1 = varve.quantize %x block 4 : tensor<?x8xf32> -> tensor<?x8xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  %c2, %s2 = varve.quantize %x block 8 : tensor<?x8xf32> -> tensor<?x8xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
  return %c0, %c1, %c2 : tensor<?x8xf8E4M3FN>, tensor<?x8xf8E4M3FN>, tensor<?x8xf8E4M3FN>
}

// CHECK-LABEL: func.func @reads_without_a_write_between_are_one
// CHECK: %[[O:.+]] = varve.sparse_attention
// CHECK-NOT: varve.sparse_attention
// CHECK: return %[[O]], %[[O]]
func.func @reads_without_a_write_between_are_one(%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>) -> (tensor<?x4x8xbf16>, tensor<?x4x8xbf16>) {
  %0 = varve.sparse_attention %q window @window scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  %1 = varve.sparse_attention %q window @window scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  return %0, %1 : tensor<?x4x8xbf16>, tensor<?x4x8xbf16>
}

// CHECK-LABEL: func.func @attention_reads_again_after_a_write
// CHECK: %[[OLD:.+]] = varve.sparse_attention
// CHECK: varve.append
// CHECK: %[[NEW:.+]] = varve.sparse_attention
// CHECK: return %[[OLD]], %[[NEW]]
func.func @attention_reads_again_after_a_write(%q: tensor<?x4x8xbf16>, %rows: tensor<?x8xbf16>, %n: tensor<?xi32>) -> (tensor<?x4x8xbf16>, tensor<?x4x8xbf16>) {
  %0 = varve.sparse_attention %q window @window scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  varve.append %rows to @window at (%n, %n) : tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>
  %1 = varve.sparse_attention %q window @window scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>
  return %0, %1 : tensor<?x4x8xbf16>, tensor<?x4x8xbf16>
}

// CHECK-LABEL: func.func @scores_read_again_after_a_write
// CHECK: %[[OLD:.+]] = varve.index_score
// CHECK: varve.append
// CHECK: %[[NEW:.+]] = varve.index_score
// CHECK: return %[[OLD]], %[[NEW]]
func.func @scores_read_again_after_a_write(%q: tensor<?x4x8xbf16>, %w: tensor<?x4xbf16>, %rows: tensor<?x8xbf16>, %n: tensor<?xi32>) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %0 = varve.index_score %q, %w keys @entries scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?x4xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  varve.append %rows to @entries at (%n, %n) : tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>
  %1 = varve.index_score %q, %w keys @entries scale 0.5 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?x4xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return %0, %1 : tensor<?x?xf32>, tensor<?x?xf32>
}

// CHECK-LABEL: func.func @writes_are_not_merged
// CHECK-COUNT-2: varve.append
// CHECK-COUNT-2: varve.compress
// CHECK: return
func.func @writes_are_not_merged(%rows: tensor<?x8xbf16>, %kv: tensor<?x16xf32>, %bias: tensor<4x16xf32>, %n: tensor<?xi32>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
  varve.append %rows to @window at (%n, %n) : tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>
  varve.append %rows to @window at (%n, %n) : tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>
  %0:3 = varve.compress %kv, %kv, %bias in @state ratio 4 overlap at (%n, %n)
    : (tensor<?x16xf32>, tensor<?x16xf32>, tensor<4x16xf32>, tensor<?xi32>, tensor<?xi32>)
    -> (tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>)
  %1:3 = varve.compress %kv, %kv, %bias in @state ratio 4 overlap at (%n, %n)
    : (tensor<?x16xf32>, tensor<?x16xf32>, tensor<4x16xf32>, tensor<?xi32>, tensor<?xi32>)
    -> (tensor<?x8xbf16>, tensor<?xi32>, tensor<?xi32>)
  return %0#0, %1#0 : tensor<?x8xbf16>, tensor<?x8xbf16>
}
