// What the verifiers of norms, matrix products, rotations and quantisation
// refuse. The labels are those of the constraints in VarveLinearOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.rms_norm
//===----------------------------------------------------------------------===//

func.func @norm_of_a_vector(%x: tensor<?xf32>) {
  // C1
  // expected-error @below {{'varve.rms_norm' op expected x of rank 2 or more (C1) but got rank 1}}
  %0 = varve.rms_norm %x eps 1.0e-6 : (tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @norm_to_another_shape(%x: tensor<?x8xf32>) {
  // C1
  // expected-error @below {{'varve.rms_norm' op expected result of shape ?x8 (C1) but got ?x9}}
  %0 = varve.rms_norm %x eps 1.0e-6 : (tensor<?x8xf32>) -> tensor<?x9xf32>
  return
}

// -----

func.func @norm_with_weight_of_another_size(%x: tensor<?x4x8xf32>, %w: tensor<4xf32>) {
  // C2
  // expected-error @below {{'varve.rms_norm' op expected weight of shape 8 (C2) but got 4}}
  %0 = varve.rms_norm %x weight %w eps 1.0e-6 : (tensor<?x4x8xf32>, tensor<4xf32>) -> tensor<?x4x8xf32>
  return
}

// -----

func.func @weighted_norm_rounding_each_step(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // C3
  // expected-error @below {{'varve.rms_norm' op expected no weight with 'round each_step' (C3)}}
  %0 = varve.rms_norm %x weight %w eps 1.0e-6 round each_step : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @norm_with_negative_eps(%x: tensor<?x8xf32>) {
  // expected-error @below {{'varve.rms_norm' op attribute 'eps' failed to satisfy constraint: 64-bit float attribute whose value is positive and finite}}
  %0 = varve.rms_norm %x eps -1.0e-6 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @norm_with_weight_of_codes(%x: tensor<?x8xf32>, %w: tensor<8xf8E4M3FN>) {
  // expected-error @below {{'varve.rms_norm' op operand #1 must be f32, bf16 or f16 weight tensor with static, positive dimensions, but got 'tensor<8xf8E4M3FN>'}}
  %0 = varve.rms_norm %x weight %w eps 1.0e-6 : (tensor<?x8xf32>, tensor<8xf8E4M3FN>) -> tensor<?x8xf32>
  return
}

// -----

func.func @norm_of_dynamic_width(%x: tensor<?x?xf32>) {
  // expected-error @below {{'varve.rms_norm' op operand #0 must be f32, bf16 or f16 tensor with static, positive dimensions after the first, but got 'tensor<?x?xf32>'}}
  %0 = varve.rms_norm %x eps 1.0e-6 : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return
}

// -----

func.func @norm_of_width_zero(%x: tensor<?x0xf32>) {
  // expected-error @below {{'varve.rms_norm' op operand #0 must be f32, bf16 or f16 tensor with static, positive dimensions after the first, but got 'tensor<?x0xf32>'}}
  %0 = varve.rms_norm %x eps 1.0e-6 : (tensor<?x0xf32>) -> tensor<?x0xf32>
  return
}

// -----

func.func @norm_rounding_unknown(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'rounding' [once, each_step]}}
  %0 = varve.rms_norm %x eps 1.0e-6 round twice : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.linear
//===----------------------------------------------------------------------===//

func.func @linear_of_a_scalar(%x: tensor<f32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{'varve.linear' op operand #0 must be f32, bf16, f16, f8E4M3FN or f4E2M1FN tensor with static, positive dimensions after the first, but got 'tensor<f32>'}}
  %0 = varve.linear %x, %w : (tensor<f32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_to_a_scalar(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{'varve.linear' op result #0 must be f32, bf16 or f16 tensor with static, positive dimensions after the first, but got 'tensor<f32>'}}
  %0 = varve.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<f32>
  return
}

// -----

func.func @linear_of_unranked(%x: tensor<*xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{'varve.linear' op operand #0 must be f32, bf16, f16, f8E4M3FN or f4E2M1FN tensor with static, positive dimensions after the first, but got 'tensor<*xf32>'}}
  %0 = "varve.linear"(%x, %w) <{operandSegmentSizes = array<i32: 1, 0, 1, 0>}> : (tensor<*xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_of_overflowing_width(%x: tensor<?x2147483647x2147483647x5xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{'varve.linear' op operand #0 must be f32, bf16, f16, f8E4M3FN or f4E2M1FN tensor with static, positive dimensions after the first, but got 'tensor<?x2147483647x2147483647x5xf32>'}}
  %0 = varve.linear %x, %w : (tensor<?x2147483647x2147483647x5xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_weight_of_other_columns(%x: tensor<?x2x4xf32>, %w: tensor<4x9xf32>) {
  // C1
  // expected-error @below {{'varve.linear' op expected weight of shape 6x8 (N x K, C1) but got 4x9}}
  %0 = varve.linear %x, %w : (tensor<?x2x4xf32>, tensor<4x9xf32>) -> tensor<?x2x3xf32>
  return
}

// -----

func.func @linear_with_weight_of_rank_3(%x: tensor<?x8xf32>, %w: tensor<4x2x4xf32>) {
  // C1
  // expected-error @below {{'varve.linear' op expected weight of shape 4x8 (N x K, C1) but got 4x2x4}}
  %0 = varve.linear %x, %w : (tensor<?x8xf32>, tensor<4x2x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_to_other_rows(%x: tensor<3x8xf32>, %w: tensor<4x8xf32>) {
  // C1
  // expected-error @below {{'varve.linear' op expected one of result for each of 3 rows (C1) but got 2}}
  %0 = varve.linear %x, %w : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @linear_of_codes_without_scales(%x: tensor<?x8xf8E4M3FN>, %w: tensor<4x8xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected scales for x exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f8E4M3FN' without scales}}
  %0 = varve.linear %x, %w : (tensor<?x8xf8E4M3FN>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_of_scaled_numbers(%x: tensor<?x8xf32>, %xs: tensor<?x2xf32>, %w: tensor<4x8xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected scales for x exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f32' with scales}}
  %0 = varve.linear %x scaled %xs by 4, %w : (tensor<?x8xf32>, tensor<?x2xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_weight_codes_without_scales(%x: tensor<?x8xf32>, %w: tensor<4x8xf4E2M1FN>) {
  // C2
  // expected-error @below {{'varve.linear' op expected scales for weight exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f4E2M1FN' without scales}}
  %0 = varve.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf4E2M1FN>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_scales_without_block(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<4x8xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected a block for x exactly when it has scales (C2)}}
  %0 = "varve.linear"(%x, %xs, %w) <{operandSegmentSizes = array<i32: 1, 1, 1, 0>}>
    : (tensor<?x8xf8E4M3FN>, tensor<?x2xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_block_without_scales(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected a block for weight exactly when it has scales (C2)}}
  %0 = "varve.linear"(%x, %w) <{operandSegmentSizes = array<i32: 1, 0, 1, 0>, weight_block = array<i64: 4, 4>}>
    : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_one_dimensional_tiles(%x: tensor<?x8xf32>, %w: tensor<4x8xf8E4M3FN>, %ws: tensor<1x2xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected a weight block of two positive i32 numbers, rows and columns (C2) but got [4]}}
  %0 = varve.linear %x, %w scaled %ws by [4] : (tensor<?x8xf32>, tensor<4x8xf8E4M3FN>, tensor<1x2xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_empty_tiles(%x: tensor<?x8xf32>, %w: tensor<4x8xf8E4M3FN>, %ws: tensor<1x2xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected a weight block of two positive i32 numbers, rows and columns (C2) but got [4, 0]}}
  %0 = varve.linear %x, %w scaled %ws by [4, 0] : (tensor<?x8xf32>, tensor<4x8xf8E4M3FN>, tensor<1x2xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_huge_tiles(%x: tensor<?x8xf32>, %w: tensor<4x8xf8E4M3FN>, %ws: tensor<1x1xf32>) {
  // C2
  // expected-error @below {{'varve.linear' op expected a weight block of two positive i32 numbers, rows and columns (C2) but got [4, 9223372036854775807]}}
  %0 = varve.linear %x, %w scaled %ws by [4, 9223372036854775807] : (tensor<?x8xf32>, tensor<4x8xf8E4M3FN>, tensor<1x1xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_empty_blocks(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<4x8xf8E4M3FN>, %ws: tensor<1x2xf32>) {
  // expected-error @below {{'varve.linear' op attribute 'x_block' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.linear %x scaled %xs by 0, %w scaled %ws by [4, 4]
    : (tensor<?x8xf8E4M3FN>, tensor<?x2xf32>, tensor<4x8xf8E4M3FN>, tensor<1x2xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_other_scales_of_x(%x: tensor<?x2x5xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<4x10xf8E4M3FN>, %ws: tensor<1x3xf32>) {
  // C3
  // expected-error @below {{'varve.linear' op expected x_scale of shape ?x3 (C3) but got ?x2}}
  %0 = varve.linear %x scaled %xs by 4, %w scaled %ws by [4, 4]
    : (tensor<?x2x5xf8E4M3FN>, tensor<?x2xf32>, tensor<4x10xf8E4M3FN>, tensor<1x3xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_with_other_scales_of_weight(%x: tensor<?x10xf32>, %w: tensor<5x10xf8E4M3FN>, %ws: tensor<1x3xf32>) {
  // C3
  // expected-error @below {{'varve.linear' op expected weight_scale of shape 2x3 (C3) but got 1x3}}
  %0 = varve.linear %x, %w scaled %ws by [4, 4] : (tensor<?x10xf32>, tensor<5x10xf8E4M3FN>, tensor<1x3xf32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @linear_of_codes_with_plain_weight(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x2xf32>, %w: tensor<4x8xbf16>) {
  // C4
  // expected-error @below {{'varve.linear' op expected weight codes for codes of x (C4) but got 'bf16'}}
  %0 = varve.linear %x scaled %xs by 4, %w : (tensor<?x8xf8E4M3FN>, tensor<?x2xf32>, tensor<4x8xbf16>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_of_blocks_that_overlap(%x: tensor<?x12xf8E4M3FN>, %xs: tensor<?x3xf32>, %w: tensor<4x12xf8E4M3FN>, %ws: tensor<1x2xf32>) {
  // C4
  // expected-error @below {{'varve.linear' op expected one block to divide the other (C4) but got 4 and 6 columns}}
  %0 = varve.linear %x scaled %xs by 4, %w scaled %ws by [4, 6]
    : (tensor<?x12xf8E4M3FN>, tensor<?x3xf32>, tensor<4x12xf8E4M3FN>, tensor<1x2xf32>) -> tensor<?x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.grouped_linear
//===----------------------------------------------------------------------===//

func.func @groups_do_not_divide_columns(%x: tensor<?x10xf32>, %w: tensor<8x2xf32>) {
  // C1
  // expected-error @below {{'varve.grouped_linear' op expected 4 groups to divide N and K (C1) but got N = 8 and K = 10}}
  %0 = varve.grouped_linear %x, %w groups 4 : (tensor<?x10xf32>, tensor<8x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @groups_do_not_divide_rows(%x: tensor<?x8xf32>, %w: tensor<6x2xf32>) {
  // C1
  // expected-error @below {{'varve.grouped_linear' op expected 4 groups to divide N and K (C1) but got N = 6 and K = 8}}
  %0 = varve.grouped_linear %x, %w groups 4 : (tensor<?x8xf32>, tensor<6x2xf32>) -> tensor<?x6xf32>
  return
}

// -----

func.func @no_groups(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // C1
  // expected-error @below {{'varve.grouped_linear' op attribute 'groups' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.grouped_linear %x, %w groups 0 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @grouped_weight_of_all_columns(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // C1
  // expected-error @below {{'varve.grouped_linear' op expected weight of shape 4x4 (N x K / groups, C1) but got 4x8}}
  %0 = varve.grouped_linear %x, %w groups 2 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @grouped_linear_to_other_rows(%x: tensor<3x8xf32>, %w: tensor<4x4xf32>) {
  // C1
  // expected-error @below {{'varve.grouped_linear' op expected one of result for each of 3 rows (C1) but got 2}}
  %0 = varve.grouped_linear %x, %w groups 2 : (tensor<3x8xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @grouped_weight_codes_without_scales(%x: tensor<?x8xf32>, %w: tensor<4x4xf8E4M3FN>) {
  // C2
  // expected-error @below {{'varve.grouped_linear' op expected scales for weight exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f8E4M3FN' without scales}}
  %0 = varve.grouped_linear %x, %w groups 2 : (tensor<?x8xf32>, tensor<4x4xf8E4M3FN>) -> tensor<?x4xf32>
  return
}

// -----

func.func @grouped_linear_scales_x_across_groups(%x: tensor<?x12xf8E4M3FN>, %xs: tensor<?x3xf32>, %w: tensor<4x6xf8E4M3FN>, %ws: tensor<1x2xf32>) {
  // C3: two blocks in each of the two groups of six columns
  // expected-error @below {{'varve.grouped_linear' op expected x_scale of shape ?x4 (C3) but got ?x3}}
  %0 = varve.grouped_linear %x scaled %xs by 4, %w scaled %ws by [4, 4] groups 2
    : (tensor<?x12xf8E4M3FN>, tensor<?x3xf32>, tensor<4x6xf8E4M3FN>, tensor<1x2xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @grouped_linear_with_other_scales_of_weight(%x: tensor<?x12xf32>, %w: tensor<4x6xf8E4M3FN>, %ws: tensor<1x3xf32>) {
  // C3
  // expected-error @below {{'varve.grouped_linear' op expected weight_scale of shape 1x2 (C3) but got 1x3}}
  %0 = varve.grouped_linear %x, %w scaled %ws by [4, 4] groups 2
    : (tensor<?x12xf32>, tensor<4x6xf8E4M3FN>, tensor<1x3xf32>) -> tensor<?x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.rope, varve.hadamard
//===----------------------------------------------------------------------===//

func.func @rope_wider_than_x(%x: tensor<?x8x32xf32>, %p: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.rope' op expected a last dimension of at least 64 rotary elements (C1) but got ?x8x32}}
  %0 = varve.rope %x at %p table <theta = 1.0e4 : f64, dim = 64> : tensor<?x8x32xf32>, tensor<?xi32>
  return
}

// -----

func.func @rope_of_a_vector(%x: tensor<64xf32>, %p: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.rope' op expected a last dimension of at least 64 rotary elements (C1) but got 64}}
  %0 = varve.rope %x at %p table <theta = 1.0e4 : f64, dim = 64> : tensor<64xf32>, tensor<?xi32>
  return
}

// -----

func.func @rope_with_missing_positions(%x: tensor<3x64xf32>, %p: tensor<2xi32>) {
  // C2
  // expected-error @below {{'varve.rope' op expected one of positions for each of 3 rows (C2) but got 2}}
  %0 = varve.rope %x at %p table <theta = 1.0e4 : f64, dim = 64> : tensor<3x64xf32>, tensor<2xi32>
  return
}

// -----

func.func @rope_to_another_type(%x: tensor<?x64xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'varve.rope' op failed to verify that all of {x, result} have same type}}
  %0 = "varve.rope"(%x, %p) <{table = #varve.rope<theta = 1.0e4 : f64, dim = 64>}> : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xbf16>
  return
}

// -----

func.func @hadamard_of_96(%x: tensor<?x96xf32>) {
  // C1
  // expected-error @below {{'varve.hadamard' op expected a power of two as last dimension (C1) but got ?x96}}
  %0 = varve.hadamard %x : tensor<?x96xf32>
  return
}

// -----

func.func @hadamard_of_a_vector(%x: tensor<128xf32>) {
  // C1
  // expected-error @below {{'varve.hadamard' op expected x of rank 2 or more (C1) but got rank 1}}
  %0 = varve.hadamard %x : tensor<128xf32>
  return
}

// -----

func.func @hadamard_to_another_type(%x: tensor<?x128xf32>) {
  // expected-error @below {{'varve.hadamard' op failed to verify that all of {x, result} have same type}}
  %0 = "varve.hadamard"(%x) : (tensor<?x128xf32>) -> tensor<?x64xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.quantize, varve.dequantize
//===----------------------------------------------------------------------===//

func.func @quantize_a_vector(%x: tensor<64xf32>) {
  // C1
  // expected-error @below {{'varve.quantize' op expected x of rank 2 or more (C1) but got rank 1}}
  %c, %s = varve.quantize %x block 32 : tensor<64xf32> -> tensor<64xf8E4M3FN>, tensor<2xf32>
  return
}

// -----

func.func @quantize_to_another_shape(%x: tensor<?x64xf32>) {
  // C1
  // expected-error @below {{'varve.quantize' op expected codes of shape ?x64 (C1) but got ?x32}}
  %c, %s = varve.quantize %x block 32 : tensor<?x64xf32> -> tensor<?x32xf8E4M3FN>, tensor<?x2xf32>
  return
}

// -----

func.func @quantize_with_a_scale_missing_for_the_rest(%x: tensor<?x65xf32>) {
  // C2
  // expected-error @below {{'varve.quantize' op expected scales of shape ?x3 (C2) but got ?x2}}
  %c, %s = varve.quantize %x block 32 : tensor<?x65xf32> -> tensor<?x65xf8E4M3FN>, tensor<?x2xf32>
  return
}

// -----

func.func @quantize_in_blocks_of_zero(%x: tensor<?x64xf32>) {
  // expected-error @below {{'varve.quantize' op attribute 'block' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %c, %s = varve.quantize %x block 0 : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x2xf32>
  return
}

// -----

func.func @quantize_to_numbers(%x: tensor<?x64xf32>) {
  // expected-error @below {{'varve.quantize' op result #0 must be f8E4M3FN or f4E2M1FN tensor with static, positive dimensions after the first, but got 'tensor<?x64xbf16>'}}
  %c, %s = varve.quantize %x block 32 : tensor<?x64xf32> -> tensor<?x64xbf16>, tensor<?x2xf32>
  return
}

// -----

func.func @quantize_with_bf16_scales(%x: tensor<?x64xf32>) {
  // expected-error @below {{'varve.quantize' op result #1 must be f8E8M0FNU or f32 scale tensor with static, positive dimensions after the first, but got 'tensor<?x2xbf16>'}}
  %c, %s = varve.quantize %x block 32 : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x2xbf16>
  return
}

// -----

func.func @dequantize_a_vector(%c: tensor<64xf8E4M3FN>, %s: tensor<2xf32>) {
  // C1
  // expected-error @below {{'varve.dequantize' op expected codes of rank 2 or more (C1) but got rank 1}}
  %0 = varve.dequantize %c scaled %s block 32 : (tensor<64xf8E4M3FN>, tensor<2xf32>) -> tensor<64xf32>
  return
}

// -----

func.func @dequantize_to_another_shape(%c: tensor<?x64xf8E4M3FN>, %s: tensor<?x2xf32>) {
  // C1
  // expected-error @below {{'varve.dequantize' op expected result of shape ?x64 (C1) but got ?x4x16}}
  %0 = varve.dequantize %c scaled %s block 32 : (tensor<?x64xf8E4M3FN>, tensor<?x2xf32>) -> tensor<?x4x16xf32>
  return
}

// -----

func.func @dequantize_with_other_scales(%c: tensor<?x64xf8E4M3FN>, %s: tensor<?x4xf32>) {
  // C2
  // expected-error @below {{'varve.dequantize' op expected scales of shape ?x2 (C2) but got ?x4}}
  %0 = varve.dequantize %c scaled %s block 32 : (tensor<?x64xf8E4M3FN>, tensor<?x4xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @dequantize_in_negative_blocks(%c: tensor<?x64xf8E4M3FN>, %s: tensor<?x4xf32>) {
  // expected-error @below {{'varve.dequantize' op attribute 'block' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.dequantize %c scaled %s block -32 : (tensor<?x64xf8E4M3FN>, tensor<?x4xf32>) -> tensor<?x64xf32>
  return
}
