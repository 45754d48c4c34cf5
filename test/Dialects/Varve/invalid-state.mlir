// What the verifiers of pools, weights and appended rows refuse. The labels are
// those of the constraints in VarveStateOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.pool
//===----------------------------------------------------------------------===//

// C1
// expected-error @below {{'varve.pool' op expected 'size' exactly for window and state pools (C1)}}
varve.pool @window_without_size window : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op expected 'size' exactly for window and state pools (C1)}}
varve.pool @state_without_size state : <64 x f32>

// -----

// C1
// expected-error @below {{'varve.pool' op expected 'size' exactly for window and state pools (C1)}}
varve.pool @entries_with_size entries size 4 ratio 4 page 8 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op expected 'ratio' and 'page' exactly for entry pools (C1)}}
varve.pool @window_with_ratio window size 4 ratio 4 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op expected 'ratio' and 'page' exactly for entry pools (C1)}}
varve.pool @state_with_page state size 4 page 4 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op expected 'ratio' and 'page' exactly for entry pools (C1)}}
varve.pool @entries_without_ratio entries page 4 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op expected 'ratio' and 'page' exactly for entry pools (C1)}}
varve.pool @entries_without_page entries ratio 4 : <64 x bf16>

// -----

// C3
// expected-error @below {{'varve.pool' op expected no 'select' on a state pool (C3): a compressor needs all of its rows}}
varve.pool @state_that_selects state size 4 select <keep = 2, score = position> : <64 x f32>

// -----

// C1 of #varve.select
// expected-error @below {{expected a positive i32 number as 'keep' (C1) but got 0}}
varve.pool @keeps_nothing window size 4 select <keep = 0, score = position> : <64 x f32>

// -----

// C1 of #varve.select
// expected-error @below {{expected a positive i32 number as 'every' (C1) but got -1}}
varve.pool @never_scores window size 4 select <keep = 2, score = key, every = -1> : <64 x f32>

// -----

// expected-error @below {{expected 'varve.repeat' to be a positive i32 number of type i64 but got 0 : i64}}
func.func private @repeated_no_times() attributes {varve.repeat = 0 : i64}

// -----

// expected-error @below {{expected 'varve.repeat' on a function}}
module attributes {varve.repeat = 2 : i64} {}

// -----

// C1
// expected-error @below {{'varve.pool' op attribute 'size' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
varve.pool @size_is_zero window size 0 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op attribute 'size' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
varve.pool @size_is_huge window size 2147483648 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op attribute 'ratio' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
varve.pool @ratio_is_negative entries ratio -4 page 4 : <64 x bf16>

// -----

// C1
// expected-error @below {{'varve.pool' op attribute 'page' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
varve.pool @page_is_zero entries ratio 4 page 0 : <64 x bf16>

// -----

// C2
// expected-error @below {{'varve.pool' op expected a ratio that divides the page of 6 tokens (C2) but got 4}}
varve.pool @page_splits_an_entry entries ratio 4 page 6 : <64 x bf16>

// -----

// expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'kind' [window, entries, state]}}
varve.pool @unknown_kind ring size 4 : <64 x bf16>

// -----

func.func @pool_in_a_function() {
  // expected-error @below {{'varve.pool' op symbol's parent must have the SymbolTable trait}}
  varve.pool @p window size 4 : <64 x bf16>
  return
}

// -----

// expected-note @below {{see existing symbol definition here}}
varve.pool @name_twice window size 4 : <64 x bf16>
// expected-error @below {{redefinition of symbol named 'name_twice'}}
varve.pool @name_twice window size 4 : <64 x bf16>

// -----

//===----------------------------------------------------------------------===//
// varve.weight
//===----------------------------------------------------------------------===//

func.func @weight_without_name() {
  // C1
  // expected-error @below {{'varve.weight' op expected a name (C1) but got an empty string}}
  %0 = varve.weight "" : tensor<4xf32>
  return
}

// -----

func.func @weight_of_two_patterns() {
  // C1
  // expected-error @below {{'varve.weight' op expected at most one '*' in the name (C1) but got "layers.*.experts.*.w1"}}
  %0 = varve.weight "layers.*.experts.*.w1" : tensor<4x4x4xf32>
  return
}

// -----

func.func @stacked_weight_of_rank_1() {
  // C2
  // expected-error @below {{'varve.weight' op expected a stacked weight of rank 2 or more (C2) but got 'tensor<4xf32>'}}
  %0 = varve.weight "experts.*.w1" : tensor<4xf32>
  return
}

// -----

func.func @weight_of_dynamic_size() {
  // C2
  // expected-error @below {{'varve.weight' op result #0 must be stored tensor of f32, bf16, f16, f8E4M3FN, f4E2M1FN, f8E8M0FNU, i64 or i32 with static, positive dimensions, but got 'tensor<?x4xf32>'}}
  %0 = varve.weight "w" : tensor<?x4xf32>
  return
}

// -----

func.func @weight_without_dimensions() {
  // C2
  // expected-error @below {{'varve.weight' op result #0 must be stored tensor}}
  %0 = varve.weight "w" : tensor<f32>
  return
}

