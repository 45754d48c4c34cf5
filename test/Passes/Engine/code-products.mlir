// RUN: varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a},cse)' | FileCheck %s
// RUN: sed 's/quads<words>/quads<quarters>/; s/short_sums = false/short_sums = true/' %s > %t.short.mlir
// RUN: varve-opt %t.short.mlir --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a},cse)' | FileCheck %s --check-prefix=SHORT
// RUN: sed 's/quads<words>/quads<quarters>/' %s > %t.long.mlir
// RUN: not varve-opt %t.long.mlir --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a})' 2>&1 | FileCheck %s --check-prefix=LONG
// RUN: not varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-merge-roles,tile-assign-layouts{target=sm_80}),tile-to-nvidia{target=sm_80})' 2>&1 | FileCheck %s --check-prefix=AMPERE

// FP4 codes times FP8 codes, whose columns are in words: a lane unpacks its codes
// as f8E4M3FN, and the sum of every instruction is multiplied by its scales. That
// is no sum of many products, which is why it needs no short sums.
//
// To the copy engine, two 4-bit elements are one: the column is halved. Rows of a
// scale of four bytes are gathered by asynchronous copies, by row numbers that
// the loop does not change and that are exchanged before it.
// CHECK-LABEL: llvm.func @product(
// CHECK-SAME: varve.tensor_maps = [{argument = 0 : i64, box = array<i64: 128, 128>, swizzle = 64 : i64}]
// CHECK: nvvm.barrier0
// CHECK: nvvm.barrier id
// CHECK-NOT: nvvm.barrier
// CHECK: scf.for
// CHECK-NOT: nvvm.barrier
// CHECK: %[[K:.+]] = arith.index_cast %{{.+}} : index to i32
// CHECK: nvvm.mbarrier.expect_tx %{{.+}}, %c8192_i32
// CHECK: %[[HALF:.+]] = arith.shrsi %[[K]], %c1_i32 : i32
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global {{.*}}, box[%[[HALF]], %c0_i32]
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache =  ca
// CHECK: nvvm.cp.async.shared.global {{.*}}, 8, cache =  ca
// CHECK-NOT: llvm.store
// CHECK-NOT: nvvm.barrier
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache =  ca
// CHECK: nvvm.cp.async.mbarrier.arrive
// CHECK: scf.for
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK-NOT: nvvm.prmt
// CHECK: %[[INVERSE:.+]] = arith.constant 6.400000e+01 : f32
// CHECK: arith.constant 471604252 : i32
// CHECK: nvvm.wgmma.fence.aligned
// CHECK-COUNT-8: wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3
// CHECK-NOT: wgmma.mma_async
// CHECK: nvvm.wgmma.commit.group.sync.aligned
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK-NOT: nvvm.vote.sync
// CHECK: arith.mulf %{{.+}}, %[[INVERSE]] : f32
// CHECK: math.fma

// In quarters, codes times their scales are f8E5M2, which a permutation of bytes
// looks up. Scales beyond its range are added apart, if a lane has met one: from
// the stage's buffers, which are handed back after that.
// SHORT-LABEL: llvm.func @product(
// SHORT: nvvm.mbarrier.expect_tx
// SHORT: nvvm.prmt
// SHORT: %[[APART:.+]] = nvvm.vote.sync any
// SHORT: nvvm.wgmma.fence.aligned
// SHORT-COUNT-8: wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e4m3
// SHORT-NOT: wgmma.mma_async
// SHORT: wgmma.wait_group.sync.aligned 0
// SHORT: math.fma
// SHORT-NOT: nvvm.mbarrier.arrive
// SHORT: scf.if %[[APART]]
// SHORT-NOT: nvvm.mbarrier.arrive
// SHORT: scf.for
// SHORT: math.fma
// SHORT: nvvm.mbarrier.arrive

// LONG: error: 'tile.dot' op cannot be lowered for sm_90a: only warpgroup products of 4-bit codes whose scales are powers of two take columns in quad order
// AMPERE: error: 'tile.dot' op cannot be lowered for sm_80: only warpgroup products of 4-bit codes whose scales are powers of two take columns in quad order

!codes = !tile.buffer<128x128xf4E2M1FN, #tile.shared<swizzle = 64>>
!scales = !tile.buffer<128x4xf8E8M0FNU>
!x = !tile.buffer<8x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!xs = !tile.buffer<8x1xf32>
!ring = !tile.ring<2, !codes, !scales, !x, !xs>

tile.func @product(%w: !tile.view<128x1024xf4E2M1FN>, %s: !tile.view<128x32xf8E8M0FNU>,
                   %x: !tile.view<16x1024xf8E4M3FN>, %xs: !tile.view<16x8xf32>, %ids: !tile.view<8xi32>,
                   %out: !tile.view<128x8xf32>)
    grid affine_map<() -> (1)> [] warps 8
    strategy #tile.strategy<short_sums = false> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c128 = arith.constant 128 : index
  %c1024 = arith.constant 1024 : index
  %zero = arith.constant dense<0.0> : tensor<128x8xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %rows = tile.on "load" -> tensor<8xi32> {
      %r = tile.load %ids[%c0] : !tile.view<8xi32> -> tensor<8xi32>
      tile.yield %r : tensor<8xi32>
    }
    %sum = scf.for %k = %c0 to %c1024 step %c128 iter_args(%acc = %zero) -> (tensor<128x8xf32>) {
      tile.on "load" {
        %slot, %a, %as, %b, %bs = tile.acquire %ring : !ring
        tile.copy %w[%c0, %k] to %a : !tile.view<128x1024xf4E2M1FN> to !codes
        %g = arith.divui %k, %c32 : index
        tile.copy %s[%c0, %g] to %as : !tile.view<128x32xf8E8M0FNU> to !scales
        tile.gather_copy %x[%rows] at %k to %b : !tile.view<16x1024xf8E4M3FN>, tensor<8xi32> to !x
        %h = arith.divui %k, %c128 : index
        tile.gather_copy %xs[%rows] at %h to %bs : !tile.view<16x8xf32>, tensor<8xi32> to !xs
        tile.commit %ring, %slot : !ring
      }
      %next = tile.on "math" -> tensor<128x8xf32> {
        %slot, %a, %as, %b, %bs = tile.receive %ring : !ring
        %factors = tile.read %as : !scales -> tensor<128x4xf8E8M0FNU>
        %columns = tile.read %bs : !xs -> tensor<8x1xf32>
        %d = tile.dot %a scaled %factors, %b transposed quads<words> scaled %columns, %acc
            : !codes scaled tensor<128x4xf8E8M0FNU>, !x scaled tensor<8x1xf32> -> tensor<128x8xf32>
        tile.release %ring, %slot : !ring
        tile.yield %d : tensor<128x8xf32>
      }
      scf.yield %next : tensor<128x8xf32>
    }
    tile.on "math" {
      tile.store %sum, %out[%c0, %c0] : tensor<128x8xf32> -> !tile.view<128x8xf32>
    }
  }
  tile.return
}
