// What the verifiers of embedding and residual streams refuse. The labels are
// those of the constraints in VarveStreamOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.embed
//===----------------------------------------------------------------------===//

func.func @embed_table_of_rank_3(%ids: tensor<?xi32>, %t: tensor<8x4x4xf32>) {
  // C1
  // expected-error @below {{'varve.embed' op expected table of rank 2 (V x D, C1) but got rank 3}}
  %0 = varve.embed %ids, %t : (tensor<?xi32>, tensor<8x4x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @embed_result_of_another_width(%ids: tensor<?xi32>, %t: tensor<8x4xf32>) {
  // C1
  // expected-error @below {{'varve.embed' op expected result of shape ?x4 (T x D, C1) but got ?x5}}
  %0 = varve.embed %ids, %t : (tensor<?xi32>, tensor<8x4xf32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @embed_rows_without_ids(%ids: tensor<2xi32>, %t: tensor<8x4xf32>) {
  // C2
  // expected-error @below {{'varve.embed' op expected one of ids for each of 3 rows (C2) but got 2}}
  %0 = varve.embed %ids, %t : (tensor<2xi32>, tensor<8x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @embed_codes_without_scales(%ids: tensor<?xi32>, %t: tensor<8x4xf8E4M3FN>) {
  // expected-error @below {{'varve.embed' op operand #1 must be f32, bf16 or f16 weight tensor with static, positive dimensions, but got 'tensor<8x4xf8E4M3FN>'}}
  %0 = varve.embed %ids, %t : (tensor<?xi32>, tensor<8x4xf8E4M3FN>) -> tensor<?x4xf32>
  return
}

// -----

func.func @embed_dynamic_table(%ids: tensor<?xi32>, %t: tensor<?x4xf32>) {
  // expected-error @below {{'varve.embed' op operand #1 must be f32, bf16 or f16 weight tensor with static, positive dimensions, but got 'tensor<?x4xf32>'}}
  %0 = varve.embed %ids, %t : (tensor<?xi32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.stream_expand
//===----------------------------------------------------------------------===//

func.func @expand_streams_again(%x: tensor<?x4x8xf32>) {
  // C1
  // expected-error @below {{'varve.stream_expand' op expected x of rank 2 (T x D, C1) but got rank 3}}
  %0 = varve.stream_expand %x : (tensor<?x4x8xf32>) -> tensor<?x4x8xf32>
  return
}

// -----

func.func @expand_to_another_width(%x: tensor<?x8xf32>) {
  // C1
  // expected-error @below {{'varve.stream_expand' op expected result of shape ?x?x8 (T x n x D, C1) but got ?x4x9}}
  %0 = varve.stream_expand %x : (tensor<?x8xf32>) -> tensor<?x4x9xf32>
  return
}

// -----

func.func @expand_to_another_type(%x: tensor<?x8xf32>) {
  // C1
  // expected-error @below {{'varve.stream_expand' op expected result of element type 'f32' (C1) but got 'bf16'}}
  %0 = varve.stream_expand %x : (tensor<?x8xf32>) -> tensor<?x4x8xbf16>
  return
}

// -----

func.func @expand_to_dynamically_many_streams(%x: tensor<?x8xf32>) {
  // expected-error @below {{'varve.stream_expand' op result #0 must be f32, bf16 or f16 tensor with static, positive dimensions after the first, but got 'tensor<?x?x8xf32>'}}
  %0 = varve.stream_expand %x : (tensor<?x8xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.stream_project
//===----------------------------------------------------------------------===//

func.func @project_one_stream(%X: tensor<?x8xf32>, %fn: tensor<8x16xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C1
  // expected-error @below {{'varve.stream_project' op expected X of rank 3 (T x n x D, C1) but got rank 2}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  return
}

// -----

func.func @project_with_fn_of_rank_3(%X: tensor<?x2x8xf32>, %fn: tensor<8x2x8xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C2
  // expected-error @below {{'varve.stream_project' op expected fn of rank 2 (C2) but got rank 3}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<8x2x8xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  return
}

// -----

func.func @project_with_fn_of_other_rows(%X: tensor<?x2x8xf32>, %fn: tensor<9x16xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C2
  // expected-error @below {{'varve.stream_project' op expected fn of shape 8x16 (C2) but got 9x16}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<9x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  return
}

// -----

func.func @project_with_base_of_another_size(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>, %base: tensor<7xf32>, %scale: tensor<3xf32>) {
  // C2
  // expected-error @below {{'varve.stream_project' op expected base of shape 8 (C2) but got 7}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<7xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  return
}

// -----

func.func @project_head_with_three_scales(%X: tensor<?x2x8xf32>, %fn: tensor<2x16xf32>, %base: tensor<2xf32>, %scale: tensor<3xf32>) {
  // C2
  // expected-error @below {{'varve.stream_project' op expected scale of shape 1 (head form, C2) but got 3}}
  %0 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<2x16xf32>, tensor<2xf32>, tensor<3xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @project_head_with_three_results(%X: tensor<?x2x8xf32>, %fn: tensor<2x16xf32>, %base: tensor<2xf32>, %scale: tensor<1xf32>) {
  // C3
  // expected-error @below {{'varve.stream_project' op expected 1 result for 2 rows of fn (C3)}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<2x16xf32>, tensor<2xf32>, tensor<1xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  return
}

// -----

func.func @project_with_one_result(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C3
  // expected-error @below {{'varve.stream_project' op expected 3 results for 8 rows of fn (C3)}}
  %0 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @project_without_logits(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C3
  // expected-error @below {{'varve.stream_project' op expected 3 results for 8 rows of fn (C3)}}
  %0:2 = "varve.stream_project"(%X, %fn, %base, %scale)
    <{eps = 1.0e-6 : f64, norm_eps = 1.0e-6 : f64, resultSegmentSizes = array<i32: 1, 1, 0>}>
    : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>)
  return
}

// -----

func.func @project_to_pre_of_another_size(%X: tensor<?x2x8xf32>, %fn: tensor<2x16xf32>, %base: tensor<2xf32>, %scale: tensor<1xf32>) {
  // C3
  // expected-error @below {{'varve.stream_project' op expected pre of shape ?x2 (T x n, C3) but got ?x3}}
  %0 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<2x16xf32>, tensor<2xf32>, tensor<1xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @project_to_post_of_another_size(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C3
  // expected-error @below {{'varve.stream_project' op expected post of shape ?x2 (T x n, C3) but got ?x3}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x3xf32>, tensor<?x2x2xf32>)
  return
}

// -----

func.func @project_to_logits_that_are_not_square(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>, %base: tensor<8xf32>, %scale: tensor<3xf32>) {
  // C3
  // expected-error @below {{'varve.stream_project' op expected logits of shape ?x2x2 (T x n x n, C3) but got ?x2x3}}
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x3xf32>)
  return
}

// -----

func.func @project_three_operand_types(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>) {
  // expected-error @below {{expected 4 operand types but got 3}}
  %0 = varve.stream_project %X, %fn, %fn, %fn norm_eps 1.0e-6 eps 1.0e-6 : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8x16xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @project_two_result_types(%X: tensor<?x2x8xf32>, %fn: tensor<8x16xf32>) {
  // expected-error @below {{expected 1 or 3 result types but got 2}}
  %0:2 = varve.stream_project %X, %fn, %fn, %fn norm_eps 1.0e-6 eps 1.0e-6 : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8x16xf32>, tensor<8x16xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>)
  return
}

// -----

func.func @project_with_norm_eps_zero(%X: tensor<?x2x8xf32>, %fn: tensor<2x16xf32>, %base: tensor<2xf32>, %scale: tensor<1xf32>) {
  // expected-error @below {{'varve.stream_project' op attribute 'norm_eps' failed to satisfy constraint: 64-bit float attribute whose value is positive and finite}}
  %0 = varve.stream_project %X, %fn, %base, %scale norm_eps 0.0 eps 1.0e-6
    : (tensor<?x2x8xf32>, tensor<2x16xf32>, tensor<2xf32>, tensor<1xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @project_with_infinite_eps(%X: tensor<?x2x8xf32>, %fn: tensor<2x16xf32>, %base: tensor<2xf32>, %scale: tensor<1xf32>) {
  // expected-error @below {{'varve.stream_project' op attribute 'eps' failed to satisfy constraint: 64-bit float attribute whose value is positive and finite}}
  %0 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 0x7FF0000000000000
    : (tensor<?x2x8xf32>, tensor<2x16xf32>, tensor<2xf32>, tensor<1xf32>) -> tensor<?x2xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.sinkhorn
//===----------------------------------------------------------------------===//

func.func @sinkhorn_of_a_rectangle(%x: tensor<?x4x3xf32>) {
  // C1
  // expected-error @below {{'varve.sinkhorn' op expected equal last two dimensions (C1) but got ?x4x3}}
  %0 = varve.sinkhorn %x iterations 20 eps 1.0e-6 : tensor<?x4x3xf32>
  return
}

// -----

func.func @sinkhorn_of_dynamically_many_rows(%x: tensor<?x4xf32>) {
  // C1
  // expected-error @below {{'varve.sinkhorn' op expected equal last two dimensions (C1) but got ?x4}}
  %0 = varve.sinkhorn %x iterations 20 eps 1.0e-6 : tensor<?x4xf32>
  return
}

// -----

func.func @sinkhorn_of_a_vector(%x: tensor<4xf32>) {
  // C1
  // expected-error @below {{'varve.sinkhorn' op expected equal last two dimensions (C1) but got 4}}
  %0 = varve.sinkhorn %x iterations 20 eps 1.0e-6 : tensor<4xf32>
  return
}

// -----

func.func @sinkhorn_without_iterations(%x: tensor<?x4x4xf32>) {
  // expected-error @below {{'varve.sinkhorn' op attribute 'iterations' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.sinkhorn %x iterations 0 eps 1.0e-6 : tensor<?x4x4xf32>
  return
}

// -----

func.func @sinkhorn_with_eps_zero(%x: tensor<?x4x4xf32>) {
  // expected-error @below {{'varve.sinkhorn' op attribute 'eps' failed to satisfy constraint: 64-bit float attribute whose value is positive and finite}}
  %0 = varve.sinkhorn %x iterations 20 eps 0.0 : tensor<?x4x4xf32>
  return
}

// -----

func.func @sinkhorn_of_another_type(%x: tensor<?x4x4xf32>) {
  // expected-error @below {{'varve.sinkhorn' op requires the same type for all operands and results}}
  %0 = "varve.sinkhorn"(%x) <{iterations = 20 : i64, eps = 1.0e-6 : f64}> : (tensor<?x4x4xf32>) -> tensor<?x5x5xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.stream_collapse
//===----------------------------------------------------------------------===//

func.func @collapse_one_stream(%X: tensor<?x8xf32>, %pre: tensor<?x2xf32>) {
  // C1
  // expected-error @below {{'varve.stream_collapse' op expected X of rank 3 (T x n x D, C1) but got rank 2}}
  %0 = varve.stream_collapse %X, %pre : (tensor<?x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @collapse_with_other_weights(%X: tensor<?x2x8xf32>, %pre: tensor<?x3xf32>) {
  // C1
  // expected-error @below {{'varve.stream_collapse' op expected pre of shape ?x2 (T x n, C1) but got ?x3}}
  %0 = varve.stream_collapse %X, %pre : (tensor<?x2x8xf32>, tensor<?x3xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @collapse_to_another_width(%X: tensor<?x2x8xf32>, %pre: tensor<?x2xf32>) {
  // C1
  // expected-error @below {{'varve.stream_collapse' op expected result of shape ?x8 (T x D, C1) but got ?x9}}
  %0 = varve.stream_collapse %X, %pre : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x9xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.stream_mix
//===----------------------------------------------------------------------===//

func.func @mix_one_stream(%y: tensor<?x8xf32>, %X: tensor<?x8xf32>, %post: tensor<?x2xf32>, %comb: tensor<?x2x2xf32>) {
  // C1
  // expected-error @below {{'varve.stream_mix' op expected X of rank 3 (T x n x D, C1) but got rank 2}}
  %0 = varve.stream_mix %y, %X, %post, %comb : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @mix_y_of_another_width(%y: tensor<?x9xf32>, %X: tensor<?x2x8xf32>, %post: tensor<?x2xf32>, %comb: tensor<?x2x2xf32>) {
  // C1
  // expected-error @below {{'varve.stream_mix' op expected y of shape ?x8 (T x D, C1) but got ?x9}}
  %0 = varve.stream_mix %y, %X, %post, %comb : (tensor<?x9xf32>, tensor<?x2x8xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>) -> tensor<?x2x8xf32>
  return
}

// -----

func.func @mix_with_other_post(%y: tensor<?x8xf32>, %X: tensor<?x2x8xf32>, %post: tensor<?x3xf32>, %comb: tensor<?x2x2xf32>) {
  // C1
  // expected-error @below {{'varve.stream_mix' op expected post of shape ?x2 (T x n, C1) but got ?x3}}
  %0 = varve.stream_mix %y, %X, %post, %comb : (tensor<?x8xf32>, tensor<?x2x8xf32>, tensor<?x3xf32>, tensor<?x2x2xf32>) -> tensor<?x2x8xf32>
  return
}

// -----

func.func @mix_with_other_comb(%y: tensor<?x8xf32>, %X: tensor<?x2x8xf32>, %post: tensor<?x2xf32>, %comb: tensor<?x2x3xf32>) {
  // C1
  // expected-error @below {{'varve.stream_mix' op expected comb of shape ?x2x2 (T x n x n, C1) but got ?x2x3}}
  %0 = varve.stream_mix %y, %X, %post, %comb : (tensor<?x8xf32>, tensor<?x2x8xf32>, tensor<?x2xf32>, tensor<?x2x3xf32>) -> tensor<?x2x8xf32>
  return
}

// -----

func.func @mix_to_another_shape(%y: tensor<?x8xf32>, %X: tensor<?x2x8xf32>, %post: tensor<?x2xf32>, %comb: tensor<?x2x2xf32>) {
  // C1
  // expected-error @below {{'varve.stream_mix' op expected result of shape ?x2x8 (T x n x D, C1) but got ?x8}}
  %0 = varve.stream_mix %y, %X, %post, %comb : (tensor<?x8xf32>, tensor<?x2x8xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>) -> tensor<?x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.take
//===----------------------------------------------------------------------===//

func.func @take_of_a_scalar(%x: tensor<f32>, %rows: tensor<?xi32>) {
  // expected-error @below {{'varve.take' op operand #0 must be f32, bf16 or f16 tensor with static, positive dimensions after the first, but got 'tensor<f32>'}}
  %0 = varve.take %x, %rows : (tensor<f32>, tensor<?xi32>) -> tensor<?xf32>
  return
}

// -----

func.func @take_to_another_width(%x: tensor<?x2x8xf32>, %rows: tensor<3xi32>) {
  // C1
  // expected-error @below {{'varve.take' op expected result of shape 3x2x8 (C1) but got 4x2x8}}
  %0 = varve.take %x, %rows : (tensor<?x2x8xf32>, tensor<3xi32>) -> tensor<4x2x8xf32>
  return
}

// -----

func.func @take_to_another_type(%x: tensor<?x8xf32>, %rows: tensor<?xi32>) {
  // C1
  // expected-error @below {{'varve.take' op expected result of element type 'f32' (C1) but got 'bf16'}}
  %0 = varve.take %x, %rows : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xbf16>
  return
}
