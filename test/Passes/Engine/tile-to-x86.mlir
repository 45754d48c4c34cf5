// RUN: varve-opt %s --tile-to-x86 --canonicalize --cse | FileCheck %s
// RUN: varve-opt %s --tile-to-x86=vector-bits=256 --canonicalize --cse | FileCheck %s --check-prefix=NARROW
// RUN: not varve-opt %s --tile-to-x86=vector-bits=128 2>&1 | FileCheck %s --check-prefix=BITS

// BITS: error: expected vector-bits to be 256 or 512 but got 128

// A function takes words, grid, range and scratch area, and says how much of the
// latter it needs. An element-wise chain is one loop over vectors.
// CHECK-LABEL: func.func @chain_is_one_loop(
// CHECK-SAME:    %[[ARGS:.*]]: !llvm.ptr, %[[GRID:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64, %[[SCRATCH:.*]]: !llvm.ptr {llvm.noalias})
// CHECK-SAME:    varve.scratch_bytes = 256 : i64
tile.func @chain_is_one_loop(%x: !tile.view<64xf32>, %y: !tile.view<64xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  // CHECK: scf.for
  // The load.
  // CHECK: scf.for
  // CHECK-NOT: arith.mulf
  // The store computes.
  // CHECK: scf.for
  // CHECK: llvm.load {{.*}} -> vector<16xf32>
  // CHECK: arith.mulf {{.*}} : vector<16xf32>
  // CHECK: arith.addf {{.*}} : vector<16xf32>
  // CHECK: llvm.store {{.*}} : vector<16xf32>
  // CHECK-NOT: scf.for
  // CHECK: return
  %t = tile.load %x[%c0] : !tile.view<64xf32> -> tensor<64xf32>
  %m = arith.mulf %t, %t : tensor<64xf32>
  %k = arith.constant dense<1.0> : tensor<64xf32>
  %a = arith.addf %m, %k : tensor<64xf32>
  tile.store %a, %y[%c0] : tensor<64xf32> -> !tile.view<64xf32>
  tile.return
}

// An accumulator that a loop carries stays where it is: the product reads and
// writes the same array, and the loop copies nothing.
// CHECK-LABEL: func.func @product_accumulates_in_place
// NARROW-LABEL: func.func @product_accumulates_in_place
tile.func @product_accumulates_in_place(%x: !tile.view<48x32xf32>, %y: !tile.view<48x32xf32>,
                                        %n: index, %z: !tile.view<48x32xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<48x48xf32>
  %a = tile.load %x[%c0, %c0] : !tile.view<48x32xf32> -> tensor<48x32xf32>
  %b = tile.load %y[%c0, %c0] : !tile.view<48x32xf32> -> tensor<48x32xf32>
  // Blocks of 8 rows and two vectors, or of 6 and one.
  // CHECK-COUNT-16: vector.fma {{.*}} : vector<16xf32>
  // CHECK: scf.yield
  // CHECK-COUNT-16: llvm.store {{.*}} : vector<16xf32>
  // NARROW-COUNT-6: vector.fma {{.*}} : vector<16xf32>
  // NARROW: scf.yield
  // NARROW-COUNT-6: llvm.store {{.*}} : vector<16xf32>
  // NARROW-NOT: vector.fma
  // NARROW: return
  %s = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> (tensor<48x48xf32>) {
    %d = tile.dot %a, %b transposed, %acc
        : tensor<48x32xf32>, tensor<48x32xf32> -> tensor<48x48xf32>
    scf.yield %d : tensor<48x48xf32>
  }
  %part = tile.slice %s[0, 0] : tensor<48x48xf32> -> tensor<48x32xf32>
  tile.store %part, %z[%c0, %c0] : tensor<48x32xf32> -> !tile.view<48x32xf32>
  tile.return
}

// Scratch areas of branches and loop bodies overlap.
// CHECK-LABEL: func.func @regions_share_scratch
// CHECK-SAME: varve.scratch_bytes = 8192 : i64
tile.func @regions_share_scratch(%x: !tile.view<1024xf32>, %p: i1)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  scf.if %p {
    %t = tile.load %x[%c0] : !tile.view<1024xf32> -> tensor<1024xf32>
    %b = tile.alloc : !tile.buffer<1024xf32>
    tile.write %t, %b : tensor<1024xf32> -> !tile.buffer<1024xf32>
    tile.store %b, %x[%c0] : !tile.buffer<1024xf32> -> !tile.view<1024xf32>
  } else {
    %t = tile.load %x[%c0] : !tile.view<1024xf32> -> tensor<1024xf32>
    %n = arith.negf %t : tensor<1024xf32>
    tile.store %n, %x[%c0] : tensor<1024xf32> -> !tile.view<1024xf32>
  }
  tile.return
}
