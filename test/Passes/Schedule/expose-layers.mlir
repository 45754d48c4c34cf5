// RUN: varve-opt %s --varve-expose-layers --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

// CHECK-LABEL: func.func private @embed
func.func private @embed(%ids: tensor<?xi32>) -> tensor<?xf32>

// CHECK: func.func @layers.3(%[[X:.*]]: tensor<?xf32> loc("streams")
// CHECK-NEXT: %[[R:.*]] = call @layers.3.body(%[[X]])
// CHECK-NEXT: return %[[R]]
// CHECK: func.func private @layers.3.body
func.func private @layers.3(%x: tensor<?xf32> loc("streams")) -> tensor<?xf32> {
  %y = arith.addf %x, %x : tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func private @layers.x.norm
func.func private @layers.x.norm(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// CHECK-LABEL: func.func @step
// CHECK: call @layers.3.body
func.func @step(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = call @layers.3(%x) : (tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @head(
// CHECK: call @head.body
// CHECK-LABEL: func.func private @head.body
func.func private @head(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = arith.addf %x, %x : tensor<?xf32>
  return %y : tensor<?xf32>
}
