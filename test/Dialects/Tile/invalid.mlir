// RUN: varve-opt %s --split-input-file --verify-diagnostics

// FuncOp C1: one symbol per size.
// expected-error @below {{'tile.func' op expected a grid of 1 to 3 results with 1 symbols and no dimensions (C1) but got affine_map<() -> (1)>}}
tile.func @grid_without_its_symbol(%n: index) grid affine_map<() -> (1)> [%n] warps 4 {
  tile.return
}

// -----

// FuncOp C2.
// expected-error @below {{'tile.func' op expected dim(0, 2) to be a dimension of a view argument (C2)}}
tile.func @size_beyond_the_view(%x: !tile.view<?x4xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 2)] warps 4 {
  tile.return
}

// -----

// FuncOp C2.
// expected-error @below {{'tile.func' op expected a scalar size to be an argument of type index, i32 or i64 (C2) but got 'f32'}}
tile.func @size_that_is_no_integer(%x: f32)
    grid affine_map<()[s0] -> (s0)> [%x] warps 4 {
  tile.return
}

// -----

tile.func @size_that_is_no_argument(%x: index)
    // expected-error @below {{expected an argument of the function but got %y}}
    grid affine_map<()[s0] -> (s0)> [%y] warps 4 {
  tile.return
}

// -----

// FuncOp C3.
// expected-error @below {{'tile.func' op expected warps to be a power of two (C3) but got 12}}
tile.func @twelve_warps_without_roles() grid affine_map<() -> (1)> [] warps 12 {
  tile.return
}

// -----

// FuncOp C4.
// expected-error @below {{'tile.func' op expected argument 0 to be a view or a scalar (C4) but got 'tensor<4xf32>'}}
tile.func @tile_as_argument(%x: tensor<4xf32>) grid affine_map<() -> (1)> [] warps 1 {
  tile.return
}

// -----

tile.func @axis_beyond_the_grid() grid affine_map<() -> (1, 2)> [] warps 1 {
  // expected-error @below {{'tile.program_id' op expected axis to be a dimension of the grid, 0 to 1 (C1), but got 2}}
  %p = tile.program_id 2
  tile.return
}

// -----

func.func @dim_beyond_the_view(%x: !tile.view<?x4xf32>) {
  // expected-error @below {{'tile.dim' op expected dim to be a dimension of the view, 0 to 1 (C1), but got 2}}
  %d = tile.dim %x, 2 : !tile.view<?x4xf32>
  return
}

// -----

// ViewType C2.
// expected-error @below {{expected one stride per dimension (2, C2) but got 1}}
func.func private @too_few_strides(!tile.view<?x4xf32, strides = [4]>)

// -----

// ViewType C3.
// expected-error @below {{expected an element type that memory can hold (i8 to i64, bf16, f16, f32, f64, 8- and 4-bit floats, C3) but got 'i1'}}
func.func private @view_of_bits(!tile.view<4xi1>)

// -----

// ViewType C4.
// expected-error @below {{expected the last size of a dense view of 4-bit elements to be even (C4) but got 7}}
func.func private @odd_packed_rows(!tile.view<?x7xf4E2M1FN>)

// -----

// ViewType C4.
// expected-error @below {{expected even strides in a view of 4-bit elements (C4) but got 33}}
func.func private @odd_packed_stride(!tile.view<?x32xf4E2M1FN, strides = [33, 1]>)

// -----

