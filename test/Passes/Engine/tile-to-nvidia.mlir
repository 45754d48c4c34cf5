// RUN: varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}),tile-to-nvidia{target=sm_90a},cse)' | FileCheck %s
// RUN: varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_80}),tile-to-nvidia{target=sm_80},cse)' | FileCheck %s --check-prefix=OLD

// A kernel takes words and says what its launch needs.
// CHECK-LABEL: llvm.func @kernel(%{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64)
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.maxntid = array<i32: 128>
// CHECK-SAME: nvvm.minctasm = 2 : i32
// CHECK-SAME: varve.blocks_per_multiprocessor = 2 : i64
// CHECK-SAME: varve.dependent_launch
// CHECK-SAME: varve.grid = #map
// CHECK-SAME: varve.shared_bytes = 0 : i64
// CHECK-SAME: varve.sizes = [#tile.size<dim>]
// CHECK-SAME: varve.threads = 128 : i64
// CHECK: nvvm.griddepcontrol wait
// CHECK: nvvm.griddepcontrol launch_dependents
// CHECK: llvm.return
// OLD-LABEL: llvm.func @kernel
// OLD-NOT: varve.dependent_launch
// OLD-NOT: nvvm.griddepcontrol
// OLD: llvm.return
tile.func @kernel(%x: !tile.view<?x?xf32>, %n: i32)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 4
    strategy #tile.strategy<blocks_per_multiprocessor = 2> {
  tile.wait_predecessor
  tile.release_successor
  tile.return
}

// 16 bytes at a time; rows outside the view read zeros instead, without a
// branch; they are not written.
// CHECK-LABEL: llvm.func @vectors_and_bounds
// CHECK: %[[IN:.*]] = arith.cmpi ult
// CHECK: %[[ADDRESS:.*]] = arith.select %[[IN]], %{{.*}}, %{{.*}} : !llvm.ptr<1>
// CHECK: llvm.load %[[ADDRESS]] {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NOT: arith.select {{.*}} : f32
// CHECK: scf.if
// CHECK: llvm.store %{{.*}}, %{{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
// CHECK-NOT: llvm.store
// CHECK: llvm.return
tile.func @vectors_and_bounds(%x: !tile.view<?x128xf32>, %y: !tile.view<?x128xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %r = tile.program_id 0
  %t = tile.load %x[%r, %c0] : !tile.view<?x128xf32> -> tensor<1x128xf32>
  tile.store %t, %y[%r, %c0] : tensor<1x128xf32> -> !tile.view<?x128xf32>
  tile.return
}

// A fill that is not zero is selected.
// CHECK-LABEL: llvm.func @fill
// CHECK: llvm.load
// CHECK: arith.select {{.*}} : f32
tile.func @fill(%x: !tile.view<?x128xf32>, %y: !tile.view<1x128xf32>, %f: f32)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %r = tile.program_id 0
  %t = tile.load %x[%r, %c0] else %f : !tile.view<?x128xf32> -> tensor<1x128xf32>
  tile.store %t, %y[%c0, %c0] : tensor<1x128xf32> -> !tile.view<1x128xf32>
  tile.return
}

// What is known of an argument's alignment bounds the vectors.
// CHECK-LABEL: llvm.func @alignment_of_arguments
// CHECK: llvm.load %{{.*}} {alignment = 8 : i64} : !llvm.ptr<1> -> vector<2xi32>
tile.func @alignment_of_arguments(%x: !tile.view<128xf32> {tile.alignment = 8 : i64}, %y: !tile.view<128xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<128xf32> -> tensor<128xf32>
  tile.store %t, %y[%c0] : tensor<128xf32> -> !tile.view<128xf32>
  tile.return
}

// Lanes by shuffles, then warps through shared memory: one barrier.
// CHECK-LABEL: llvm.func @reduction
// CHECK-SAME: varve.shared_bytes = 16 : i64
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl
// CHECK: llvm.store %{{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
tile.func @reduction(%x: !tile.view<1024xf32>, %y: !tile.view<1xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<1024xf32> -> tensor<1024xf32>
  %s = tile.reduce sum %t along 0 : tensor<1024xf32>
  %o = tile.splat %s : tensor<1xf32>
  tile.store %o, %y[%c0] : tensor<1xf32> -> !tile.view<1xf32>
  tile.return
}

// A row in each warp needs no shared memory.
// CHECK-LABEL: llvm.func @reduction_within_warps
// CHECK-SAME: varve.shared_bytes = 0 : i64
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
tile.func @reduction_within_warps(%x: !tile.view<4x512xf32>, %y: !tile.view<4xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.view<4x512xf32> -> tensor<4x512xf32>
  %s = tile.reduce max %t along 1 : tensor<4x512xf32>
  tile.store %s, %y[%c0] : tensor<4xf32> -> !tile.view<4xf32>
  tile.return
}

