// RUN: varve-opt %s --canonicalize --cse --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @static_size_is_a_constant
func.func @static_size_is_a_constant(%x: !tile.view<?x4096xbf16>) -> (index, index) {
  // CHECK-DAG: %[[C:.*]] = arith.constant 4096 : index
  // CHECK-DAG: %[[D:.*]] = tile.dim %{{.*}}, 0
  // CHECK: return %[[D]], %[[C]]
  %a = tile.dim %x, 0 : !tile.view<?x4096xbf16>
  %b = tile.dim %x, 1 : !tile.view<?x4096xbf16>
  return %a, %b : index, index
}

// -----

// CHECK-LABEL: func.func @splats_of_constants_are_constants
func.func @splats_of_constants_are_constants() -> (tensor<4x8xf32>, tensor<8x4xf32>, f32) {
  // CHECK-DAG: %[[S:.*]] = arith.constant 2.0{{.*}} : f32
  // CHECK-DAG: %[[A:.*]] = arith.constant dense<2.0{{.*}}> : tensor<4x8xf32>
  // CHECK-DAG: %[[B:.*]] = arith.constant dense<2.0{{.*}}> : tensor<8x4xf32>
  // CHECK: return %[[A]], %[[B]], %[[S]]
  %c = arith.constant 2.0 : f32
  %s = tile.splat %c : tensor<4xf32>
  %a = tile.broadcast %s dims [0] : tensor<4xf32> -> tensor<4x8xf32>
  %t = tile.transpose %a [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  %r = tile.reshape %t : tensor<8x4xf32> -> tensor<32xf32>
  %p = tile.slice %r[3] : tensor<32xf32> -> tensor<8xf32>
  %e = tile.extract %p[7] : tensor<8xf32>
  return %a, %t, %e : tensor<4x8xf32>, tensor<8x4xf32>, f32
}

// -----

// CHECK-LABEL: func.func @element_of_a_splat_is_its_scalar
// CHECK-SAME: %[[X:.*]]: f32
func.func @element_of_a_splat_is_its_scalar(%x: f32) -> f32 {
  // CHECK: return %[[X]]
  %s = tile.splat %x : tensor<4xf32>
  %e = tile.extract %s[1] : tensor<4xf32>
  return %e : f32
}

// -----

// CHECK-LABEL: func.func @element_of_a_constant
func.func @element_of_a_constant() -> i32 {
  // CHECK: %[[C:.*]] = arith.constant 5 : i32
  // CHECK: return %[[C]]
  %t = arith.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>
  %e = tile.extract %t[1, 1] : tensor<2x3xi32>
  return %e : i32
}

// -----

// A constant that is no splat stays as it is: its transpose would be a second
// copy of the data.
// CHECK-LABEL: func.func @transpose_of_a_dense_constant_stays
func.func @transpose_of_a_dense_constant_stays() -> tensor<3x2xi32> {
  // CHECK: tile.transpose
  %t = arith.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>
  %e = tile.transpose %t [1, 0] : tensor<2x3xi32> -> tensor<3x2xi32>
  return %e : tensor<3x2xi32>
}

// -----

// CHECK-LABEL: func.func @shape_changes_that_undo_each_other
// CHECK-SAME: %[[X:.*]]: tensor<4x8xf32>
func.func @shape_changes_that_undo_each_other(%x: tensor<4x8xf32>)
    -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
  // CHECK: return %[[X]], %[[X]], %[[X]]
  %a = tile.transpose %x [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  %b = tile.transpose %a [1, 0] : tensor<8x4xf32> -> tensor<4x8xf32>
  %c = tile.reshape %x : tensor<4x8xf32> -> tensor<32xf32>
  %d = tile.reshape %c : tensor<32xf32> -> tensor<4x8xf32>
  %e = tile.slice %x[0, 0] : tensor<4x8xf32> -> tensor<4x8xf32>
  %f = tile.concat %e along 1 : tensor<4x8xf32> -> tensor<4x8xf32>
  return %b, %d, %f : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @transposes_that_do_not_undo_each_other_stay
func.func @transposes_that_do_not_undo_each_other_stay(%x: tensor<4x4x4xf32>)
    -> tensor<4x4x4xf32> {
  // CHECK-COUNT-2: tile.transpose
  %a = tile.transpose %x [1, 2, 0] : tensor<4x4x4xf32> -> tensor<4x4x4xf32>
  %b = tile.transpose %a [1, 2, 0] : tensor<4x4x4xf32> -> tensor<4x4x4xf32>
  return %b : tensor<4x4x4xf32>
}

// -----

#m = #tile.mma<warps = [1, 1]>
// CHECK-LABEL: func.func @layout_conversions_collapse
// CHECK-SAME: %[[X:.*]]: tensor<16x8xf32>
func.func @layout_conversions_collapse(%x: tensor<16x8xf32>)
    -> (tensor<16x8xf32>, tensor<16x8xf32, #tile.wgmma<n = 8, warpgroups = [1, 1]>>) {
  // CHECK: %[[C:.*]] = tile.convert_layout %[[X]] : tensor<16x8xf32> -> tensor<16x8xf32, #tile.wgmma
  // CHECK: return %[[X]], %[[C]]
  %a = tile.convert_layout %x : tensor<16x8xf32> -> tensor<16x8xf32, #m>
  %b = tile.convert_layout %a : tensor<16x8xf32, #m> -> tensor<16x8xf32>
  %c = tile.convert_layout %a : tensor<16x8xf32, #m>
      -> tensor<16x8xf32, #tile.wgmma<n = 8, warpgroups = [1, 1]>>
  return %b, %c : tensor<16x8xf32>, tensor<16x8xf32, #tile.wgmma<n = 8, warpgroups = [1, 1]>>
}

// -----

// CHECK-LABEL: tile.func @unused_reads_go_stores_stay
tile.func @unused_reads_go_stores_stay(%x: !tile.view<16xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  // CHECK-NOT: tile.load
  // CHECK: tile.store
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0] : !tile.view<16xf32> -> tensor<16xf32>
  %z = arith.constant dense<0.0> : tensor<16xf32>
  tile.store %z, %x[%c0] : tensor<16xf32> -> !tile.view<16xf32>
  tile.return
}

// -----

// An atomic update whose old value nobody reads is still an update.
// CHECK-LABEL: tile.func @atomics_stay
tile.func @atomics_stay(%x: !tile.view<1xi32>)
    grid affine_map<() -> (1)> [] warps 1 {
  // CHECK: tile.atomic add
  %c0 = arith.constant 0 : index
  %one = arith.constant dense<1> : tensor<1xi32>
  %old = tile.atomic add %one, %x[%c0] : tensor<1xi32>, !tile.view<1xi32>
  tile.return
}

// -----

// CHECK-LABEL: tile.func @reads_before_and_after_a_write_differ
tile.func @reads_before_and_after_a_write_differ(%x: !tile.view<16xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  // CHECK: %[[A:.*]] = tile.load
  // CHECK: tile.store
  // CHECK: %[[B:.*]] = tile.load
  // CHECK: arith.addf %[[A]], %[[B]]
  %c0 = arith.constant 0 : index
  %z = arith.constant dense<0.0> : tensor<16xf32>
  %a = tile.load %x[%c0] : !tile.view<16xf32> -> tensor<16xf32>
  tile.store %z, %x[%c0] : tensor<16xf32> -> !tile.view<16xf32>
  %b = tile.load %x[%c0] : !tile.view<16xf32> -> tensor<16xf32>
  %s = arith.addf %a, %b : tensor<16xf32>
  tile.store %s, %x[%c0] : tensor<16xf32> -> !tile.view<16xf32>
  tile.return
}
