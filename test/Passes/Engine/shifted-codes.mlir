// RUN: varve-opt %s --split-input-file --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a},cse)' | FileCheck %s

// Products of shifted codes read their operands once more when they are added.
// Another product that is waited for does not make a stage free.
// CHECK-LABEL: llvm.func @beside_another(
// CHECK: nvvm.cp.async.mbarrier.arrive
// CHECK: %[[APART:.+]] = nvvm.vote.sync any
// CHECK-COUNT-8: wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e4m3
// CHECK-COUNT-8: wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3
// CHECK-NOT: nvvm.mbarrier.arrive
// CHECK: scf.if %[[APART]]
// CHECK-NOT: nvvm.mbarrier.arrive
// CHECK: scf.for
// CHECK: math.fma
// CHECK: nvvm.mbarrier.arrive
!codes = !tile.buffer<128x128xf4E2M1FN, #tile.shared<swizzle = 64>>
!scales = !tile.buffer<128x4xf8E8M0FNU>
!x = !tile.buffer<8x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!xs = !tile.buffer<8x1xf32>
!y = !tile.buffer<128x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!ring = !tile.ring<2, !codes, !scales, !x, !xs, !y>

tile.func @beside_another(%w: !tile.view<128x1024xf4E2M1FN>, %s: !tile.view<128x32xf8E8M0FNU>,
                   %x: !tile.view<16x1024xf8E4M3FN>, %xs: !tile.view<16x8xf32>, %ids: !tile.view<8xi32>,
                   %y: !tile.view<128x1024xf8E4M3FN>,
                   %out: !tile.view<128x8xf32>, %other: !tile.view<128x8xf32>)
    grid affine_map<() -> (1)> [] warps 8
    strategy #tile.strategy<short_sums = true> {
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
    %sums:2 = scf.for %k = %c0 to %c1024 step %c128 iter_args(%acc = %zero, %acc2 = %zero) -> (tensor<128x8xf32>, tensor<128x8xf32>) {
      tile.on "load" {
        %slot, %a, %as, %b, %bs, %c = tile.acquire %ring : !ring
        tile.copy %w[%c0, %k] to %a : !tile.view<128x1024xf4E2M1FN> to !codes
        tile.copy %y[%c0, %k] to %c : !tile.view<128x1024xf8E4M3FN> to !y
        %g = arith.divui %k, %c32 : index
        tile.copy %s[%c0, %g] to %as : !tile.view<128x32xf8E8M0FNU> to !scales
        tile.gather_copy %x[%rows] at %k to %b : !tile.view<16x1024xf8E4M3FN>, tensor<8xi32> to !x
        %h = arith.divui %k, %c128 : index
        tile.gather_copy %xs[%rows] at %h to %bs : !tile.view<16x8xf32>, tensor<8xi32> to !xs
        tile.commit %ring, %slot : !ring
      }
      %next:2 = tile.on "math" -> tensor<128x8xf32>, tensor<128x8xf32> {
        %slot, %a, %as, %b, %bs, %c = tile.receive %ring : !ring
        %factors = tile.read %as : !scales -> tensor<128x4xf8E8M0FNU>
        %columns = tile.read %bs : !xs -> tensor<8x1xf32>
        %d = tile.dot %a scaled %factors, %b transposed quads<quarters> scaled %columns, %acc
            : !codes scaled tensor<128x4xf8E8M0FNU>, !x scaled tensor<8x1xf32> -> tensor<128x8xf32>
        %e = tile.dot %c, %b transposed scaled %columns, %acc2
            : !y, !x scaled tensor<8x1xf32> -> tensor<128x8xf32>
        tile.release %ring, %slot : !ring
        tile.yield %d, %e : tensor<128x8xf32>, tensor<128x8xf32>
      }
      scf.yield %next#0, %next#1 : tensor<128x8xf32>, tensor<128x8xf32>
    }
    tile.on "math" {
      tile.store %sums#1, %other[%c0, %c0] : tensor<128x8xf32> -> !tile.view<128x8xf32>
      tile.store %sums#0, %out[%c0, %c0] : tensor<128x8xf32> -> !tile.view<128x8xf32>
    }
  }
  tile.return
}

// -----

// A right operand in registers, and scales that are loaded, have memory of the
// product's own, which is not read later: the block is added at once. A thread
// has four numbers of so small a result.
// CHECK-LABEL: llvm.func @own_memory(
// CHECK: %[[APART:.+]] = nvvm.vote.sync any
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e4m3
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK-COUNT-4: math.fma
// CHECK: scf.if %[[APART]] -> (f32, f32, f32, f32)
// CHECK: scf.for
// CHECK-COUNT-4: math.fma
// CHECK-NOT: math.fma
// CHECK: llvm.store {{.*}} !llvm.ptr<1>
!codes = !tile.buffer<64x128xf4E2M1FN, #tile.shared<swizzle = 64>>
tile.func @own_memory(%w: !tile.view<64x128xf4E2M1FN>, %s: !tile.view<64x4xf8E8M0FNU>,
                      %x: !tile.view<8x128xf8E4M3FN>, %xs: !tile.view<8x1xf32>, %out: !tile.view<64x8xf32>)
    grid affine_map<() -> (1)> [] warps 4
    strategy #tile.strategy<short_sums = true> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x8xf32>
  %a = tile.alloc : !codes
  %token = tile.copy %w[%c0, %c0] to %a : !tile.view<64x128xf4E2M1FN> to !codes
  tile.wait %token
  %factors = tile.load %s[%c0, %c0] : !tile.view<64x4xf8E8M0FNU> -> tensor<64x4xf8E8M0FNU>
  %b = tile.load %x[%c0, %c0] : !tile.view<8x128xf8E4M3FN> -> tensor<8x128xf8E4M3FN>
  %columns = tile.load %xs[%c0, %c0] : !tile.view<8x1xf32> -> tensor<8x1xf32>
  %d = tile.dot %a scaled %factors, %b transposed quads<quarters> scaled %columns, %zero
      : !codes scaled tensor<64x4xf8E8M0FNU>, tensor<8x128xf8E4M3FN> scaled tensor<8x1xf32> -> tensor<64x8xf32>
  tile.store %d, %out[%c0, %c0] : tensor<64x8xf32> -> !tile.view<64x8xf32>
  tile.return
}

