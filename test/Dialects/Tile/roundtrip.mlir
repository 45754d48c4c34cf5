// RUN: varve-opt %s | varve-opt | FileCheck %s
// RUN: varve-opt %s --mlir-print-op-generic | varve-opt | FileCheck %s

// CHECK-LABEL: tile.func @grid_depends_on_sizes_of_arguments(
// CHECK-SAME:    %[[X:.*]]: !tile.view<?x4096xbf16>, %[[N:.*]]: index)
// CHECK-SAME:    grid affine_map<()[s0, s1, s2] -> (s0 ceildiv 16, s1, s2)>
// CHECK-SAME:    [dim(%[[X]], 0), %[[N]], resident] warps 4
// CHECK-SAME:    strategy #tile.strategy<dot = wgmma, in_flight = 1, staged_store = true, short_sums = true>
tile.func @grid_depends_on_sizes_of_arguments(
    %x: !tile.view<?x4096xbf16>, %n: index)
    grid affine_map<()[s0, s1, s2] -> (s0 ceildiv 16, s1, s2)>
         [dim(%x, 0), %n, resident] warps 4
    strategy #tile.strategy<dot = wgmma, in_flight = 1, staged_store = true, short_sums = true> {
  // CHECK: tile.wait_predecessor
  tile.wait_predecessor
  // CHECK: tile.program_id 2
  %p = tile.program_id 2
  // CHECK: tile.num_programs 0
  %q = tile.num_programs 0
  // CHECK: tile.dim %[[X]], 0 : !tile.view<?x4096xbf16>
  %r = tile.dim %x, 0 : !tile.view<?x4096xbf16>
  // CHECK: tile.release_successor
  tile.release_successor
  tile.return
}

// CHECK-LABEL: tile.func private @fixed_grid_with_argument_attributes
// CHECK-SAME:    %{{.*}}: f32 {tile.name = "scale"}) grid affine_map<() -> (1)> [] warps 1
// CHECK-SAME:    attributes {tag = 1 : i32}
tile.func private @fixed_grid_with_argument_attributes(
    %s: f32 {tile.name = "scale"}) grid affine_map<() -> (1)> [] warps 1
    attributes {tag = 1 : i32} {
  tile.return
}

// CHECK-LABEL: tile.func @tiles_move_between_views_and_values
tile.func @tiles_move_between_views_and_values(
    %x: !tile.view<?x64x512xf32>, %y: !tile.view<?x?xf32, strides = [?, 1]>,
    %n: !tile.view<256xi32>, %mask: !tile.view<?xi32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %f = arith.constant -1.0 : f32
  %p = arith.constant dense<true> : tensor<16x512xi1>
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] dims [0, 2] mask %{{.*}} else %{{.*}} cache streaming : !tile.view<?x64x512xf32> -> tensor<16x512xf32>
  %t = tile.load %x[%c0, %c0, %c0] dims [0, 2] mask %p else %f cache streaming
      : !tile.view<?x64x512xf32> -> tensor<16x512xf32>
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] : !tile.view<?x?xf32, strides = [?, 1]> -> tensor<512xf32>
  %u = tile.load %y[%c0, %c0]
      : !tile.view<?x?xf32, strides = [?, 1]> -> tensor<512xf32>
  // CHECK: tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] mask %{{.*}} : tensor<16x512xi1> cache keep : tensor<16x512xf32> -> !tile.view<?x?xf32, strides = [?, 1]>
  tile.store %t, %y[%c0, %c0] mask %p : tensor<16x512xi1> cache keep
      : tensor<16x512xf32> -> !tile.view<?x?xf32, strides = [?, 1]>
  // CHECK: tile.load_scalar %{{.*}}[%{{.*}}] : !tile.view<256xi32>
  %s = tile.load_scalar %n[%c0] : !tile.view<256xi32>
  // CHECK: tile.subview %{{.*}}[%{{.*}}, %{{.*}}] sizes[%{{.*}}, %{{.*}}]
  %w = tile.subview %y[%c0, %c0] sizes [%c0, %c0]
      : !tile.view<?x?xf32, strides = [?, 1]> -> !tile.view<?x?xf32, strides = [?, 1]>
  %one = arith.constant dense<1> : tensor<1xi32>
  // CHECK: tile.atomic add %{{.*}}, %{{.*}}[%{{.*}}] : tensor<1xi32>, !tile.view<256xi32>
  %old = tile.atomic add %one, %n[%c0] : tensor<1xi32>, !tile.view<256xi32>
  tile.return
}

