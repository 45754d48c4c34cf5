// RUN: split-file %s %t
// RUN: varve-opt %t/sums.mlir --pass-pipeline='builtin.module(tile.func(tile-check-pipelines,tile-split-roles,tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a})' | FileCheck %t/sums.mlir
// RUN: sed s/short_sums=true/short_sums=false/ %t/sums.mlir > %t/full.mlir
// RUN: varve-opt %t/full.mlir --pass-pipeline='builtin.module(tile.func(tile-check-pipelines,tile-split-roles,tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a})' | FileCheck %t/sums.mlir --check-prefix=FULL
// RUN: varve-opt %t/few.mlir --pass-pipeline='builtin.module(tile.func(tile-check-pipelines,tile-split-roles,tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a})' | FileCheck %t/few.mlir
// RUN: sed 's/short_sums=false/short_sums=true/' %t/few.mlir > %t/short.mlir
// RUN: varve-opt %t/few.mlir --pass-pipeline='builtin.module(tile.func(tile-merge-roles,tile-assign-layouts{target=sm_89}),tile-to-nvidia{target=sm_89})' | FileCheck %t/few.mlir --check-prefix=ADA
// RUN: varve-opt %t/short.mlir --pass-pipeline='builtin.module(tile.func(tile-merge-roles,tile-assign-layouts{target=sm_89}),tile-to-nvidia{target=sm_89})' | FileCheck %t/few.mlir --check-prefix=SHORT

//--- sums.mlir
// Scales of rows ride in the ring: a column of a view whose rows are theirs is
// one box. 8-bit warpgroup products only where sums may be short; otherwise f16
// ones, which read the same stages.
// CHECK-LABEL: llvm.func @sums
// CHECK-COUNT-3: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK-NOT: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3
// CHECK-NOT: nvvm.mma.sync
// FULL-LABEL: llvm.func @sums
// FULL-COUNT-3: nvvm.cp.async.bulk.tensor.shared.cluster.global
// FULL: llvm.nvvm.mma.m16n8k16.row.col.f32.f32
// FULL-NOT: e4m3.e4m3
!a = !tile.buffer<128x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!s = !tile.buffer<128x1xf32>
!ring = !tile.ring<2, !a, !a, !s>
tile.func @sums(%x: !tile.view<?x256xf8E4M3FN>, %xs: !tile.view<2x512xf32>, %w: !tile.view<128x256xf8E4M3FN>,
                %y: !tile.view<?x128xf32>)
    grid affine_map<()[s0] -> (s0 ceildiv 128)> [dim(%x, 0)] warps 12
    strategy #tile.strategy<dot = wgmma, short_sums=true> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c128 = arith.constant 128 : index
  %i = tile.program_id 0
  %m = arith.muli %i, %c128 : index
  %zero = arith.constant dense<0.0> : tensor<128x128xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                 #tile.role<"math", warps = 8, registers = 232>] {
    %ring = tile.ring : !ring
    %sum = scf.for %kb = %c0 to %c2 step %c1 iter_args(%acc = %zero) -> (tensor<128x128xf32>) {
      %k = arith.muli %kb, %c128 : index
      tile.on "load" {
        %t, %a, %b, %s = tile.acquire %ring : !ring
        tile.copy %x[%m, %k] to %a : !tile.view<?x256xf8E4M3FN> to !a
        tile.copy %w[%c0, %k] to %b : !tile.view<128x256xf8E4M3FN> to !a
        tile.copy %xs[%kb, %m] dims [1, 0] to %s : !tile.view<2x512xf32> to !s
        tile.commit %ring, %t : !ring
      }
      %next = tile.on "math" -> tensor<128x128xf32> {
        %t, %a, %b, %s = tile.receive %ring : !ring
        %scales = tile.read %s : !s -> tensor<128x1xf32>
        %d = tile.dot %a scaled %scales, %b transposed, %acc
            : !a scaled tensor<128x1xf32>, !a -> tensor<128x128xf32>
        tile.release %ring, %t : !ring
        tile.yield %d : tensor<128x128xf32>
      }
      scf.yield %next : tensor<128x128xf32>
    }
    tile.on "math" {
      tile.store %sum, %y[%m, %c0] : tensor<128x128xf32> -> !tile.view<?x128xf32>
    }
  }
  tile.return
}

//--- few.mlir
// Four scales of a byte are a word, which threads copy one each; the products
// read them where the copies left them.
// CHECK-LABEL: llvm.func @few
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 4, cache = ca, %{{.*}}
// CHECK: nvvm.cp.async.mbarrier.arrive
// CHECK: llvm.nvvm.mma.m16n8k16.row.col.f32.f32
// ADA-LABEL: llvm.func @few
// ADA: llvm.nvvm.mma.m16n8k16.row.col.f32.f32
// ADA-NOT: e4m3.e4m3
// SHORT-LABEL: llvm.func @few
// SHORT: mma.m16n8k32.row.col.f32.e4m3.e4m3.f32
!x = !tile.buffer<16x512xf8E4M3FN, #tile.shared<swizzle = 128>>
!w = !tile.buffer<32x512xf8E4M3FN, #tile.shared<swizzle = 128>>
!s = !tile.buffer<16x4xf8E8M0FNU>
!ring = !tile.ring<3, !x, !w, !s>
tile.func @few(%x: !tile.view<?x2048xf8E4M3FN>, %xs: !tile.view<?x16xf8E8M0FNU>, %w: !tile.view<64x2048xf8E4M3FN>,
               %y: !tile.view<?x64xf32>)
    grid affine_map<()[s0] -> (2, s0 ceildiv 16)> [dim(%x, 0)] warps 8
    strategy #tile.strategy<short_sums=false> {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c128 = arith.constant 128 : index
  %i = tile.program_id 0
  %j = tile.program_id 1
  %n = arith.muli %i, %c32 : index
  %m = arith.muli %j, %c16 : index
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %sum = scf.for %kb = %c0 to %c16 step %c4 iter_args(%acc = %zero) -> (tensor<16x32xf32>) {
      %k = arith.muli %kb, %c128 : index
      tile.on "load" {
        %t, %bx, %bw, %bs = tile.acquire %ring : !ring
        tile.copy %w[%n, %k] to %bw : !tile.view<64x2048xf8E4M3FN> to !w
        tile.copy %x[%m, %k] to %bx : !tile.view<?x2048xf8E4M3FN> to !x
        tile.copy %xs[%m, %kb] to %bs : !tile.view<?x16xf8E8M0FNU> to !s
        tile.commit %ring, %t : !ring
      }
      %next = tile.on "math" -> tensor<16x32xf32> {
        %t, %bx, %bw, %bs = tile.receive %ring : !ring
        %scales = tile.read %bs : !s -> tensor<16x4xf8E8M0FNU>
        %d = tile.dot %bx scaled %scales, %bw transposed, %acc
            : !x scaled tensor<16x4xf8E8M0FNU>, !w -> tensor<16x32xf32>
        tile.release %ring, %t : !ring
        tile.yield %d : tensor<16x32xf32>
      }
      scf.yield %next : tensor<16x32xf32>
    }
    tile.on "math" {
      tile.store %sum, %y[%m, %n] : tensor<16x32xf32> -> !tile.view<?x64xf32>
    }
  }
  tile.return
}
