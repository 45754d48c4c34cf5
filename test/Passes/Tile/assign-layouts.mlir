// RUN: varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_90a}))' | FileCheck %s
// RUN: not varve-opt %s --pass-pipeline='builtin.module(tile.func(tile-assign-layouts{target=sm_91}))' 2>&1 | FileCheck %s --check-prefix=TARGET

// TARGET: error: unknown target 'sm_91'

// A lane takes as many neighbours as one access does; a row that is no multiple
// of what all lanes cover at the full width gets narrower vectors, not copies.
// CHECK-LABEL: @long_row_is_covered_exactly
// CHECK: tile.load {{.*}} -> tensor<7168xbf16, #tile.blocked<per_lane = [4], lanes = [32], warps = [8], order = [0]>>
tile.func @long_row_is_covered_exactly(%x: !tile.view<7168xbf16>, %y: !tile.view<7168xbf16>)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<7168xbf16> -> tensor<7168xbf16>
  tile.store %t, %y[%c0] : tensor<7168xbf16> -> !tile.view<7168xbf16>
  tile.return
}

// Lanes that one row does not need take further rows, then warps do.
// CHECK-LABEL: @narrow_rows_share_a_warp
// CHECK: tile.load {{.*}} -> tensor<24x64xf32, #tile.blocked<per_lane = [1, 4], lanes = [2, 16], warps = [4, 1], order = [1, 0]>>
tile.func @narrow_rows_share_a_warp(%x: !tile.view<24x64xf32>, %y: !tile.view<24x64xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.view<24x64xf32> -> tensor<24x64xf32>
  tile.store %t, %y[%c0, %c0] : tensor<24x64xf32> -> !tile.view<24x64xf32>
  tile.return
}

// Five elements are held by 128 lanes.
// CHECK-LABEL: @few_elements_are_replicated
// CHECK: tile.load {{.*}} -> tensor<5xf32, #tile.blocked<per_lane = [1], lanes = [32], warps = [4], order = [0]>>
tile.func @few_elements_are_replicated(%x: !tile.view<5xf32>, %y: !tile.view<5xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<5xf32> -> tensor<5xf32>
  tile.store %t, %y[%c0] : tensor<5xf32> -> !tile.view<5xf32>
  tile.return
}

// An access that is no vector gets neighbouring lanes for neighbouring elements.
// CHECK-LABEL: @unaligned_access_is_not_vectorised
// CHECK: tile.load {{.*}} -> tensor<1024xf32, #tile.blocked<per_lane = [1], lanes = [32], warps = [4], order = [0]>>
tile.func @unaligned_access_is_not_vectorised(%x: !tile.view<?xf32>, %y: !tile.view<?xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<?xf32> -> tensor<1024xf32>
  tile.store %t, %y[%c0] : tensor<1024xf32> -> !tile.view<?xf32>
  tile.return
}

// What a reduction leaves, what is computed from it, and what is repeated along
// the rows have slices of the rows' layout: nothing moves.
// CHECK-LABEL: @reductions_and_broadcasts_follow_the_rows
// CHECK: %[[S:.*]] = tile.reduce sum
// CHECK: math.rsqrt {{.*}} : tensor<4xf32, #tile.slice<dim = 1, parent = #tile.blocked<{{.*}}>>>
// CHECK: tile.load {{.*}} -> tensor<512xf32, #tile.slice<dim = 0, parent = #tile.blocked<{{.*}}>>>
// CHECK-NOT: tile.convert_layout
// CHECK: tile.return
tile.func @reductions_and_broadcasts_follow_the_rows(%x: !tile.view<4x512xf32>, %w: !tile.view<512xf32>, %y: !tile.view<4x512xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.view<4x512xf32> -> tensor<4x512xf32>
  %s = tile.reduce sum %t along 1 : tensor<4x512xf32>
  %r = math.rsqrt %s : tensor<4xf32>
  %b = tile.broadcast %r dims [0] : tensor<4xf32> -> tensor<4x512xf32>
  %wt = tile.load %w[%c0] : !tile.view<512xf32> -> tensor<512xf32>
  %wb = tile.broadcast %wt dims [1] : tensor<512xf32> -> tensor<4x512xf32>
  %m = arith.mulf %t, %b : tensor<4x512xf32>
  %n = arith.mulf %m, %wb : tensor<4x512xf32>
  tile.store %n, %y[%c0, %c0] : tensor<4x512xf32> -> !tile.view<4x512xf32>
  tile.return
}

// One tile cannot follow two that differ: it is converted for one of them.
// CHECK-LABEL: @rows_of_two_layouts_are_converted
// CHECK: tile.convert_layout
// CHECK: tile.return
tile.func @rows_of_two_layouts_are_converted(%x: !tile.view<16x64xf32>, %y: !tile.view<16x256xf32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.view<16x64xf32> -> tensor<16x64xf32>
  %s = tile.reduce sum %t along 1 : tensor<16x64xf32>
  %u = tile.load %y[%c0, %c0] : !tile.view<16x256xf32> -> tensor<16x256xf32>
  %b = tile.broadcast %s dims [0] : tensor<16xf32> -> tensor<16x256xf32>
  %m = arith.mulf %u, %b : tensor<16x256xf32>
  tile.store %m, %y[%c0, %c0] : tensor<16x256xf32> -> !tile.view<16x256xf32>
  tile.return
}