// BufferType C3.
// expected-error @below {{expected the last dimension of the buffer to fill panels of 128 bytes but got 32 elements of 16 bits}}
func.func private @half_a_panel(!tile.buffer<8x32xbf16, #tile.shared<swizzle = 128>>)

// -----

// SharedLayoutAttr C1.
// expected-error @below {{expected swizzle to be 0, 32, 64 or 128 (C1) but got 16}}
func.func private @odd_swizzle(!tile.buffer<8x32xbf16, #tile.shared<swizzle = 16>>)

// -----

// RingType C1.
// expected-error @below {{expected 1 to 64 stages (C1) but got 0}}
func.func private @no_stage(!tile.ring<0, !tile.buffer<8xf32>>)

// -----

// BlockedLayoutAttr C2.
// expected-error @below {{expected lanes that multiply to 32 (C2) but got 16}}
func.func private @half_a_warp(tensor<4x8xf32, #tile.blocked<per_lane = [1, 1], lanes = [2, 8], warps = [1, 1], order = [1, 0]>>)

// -----

// BlockedLayoutAttr C3.
// expected-error @below {{expected order to be a permutation of 0 to 1 (C3)}}
func.func private @no_permutation(tensor<4x8xf32, #tile.blocked<per_lane = [1, 1], lanes = [4, 8], warps = [1, 1], order = [1, 1]>>)

// -----

// expected-error @below {{expected a tile of rank 2 for its layout but got rank 1}}
func.func private @layout_of_other_rank(tensor<64xf32, #tile.mma<warps = [1, 1]>>)

// -----

// OperandLayoutAttr C1.
// expected-error @below {{expected parent to be #tile.mma or, for operand 0, #tile.wgmma (C1) but got #tile.wgmma<n = 8, warpgroups = [1, 1]>}}
func.func private @right_operand_of_wgmma(tensor<16x8xbf16, #tile.operand<index = 1, parent = #tile.wgmma<n = 8, warpgroups = [1, 1]>, bits = 16>>)

// -----

// RoleAttr C2.
// expected-error @below {{expected registers to be 0 or a multiple of 8 from 24 to 256 (C2) but got 41}}
#r = #tile.role<"load", warps = 1, registers = 41>

// -----

// LoadOp C1.
func.func @too_few_offsets(%x: !tile.view<?x4xf32>, %i: index) {
  // expected-error @below {{'tile.load' op expected one offset per dimension of the view (2, C1) but got 1}}
  %t = tile.load %x[%i] : !tile.view<?x4xf32> -> tensor<4x4xf32>
  return
}

// -----

// LoadOp C2.
func.func @other_elements(%x: !tile.view<?x4xf32>, %i: index) {
  // expected-error @below {{'tile.load' op expected elements of the view's type 'f32' (C2) but got 'bf16'}}
  %t = tile.load %x[%i, %i] : !tile.view<?x4xf32> -> tensor<4x4xbf16>
  return
}

// -----

// LoadOp C3.
func.func @dims_twice(%x: !tile.view<?x4xf32>, %i: index) {
  // expected-error @below {{'tile.load' op expected dims to be distinct dimensions of the view, 0 to 1 (C3), but got 1}}
  %t = tile.load %x[%i, %i] dims [1, 1] : !tile.view<?x4xf32> -> tensor<4x4xf32>
  return
}

// -----

// LoadOp C3.
func.func @tile_of_higher_rank(%x: !tile.view<?xf32>, %i: index) {
  // expected-error @below {{'tile.load' op expected a tile of at most the view's rank 1 (C3) but got rank 2}}
  %t = tile.load %x[%i] : !tile.view<?xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @dynamic_tile(%x: !tile.view<?xf32>, %i: index) {
  // expected-error @below {{custom op 'tile.load' 'result' must be tile (ranked tensor of static shape), but got 'tensor<?xf32>'}}
  %t = tile.load %x[%i] : !tile.view<?xf32> -> tensor<?xf32>
  return
}

// -----

// StoreOp C4.
func.func @mask_of_other_shape(%x: !tile.view<?xf32>, %i: index, %t: tensor<8xf32>, %m: tensor<4xi1>) {
  // expected-error @below {{'tile.store' op expected the mask of a tile, i1 of its shape (C4), but got 'tensor<4xi1>' for 'tensor<8xf32>'}}
  tile.store %t, %x[%i] mask %m : tensor<4xi1> : tensor<8xf32> -> !tile.view<?xf32>
  return
}

// -----

// SubviewOp C3.
func.func @subview_without_size(%x: !tile.view<?x4xf32>, %i: index) {
  // expected-error @below {{'tile.subview' op expected one size per dynamic dimension of the result (1, C3) but got 0}}
  %s = tile.subview %x[%i, %i] sizes [] : !tile.view<?x4xf32> -> !tile.view<?x4xf32>
  return
}

// -----

// SubviewOp C4.
func.func @columns_of_a_dense_view(%x: !tile.view<?x4xf32>, %i: index) {
  // expected-error @below {{'tile.subview' op expected a dense view to be cut along its first dimension only (C4) but dimension 1 of the result is dynamic; give the view strides}}
  %s = tile.subview %x[%i, %i] sizes [%i, %i] : !tile.view<?x4xf32> -> !tile.view<?x?xf32>
  return
}

// -----

// GatherOp C2.
func.func @rows_of_other_count(%x: !tile.view<?x4xf32>, %r: tensor<8xi32>, %i: index) {
  // expected-error @below {{'tile.gather' op expected one row per row number (C2) but got 4 rows for 'tensor<8xi32>'}}
  %t = tile.gather %x[%r] at %i : !tile.view<?x4xf32>, tensor<8xi32> -> tensor<4x4xf32>
  return
}

// -----

// GatherOp C3.
func.func @gather_without_column(%x: !tile.view<?x4xf32>, %r: tensor<8xi32>) {
  // expected-error @below {{'tile.gather' op expected a column exactly when the rank is 2 (C3), and it is 2}}
  %t = tile.gather %x[%r] : !tile.view<?x4xf32>, tensor<8xi32> -> tensor<8x4xf32>
  return
}

// -----

// GatherOp C4.
func.func @table_of_all_sequences(%x: !tile.view<?x4xf32>, %r: tensor<8xi32>, %t: !tile.view<?x?xi32>, %i: index) {
  // expected-error @below {{'tile.gather' op expected sequences exactly when the page table has rank 2 (C4), and it has rank 2}}
  %g = tile.gather %x[%r] at %i pages %t of 64 : !tile.view<?x4xf32>, tensor<8xi32>, !tile.view<?x?xi32> -> tensor<8x4xf32>
  return
}

// -----

// GatherOp C5.
func.func @single_packed_elements(%x: !tile.view<?xf4E2M1FN>, %r: tensor<8xi32>) {
  // expected-error @below {{'tile.gather' op expected a view of rank 2 for elements of 'f4E2M1FN' (C5)}}
  %g = tile.gather %x[%r] : !tile.view<?xf4E2M1FN>, tensor<8xi32> -> tensor<8xf4E2M1FN>
  return
}

// -----

func.func @atomic_floats(%x: !tile.view<?xf32>, %t: tensor<1xf32>, %i: index) {
  // expected-error @below {{custom op 'tile.atomic' 'value' must be tile of i32 or i64, but got 'tensor<1xf32>'}}
  %g = tile.atomic add %t, %x[%i] : tensor<1xf32>, !tile.view<?xf32>
  return
}

// -----

func.func @read_of_other_shape(%b: !tile.buffer<4xf32>) {
  // expected-error @below {{'tile.read' op failed to verify that buffer has the shape and element type of the tile}}
  %t = tile.read %b : !tile.buffer<4xf32> -> tensor<8xf32>
  return
}

// -----

// SubbufferOp C3.
func.func @part_beyond_the_end(%b: !tile.buffer<16x16xf32>) {
  // expected-error @below {{'tile.subbuffer' op expected dimension 0 of the part to end within 16 (C3) but it ends at 24}}
  %t = tile.subbuffer %b[8, 0] : !tile.buffer<16x16xf32> -> !tile.buffer<16x16xf32>
  return
}

// -----

// SubbufferOp C4.
func.func @part_of_a_word(%b: !tile.buffer<16x8xf8E8M0FNU>) {
  // expected-error @below {{'tile.subbuffer' op expected whole words of 4 bytes of the last dimension (C4)}}
  %t = tile.subbuffer %b[0, 2] : !tile.buffer<16x8xf8E8M0FNU> -> !tile.buffer<16x4xf8E8M0FNU>
  return
}

// -----

func.func @part_of_a_panel(%b: !tile.buffer<16x128xbf16, #tile.shared<swizzle = 128>>) {
  // expected-error @below {{'tile.subbuffer' op expected whole panels of 128 bytes of the last dimension (C4)}}
  %t = tile.subbuffer %b[0, 32] : !tile.buffer<16x128xbf16, #tile.shared<swizzle = 128>>
      -> !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>>
  return
}

// -----

// DotOp C1.
func.func @dot_of_different_k(%a: tensor<4x8xf32>, %b: tensor<16x4xf32>, %c: tensor<4x4xf32>) {
  // expected-error @below {{'tile.dot' op expected operands of the same K (C1) but got 8 and 16}}
  %d = tile.dot %a, %b, %c : tensor<4x8xf32>, tensor<16x4xf32> -> tensor<4x4xf32>
  return
}

// -----

// DotOp C1.
func.func @dot_with_wrong_accumulator(%a: tensor<4x8xf32>, %b: tensor<16x8xf32>, %c: tensor<4x4xf32>) {
  // expected-error @below {{'tile.dot' op expected an accumulator of 4 x 16 (C1) but got 4 x 4}}
  %d = tile.dot %a, %b transposed, %c : tensor<4x8xf32>, tensor<16x8xf32> -> tensor<4x4xf32>
  return
}

// -----

// DotOp C2.
func.func @dot_of_unequal_elements(%a: tensor<4x8xbf16>, %b: tensor<8x4xf16>, %c: tensor<4x4xf32>) {
  // expected-error @below {{'tile.dot' op expected operands of equal element type or one of at most 8 bits (C2) but got 'bf16' and 'f16'}}
  %d = tile.dot %a, %b, %c : tensor<4x8xbf16>, tensor<8x4xf16> -> tensor<4x4xf32>
  return
}

// -----

// DotOp C3.
func.func @dot_with_odd_scales(%a: tensor<4x8xf8E4M3FN>, %s: tensor<4x3xf32>, %b: tensor<8x4xf8E4M3FN>, %c: tensor<4x4xf32>) {
  // expected-error @below {{'tile.dot' op expected the scale of a to have a shape that divides 4 x 8 (C3) but got 'tensor<4x3xf32>'}}
  %d = tile.dot %a scaled %s, %b, %c : tensor<4x8xf8E4M3FN> scaled tensor<4x3xf32>, tensor<8x4xf8E4M3FN> -> tensor<4x4xf32>
  return
}

// -----

// DotOp C3.
func.func @dot_with_incommensurable_scales(%a: tensor<4x12xf8E4M3FN>, %s: tensor<4x2xf32>, %b: tensor<12x4xf8E4M3FN>, %t: tensor<4x3xf32>, %c: tensor<4x4xf32>) {
  // expected-error @below {{'tile.dot' op expected one of the scale blocks along K to divide the other (C3) but got 6 and 4}}
  %d = tile.dot %a scaled %s, %b scaled %t, %c : tensor<4x12xf8E4M3FN> scaled tensor<4x2xf32>, tensor<12x4xf8E4M3FN> scaled tensor<4x3xf32> -> tensor<4x4xf32>
  return
}

// -----

// DotOp C4.
func.func @dot_in_quads_not_transposed(%a: tensor<4x128xbf16>, %b: tensor<128x8xbf16>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected b in quads to be transposed (C4)}}
  %d = tile.dot %a, %b quads<quarters>, %c : tensor<4x128xbf16>, tensor<128x8xbf16> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C4.
func.func @dot_of_wide_words(%a: tensor<4x128xbf16>, %b: tensor<8x128xbf16>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected b in quads to have elements of 8 bits, or of 16 in quarters (C4) but got 'bf16' in words}}
  %d = tile.dot %a, %b transposed quads<words>, %c : tensor<4x128xbf16>, tensor<8x128xbf16> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C4.
func.func @dot_of_f32_quarters(%a: tensor<4x128xf32>, %b: tensor<8x128xf32>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected b in quads to have elements of 8 bits, or of 16 in quarters (C4) but got 'f32' in quarters}}
  %d = tile.dot %a, %b transposed quads<quarters>, %c : tensor<4x128xf32>, tensor<8x128xf32> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C4.
func.func @dot_of_narrow_quarters(%a: tensor<4x128xf8E4M3FN>, %b: tensor<8x128xf4E2M1FN>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected b in quads to have elements of 8 bits, or of 16 in quarters (C4) but got 'f4E2M1FN' in quarters}}
  %d = tile.dot %a, %b transposed quads<quarters>, %c : tensor<4x128xf8E4M3FN>, tensor<8x128xf4E2M1FN> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C4.
func.func @dot_in_quads_of_part_of_a_block(%a: tensor<4x192xf8E4M3FN>, %b: tensor<8x192xf8E4M3FN>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected K beside quads to be a multiple of 128 (C4) but got 192}}
  %d = tile.dot %a, %b transposed quads<words>, %c : tensor<4x192xf8E4M3FN>, tensor<8x192xf8E4M3FN> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C5.
func.func @dot_exponent_without_scale(%a: tensor<4x128xf4E2M1FN>, %b: tensor<8x128xf8E4M3FN>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected a scale of a beside an exponent (C5)}}
  %d = tile.dot %a exponent 3, %b transposed quads<quarters>, %c : tensor<4x128xf4E2M1FN>, tensor<8x128xf8E4M3FN> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C5.
func.func @dot_exponent_beside_words(%a: tensor<4x128xf4E2M1FN>, %s: tensor<4x4xf8E8M0FNU>, %b: tensor<8x128xf8E4M3FN>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected b in quarters of elements of 8 bits beside an exponent (C5) but got 'f8E4M3FN' in words}}
  %d = tile.dot %a scaled %s exponent 3, %b transposed quads<words>, %c : tensor<4x128xf4E2M1FN> scaled tensor<4x4xf8E8M0FNU>, tensor<8x128xf8E4M3FN> -> tensor<4x8xf32>
  return
}

