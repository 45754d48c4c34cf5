// RUN: varve-opt %s -split-input-file -varve-form-kernels | FileCheck %s

// Rows of the same kind run together, and only what is needed outside leaves.
// CHECK-LABEL: func.func @norm_and_rotation
func.func @norm_and_rotation(%x: tensor<?x4x64xf32>, %p: tensor<?xi32>)
    -> tensor<?x4x64xf32> {
  // CHECK: %[[R:.*]] = varve.kernel "rows" -> tensor<?x4x64xf32> {
  // CHECK-NEXT: %[[N:.*]] = varve.rms_norm %arg0
  // CHECK-NEXT: %[[Z:.*]] = varve.rope %[[N]] at %arg1
  // CHECK-NEXT: varve.yield %[[Z]] : tensor<?x4x64xf32>
  // CHECK: return %[[R]]
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x4x64xf32>) -> tensor<?x4x64xf32>
  %r = varve.rope %n at %p table <theta = 1.0e4, dim = 32>
      : tensor<?x4x64xf32>, tensor<?xi32>
  return %r : tensor<?x4x64xf32>
}

// -----

// A norm of whole tokens and one of their heads treat different rows.
// CHECK-LABEL: func.func @tokens_and_heads
func.func @tokens_and_heads(%a: tensor<?x2x64xf32>, %b: tensor<?x2x64xf32>,
                            %w: tensor<?x2xf32>, %ids: tensor<?x2xi32>)
    -> tensor<?x64xf32> {
  // CHECK: varve.kernel "rows" -> tensor<?x2x64xf32> {
  // CHECK-NEXT: varve.swiglu
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows" -> tensor<?x64xf32> {
  // CHECK-NEXT: varve.combine
  %g = varve.swiglu %a, %b weights %w limit 1.0
      : (tensor<?x2x64xf32>, tensor<?x2x64xf32>, tensor<?x2xf32>) -> tensor<?x2x64xf32>
  %y = varve.combine %g, %ids : (tensor<?x2x64xf32>, tensor<?x2xi32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Two products of the same rows, their gate, and the quantisation of its blocks.
// CHECK-LABEL: func.func @gated
func.func @gated(%x: tensor<?x64xbf16>)
    -> (tensor<?x128xf8E4M3FN>, tensor<?x2xf8E8M0FNU>) {
  %w1 = varve.weight "w1" : tensor<128x64xbf16>
  %w3 = varve.weight "w3" : tensor<128x64xbf16>
  // CHECK: %[[K:.*]]:2 = varve.kernel "linear"
  // CHECK-NEXT: varve.linear %arg0, %w1
  // CHECK-NEXT: varve.linear %arg0, %w3
  // CHECK-NEXT: varve.swiglu
  // CHECK-NEXT: %[[C:.*]], %[[S:.*]] = varve.quantize
  // CHECK-NEXT: varve.yield %[[C]], %[[S]]
  // CHECK: return %[[K]]#0, %[[K]]#1
  %g = varve.linear %x, %w1 : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
  %u = varve.linear %x, %w3 : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
  %v = varve.swiglu %g, %u limit 10.0
      : (tensor<?x128xbf16>, tensor<?x128xbf16>) -> tensor<?x128xbf16>
  %c, %s = varve.quantize %v block 64
      : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  return %c, %s : tensor<?x128xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
}

// -----

// Products of different rows are two kernels.
// CHECK-LABEL: func.func @not_gated
func.func @not_gated(%x: tensor<?x64xbf16>, %z: tensor<?x64xbf16>) -> tensor<?x128xbf16> {
  %w1 = varve.weight "w1" : tensor<128x64xbf16>
  %w3 = varve.weight "w3" : tensor<128x64xbf16>
  // CHECK-COUNT-2: varve.kernel "linear"
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.swiglu
  %g = varve.linear %x, %w1 : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
  %u = varve.linear %z, %w3 : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
  %v = varve.swiglu %g, %u limit 10.0
      : (tensor<?x128xbf16>, tensor<?x128xbf16>) -> tensor<?x128xbf16>
  return %v : tensor<?x128xbf16>
}

// -----

// A block of the quantisation that straddles heads does not lie in a tile.
// CHECK-LABEL: func.func @straddling_blocks
func.func @straddling_blocks(%x: tensor<?x64xbf16>)
    -> (tensor<?x96xf8E4M3FN>, tensor<?x2xf8E8M0FNU>) {
  %w = varve.weight "w" : tensor<96x64xbf16>
  // CHECK: varve.kernel "linear"
  // CHECK-NEXT: varve.linear
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.quantize
  %y = varve.linear %x, %w : (tensor<?x64xbf16>, tensor<96x64xbf16>) -> tensor<?x96xbf16>
  %c, %s = varve.quantize %y block 64
      : tensor<?x96xbf16> -> tensor<?x96xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  return %c, %s : tensor<?x96xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
}

// -----

// Nor do blocks that straddle the groups of a product.
// CHECK-LABEL: func.func @straddled_groups
func.func @straddled_groups(%x: tensor<?x128xbf16>)
    -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>) {
  %w = varve.weight "w" : tensor<128x64xbf16>
  // CHECK: varve.kernel "linear"
  // CHECK-NEXT: varve.grouped_linear
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.quantize
  %y = varve.grouped_linear %x, %w groups 2
      : (tensor<?x128xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
  %c, %s = varve.quantize %y block 128
      : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
  return %c, %s : tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
}

// -----

// An append belongs to the rows that it stores; attention has its rotation at
// hand, and is a kernel of its own behind them.
varve.pool @window window size 8 : <64 x f32>
// CHECK-LABEL: func.func @append_and_attention
func.func @append_and_attention(%q: tensor<?x4x64xf32>, %x: tensor<?x64xf32>,
                                %p: tensor<?xi32>, %s: tensor<?xi32>)
    -> tensor<?x4x64xf32> {
  // CHECK: varve.kernel "rows" {
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.append
  // CHECK: varve.kernel "attention" -> tensor<?x4x64xf32> {
  // CHECK-NEXT: varve.sparse_attention
  // CHECK-NEXT: varve.rope inverse
  // CHECK: varve.kernel "commit" {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  varve.append %n to @window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  %o = varve.sparse_attention %q window @window scale 1.0 at(%p, %s)
      : (tensor<?x4x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x64xf32>
  %r = varve.rope inverse %o at %p table <theta = 1.0e4, dim = 32>
      : tensor<?x4x64xf32>, tensor<?xi32>
  varve.commit @window at(%p, %s) : tensor<?xi32>, tensor<?xi32>
  return %r : tensor<?x4x64xf32>
}
