// RUN: varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-split-roles))' | FileCheck %s

!buffer = !tile.buffer<16x32xf32>
!ring = !tile.ring<2, !buffer>

// Each role keeps the loop, and carries what is its own.
// CHECK-LABEL: tile.func @each_role_gets_its_parts
// CHECK: tile.pipeline
// CHECK-NEXT: %[[RING:.*]] = tile.ring
// CHECK-NEXT: tile.on "load" {
// CHECK-NEXT: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK-NEXT: tile.acquire %[[RING]]
// CHECK-NEXT: tile.copy
// CHECK-NEXT: tile.commit %[[RING]]
// CHECK-NEXT: }
// CHECK-NEXT: }
// CHECK-NEXT: tile.on "sum" {
// CHECK-NEXT: %[[SUM:.*]] = scf.for %{{.*}} iter_args(%[[ACC:.*]] = %{{.*}}) -> (tensor<16x32xf32>) {
// CHECK-NEXT: tile.receive %[[RING]]
// CHECK-NEXT: %[[TILE:.*]] = tile.read
// CHECK-NEXT: tile.release %[[RING]]
// CHECK-NEXT: %[[NEXT:.*]] = arith.addf %[[ACC]], %[[TILE]]
// CHECK-NEXT: scf.yield %[[NEXT]]
// CHECK-NEXT: }
// CHECK-NEXT: tile.store %[[SUM]]
tile.func @each_role_gets_its_parts(%x: !tile.view<?x32xf32>, %y: !tile.view<16x32xf32>)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %rows = tile.dim %x, 0 : !tile.view<?x32xf32>
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"sum", warps = 4>] {
    %ring = tile.ring : !ring
    %sum = scf.for %i = %c0 to %rows step %c16 iter_args(%acc = %zero)
        -> (tensor<16x32xf32>) {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring
        tile.copy %x[%i, %c0] to %b : !tile.view<?x32xf32> to !buffer
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "sum" -> tensor<16x32xf32> {
        %s, %b = tile.receive %ring : !ring
        %t = tile.read %b : !buffer -> tensor<16x32xf32>
        tile.release %ring, %s : !ring
        %n = arith.addf %acc, %t : tensor<16x32xf32>
        tile.yield %n : tensor<16x32xf32>
      }
      scf.yield %next : tensor<16x32xf32>
    }
    tile.on "sum" {
      tile.store %sum, %y[%c0, %c0] : tensor<16x32xf32> -> !tile.view<16x32xf32>
    }
  }
  tile.return
}
