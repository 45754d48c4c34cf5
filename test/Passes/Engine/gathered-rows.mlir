// RUN: varve-opt %s --split-input-file --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a},cse)' | FileCheck %s

// Rows that begin at any four bytes go to their stages in asynchronous copies of
// as many. Their numbers lie elsewhere than they are needed: they go through
// shared memory, once, as they stay the same.
!x = !tile.buffer<32x4xf32>
!ring = !tile.ring<2, !x>

// CHECK-LABEL: llvm.func @chunks_of_four_bytes(
// CHECK: nvvm.barrier0
// CHECK: nvvm.barrier id
// CHECK-NOT: nvvm.barrier
// CHECK: scf.for
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK-NOT: llvm.store
// CHECK-NOT: nvvm.barrier
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache =  ca
// CHECK-NOT: llvm.store
// CHECK-NOT: nvvm.barrier
// CHECK: nvvm.cp.async.mbarrier.arrive
// CHECK: scf.yield
tile.func @chunks_of_four_bytes(%x: !tile.view<64x12xf32>, %ids: !tile.view<32xi32>, %out: !tile.view<32x4xf32>)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : tensor<32x4xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %rows = tile.on "load" -> tensor<32xi32> {
      %r = tile.load %ids[%c0] : !tile.view<32xi32> -> tensor<32xi32>
      tile.yield %r : tensor<32xi32>
    }
    %sum = scf.for %k = %c0 to %c8 step %c1 iter_args(%acc = %zero) -> (tensor<32x4xf32>) {
      tile.on "load" {
        %slot, %b = tile.acquire %ring : !ring
        tile.gather_copy %x[%rows] at %k to %b : !tile.view<64x12xf32>, tensor<32xi32> to !x
        tile.commit %ring, %slot : !ring
      }
      %next = tile.on "math" -> tensor<32x4xf32> {
        %slot, %b = tile.receive %ring : !ring
        %t = tile.read %b : !x -> tensor<32x4xf32>
        tile.release %ring, %slot : !ring
        %u = arith.addf %acc, %t : tensor<32x4xf32>
        tile.yield %u : tensor<32x4xf32>
      }
      scf.yield %next : tensor<32x4xf32>
    }
    tile.on "math" {
      tile.store %sum, %out[%c0, %c0] : tensor<32x4xf32> -> !tile.view<32x4xf32>
    }
  }
  tile.return
}

// -----

// Numbers of every iteration's own are moved in it.
!x = !tile.buffer<32x4xf32>
!ring = !tile.ring<2, !x>

// CHECK-LABEL: llvm.func @other_rows_each_time(
// CHECK: nvvm.barrier0
// CHECK-NOT: nvvm.barrier
// CHECK: scf.for
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK: nvvm.barrier id
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache =  ca
// CHECK: nvvm.cp.async.mbarrier.arrive
tile.func @other_rows_each_time(%x: !tile.view<64x12xf32>, %ids: !tile.view<256xi32>, %out: !tile.view<32x4xf32>)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<32x4xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %sum = scf.for %k = %c0 to %c8 step %c1 iter_args(%acc = %zero) -> (tensor<32x4xf32>) {
      tile.on "load" {
        %slot, %b = tile.acquire %ring : !ring
        %i = arith.muli %k, %c32 : index
        %rows = tile.load %ids[%i] : !tile.view<256xi32> -> tensor<32xi32>
        tile.gather_copy %x[%rows] at %k to %b : !tile.view<64x12xf32>, tensor<32xi32> to !x
        tile.commit %ring, %slot : !ring
      }
      %next = tile.on "math" -> tensor<32x4xf32> {
        %slot, %b = tile.receive %ring : !ring
        %t = tile.read %b : !x -> tensor<32x4xf32>
        tile.release %ring, %slot : !ring
        %u = arith.addf %acc, %t : tensor<32x4xf32>
        tile.yield %u : tensor<32x4xf32>
      }
      scf.yield %next : tensor<32x4xf32>
    }
    tile.on "math" {
      tile.store %sum, %out[%c0, %c0] : tensor<32x4xf32> -> !tile.view<32x4xf32>
    }
  }
  tile.return
}

// -----

// No asynchronous copy moves two bytes: they are loaded and stored.
!x = !tile.buffer<32x4xbf16>
!ring = !tile.ring<2, !x>

// CHECK-LABEL: llvm.func @chunks_of_two_bytes(
// CHECK: scf.for
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK-NOT: cp.async
// CHECK: llvm.store {{.*}} !llvm.ptr<3>
// CHECK-NOT: cp.async
// CHECK: nvvm.mbarrier.arrive
tile.func @chunks_of_two_bytes(%x: !tile.view<64x12xbf16>, %ids: !tile.view<32xi32>, %out: !tile.view<32x4xbf16>)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : tensor<32x4xbf16>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %rows = tile.on "load" -> tensor<32xi32> {
      %r = tile.load %ids[%c0] : !tile.view<32xi32> -> tensor<32xi32>
      tile.yield %r : tensor<32xi32>
    }
    %sum = scf.for %k = %c0 to %c8 step %c1 iter_args(%acc = %zero) -> (tensor<32x4xbf16>) {
      tile.on "load" {
        %slot, %b = tile.acquire %ring : !ring
        tile.gather_copy %x[%rows] at %k to %b : !tile.view<64x12xbf16>, tensor<32xi32> to !x
        tile.commit %ring, %slot : !ring
      }
      %next = tile.on "math" -> tensor<32x4xbf16> {
        %slot, %b = tile.receive %ring : !ring
        %t = tile.read %b : !x -> tensor<32x4xbf16>
        tile.release %ring, %slot : !ring
        %u = arith.addf %acc, %t : tensor<32x4xbf16>
        tile.yield %u : tensor<32x4xbf16>
      }
      scf.yield %next : tensor<32x4xbf16>
    }
    tile.on "math" {
      tile.store %sum, %out[%c0, %c0] : tensor<32x4xbf16> -> !tile.view<32x4xbf16>
    }
  }
  tile.return
}
