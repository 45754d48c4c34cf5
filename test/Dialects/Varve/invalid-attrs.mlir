// Attributes that the verifiers refuse. The labels are those of the constraints
// in VarveAttrs.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// #varve.segment, #varve.format
//===----------------------------------------------------------------------===//

// C1
// expected-error @below {{expected between 1 and 16777216 elements (C1) but got 0}}
varve.pool @segment_is_empty window size 4 : <0 x f32>

// -----

// C1: 2^24 + 1
// expected-error @below {{expected between 1 and 16777216 elements (C1) but got 16777217}}
varve.pool @segment_is_huge window size 4 : <16777217 x f32>

// -----

// C2
// expected-error @below {{expected elements of type f32, bf16, f16, f8E4M3FN or f4E2M1FN (C2) but got 'i8'}}
varve.pool @segment_of_integers window size 4 : <64 x i8>

// -----

// C2
// expected-error @below {{expected elements of type f32, bf16, f16, f8E4M3FN or f4E2M1FN (C2) but got 'f8E8M0FNU'}}
varve.pool @segment_of_scales window size 4 : <64 x f8E8M0FNU>

// -----

// C2
// expected-error @below {{expected no scales for elements of type 'bf16' (C2)}}
varve.pool @wide_segment_is_scaled window size 4 : <64 x bf16 scaled 64 x f32>

// -----

// C2
// expected-error @below {{expected scales for elements of type 'f8E4M3FN' (C2): write 'scaled <elements> x <type>'}}
varve.pool @codes_have_no_scales window size 4 : <64 x f8E4M3FN>

// -----

// C2
// expected-error @below {{expected scales for elements of type 'f4E2M1FN' (C2): write 'scaled <elements> x <type>'}}
varve.pool @block_is_zero window size 4 : <64 x f4E2M1FN scaled 0 x f32>

// -----

// C2
// expected-error @below {{expected scales of type f8E8M0FNU or f32 (C2) but got 'bf16'}}
varve.pool @scales_are_bf16 window size 4 : <64 x f8E4M3FN scaled 64 x bf16>

// -----

// C3
// expected-error @below {{expected a block that divides 64 elements (C3) but got 48}}
varve.pool @block_does_not_divide_segment window size 4 : <64 x f8E4M3FN scaled 48 x f32>

// -----

// C1
// expected-error @below {{expected at least one segment (C1)}}
varve.pool @format_is_empty window size 4 : <>

// -----

// C1
// expected-error @below {{expected at most 16 segments (C1) but got 17}}
varve.pool @format_has_many_segments window size 4 : <1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32, 1 x f32>

// -----

// C2
// expected-error @below {{expected the 3 elements of type 'f4E2M1FN' to fill whole bytes (C2)}}
varve.pool @codes_end_inside_a_byte window size 4 : <3 x f4E2M1FN scaled 3 x f8E8M0FNU, 1 x f32>

// -----

// expected-error @below {{expected integer value}}
varve.pool @segment_without_size window size 4 : <f32>

// -----

// expected-error @below {{expected 'x'}}
varve.pool @segment_without_x window size 4 : <64 f32>

// -----

// expected-error @below {{expected '<'}}
varve.pool @format_without_bracket window size 4 : 64 x f32

// -----

