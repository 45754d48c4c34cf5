// RUN: varve-opt %s --plan-outline-kernels | FileCheck %s
// RUN: varve-opt %s --plan-outline-kernels | varve-opt | FileCheck %s

// CHECK-LABEL: plan.kernel @scale (!tile.view<?x8xf32>, i32) -> ()
// CHECK-SAME:    grid #{{.*}} [#tile.size<dim>, #tile.size<resident>] {
// CHECK-NEXT:    builtin.module {
// CHECK-NEXT:      tile.func @scale(
tile.func private @scale(%x: !tile.view<?x8xf32>, %n: i32)
    grid affine_map<()[s0, s1] -> (s0 ceildiv 4, s1)> [dim(%x, 0), resident] warps 1 {
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
  plan.return
}