// -----

func.func @weight_of_size_zero() {
  // C2
  // expected-error @below {{'varve.weight' op result #0 must be stored tensor}}
  %0 = varve.weight "w" : tensor<4x0xf32>
  return
}

// -----

func.func @weight_of_absurd_size() {
  // C2: more than 2^40 elements
  // expected-error @below {{'varve.weight' op result #0 must be stored tensor}}
  %0 = varve.weight "w" : tensor<2147483647x513xf32>
  return
}

// -----

func.func @weight_of_a_type_that_no_checkpoint_stores() {
  // C2
  // expected-error @below {{'varve.weight' op result #0 must be stored tensor}}
  %0 = varve.weight "w" : tensor<4xindex>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.append
//===----------------------------------------------------------------------===//

varve.pool @window window size 4 : <64 x bf16>
func.func @append_rows_of_rank_3(%rows: tensor<?x8x8xbf16>, %n: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.append' op expected rows of rank 2 (C1) but got rank 3}}
  varve.append %rows to @window at (%n, %n) : tensor<?x8x8xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @window window size 4 : <64 x bf16, 8 x f32>
func.func @append_rows_of_another_width(%rows: tensor<?x64xbf16>, %n: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.append' op expected rows of 64 elements in @window (C1) but got 72}}
  varve.append %rows to @window at (%n, %n) : tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

varve.pool @window window size 4 : <64 x bf16>
func.func @append_with_missing_positions(%rows: tensor<3x64xbf16>, %p: tensor<2xi32>, %s: tensor<3xi32>) {
  // C2
  // expected-error @below {{'varve.append' op expected one of positions for each of 3 rows (C2) but got 2}}
  varve.append %rows to @window at (%p, %s) : tensor<3x64xbf16>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

varve.pool @window window size 4 : <64 x bf16>
func.func @append_with_missing_slots(%rows: tensor<3x64xbf16>, %p: tensor<3xi32>, %s: tensor<2xi32>) {
  // C2
  // expected-error @below {{'varve.append' op expected one of slots for each of 3 rows (C2) but got 2}}
  varve.append %rows to @window at (%p, %s) : tensor<3x64xbf16>, tensor<3xi32>, tensor<2xi32>
  return
}

// -----

// expected-note @below {{declared here}}
varve.pool @state state size 4 : <64 x f32>
func.func @append_to_compressor_state(%rows: tensor<?x64xbf16>, %n: tensor<?xi32>) {
  // C3
  // expected-error @below {{'varve.append' op expected @state to be of kind window or of kind entries (C3) but it is of kind state}}
  varve.append %rows to @state at (%n, %n) : tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

func.func @append_to_nothing(%rows: tensor<?x64xbf16>, %n: tensor<?xi32>) {
  // expected-error @below {{'varve.append' op expected @window to name a 'varve.pool'}}
  varve.append %rows to @window at (%n, %n) : tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

varve.pool @layers.0.attn.entries entries ratio 4 page 4 : <64 x bf16>
// expected-note @below {{did you mean @layers.0.attn.window?}}
varve.pool @layers.0.attn.window window size 4 : <64 x bf16>
func.func @append_to_a_misspelt_pool(%rows: tensor<?x64xbf16>, %n: tensor<?xi32>) {
  // expected-error @below {{'varve.append' op expected @layers.0.atn.windows to name a 'varve.pool'}}
  varve.append %rows to @layers.0.atn.windows at (%n, %n) : tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

func.func @append_to_a_function(%rows: tensor<?x64xbf16>, %n: tensor<?xi32>) {
  // expected-error @below {{'varve.append' op expected @append_to_a_function to name a 'varve.pool'}}
  varve.append %rows to @append_to_a_function at (%n, %n) : tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

varve.pool @outer window size 4 : <64 x bf16>
module @names_do_not_cross_symbol_tables {
  func.func @append(%rows: tensor<?x64xbf16>, %n: tensor<?xi32>) {
    // expected-error @below {{'varve.append' op expected @outer to name a 'varve.pool'}}
    varve.append %rows to @outer at (%n, %n) : tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>
    return
  }
}

// -----

varve.pool @window window size 4 : <64 x bf16>
func.func @append_rows_of_dynamic_width(%rows: tensor<?x?xbf16>, %n: tensor<?xi32>) {
  // expected-error @below {{'varve.append' op operand #0 must be f32, bf16 or f16 tensor with static, positive dimensions after the first, but got 'tensor<?x?xbf16>'}}
  varve.append %rows to @window at (%n, %n) : tensor<?x?xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

varve.pool @window window size 4 : <64 x bf16>
func.func @append_with_positions_of_rank_2(%rows: tensor<?x64xbf16>, %p: tensor<?x1xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'varve.append' op operand #1 must be i32 tensor of rank 1, but got 'tensor<?x1xi32>'}}
  varve.append %rows to @window at (%p, %s) : tensor<?x64xbf16>, tensor<?x1xi32>, tensor<?xi32>
  return
}