// A write is seen by the read behind it, and the next write waits for that read.
// CHECK-LABEL: llvm.func @barriers_where_threads_meet
// CHECK: llvm.store {{.*}} !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.store {{.*}} !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} !llvm.ptr<3>
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
tile.func @barriers_where_threads_meet(%x: !tile.view<512xf32>, %y: !tile.view<512xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %b = tile.alloc : !tile.buffer<512xf32>
  %t = tile.load %x[%c0] : !tile.view<512xf32> -> tensor<512xf32>
  tile.write %t, %b : tensor<512xf32> -> !tile.buffer<512xf32>
  %u = tile.read %b : !tile.buffer<512xf32> -> tensor<512xf32>
  %v = arith.addf %u, %t : tensor<512xf32>
  tile.write %v, %b : tensor<512xf32> -> !tile.buffer<512xf32>
  %w = tile.read %b : !tile.buffer<512xf32> -> tensor<512xf32>
  tile.store %w, %y[%c0] : tensor<512xf32> -> !tile.view<512xf32>
  tile.return
}

// Buffers in different bytes do not wait for each other.
// CHECK-LABEL: llvm.func @no_barrier_between_buffers
// CHECK-COUNT-1: nvvm.barrier0
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
tile.func @no_barrier_between_buffers(%x: !tile.view<512xf32>, %y: !tile.view<512xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %a = tile.alloc : !tile.buffer<512xf32>
  %b = tile.alloc : !tile.buffer<512xf32>
  %t = tile.load %x[%c0] : !tile.view<512xf32> -> tensor<512xf32>
  tile.write %t, %a : tensor<512xf32> -> !tile.buffer<512xf32>
  tile.write %t, %b : tensor<512xf32> -> !tile.buffer<512xf32>
  %u = tile.read %a : !tile.buffer<512xf32> -> tensor<512xf32>
  %v = tile.read %b : !tile.buffer<512xf32> -> tensor<512xf32>
  %s = arith.addf %u, %v : tensor<512xf32>
  tile.store %s, %y[%c0] : tensor<512xf32> -> !tile.view<512xf32>
  tile.return
}

// A tile travels through a loop as its registers.
// CHECK-LABEL: llvm.func @carried_tile
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (f32, f32, f32, f32)
tile.func @carried_tile(%x: !tile.view<128xf32>, %n: index)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = tile.load %x[%c0] : !tile.view<128xf32> -> tensor<128xf32>
  %s = scf.for %i = %c0 to %n step %c1 iter_args(%a = %t) -> (tensor<128xf32>) {
    %m = arith.mulf %a, %a : tensor<128xf32>
    scf.yield %m : tensor<128xf32>
  }
  tile.store %s, %x[%c0] : tensor<128xf32> -> !tile.view<128xf32>
  tile.return
}

// Conversions to narrow floats take pairs.
// CHECK-LABEL: llvm.func @pairs_are_converted
// CHECK-COUNT-2: nvvm.convert.f32x2.to.bf16x2 {{.*}}rnd = #nvvm.fp_rnd_mode<rn>
// CHECK-NOT: nvvm.convert
// CHECK-NOT: arith.truncf
// CHECK: llvm.return
tile.func @pairs_are_converted(%x: !tile.view<128xf32>, %y: !tile.view<128xbf16>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<128xf32> -> tensor<128xf32>
  %b = arith.truncf %t : tensor<128xf32> to tensor<128xbf16>
  tile.store %b, %y[%c0] : tensor<128xbf16> -> !tile.view<128xbf16>
  tile.return
}

// One lane updates, behind a barrier; all get the old value.
// CHECK-LABEL: llvm.func @atomic
// CHECK: nvvm.barrier0
// CHECK: scf.if
// CHECK: llvm.atomicrmw add %{{.*}}, %{{.*}} syncscope("device") acq_rel : !llvm.ptr<1>, i32
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> i32
tile.func @atomic(%counter: !tile.view<1xi32>, %y: !tile.view<64xi32>)
    grid affine_map<() -> (4)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %p = tile.program_id 0
  %one = arith.constant dense<1> : tensor<1xi32>
  %old = tile.atomic add %one, %counter[%c0] : tensor<1xi32>, !tile.view<1xi32>
  tile.store %old, %y[%p] : tensor<1xi32> -> !tile.view<64xi32>
  tile.return
}

// Multiply-add over a loop along k, operands in shared memory.
// CHECK-LABEL: llvm.func @product
// CHECK: nvvm.barrier0
// CHECK: scf.for
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK: llvm.intr.fma
// CHECK: scf.yield
tile.func @product(%a: !tile.view<32x64xf32>, %b: !tile.view<32x64xf32>, %c: !tile.view<32x32xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %x = tile.load %a[%c0, %c0] : !tile.view<32x64xf32> -> tensor<32x64xf32>
  %w = tile.load %b[%c0, %c0] : !tile.view<32x64xf32> -> tensor<32x64xf32>
  %d = tile.dot %x, %w transposed, %zero : tensor<32x64xf32>, tensor<32x64xf32> -> tensor<32x32xf32>
  tile.store %d, %c[%c0, %c0] : tensor<32x32xf32> -> !tile.view<32x32xf32>
  tile.return
}
