// RUN: varve-opt %s --plan-outline-kernels | FileCheck %s
// RUN: varve-opt %s --plan-outline-kernels | varve-opt | FileCheck %s

// CHECK-LABEL: plan.kernel @scale (!tile.view<?x8xf32>, i32) -> ()
// CHECK-SAME:    grid #{{.*}} [#tile.size<dim>, #tile.size<resident>] attributes {writes = array<i64>} {
// CHECK-NEXT:    builtin.module {
// CHECK-NEXT:      tile.func @scale(
tile.func private @scale(%x: !tile.view<?x8xf32>, %n: i32)
    grid affine_map<()[s0, s1] -> (s0 ceildiv 4, s1)> [dim(%x, 0), resident] warps 1 {
  tile.return
}

// Written are arguments that are stored to, also through a part of them.
// CHECK-LABEL: plan.kernel @copy
// CHECK-SAME:    attributes {writes = array<i64: 2>} {
tile.func private @copy(%x: !tile.view<?x8xf32>, %n: i32, %y: !tile.view<?x8xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %row = tile.load %x[%c0, %c0] : !tile.view<?x8xf32> -> tensor<1x8xf32>
  %part = tile.subview %y[%c0, %c0] sizes [%c1] : !tile.view<?x8xf32> -> !tile.view<?x8xf32>
  tile.store %row, %part[%c0, %c0] : tensor<1x8xf32> -> !tile.view<?x8xf32>
  tile.return
}

// CHECK-NOT: @never_launched
tile.func private @never_launched() grid affine_map<() -> (1)> [] warps 1 {
  tile.return
}

// CHECK-LABEL: plan.func private @launches_keep_their_types
plan.func private @launches_keep_their_types(%x: !plan.tensor<tokens x 8 x f32>, %n: i32) {
  // CHECK: plan.launch @scale
  plan.launch @scale(%x, %n) : !plan.tensor<tokens x 8 x f32>, i32
  plan.launch @copy(%x, %n, %x) : !plan.tensor<tokens x 8 x f32>, i32, !plan.tensor<tokens x 8 x f32>
  plan.return
}