// CHECK-LABEL: tile.func @rows_by_number
tile.func @rows_by_number(
    %pool: !tile.view<?x512xbf16>, %one: !tile.view<?xi32>,
    %all: !tile.view<?x?xi32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  %z = arith.constant 0.0 : bf16
  %r = tile.iota 0 : tensor<64xi32>
  // CHECK: tile.gather %{{.*}}[%{{.*}}] : !tile.view<?xi32>, tensor<64xi32> -> tensor<64xi32>
  %a = tile.gather %one[%r] : !tile.view<?xi32>, tensor<64xi32> -> tensor<64xi32>
  // CHECK: tile.gather %{{.*}}[%{{.*}}] at %{{.*}} pages %{{.*}} of 64 else %{{.*}} : !tile.view<?x512xbf16>, tensor<64xi32>, !tile.view<?xi32> -> tensor<64x512xbf16>
  %b = tile.gather %pool[%r] at %c0 pages %one of 64 else %z
      : !tile.view<?x512xbf16>, tensor<64xi32>, !tile.view<?xi32>
      -> tensor<64x512xbf16>
  // CHECK: tile.gather %{{.*}}[%{{.*}}] at %{{.*}} pages %{{.*}}[%{{.*}}] of 64 cache keep : !tile.view<?x512xbf16>, tensor<64xi32>, !tile.view<?x?xi32>, tensor<64xi32> -> tensor<64x512xbf16>
  %c = tile.gather %pool[%r] at %c0 pages %all[%a] of 64 cache keep
      : !tile.view<?x512xbf16>, tensor<64xi32>, !tile.view<?x?xi32>,
        tensor<64xi32> -> tensor<64x512xbf16>
  // CHECK: tile.scatter %{{.*}}, %{{.*}}[%{{.*}}] at %{{.*}} pages %{{.*}}[%{{.*}}] of 64 : tensor<64x512xbf16>
  tile.scatter %c, %pool[%r] at %c0 pages %all[%a] of 64
      : tensor<64x512xbf16>, !tile.view<?x512xbf16>, tensor<64xi32>,
        !tile.view<?x?xi32>, tensor<64xi32>
  tile.return
}

// CHECK-LABEL: tile.func @shared_buffers
tile.func @shared_buffers(%x: !tile.view<?x4096xbf16>,
                          %pages: !tile.view<?xi32>)
    grid affine_map<() -> (1)> [] warps 4 {
  %c0 = arith.constant 0 : index
  // CHECK: tile.alloc : !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>>
  %b = tile.alloc : !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>>
  // CHECK: tile.copy %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}} cache streaming : !tile.view<?x4096xbf16> to !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>>
  %t = tile.copy %x[%c0, %c0] to %b cache streaming
      : !tile.view<?x4096xbf16>
      to !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>>
  %r = tile.iota 0 : tensor<64xi32>
  // CHECK: tile.gather_copy %{{.*}}[%{{.*}}] at %{{.*}} pages %{{.*}} of 64 to %{{.*}} : !tile.view<?x4096xbf16>, tensor<64xi32>, !tile.view<?xi32> to !tile.buffer
  %u = tile.gather_copy %x[%r] at %c0 pages %pages of 64 to %b
      : !tile.view<?x4096xbf16>, tensor<64xi32>, !tile.view<?xi32>
      to !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>>
  // CHECK: tile.wait %{{.*}}, %{{.*}}
  tile.wait %t, %u
  // CHECK: tile.subbuffer %{{.*}}[8, 64] : !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>> -> !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>>
  %part = tile.subbuffer %b[8, 64]
      : !tile.buffer<64x128xbf16, #tile.shared<swizzle = 128>>
      -> !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>>
  // CHECK: tile.read %{{.*}} : !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>> -> tensor<16x64xbf16>
  %v = tile.read %part
      : !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>> -> tensor<16x64xbf16>
  // CHECK: tile.write %{{.*}}, %{{.*}} : tensor<16x64xbf16> -> !tile.buffer
  tile.write %v, %part
      : tensor<16x64xbf16> -> !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>>
  // CHECK: tile.store %{{.*}}, %{{.*}} : !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>> -> !tile.view<?x4096xbf16>
  tile.store %part, %x[%c0, %c0]
      : !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>> -> !tile.view<?x4096xbf16>
  tile.return
}