// -----

// DotOp C5.
func.func @dot_exponent_beside_wide_numbers(%a: tensor<4x128xf4E2M1FN>, %s: tensor<4x4xf8E8M0FNU>, %b: tensor<8x128xbf16>, %c: tensor<4x8xf32>) {
  // expected-error @below {{'tile.dot' op expected b in quarters of elements of 8 bits beside an exponent (C5) but got 'bf16' in quarters}}
  %d = tile.dot %a scaled %s exponent 3, %b transposed quads<quarters>, %c : tensor<4x128xf4E2M1FN> scaled tensor<4x4xf8E8M0FNU>, tensor<8x128xbf16> -> tensor<4x8xf32>
  return
}

// -----

func.func @reduce_beyond_the_rank(%x: tensor<4x8xf32>) {
  // expected-error @below {{'tile.reduce' op expected dim to be a dimension of the source, 0 to 1 (C1), but got 2}}
  %r = tile.reduce sum %x along 2 : tensor<4x8xf32>
  return
}

// -----

func.func @reduce_in_low_precision(%x: tensor<4x8xbf16>) {
  // expected-error @below {{'tile.reduce' op operand #0 must be tile of f32, f64, i32, i64 or index, but got 'tensor<4x8xbf16>'}}
  %r = tile.reduce sum %x along 1 : tensor<4x8xbf16>
  return
}

