// What the verifiers of the index refuse. The labels are those of the
// constraints in VarveAttentionOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.index_score
//===----------------------------------------------------------------------===//

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_one_head(%q: tensor<?x8xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.index_score' op expected q of rank 3 (T x Hi x di, C1) but got rank 2}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_with_weights_of_other_heads(%q: tensor<?x4x8xf32>, %w: tensor<?x5xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.index_score' op expected weights of shape ?x4 (T x Hi, C1) but got ?x5}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x5xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_other_tokens(%q: tensor<3x4x8xf32>, %w: tensor<3x4xf32>, %p: tensor<3xi32>, %s: tensor<3xi32>) {
  // C1
  // expected-error @below {{'varve.index_score' op expected scores of shape 3x? (T x S, C1) but got 2x?}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<3x4x8xf32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>) -> tensor<2x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_codes_without_scales(%q: tensor<?x4x8xf8E4M3FN>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.index_score' op expected scales for q exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f8E4M3FN' without scales}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf8E4M3FN>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_scaled_numbers(%q: tensor<?x4x8xf32>, %qs: tensor<?x4x2xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.index_score' op expected scales for q exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f32' with scales}}
  %0 = varve.index_score %q scaled %qs by 4, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x4x2xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_with_other_scales(%q: tensor<?x4x8xf8E4M3FN>, %qs: tensor<?x4x1xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.index_score' op expected q_scale of shape ?x4x2 (C2) but got ?x4x1}}
  %0 = varve.index_score %q scaled %qs by 4, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf8E4M3FN>, tensor<?x4x1xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_in_blocks_of_zero(%q: tensor<?x4x8xf8E4M3FN>, %qs: tensor<?x4x1xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.index_score' op attribute 'q_block' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.index_score %q scaled %qs by 0, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf8E4M3FN>, tensor<?x4x1xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_with_scales_without_block(%q: tensor<?x4x8xf8E4M3FN>, %qs: tensor<?x4x2xf32>, %w: tensor<?x4xf32>, %n: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.index_score' op expected a block for q exactly when it has scales (C2)}}
  %0 = "varve.index_score"(%q, %qs, %w, %n, %n) <{keys = @keys, scale = 1.0 : f64}>
    : (tensor<?x4x8xf8E4M3FN>, tensor<?x4x2xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @keys window size 4 : <8 x bf16>
func.func @score_keys_in_a_window(%q: tensor<?x4x8xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.index_score' op expected @keys to be of kind entries (C3) but it is of kind window}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @keys entries ratio 4 page 4 : <16 x bf16>
func.func @score_keys_of_another_width(%q: tensor<?x4x8xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.index_score' op expected rows of 8 elements in @keys (di, C3) but got 16}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_with_missing_positions(%q: tensor<3x4x8xf32>, %w: tensor<3x4xf32>, %p: tensor<2xi32>, %s: tensor<3xi32>) {
  // C4
  // expected-error @below {{'varve.index_score' op expected one of positions for each of 3 rows (C4) but got 2}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<3x4x8xf32>, tensor<3x4xf32>, tensor<2xi32>, tensor<3xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_with_missing_slots(%q: tensor<3x4x8xf32>, %w: tensor<3x4xf32>, %p: tensor<3xi32>, %s: tensor<2xi32>) {
  // C4
  // expected-error @below {{'varve.index_score' op expected one of slots for each of 3 rows (C4) but got 2}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<3x4x8xf32>, tensor<3x4xf32>, tensor<3xi32>, tensor<2xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_with_infinite_scale(%q: tensor<?x4x8xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.index_score' op attribute 'scale' failed to satisfy constraint: 64-bit float attribute whose value is finite}}
  %0 = varve.index_score %q, %w keys @keys scale 0x7FF0000000000000 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  return
}

// -----

varve.pool @keys entries ratio 4 page 4 : <8 x bf16>
func.func @score_to_a_vector(%q: tensor<?x4x8xf32>, %w: tensor<?x4xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.index_score' op result #0 must be f32, bf16 or f16 tensor of rank 2, but got 'tensor<?xf32>'}}
  %0 = varve.index_score %q, %w keys @keys scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.index_topk
//===----------------------------------------------------------------------===//

func.func @topk_of_a_vector(%s: tensor<?xf32>) {
  // C1
  // expected-error @below {{'varve.index_topk' op expected scores of rank 2 but got 'tensor<?xf32>'}}
  %0 = varve.index_topk %s k 4 : tensor<?xf32>
  return
}

// -----

func.func @topk_of_rank_3_in_generic_form(%s: tensor<?x4x4xf32>) {
  // C1
  // expected-error @below {{'varve.index_topk' op operand #0 must be f32, bf16 or f16 tensor of rank 2, but got 'tensor<?x4x4xf32>'}}
  %0 = "varve.index_topk"(%s) <{k = 4 : i64}> : (tensor<?x4x4xf32>) -> tensor<?x4xi32>
  return
}

// -----

func.func @topk_of_none(%s: tensor<?x?xf32>) {
  // expected-error @below {{'varve.index_topk' op expected a positive i32 number as k but got 0}}
  %0 = varve.index_topk %s k 0 : tensor<?x?xf32>
  return
}

// -----

func.func @topk_of_more_than_there_can_be(%s: tensor<?x?xf32>) {
  // expected-error @below {{'varve.index_topk' op expected a positive i32 number as k but got 9223372036854775807}}
  %0 = varve.index_topk %s k 9223372036854775807 : tensor<?x?xf32>
  return
}

// -----

func.func @topk_of_none_in_generic_form(%s: tensor<?x?xf32>) {
  // expected-error @below {{'varve.index_topk' op attribute 'k' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = "varve.index_topk"(%s) <{k = 0 : i64}> : (tensor<?x?xf32>) -> tensor<?x4xi32>
  return
}

// -----

func.func @topk_to_another_size(%s: tensor<?x?xf32>) {
  // C1
  // expected-error @+2 {{'varve.index_topk' op inferred type(s) 'tensor<?x4xi32>' are incompatible with return type(s) of operation 'tensor<?x5xi32>'}}
  // expected-error @below {{'varve.index_topk' op failed to infer returned types}}
  %0 = "varve.index_topk"(%s) <{k = 4 : i64}> : (tensor<?x?xf32>) -> tensor<?x5xi32>
  return
}