// CHECK-LABEL: func.func @shapes
func.func @shapes(%s: f32, %x: tensor<64xf32>) -> f32 {
  // CHECK: tile.iota 1 : tensor<4x64xi32>
  %i = tile.iota 1 : tensor<4x64xi32>
  // CHECK: tile.splat %{{.*}} : tensor<4x64xf32>
  %a = tile.splat %s : tensor<4x64xf32>
  // CHECK: tile.broadcast %{{.*}} dims [1] : tensor<64xf32> -> tensor<4x64xf32>
  %b = tile.broadcast %x dims [1] : tensor<64xf32> -> tensor<4x64xf32>
  // CHECK: tile.reshape %{{.*}} : tensor<4x64xf32> -> tensor<4x32x2xf32>
  %c = tile.reshape %b : tensor<4x64xf32> -> tensor<4x32x2xf32>
  // CHECK: tile.transpose %{{.*}} [2, 0, 1] : tensor<4x32x2xf32> -> tensor<2x4x32xf32>
  %d = tile.transpose %c [2, 0, 1] : tensor<4x32x2xf32> -> tensor<2x4x32xf32>
  // CHECK: tile.slice %{{.*}}[1, 0, 0] : tensor<2x4x32xf32> -> tensor<1x4x32xf32>
  %e = tile.slice %d[1, 0, 0] : tensor<2x4x32xf32> -> tensor<1x4x32xf32>
  // CHECK: tile.concat %{{.*}}, %{{.*}} along 0 : tensor<2x4x32xf32>, tensor<1x4x32xf32> -> tensor<3x4x32xf32>
  %f = tile.concat %d, %e along 0
      : tensor<2x4x32xf32>, tensor<1x4x32xf32> -> tensor<3x4x32xf32>
  // CHECK: tile.extract %{{.*}}[2, 3, 31] : tensor<3x4x32xf32>
  %g = tile.extract %f[2, 3, 31] : tensor<3x4x32xf32>
  return %g : f32
}

#acc = #tile.wgmma<n = 64, warpgroups = [1, 1]>
#op = #tile.operand<index = 0, parent = #acc, bits = 16>
#rows = #tile.slice<dim = 1, parent = #acc>
// CHECK-LABEL: func.func @layouts_are_encodings
func.func @layouts_are_encodings(
    // CHECK-SAME: tensor<64x64xf32, #tile.blocked<per_lane = [1, 4], lanes = [2, 16], warps = [4, 1], order = [1, 0]>>
    %a: tensor<64x64xf32, #tile.blocked<per_lane = [1, 4], lanes = [2, 16], warps = [4, 1], order = [1, 0]>>,
    // CHECK-SAME: tensor<64x64xf32, #tile.mma<warps = [2, 2]>>
    %b: tensor<64x64xf32, #tile.mma<warps = [2, 2]>>,
    // CHECK-SAME: tensor<64x64xbf16, #tile.operand<index = 0, parent = #tile.wgmma<n = 64, warpgroups = [1, 1]>, bits = 16>>
    %c: tensor<64x64xbf16, #op>)
    // CHECK-SAME: -> tensor<64xf32, #tile.slice<dim = 1, parent = #tile.wgmma<n = 64, warpgroups = [1, 1]>>>
    -> tensor<64xf32, #rows> {
  // CHECK: tile.convert_layout %{{.*}} : tensor<64x64xf32, #tile.mma<warps = [2, 2]>> -> tensor<64x64xf32, #tile.wgmma<n = 64, warpgroups = [1, 1]>>
  %d = tile.convert_layout %b
      : tensor<64x64xf32, #tile.mma<warps = [2, 2]>> -> tensor<64x64xf32, #acc>
  // The layout of a reduction follows from its source's.
  // CHECK: tile.reduce max %{{.*}} along 1 : tensor<64x64xf32, #tile.wgmma<n = 64, warpgroups = [1, 1]>>
  %m = tile.reduce max %d along 1 : tensor<64x64xf32, #acc>
  return %m : tensor<64xf32, #rows>
}