// A segment on its own is checked like one of a format.
// expected-error @below {{expected a block that divides 64 elements (C3) but got 5}}
func.func private @lone_segment() attributes {s = #varve.segment<64 x f8E4M3FN scaled 5 x f32>}

// -----

//===----------------------------------------------------------------------===//
// #varve.yarn, #varve.rope
//===----------------------------------------------------------------------===//

// C1
// expected-error @below {{expected a finite factor of at least 1 (C1) but got 5.000000e-01 : f64}}
func.func private @yarn_factor_below_one() attributes {y = #varve.yarn<factor = 0.5 : f64, beta_fast = 32.0 : f64, beta_slow = 1.0 : f64, original = 4096>}

// -----

// C1
// expected-error @below {{expected a finite factor of at least 1 (C1) but got 0x7FF0000000000000 : f64}}
func.func private @yarn_factor_infinite() attributes {y = #varve.yarn<factor = 0x7FF0000000000000 : f64, beta_fast = 32.0 : f64, beta_slow = 1.0 : f64, original = 4096>}

// -----

// C1
// expected-error @below {{expected finite beta_fast >= beta_slow > 0 (C1) but got 1.000000e+00 : f64 and 2.000000e+00 : f64}}
func.func private @yarn_betas_swapped() attributes {y = #varve.yarn<factor = 16.0 : f64, beta_fast = 1.0 : f64, beta_slow = 2.0 : f64, original = 4096>}

// -----

// C1
// expected-error @below {{expected finite beta_fast >= beta_slow > 0 (C1) but got 1.000000e+00 : f64 and 0.000000e+00 : f64}}
func.func private @yarn_beta_slow_zero() attributes {y = #varve.yarn<factor = 16.0 : f64, beta_fast = 1.0 : f64, beta_slow = 0.0 : f64, original = 4096>}

// -----

// C1
// expected-error @below {{expected finite beta_fast >= beta_slow > 0 (C1) but got 0x7FF8000000000000 : f64 and 1.000000e+00 : f64}}
func.func private @yarn_beta_fast_nan() attributes {y = #varve.yarn<factor = 16.0 : f64, beta_fast = 0x7FF8000000000000 : f64, beta_slow = 1.0 : f64, original = 4096>}

// -----

// C1
// expected-error @below {{expected a positive i32 number as original length (C1) but got 0}}
func.func private @yarn_original_zero() attributes {y = #varve.yarn<factor = 16.0 : f64, beta_fast = 32.0 : f64, beta_slow = 1.0 : f64, original = 0>}

// -----

// C1
// expected-error @below {{expected a positive i32 number as original length (C1) but got 2147483648}}
func.func private @yarn_original_huge() attributes {y = #varve.yarn<factor = 16.0 : f64, beta_fast = 32.0 : f64, beta_slow = 1.0 : f64, original = 2147483648>}

// -----

// C1
// expected-error @below {{expected a finite theta above 1 (C1) but got 1.000000e+00 : f64}}
func.func private @rope_theta_is_one() attributes {r = #varve.rope<theta = 1.0 : f64, dim = 64>}

// -----

// C1
// expected-error @below {{expected a finite theta above 1 (C1) but got 0x7FF0000000000000 : f64}}
func.func private @rope_theta_infinite() attributes {r = #varve.rope<theta = 0x7FF0000000000000 : f64, dim = 64>}

// -----

// C1
// expected-error @below {{expected an even, positive number of rotary dimensions (C1) but got 63}}
func.func private @rope_dim_odd() attributes {r = #varve.rope<theta = 1.0e4 : f64, dim = 63>}

// -----

// C1
// expected-error @below {{expected an even, positive number of rotary dimensions (C1) but got 0}}
func.func private @rope_dim_zero() attributes {r = #varve.rope<theta = 1.0e4 : f64, dim = 0>}

// -----

// expected-error @below {{struct is missing required parameter: dim}}
func.func private @rope_without_dim() attributes {r = #varve.rope<theta = 1.0e4 : f64>}

// -----

//===----------------------------------------------------------------------===//
// #varve.model
//===----------------------------------------------------------------------===//

// C1
// expected-error @below {{expected a positive i32 number as vocabulary (C1) but got 0}}
module attributes {varve.model = #varve.model<name = "vocab_zero", layers = "S", vocab = 0, max_positions = 8>} {}

// -----

// C1
// expected-error @below {{expected a positive i32 number as vocabulary (C1) but got 2147483648}}
module attributes {varve.model = #varve.model<name = "vocab_huge", layers = "S", vocab = 2147483648, max_positions = 8>} {}

// -----

// C1
// expected-error @below {{expected a positive i32 number of positions (C1) but got 0}}
module attributes {varve.model = #varve.model<name = "no_positions", layers = "S", vocab = 8, max_positions = 0>} {}

// -----

// C1
// expected-error @below {{expected a positive i32 number of positions (C1) but got 4294967296}}
module attributes {varve.model = #varve.model<name = "many_positions", layers = "S", vocab = 8, max_positions = 4294967296>} {}

// -----

// C1
// expected-error @below {{expected bos below the vocabulary of 8 (C1) but got 8}}
module attributes {varve.model = #varve.model<name = "bos", layers = "S", vocab = 8, max_positions = 8, bos = 8>} {}

// -----

// C1
// expected-error @below {{expected eos below the vocabulary of 8 (C1) but got -2}}
module attributes {varve.model = #varve.model<name = "eos", layers = "S", vocab = 8, max_positions = 8, eos = -2>} {}

// -----

// expected-error @below {{'builtin.module' op expected 'varve.model' to be a #varve.model attribute but got 42 : i32}}
module attributes {varve.model = 42 : i32} {}

// -----

// expected-error @below {{'func.func' op expected 'varve.model' on a module}}
func.func private @model_on_a_function() attributes {varve.model = #varve.model<name = "", layers = "S", vocab = 8, max_positions = 8>}
