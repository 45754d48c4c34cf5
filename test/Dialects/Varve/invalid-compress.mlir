// What the verifiers of compression refuse. The labels are those of the
// constraints in VarveAttentionOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.compress
//===----------------------------------------------------------------------===//

varve.pool @state state size 8 : <16 x f32>
func.func @compress_kv_of_rank_3(%kv: tensor<?x2x4xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.compress' op expected kv of rank 2 (T x c dc, C1) but got rank 3}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x2x4xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_odd_width_with_overlap(%kv: tensor<?x7xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.compress' op expected a width of 2 equal halves (C1) but got 7}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x7xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_gate_of_another_width(%kv: tensor<?x8xf32>, %gate: tensor<?x4xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.compress' op expected gate of shape ?x8 (T x c dc, C1) but got ?x4}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_bias_of_other_rows(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<8x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.compress' op expected bias of shape 4x8 (m x c dc, C1) but got 8x8}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_to_entries_of_both_halves(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.compress' op expected entries of shape ?x4 (E x dc, C2) but got ?x8}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_with_missing_starts(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.compress' op expected one of positions for each of 3 rows (C2) but got 2}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<3x4xf32>, tensor<2xi32>, tensor<3xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_with_missing_entry_slots(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C2
  // expected-error @below {{'varve.compress' op expected one of slots for each of 3 rows (C2) but got 2}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<3x4xf32>, tensor<3xi32>, tensor<2xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_with_missing_positions(%kv: tensor<3x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<2xi32>, %s: tensor<3xi32>) {
  // C4
  // expected-error @below {{'varve.compress' op expected one of positions for each of 3 rows (C4) but got 2}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<3x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<2xi32>, tensor<3xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_with_missing_slots(%kv: tensor<3x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<3xi32>, %s: tensor<2xi32>) {
  // C4
  // expected-error @below {{'varve.compress' op expected one of slots for each of 3 rows (C4) but got 2}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<3x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<3xi32>, tensor<2xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_without_ratio(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.compress' op attribute 'ratio' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 0 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @state window size 8 : <16 x f32>
func.func @compress_in_a_window(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.compress' op expected @state to be of kind state (C3) but it is of kind window}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 4 : <16 x f32>
func.func @compress_in_a_short_ring(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.compress' op expected at least 8 rows in @state (c m, C3) but got 4}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @state state size 8 : <8 x f32, 8 x bf16>
func.func @compress_in_bf16_state(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.compress' op expected rows of f32 in @state (C3) but got 'bf16'}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @state state size 8 : <8 x f32>
func.func @compress_in_narrow_rows(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.compress' op expected rows of 16 elements in @state (2 c dc, C3) but got 8}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

func.func @compress_in_nothing(%kv: tensor<?x8xf32>, %gate: tensor<?x8xf32>, %bias: tensor<4x8xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.compress' op expected @state to name a 'varve.pool'}}
  %0:3 = varve.compress %kv, %gate, %bias in @state ratio 4 overlap at (%p, %s)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

varve.pool @state state size 8 : <16 x f32>
func.func @compress_bf16(%kv: tensor<?x8xbf16>, %bias: tensor<4x8xf32>, %n: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.compress' op operand #0 must be f32 tensor with static, positive dimensions after the first, but got 'tensor<?x8xbf16>'}}
  %0:3 = varve.compress %kv, %kv, %bias in @state ratio 4 overlap at (%n, %n)
    : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<4x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}