// -----

// Scales of columns as bf16, two to a word: products of the same block share
// its load. Threads are numbered anew in each iteration of the loop that stores
// results, and behind the loop within it: addresses of stores must not fill the
// registers of products.
// CHECK-LABEL: llvm.func @shared_scales(
// CHECK: scf.for
// CHECK: scf.for
// CHECK: llvm.inline_asm has_side_effects {{.*}}"mov.b32 $0, $1;"
// CHECK: scf.for
// CHECK: wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e4m3
// CHECK: %[[WORD:.+]] = llvm.load %{{.+}} : !llvm.ptr<3> -> i32
// CHECK: llvm.inline_asm has_side_effects {{.*}}"mov.b32 $0, $1;", "=r,r" %[[WORD]]
// CHECK-COUNT-4: math.fma
// CHECK: llvm.inline_asm has_side_effects {{.*}}"mov.b32 $0, $1;", "=r,r" %[[WORD]]
// CHECK-COUNT-4: math.fma
// CHECK: nvvm.mbarrier.arrive
// CHECK: llvm.inline_asm has_side_effects {{.*}}"mov.b32 $0, $1;"
// CHECK: llvm.store
!codes = !tile.buffer<64x128xf4E2M1FN, #tile.shared<swizzle = 64>>
!scales = !tile.buffer<64x4xf8E8M0FNU>
!x = !tile.buffer<8x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!xs = !tile.buffer<8xbf16>
!ring = !tile.ring<2, !codes, !scales, !codes, !scales, !x, !xs>
tile.func @shared_scales(%w: !tile.view<128x1024xf4E2M1FN>, %s: !tile.view<128x32xf8E8M0FNU>,
                   %x: !tile.view<64x1024xf8E4M3FN>, %xs: !tile.view<512xbf16>, %out: !tile.view<64x128xf32>)
    grid affine_map<() -> (2)> [] warps 8
    strategy #tile.strategy<short_sums = true> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c1024 = arith.constant 1024 : index
  %first = tile.program_id 0
  %zero = arith.constant dense<0.0> : tensor<64x8xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    scf.for %t = %first to %c8 step %c2 {
      %row = arith.muli %t, %c8 : index
      %sums:2 = scf.for %k = %c0 to %c1024 step %c128 iter_args(%acc = %zero, %acc2 = %zero) -> (tensor<64x8xf32>, tensor<64x8xf32>) {
        tile.on "load" {
          %slot, %a, %as, %b, %bs, %r, %rs = tile.acquire %ring : !ring
          %g = arith.divui %k, %c32 : index
          tile.copy %w[%c0, %k] to %a : !tile.view<128x1024xf4E2M1FN> to !codes
          tile.copy %s[%c0, %g] to %as : !tile.view<128x32xf8E8M0FNU> to !scales
          tile.copy %w[%c64, %k] to %b : !tile.view<128x1024xf4E2M1FN> to !codes
          tile.copy %s[%c64, %g] to %bs : !tile.view<128x32xf8E8M0FNU> to !scales
          tile.copy %x[%row, %k] to %r : !tile.view<64x1024xf8E4M3FN> to !x
          tile.copy %xs[%row] to %rs : !tile.view<512xbf16> to !xs
          tile.commit %ring, %slot : !ring
        }
        %next:2 = tile.on "math" -> tensor<64x8xf32>, tensor<64x8xf32> {
          %slot, %a, %as, %b, %bs, %r, %rs = tile.receive %ring : !ring
          %read = tile.read %rs : !xs -> tensor<8xbf16>
          %columns = tile.reshape %read : tensor<8xbf16> -> tensor<8x1xbf16>
          %fa = tile.read %as : !scales -> tensor<64x4xf8E8M0FNU>
          %d = tile.dot %a scaled %fa exponent 10, %r transposed quads<quarters> scaled %columns, %acc
              : !codes scaled tensor<64x4xf8E8M0FNU>, !x scaled tensor<8x1xbf16> -> tensor<64x8xf32>
          %fb = tile.read %bs : !scales -> tensor<64x4xf8E8M0FNU>
          %e = tile.dot %b scaled %fb exponent 10, %r transposed quads<quarters> scaled %columns, %acc2
              : !codes scaled tensor<64x4xf8E8M0FNU>, !x scaled tensor<8x1xbf16> -> tensor<64x8xf32>
          tile.release %ring, %slot : !ring
          tile.yield %d, %e : tensor<64x8xf32>, tensor<64x8xf32>
        }
        scf.yield %next#0, %next#1 : tensor<64x8xf32>, tensor<64x8xf32>
      }
      tile.on "math" {
        tile.store %sums#0, %out[%c0, %row] : tensor<64x8xf32> -> !tile.view<64x128xf32>
        tile.store %sums#1, %out[%c0, %c64] : tensor<64x8xf32> -> !tile.view<64x128xf32>
      }
    }
  }
  tile.return
}