// A product decides the layout of all that is computed from it, the initial
// value included; its operands keep theirs.
// CHECK-LABEL: @product_decides
// CHECK: arith.constant dense<0.000000e+00> : tensor<32x32xf32, #[[ACC:tile.blocked<per_lane = \[1, 1\], lanes = \[4, 8\], warps = \[4, 1\], order = \[1, 0\]>]]>
// CHECK: tile.load {{.*}} -> tensor<32x64xf32, #tile.blocked<per_lane = [1, 4], lanes = [2, 16], warps = [4, 1], order = [1, 0]>>
// CHECK: tile.dot {{.*}} -> tensor<32x32xf32, #[[ACC]]>
// CHECK: tile.store {{.*}} : tensor<32x32xf32, #[[ACC]]>
tile.func @product_decides(%a: !tile.view<?x256xf32>, %b: !tile.view<?x256xf32>, %c: !tile.view<?x32xf32>)
    grid affine_map<() -> (1)> [] warps 4 strategy #tile.strategy<dot = fma> {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%acc = %zero) -> (tensor<32x32xf32>) {
    %x = tile.load %a[%c0, %k] : !tile.view<?x256xf32> -> tensor<32x64xf32>
    %w = tile.load %b[%c0, %k] : !tile.view<?x256xf32> -> tensor<32x64xf32>
    %d = tile.dot %x, %w transposed, %acc : tensor<32x64xf32>, tensor<32x64xf32> -> tensor<32x32xf32>
    scf.yield %d : tensor<32x32xf32>
  }
  %e = math.exp %s : tensor<32x32xf32>
  tile.store %e, %c[%c0, %c0] : tensor<32x32xf32> -> !tile.view<?x32xf32>
  tile.return
}

// A constant has the layout of each of its uses.
// CHECK-LABEL: @constants_are_made_where_they_are_used
// CHECK-DAG: arith.constant dense<1.000000e+00> : tensor<64xf32, #tile.slice<dim = 0
// CHECK-DAG: arith.constant dense<1.000000e+00> : tensor<64xf32, #tile.blocked
// CHECK-NOT: tile.convert_layout
// CHECK: tile.return
tile.func @constants_are_made_where_they_are_used(%x: !tile.view<8x64xf32>, %y: !tile.view<64xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %one = arith.constant dense<1.0> : tensor<64xf32>
  %t = tile.load %x[%c0, %c0] : !tile.view<8x64xf32> -> tensor<8x64xf32>
  %b = tile.broadcast %one dims [1] : tensor<64xf32> -> tensor<8x64xf32>
  %m = arith.mulf %t, %b : tensor<8x64xf32>
  tile.store %m, %x[%c0, %c0] : tensor<8x64xf32> -> !tile.view<8x64xf32>
  tile.store %one, %y[%c0] : tensor<64xf32> -> !tile.view<64xf32>
  tile.return
}

// Pairs stay in their lane.
// CHECK-LABEL: @split_rows_keep_their_places
// CHECK: tile.reshape {{.*}} -> tensor<4x32x2xf32, #tile.blocked<per_lane = [1, 2, 2], lanes = [2, 16, 1], warps = [2, 1, 1], order = [2, 1, 0]>>
tile.func @split_rows_keep_their_places(%x: !tile.view<4x64xf32>, %y: !tile.view<4x32x2xf32>)
    grid affine_map<() -> (1)> [] warps 2 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.view<4x64xf32> -> tensor<4x64xf32>
  %p = tile.reshape %t : tensor<4x64xf32> -> tensor<4x32x2xf32>
  tile.store %p, %y[%c0, %c0, %c0] : tensor<4x32x2xf32> -> !tile.view<4x32x2xf32>
  tile.return
}

// A layout that is there stays.
// CHECK-LABEL: @given_layouts_stay
// CHECK: tile.load {{.*}} -> tensor<32x8xf32, #tile.mma<warps = [2, 1]>>
tile.func @given_layouts_stay(%x: !tile.view<32x8xf32>)
    grid affine_map<() -> (1)> [] warps 2 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.view<32x8xf32> -> tensor<32x8xf32, #tile.mma<warps = [2, 1]>>
  tile.store %t, %x[%c0, %c0] : tensor<32x8xf32, #tile.mma<warps = [2, 1]>> -> !tile.view<32x8xf32>
  tile.return
}

// What a role computes from scalars outside is made by its own warps.
// CHECK-LABEL: @roles_repeat_what_is_outside
// CHECK: tile.on "b"
// CHECK: tile.splat %{{.*}} : tensor<64xf32, #tile.blocked<per_lane = [1], lanes = [32], warps = [2], order = [0]>>
!ring = !tile.ring<1, !tile.buffer<64xf32>>
tile.func @roles_repeat_what_is_outside(%x: !tile.view<64xf32>, %y: !tile.view<64xf32>, %f: f32)
    grid affine_map<() -> (1)> [] warps 6 {
  %c0 = arith.constant 0 : index
  %s = tile.splat %f : tensor<64xf32>
  tile.pipeline [#tile.role<"a", warps = 4>, #tile.role<"b", warps = 2>] {
    %ring = tile.ring : !ring
    tile.on "a" {
      %slot, %b = tile.acquire %ring : !ring
      %t = tile.copy %x[%c0] to %b : !tile.view<64xf32> to !tile.buffer<64xf32>
      tile.commit %ring, %slot : !ring
    }
    tile.on "b" {
      %slot, %b = tile.receive %ring : !ring
      %t = tile.read %b : !tile.buffer<64xf32> -> tensor<64xf32>
      %m = arith.mulf %t, %s : tensor<64xf32>
      tile.release %ring, %slot : !ring
      tile.store %m, %y[%c0] : tensor<64xf32> -> !tile.view<64xf32>
    }
  }
  tile.return
}