// CHECK-LABEL: func.func @products_and_selections
func.func @products_and_selections(
    %a: tensor<16x128xbf16>, %b: !tile.buffer<32x128xbf16>,
    %acc: tensor<16x32xf32>, %q: tensor<16x128xf8E4M3FN>,
    %qs: tensor<16x1xf32>, %w: tensor<128x32xf4E2M1FN>,
    %ws: tensor<32x4xf8E8M0FNU>, %codes: !tile.buffer<16x128xf4E2M1FN>,
    %cs: tensor<16x4xf8E8M0FNU>, %x: tensor<32x128xf8E4M3FN>,
    %xs: tensor<32x1xf32>) -> f32 {
  // CHECK: tile.dot %{{.*}}, %{{.*}} transposed, %{{.*}} : tensor<16x128xbf16>, !tile.buffer<32x128xbf16> -> tensor<16x32xf32>
  %d = tile.dot %a, %b transposed, %acc
      : tensor<16x128xbf16>, !tile.buffer<32x128xbf16> -> tensor<16x32xf32>
  // CHECK: tile.dot %{{.*}} scaled %{{.*}}, %{{.*}} scaled %{{.*}}, %{{.*}} : tensor<16x128xf8E4M3FN> scaled tensor<16x1xf32>, tensor<128x32xf4E2M1FN> scaled tensor<32x4xf8E8M0FNU> -> tensor<16x32xf32>
  %e = tile.dot %q scaled %qs, %w scaled %ws, %d
      : tensor<16x128xf8E4M3FN> scaled tensor<16x1xf32>,
        tensor<128x32xf4E2M1FN> scaled tensor<32x4xf8E8M0FNU> -> tensor<16x32xf32>
  // Columns in quad order, of 16 bits and of 8.
  // CHECK: tile.dot %{{.*}} scaled %{{.*}}, %{{.*}} transposed quads<quarters>, %{{.*}} : !tile.buffer<16x128xf4E2M1FN> scaled tensor<16x4xf8E8M0FNU>, !tile.buffer<32x128xbf16> -> tensor<16x32xf32>
  %e2 = tile.dot %codes scaled %cs, %b transposed quads<quarters>, %e
      : !tile.buffer<16x128xf4E2M1FN> scaled tensor<16x4xf8E8M0FNU>,
        !tile.buffer<32x128xbf16> -> tensor<16x32xf32>
  // CHECK: tile.dot %{{.*}} scaled %{{.*}}, %{{.*}} transposed quads<words> scaled %{{.*}}, %{{.*}} : !tile.buffer<16x128xf4E2M1FN> scaled tensor<16x4xf8E8M0FNU>, tensor<32x128xf8E4M3FN> scaled tensor<32x1xf32> -> tensor<16x32xf32>
  %e3 = tile.dot %codes scaled %cs, %x transposed quads<words> scaled %xs, %e2
      : !tile.buffer<16x128xf4E2M1FN> scaled tensor<16x4xf8E8M0FNU>,
        tensor<32x128xf8E4M3FN> scaled tensor<32x1xf32> -> tensor<16x32xf32>
  // CHECK: tile.dot %{{.*}} scaled %{{.*}} exponent 10, %{{.*}} transposed quads<quarters> scaled %{{.*}}, %{{.*}} : !tile.buffer<16x128xf4E2M1FN> scaled tensor<16x4xf8E8M0FNU>, tensor<32x128xf8E4M3FN> scaled tensor<32x1xbf16> -> tensor<16x32xf32>
  %xb = arith.truncf %xs : tensor<32x1xf32> to tensor<32x1xbf16>
  %e3x = tile.dot %codes scaled %cs exponent 10, %x transposed quads<quarters> scaled %xb, %e3
      : !tile.buffer<16x128xf4E2M1FN> scaled tensor<16x4xf8E8M0FNU>,
        tensor<32x128xf8E4M3FN> scaled tensor<32x1xbf16> -> tensor<16x32xf32>
  // CHECK: tile.dot %{{.*}}, %{{.*}} transposed quads<quarters>, %{{.*}} : tensor<16x128xf8E4M3FN>, tensor<32x128xf8E4M3FN> -> tensor<16x32xf32>
  %e4 = tile.dot %q, %x transposed quads<quarters>, %e3x
      : tensor<16x128xf8E4M3FN>, tensor<32x128xf8E4M3FN> -> tensor<16x32xf32>
  // CHECK: tile.scan %{{.*}} along 1 exclusive : tensor<16x32xf32>
  %f = tile.scan %e4 along 1 exclusive : tensor<16x32xf32>
  // CHECK: tile.select_topk %{{.*}} : tensor<16x32xf32> -> tensor<16x6xf32>, tensor<16x6xi32>
  %v, %i = tile.select_topk %f
      : tensor<16x32xf32> -> tensor<16x6xf32>, tensor<16x6xi32>
  // CHECK: tile.select_topk %{{.*}} ids %{{.*}} : tensor<16x6xi32> : tensor<16x6xf32> -> tensor<16x2xf32>, tensor<16x2xi32>
  %v2, %i2 = tile.select_topk %v ids %i : tensor<16x6xi32>
      : tensor<16x6xf32> -> tensor<16x2xf32>, tensor<16x2xi32>
  // CHECK: tile.reduce sum %{{.*}} along 0 : tensor<16x2xf32>
  %r = tile.reduce sum %v2 along 0 : tensor<16x2xf32>
  // A reduction of the last dimension is a scalar.
  // CHECK: tile.reduce max %{{.*}} along 0 : tensor<2xf32>
  %s = tile.reduce max %r along 0 : tensor<2xf32>
  return %s : f32
}

