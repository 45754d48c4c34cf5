// RUN: varve-opt %s --split-input-file --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a},cse)' | FileCheck %s

// Codes of 4 bits beside bf16, whose columns are in quad order: every lane unpacks
// what it multiplies, while the products of the part before run. At the loop's
// end no product is under way: it would read registers that the next iteration
// writes. Rows of a multiple of 16 bytes are gathered in chunks of 16; scales,
// whose rows have four, have no tensor map.
!codes = !tile.buffer<128x128xf4E2M1FN, #tile.shared<swizzle = 64>>
!scales = !tile.buffer<128x4xf8E8M0FNU>
!x = !tile.buffer<8x128xbf16, #tile.shared<swizzle = 128>>
!ring = !tile.ring<2, !codes, !scales, !x>

// CHECK-LABEL: llvm.func @folded(
// CHECK-SAME: varve.tensor_maps = [{argument = 0 : i64, box = array<i64: 128, 128>, swizzle = 64 : i64}]
// CHECK: nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache =  ca
// CHECK: nvvm.cp.async.shared.global {{.*}}, 16, cache =  cg
// CHECK: scf.for
// CHECK: nvvm.wgmma.wait.group.sync.aligned 1
// CHECK: llvm.load {{.*}} -> vector<4xi32>
// CHECK: llvm.load {{.*}} -> i8
// CHECK: arith.constant -2147450880
// CHECK: arith.constant 29360576
// CHECK: arith.constant 2122350208
// CHECK: arith.mulf {{.*}} : vector<2xbf16>
// CHECK: arith.mulf {{.*}} : vector<2xbf16>
// CHECK: wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16
// CHECK: nvvm.wgmma.commit.group.sync.aligned
// CHECK: nvvm.wgmma.wait.group.sync.aligned 1
// CHECK: wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK: scf.yield
tile.func @folded(%w: !tile.view<128x1024xf4E2M1FN>, %s: !tile.view<128x32xf8E8M0FNU>,
                  %x: !tile.view<8x1024xbf16>, %out: !tile.view<128x8xf32>)
    grid affine_map<() -> (1)> [] warps 8
    strategy #tile.strategy<in_flight = 1> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c128 = arith.constant 128 : index
  %c1024 = arith.constant 1024 : index
  %zero = arith.constant dense<0.0> : tensor<128x8xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %rows = tile.on "load" -> tensor<8xi32> {
      %r = tile.iota 0 : tensor<8xi32>
      tile.yield %r : tensor<8xi32>
    }
    %sum = scf.for %k = %c0 to %c1024 step %c128 iter_args(%acc = %zero) -> (tensor<128x8xf32>) {
      tile.on "load" {
        %slot, %a, %as, %b = tile.acquire %ring : !ring
        tile.copy %w[%c0, %k] to %a : !tile.view<128x1024xf4E2M1FN> to !codes
        %g = arith.divui %k, %c32 : index
        tile.copy %s[%c0, %g] to %as : !tile.view<128x32xf8E8M0FNU> to !scales
        tile.gather_copy %x[%rows] at %k to %b : !tile.view<8x1024xbf16>, tensor<8xi32> to !x
        tile.commit %ring, %slot : !ring
      }
      %next = tile.on "math" -> tensor<128x8xf32> {
        %slot, %a, %as, %b = tile.receive %ring : !ring
        %factors = tile.read %as : !scales -> tensor<128x4xf8E8M0FNU>
        %d = tile.dot %a scaled %factors, %b transposed quads<quarters>, %acc
            : !codes scaled tensor<128x4xf8E8M0FNU>, !x -> tensor<128x8xf32>
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

// -----

// Scales that are no powers of two of themselves are not folded, and no
// instruction takes codes beside bf16.
// CHECK-LABEL: llvm.func @not_folded(
// CHECK-NOT: wgmma
// CHECK: llvm.intr.fma
tile.func @not_folded(%w: !tile.view<64x64xf4E2M1FN>, %s: !tile.view<64x2xf32>,
                      %x: !tile.view<8x64xbf16>, %out: !tile.view<64x8xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x8xf32>
  %a = tile.alloc : !tile.buffer<64x64xf4E2M1FN>
  %token = tile.copy %w[%c0, %c0] to %a : !tile.view<64x64xf4E2M1FN> to !tile.buffer<64x64xf4E2M1FN>
  tile.wait %token
  %factors = tile.load %s[%c0, %c0] : !tile.view<64x2xf32> -> tensor<64x2xf32>
  %b = tile.load %x[%c0, %c0] : !tile.view<8x64xbf16> -> tensor<8x64xbf16>
  %d = tile.dot %a scaled %factors, %b transposed, %zero
      : !tile.buffer<64x64xf4E2M1FN> scaled tensor<64x2xf32>, tensor<8x64xbf16> -> tensor<64x8xf32>
  tile.store %d, %out[%c0, %c0] : tensor<64x8xf32> -> !tile.view<64x8xf32>
  tile.return
}
