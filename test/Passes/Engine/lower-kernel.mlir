// RUN: varve-opt %s --pass-pipeline="builtin.module(builtin.module(plan-outline-kernels,plan.kernel(plan-lower-kernel)))" | FileCheck %s

module {
module @"x86-64" attributes {varve.target = "x86-64"} {
  // CHECK-LABEL: plan.kernel @scale (!tile.view<?x16xf32>, !tile.view<?x16xf32>) -> ()
  // CHECK-SAME: attributes {scratch_bytes = {{[0-9]+}} : i64, writes = array<i64: 1>}
  // CHECK-NEXT: builtin.module
  // CHECK-NEXT: func.func @scale(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr
  // CHECK-NOT: tile.
  tile.func private @scale(%x: !tile.view<?x16xf32>, %y: !tile.view<?x16xf32>)
      grid affine_map<()[s0] -> (s0 ceildiv 4)> [dim(%x, 0)] warps 1 {
    %c0 = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %block = tile.program_id 0
    %row = arith.muli %block, %c4 : index
    %t = tile.load %x[%row, %c0] : !tile.view<?x16xf32> -> tensor<4x16xf32>
    %sum = arith.addf %t, %t : tensor<4x16xf32>
    tile.store %sum, %y[%row, %c0] : tensor<4x16xf32> -> !tile.view<?x16xf32>
    tile.return
  }
  // CHECK: plan.func @step
  plan.func @step(%x: !plan.tensor<tokens x 16 x f32> {plan.name = "x"},
                  %y: !plan.tensor<tokens x 16 x f32> {plan.name = "y", plan.output}) {
    // CHECK: plan.launch @scale
    plan.launch @scale(%x, %y) : !plan.tensor<tokens x 16 x f32>, !plan.tensor<tokens x 16 x f32>
    plan.return
  }
}
}
