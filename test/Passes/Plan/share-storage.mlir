// RUN: varve-opt %s --pass-pipeline="builtin.module(plan.func(plan-share-storage))" | FileCheck %s

tile.func private @copy(%x: !tile.view<?xf32>, %y: !tile.view<?xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 { tile.return }
tile.func private @copy8(%x: !tile.view<?x8xf32>, %y: !tile.view<?x8xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 { tile.return }

// CHECK-LABEL: plan.func @lives_that_are_apart_share
plan.func @lives_that_are_apart_share(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  // CHECK: plan.alloc storage 0
  %a = plan.alloc : !plan.tensor<tokens x f32>
  // CHECK: plan.alloc storage 1
  %b = plan.alloc : !plan.tensor<tokens x f32>
  // CHECK: plan.alloc storage 0
  %c = plan.alloc : !plan.tensor<tokens x f32>
  plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.launch @copy(%a, %b) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.launch @copy(%b, %c) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.launch @copy(%c, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.return
}

// CHECK-LABEL: plan.func @large_tensors_choose_first
plan.func @large_tensors_choose_first(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x 8 x f32> {plan.name = "y", plan.output}) {
  // CHECK: plan.alloc storage 1
  %a = plan.alloc : !plan.tensor<tokens x f32>
  // CHECK: plan.alloc storage 0
  %b = plan.alloc : !plan.tensor<tokens x 8 x f32>
  plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.launch @copy8(%b, %y) : !plan.tensor<tokens x 8 x f32>, !plan.tensor<tokens x 8 x f32>
  plan.launch @copy8(%y, %b) : !plan.tensor<tokens x 8 x f32>, !plan.tensor<tokens x 8 x f32>
  plan.launch @copy(%a, %x) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.return
}

// CHECK-LABEL: plan.func @a_view_keeps_its_source_alive
plan.func @a_view_keeps_its_source_alive(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  // CHECK: plan.alloc storage 0
  %a = plan.alloc : !plan.tensor<tokens x f32>
  // CHECK: plan.alloc storage 1
  %b = plan.alloc : !plan.tensor<tokens x f32>
  plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  %v = plan.view %a : !plan.tensor<tokens x f32> to !plan.tensor<tokens x 1 x f32>
  %w = plan.view %v : !plan.tensor<tokens x 1 x f32> to !plan.tensor<tokens x f32>
  plan.launch @copy(%x, %b) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.launch @copy(%w, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.return
}

// CHECK-LABEL: plan.func @different_cases_share
plan.func @different_cases_share(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  plan.when tokens in [1, 32] {
    // CHECK: plan.alloc storage 0
    %a = plan.alloc : !plan.tensor<tokens x f32>
    plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
    plan.launch @copy(%a, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [33, inf] {
    // CHECK: plan.alloc storage 0
    %a = plan.alloc : !plan.tensor<tokens x f32>
    plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
    plan.launch @copy(%a, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.return
}

// CHECK-LABEL: plan.func private @functions_with_calls_wait_for_inlining
plan.func private @functions_with_calls_wait_for_inlining() {
  // CHECK: plan.alloc : !plan.tensor<tokens x f32>
  %a = plan.alloc : !plan.tensor<tokens x f32>
  plan.call @nothing()
  plan.return
}
plan.func private @nothing() { plan.return }
