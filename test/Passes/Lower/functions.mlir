// RUN: varve-opt %s -split-input-file "-varve-split-targets=targets=x86-64" -varve-choose-strategies -varve-lower-kernels -varve-verify-lowered -verify-diagnostics | FileCheck %s

// A function writes its results to its last arguments; what lies between is
// scratch; step inputs that no value stands for are arguments of all.
// CHECK-LABEL: plan.func private @norm.launches(%arg0: !plan.tensor<tokens x 64 x f32>, %arg1: !plan.tensor<64 x f32>, %arg2: !plan.tensor<tokens x 64 x f32>)
// CHECK-NEXT: plan.launch @norm(%arg0, %arg1, %arg2)
// CHECK: tile.func private @norm(
varve.kernel_func private @norm(%x: tensor<?x64xf32>, %w: tensor<64xf32>) -> tensor<?x64xf32>
    kind "rows" pools [] {
  %n = varve.rms_norm %x weight %w eps 1.0e-6
      : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  varve.yield %n : tensor<?x64xf32>
}
// CHECK-LABEL: plan.func @twice
// CHECK-SAME: (%arg0: !plan.tensor<tokens x 64 x f32> {plan.name = "x"},
// CHECK-SAME: {plan.name = "starts"}
// CHECK-SAME: {plan.name = "ends"}
// CHECK-SAME: !plan.tensor<slots x sequence_pages x i32> {plan.name = "page_table"}
// CHECK-SAME: %[[OUT:.*]]: !plan.tensor<tokens x 64 x f32> {plan.name = "out0", plan.output})
// CHECK: %[[W:.*]] = plan.weight "w" : !plan.tensor<64 x f32>
// CHECK: %[[T:.*]] = plan.alloc : !plan.tensor<tokens x 64 x f32>
// CHECK: plan.call @norm.launches(%arg0, %[[W]], %[[T]])
// CHECK: plan.call @norm.launches(%[[T]], %[[W]], %[[OUT]])
// CHECK: plan.return
func.func @twice(%x: tensor<?x64xf32> loc("x")) -> tensor<?x64xf32> {
  %w = varve.weight "w" : tensor<64xf32>
  %a = varve.launch @norm(%x, %w) pools []
      : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %b = varve.launch @norm(%a, %w) pools []
      : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}

// -----

// Strategies by the number of tokens are cases of the plan.
// CHECK-LABEL: plan.func private @product.launches
// CHECK-NEXT: plan.when tokens in [1, 8] {
// CHECK-NEXT: plan.launch @product_t1(
// CHECK: plan.when tokens in [9, inf] {
// CHECK-NEXT: plan.launch @product_t9(
varve.kernel_func private @product(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>) -> tensor<?x32xf32>
    kind "linear" pools []
    strategies [#varve.strategy<max = 8, columns = 32, depth = 64>,
                #varve.strategy<min = 9, rows = 16, columns = 32, depth = 64>] {
  %y = varve.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  varve.yield %y : tensor<?x32xf32>
}

// -----

// Results may be called what they are.
varve.kernel_func private @norm(%x: tensor<?x64xf32>) -> tensor<?x64xf32>
    kind "rows" pools [] {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  varve.yield %n : tensor<?x64xf32>
}
// CHECK-LABEL: plan.func @named
// CHECK-SAME: {plan.name = "attn.q", plan.output})
func.func @named(%x: tensor<?x64xf32>) -> (tensor<?x64xf32> {varve.port = "attn.q"}) {
  %a = varve.launch @norm(%x) pools [] : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}

// -----

varve.pool @keys entries ratio 4 page 16 : <16 x f32>
// expected-error@+1 {{expected scores that are stored to have a static number of columns}}
varve.kernel_func private @unknown_columns(%q: tensor<?x4x16xf32>, %w: tensor<?x4xf32>,
    %p: tensor<?xi32>, %s: tensor<?xi32>) -> (tensor<?x?xf32>, tensor<?x3xi32>)
    kind "index" pools [@keys] {
  %scores = varve.index_score %q, %w keys @keys scale 0.5 at(%p, %s)
      : (tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x?xf32>
  %best = varve.index_topk %scores k 3 : tensor<?x?xf32>
  varve.yield %scores, %best : tensor<?x?xf32>, tensor<?x3xi32>
}

// -----

func.func @argument(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{expected to return different computed values, but result 0 is an argument or returned before}}
  return %x : tensor<?x64xf32>
}

// -----

// expected-error@+1 {{cannot be lowered by #varve.strategy<rows = 16, columns = 32, depth = 64>: depth must be a multiple of 128, the columns that share scales}}
varve.kernel_func private @shallow(%x: tensor<?x256xf8E4M3FN>, %xs: tensor<?x2xf8E8M0FNU>,
    %w: tensor<32x256xf8E4M3FN>, %ws: tensor<1x2xf8E8M0FNU>) -> tensor<?x32xf32>
    kind "linear" pools [] strategies [#varve.strategy<rows = 16, columns = 32, depth = 64>] {
  %y = varve.linear %x scaled %xs by 128, %w scaled %ws by [128, 128]
      : (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<32x256xf8E4M3FN>,
         tensor<1x2xf8E8M0FNU>) -> tensor<?x32xf32>
  varve.yield %y : tensor<?x32xf32>
}
