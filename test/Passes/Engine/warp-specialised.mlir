// RUN: varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-check-pipelines,tile-split-roles,tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a})' | FileCheck %s

!a = !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
!ring = !tile.ring<2, !a, !a>

// One warp group copies, by one thread; two multiply, four instructions a stage,
// and leave one group of products under way.
// CHECK-LABEL: llvm.func @gemm
// CHECK: nvvm.mbarrier.init
// CHECK: nvvm.barrier0
// CHECK: nvvm.setmaxregister decrease 40
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK: nvvm.mbarrier.expect_tx
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK: nvvm.mbarrier.expect_tx
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK: nvvm.mbarrier.arrive
// CHECK: nvvm.setmaxregister increase 232
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK: nvvm.wgmma.fence.aligned
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK: nvvm.wgmma.commit.group.sync.aligned
// CHECK: nvvm.wgmma.wait.group.sync.aligned 1
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: nvvm.stmatrix
// CHECK: nvvm.cp.async.bulk.tensor.global.shared.cta
// CHECK: nvvm.cp.async.bulk.wait_group 0
tile.func @gemm(%x: !tile.view<?x256xbf16>, %w: !tile.view<128x256xbf16>,
                %y: !tile.view<?x128xbf16>)
    grid affine_map<()[s0] -> (s0 ceildiv 128)> [dim(%x, 0)] warps 12
    strategy #tile.strategy<dot = wgmma, in_flight = 1, staged_store = true> {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %i = tile.program_id 0
  %m = arith.muli %i, %c128 : index
  %zero = arith.constant dense<0.0> : tensor<128x128xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                 #tile.role<"math", warps = 8, registers = 232>] {
    %ring = tile.ring : !ring
    %sum = scf.for %k = %c0 to %c256 step %c64 iter_args(%acc = %zero)
        -> (tensor<128x128xf32>) {
      tile.on "load" {
        %s, %a, %b = tile.acquire %ring : !ring
        tile.copy %x[%m, %k] to %a : !tile.view<?x256xbf16> to !a
        tile.copy %w[%c0, %k] to %b : !tile.view<128x256xbf16> to !a
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "math" -> tensor<128x128xf32> {
        %s, %a, %b = tile.receive %ring : !ring
        %d = tile.dot %a, %b transposed, %acc : !a, !a -> tensor<128x128xf32>
        tile.release %ring, %s : !ring
        tile.yield %d : tensor<128x128xf32>
      }
      scf.yield %next : tensor<128x128xf32>
    }
    tile.on "math" {
      %o = arith.truncf %sum : tensor<128x128xf32> to tensor<128x128xbf16>
      tile.store %o, %y[%m, %c0] : tensor<128x128xbf16> -> !tile.view<?x128xbf16>
    }
  }
  tile.return
}
