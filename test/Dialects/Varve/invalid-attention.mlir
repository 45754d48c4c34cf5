// What the verifiers of attention refuse. The labels are those of the
// constraints in VarveAttentionOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.sparse_attention
//===----------------------------------------------------------------------===//

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_to_nothing(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.sparse_attention' op expected a window pool, an entry pool, or both (C1)}}
  %0 = varve.sparse_attention %q scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_to_indices_of_a_window(%q: tensor<?x4x8xf32>, %i: tensor<?x2xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.sparse_attention' op expected 'entries' for the indices to refer to (C1)}}
  %0 = varve.sparse_attention %q window @w indices %i scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x2xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
varve.pool @v window size 4 : <8 x bf16>
varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_with_values_of_the_window_only(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.sparse_attention' op expected value pools for both sources or neither (C1)}}
  %0 = varve.sparse_attention %q window @w values @v entries @e scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
varve.pool @v entries ratio 4 page 4 : <8 x bf16>
varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_with_values_of_the_entries_only(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.sparse_attention' op expected value pools for both sources or neither (C1)}}
  %0 = varve.sparse_attention %q window @w entries @e values @v scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_with_values_of_an_absent_window_pool(%q: tensor<?x4x8xf32>, %n: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.sparse_attention' op expected a key pool for the value pool (C1)}}
  %0 = "varve.sparse_attention"(%q, %n, %n) <{entries = @e, window_values = @w, scale = 1.0 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 1, 1>}>
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_with_values_of_an_absent_entry_pool(%q: tensor<?x4x8xf32>, %n: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.sparse_attention' op expected a key pool for the value pool (C1)}}
  %0 = "varve.sparse_attention"(%q, %n, %n) <{window = @w, entry_values = @e, scale = 1.0 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 1, 1>}>
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_of_one_head(%q: tensor<?x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.sparse_attention' op expected q of rank 3 (T x H x d, C2) but got rank 2}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_of_heads_without_keys(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.sparse_attention' op expected kv_heads to divide 4 heads (C2) but got 3}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s) kv_heads 3
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_without_kv_heads(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.sparse_attention' op attribute 'kv_heads' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s) kv_heads 0
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_in_blocks_of_zero(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.sparse_attention' op attribute 'block' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s) block 0
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_with_probabilities_of_codes(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.sparse_attention' op attribute 'probabilities' failed to satisfy constraint: type attribute of 32-bit float or bfloat16 type or 16-bit float}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s) probabilities f8E4M3FN
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_with_scale_nan(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.sparse_attention' op attribute 'scale' failed to satisfy constraint: 64-bit float attribute whose value is finite}}
  %0 = varve.sparse_attention %q window @w scale 0x7FF8000000000000 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @w window size 4 : <16 x bf16>
func.func @attention_to_keys_of_another_width(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.sparse_attention' op expected rows of 8 elements in @w (kv_heads d, C2) but got 16}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_to_too_few_kv_heads(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.sparse_attention' op expected rows of 16 elements in @e (kv_heads d, C2) but got 8}}
  %0 = varve.sparse_attention %q entries @e scale 1.0 at (%p, %s) kv_heads 2
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_to_other_heads(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.sparse_attention' op expected result of shape ?x4x? (T x H x dv, C3) but got ?x2x8}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x2x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_with_values_longer_than_keys(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.sparse_attention' op expected values of at most 8 elements without value pools (C3) but got 9}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x9xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
// expected-note @below {{declared here}}
varve.pool @v window size 4 : <8 x bf16>
func.func @attention_with_value_pool_of_another_width(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.sparse_attention' op expected rows of 12 elements in @v (kv_heads dv, C3) but got 8}}
  %0 = varve.sparse_attention %q window @w values @v scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x12xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_with_sink_of_other_heads(%q: tensor<?x4x8xf32>, %k: tensor<3xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C4
  // expected-error @below {{'varve.sparse_attention' op expected sink of shape 4 (H, C4) but got 3}}
  %0 = varve.sparse_attention %q window @w sink %k scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<3xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_with_indices_of_rank_3(%q: tensor<?x4x8xf32>, %i: tensor<?x1x2xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C4
  // expected-error @below {{'varve.sparse_attention' op expected indices of shape ?x? (T x k, C4) but got ?x1x2}}
  %0 = varve.sparse_attention %q entries @e indices %i scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x1x2xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @e entries ratio 4 page 4 : <8 x bf16>
func.func @attention_with_dynamically_many_indices(%q: tensor<?x4x8xf32>, %i: tensor<?x?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.sparse_attention' op operand #1 must be i32 tensor with static, positive dimensions after the first, but got 'tensor<?x?xi32>'}}
  %0 = varve.sparse_attention %q entries @e indices %i scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_with_missing_positions(%q: tensor<3x4x8xf32>, %p: tensor<2xi32>, %s: tensor<3xi32>) {
  // C4
  // expected-error @below {{'varve.sparse_attention' op expected one of positions for each of 3 rows (C4) but got 2}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<3x4x8xf32>, tensor<2xi32>, tensor<3xi32>) -> tensor<3x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
func.func @attention_with_missing_slots(%q: tensor<3x4x8xf32>, %p: tensor<3xi32>, %s: tensor<2xi32>) {
  // C4
  // expected-error @below {{'varve.sparse_attention' op expected one of slots for each of 3 rows (C4) but got 2}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<3x4x8xf32>, tensor<3xi32>, tensor<2xi32>) -> tensor<3x4x8xf32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @w entries ratio 4 page 4 : <8 x bf16>
func.func @attention_to_entries_as_window(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C5
  // expected-error @below {{'varve.sparse_attention' op expected @w to be of kind window (C5) but it is of kind entries}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @e window size 4 : <8 x bf16>
func.func @attention_to_window_as_entries(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C5
  // expected-error @below {{'varve.sparse_attention' op expected @e to be of kind entries (C5) but it is of kind window}}
  %0 = varve.sparse_attention %q entries @e scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
// expected-note @below {{declared here}}
varve.pool @v state size 4 : <8 x f32>
func.func @attention_with_state_as_values(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C5
  // expected-error @below {{'varve.sparse_attention' op expected @v to be of kind window (C5) but it is of kind state}}
  %0 = varve.sparse_attention %q window @w values @v scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @w window size 4 : <8 x bf16>
// expected-note @below {{declared here}}
varve.pool @v window size 8 : <8 x bf16>
func.func @attention_with_values_of_another_window(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C5
  // expected-error @below {{'varve.sparse_attention' op expected @v to agree with @w in size and ratio (C5)}}
  %0 = varve.sparse_attention %q window @w values @v scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

varve.pool @e entries ratio 4 page 4 : <8 x bf16>
// expected-note @below {{declared here}}
varve.pool @v entries ratio 2 page 4 : <8 x bf16>
func.func @attention_with_values_of_another_ratio(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C5
  // expected-error @below {{'varve.sparse_attention' op expected @v to agree with @e in size and ratio (C5)}}
  %0 = varve.sparse_attention %q entries @e values @v scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}

// -----

func.func @attention_to_an_unknown_pool(%q: tensor<?x4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.sparse_attention' op expected @w to name a 'varve.pool'}}
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%p, %s)
    : (tensor<?x4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xf32>
  return
}