// -----

// SelectTopkOp C1.
func.func @more_than_there_are(%x: tensor<4x8xf32>) {
  // expected-error @below {{'tile.select_topk' op expected results of the source's shape but for a last size from 1 to 8 (C1) but got 'tensor<4x9xf32>' and 'tensor<4x9xi32>'}}
  %v, %i = tile.select_topk %x : tensor<4x8xf32> -> tensor<4x9xf32>, tensor<4x9xi32>
  return
}

// -----

func.func @broadcast_of_other_size(%x: tensor<4xf32>) {
  // expected-error @below {{'tile.broadcast' op expected size 4 in dimension 1 of the result (C1) but got 8}}
  %b = tile.broadcast %x dims [1] : tensor<4xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @reshape_to_fewer(%x: tensor<4xf32>) {
  // expected-error @below {{'tile.reshape' op expected 4 elements, as in the source (C1), but got 2}}
  %b = tile.reshape %x : tensor<4xf32> -> tensor<2xf32>
  return
}

// -----

func.func @transpose_twice_the_same(%x: tensor<4x4xf32>) {
  // expected-error @below {{'tile.transpose' op expected a permutation of the dimensions 0 to 1 (C1)}}
  %b = tile.transpose %x [0, 0] : tensor<4x4xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @slice_beyond_the_end(%x: tensor<4x4xf32>) {
  // expected-error @below {{'tile.slice' op expected dimension 1 of the slice to lie within 0 to 4 (C2) but got 2 to 5}}
  %b = tile.slice %x[0, 2] : tensor<4x4xf32> -> tensor<4x3xf32>
  return
}

// -----

func.func @concat_that_does_not_add_up(%x: tensor<4x4xf32>) {
  // expected-error @below {{'tile.concat' op expected the sources to add up to 9 along dimension 1 (C1) but got 8}}
  %b = tile.concat %x, %x along 1 : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x9xf32>
  return
}

// -----

// PipelineOp C1.
tile.func @two_roles_of_one_name() grid affine_map<() -> (1)> [] warps 8 {
  // expected-error @below {{'tile.pipeline' op expected distinct roles (C1) but got "math" twice}}
  tile.pipeline [#tile.role<"math", warps = 4>, #tile.role<"math", warps = 4>] {
  }
  tile.return
}

// -----

// PipelineOp C2.
tile.func @work_of_nobody(%x: !tile.view<4xf32>) grid affine_map<() -> (1)> [] warps 4 {
  tile.pipeline [#tile.role<"math", warps = 4>] {
    %c0 = arith.constant 0 : index
    // expected-error @below {{'tile.load' op expected to be inside a tile.on: outside, a pipeline holds control flow and scalar arithmetic (C2)}}
    %t = tile.load %x[%c0] : !tile.view<4xf32> -> tensor<4xf32>
  }
  tile.return
}

// -----

// PipelineOp C4.
tile.func @roles_of_too_few_warps() grid affine_map<() -> (1)> [] warps 8 {
  // expected-error @below {{'tile.pipeline' op expected the roles' warps to add up to the function's 8 (C4) but got 4}}
  tile.pipeline [#tile.role<"math", warps = 4>] {
  }
  tile.return
}

// -----

// OnOp C1.
tile.func @role_that_is_not_there() grid affine_map<() -> (1)> [] warps 4 {
  tile.pipeline [#tile.role<"load", warps = 2>, #tile.role<"math", warps = 2>] {
    // expected-error @below {{'tile.on' op expected a role of the pipeline (C1) but got "store"; its roles are "load", "math"}}
    tile.on "store" {
    }
  }
  tile.return
}

// -----

// OnOp C3.
tile.func @scalar_of_one_role() grid affine_map<() -> (1)> [] warps 4 {
  tile.pipeline [#tile.role<"math", warps = 4>] {
    // expected-error @below {{'tile.on' op result #0 must be variadic of}}
    %x = tile.on "math" -> index {
      %c0 = arith.constant 0 : index
      tile.yield %c0 : index
    }
  }
  tile.return
}

// -----

// RingOp C1.
tile.func @ring_in_a_loop(%n: index) grid affine_map<() -> (1)> [] warps 4 {
  tile.pipeline [#tile.role<"math", warps = 4>] {
    scf.for %i = %n to %n step %n {
      // expected-error @below {{'tile.ring' op expected to be in the body of a tile.pipeline, outside loops and branches (C1)}}
      %r = tile.ring : !tile.ring<2, !tile.buffer<4xf32>>
    }
  }
  tile.return
}
