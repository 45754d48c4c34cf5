// RUN: varve-opt %s --plan-inline --split-input-file --mlir-print-debuginfo | FileCheck %s

tile.func private @double(%x: !tile.view<?xf32>, %y: !tile.view<?xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 { tile.return }

// CHECK-NOT: plan.func private
plan.func private @twice(%x: !plan.tensor<tokens x f32>, %y: !plan.tensor<tokens x f32>) {
  %t = plan.alloc : !plan.tensor<tokens x f32>
  plan.call @once(%x, %t) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.call @once(%t, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.return
}
plan.func private @once(%x: !plan.tensor<tokens x f32>, %y: !plan.tensor<tokens x f32>) {
  plan.when tokens in [1, inf] {
    plan.launch @double(%x, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32> loc("shared")
  }
  plan.return
}

// CHECK-LABEL: plan.func @part_of_another_program(
plan.func @part_of_another_program(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  // CHECK-COUNT-2: plan.launch
  plan.call @twice(%x, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32> loc("layers.0")
  // CHECK: plan.return
  plan.return
}

// CHECK-LABEL: plan.func @calls_dissolve_at_any_depth(
// CHECK-SAME:    %[[X:.*]]: !plan.tensor<tokens x f32> {plan.name = "x"}{{.*}}, %[[Y:.*]]: !plan.tensor<tokens x f32>
plan.func @calls_dissolve_at_any_depth(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  // CHECK: %[[T:.*]] = plan.alloc
  // CHECK: plan.when
  // CHECK-NEXT: plan.launch @double(%[[X]], %[[T]]){{.*}} loc(#[[FIRST:.*]])
  // CHECK: plan.when
  // CHECK-NEXT: plan.launch @double(%[[T]], %[[Y]])
  plan.call @part_of_another_program(%x, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32> loc("layers.1")
  // CHECK: plan.return
  plan.return
}

// CHECK-DAG: #[[SHARED:.*]] = loc("shared")
// CHECK-DAG: #[[LAYER:.*]] = loc("layers.1")
// CHECK-DAG: #[[FIRST]] = loc(callsite(#{{.*}} at #[[LAYER]]))