// CHECK-LABEL: tile.func @pipeline_of_two_roles
tile.func @pipeline_of_two_roles(%x: !tile.view<?x4096xbf16>,
                                 %y: !tile.view<?x64xbf16>, %steps: index)
    grid affine_map<() -> (1)> [] warps 12 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xbf16>
  // CHECK: tile.pipeline [#tile.role<"load", warps = 4, registers = 40>, #tile.role<"math", warps = 8>] {
  tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                 #tile.role<"math", warps = 8>] {
    // CHECK: %[[RING:.*]] = tile.ring : !tile.ring<4, !tile.buffer<64x64xbf16>>
    %ring = tile.ring : !tile.ring<4, !tile.buffer<64x64xbf16>>
    %sum = scf.for %i = %c0 to %steps step %c1 iter_args(%acc = %zero)
        -> (tensor<64x64xbf16>) {
      // CHECK: tile.on "load" {
      tile.on "load" {
        // CHECK: %[[SLOT:.*]], %{{.*}} = tile.acquire %[[RING]] : !tile.ring<4, !tile.buffer<64x64xbf16>>
        %s, %b = tile.acquire %ring : !tile.ring<4, !tile.buffer<64x64xbf16>>
        tile.copy %x[%c0, %i] to %b
            : !tile.view<?x4096xbf16> to !tile.buffer<64x64xbf16>
        // CHECK: tile.commit %[[RING]], %[[SLOT]] :
        tile.commit %ring, %s : !tile.ring<4, !tile.buffer<64x64xbf16>>
      }
      // CHECK: tile.on "math" -> tensor<64x64xbf16> {
      %next = tile.on "math" -> tensor<64x64xbf16> {
        // CHECK: tile.receive %[[RING]] :
        %s, %b = tile.receive %ring : !tile.ring<4, !tile.buffer<64x64xbf16>>
        %t = tile.read %b : !tile.buffer<64x64xbf16> -> tensor<64x64xbf16>
        // CHECK: tile.release %[[RING]], %{{.*}} :
        tile.release %ring, %s : !tile.ring<4, !tile.buffer<64x64xbf16>>
        %u = arith.addf %acc, %t : tensor<64x64xbf16>
        // CHECK: tile.yield %{{.*}} : tensor<64x64xbf16>
        tile.yield %u : tensor<64x64xbf16>
      }
      scf.yield %next : tensor<64x64xbf16>
    }
    tile.on "math" {
      tile.store %sum, %y[%c0, %c0] : tensor<64x64xbf16> -> !tile.view<?x64xbf16>
    }
  }
  tile.return
}
