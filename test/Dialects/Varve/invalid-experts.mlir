// What the verifiers of routing, experts and sampling refuse. The labels are
// those of the constraints in VarveExpertOps.td.
//
// RUN: varve-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// varve.route_topk
//===----------------------------------------------------------------------===//

func.func @route_a_vector(%l: tensor<16xf32>) {
  // C1
  // expected-error @below {{'varve.route_topk' op expected logits of rank 2 but got 'tensor<16xf32>'}}
  %0:2 = varve.route_topk %l active 6 scoring softmax scale 1.0 : tensor<16xf32>
  return
}

// -----

func.func @route_a_vector_in_generic_form(%l: tensor<16xf32>) {
  // C1
  // expected-error @+2 {{'varve.route_topk' op expected logits of rank 2 but got 'tensor<16xf32>'}}
  // expected-error @below {{'varve.route_topk' op failed to infer returned types}}
  %0:2 = "varve.route_topk"(%l) <{active = 6 : i64, scoring = 2 : i32, scale = 1.0 : f64}> : (tensor<16xf32>) -> (tensor<?x6xi32>, tensor<?x6xf32>)
  return
}

// -----

func.func @route_a_memref(%l: memref<4x16xf32>) {
  // expected-error @below {{'varve.route_topk' op expected logits of rank 2 but got 'memref<4x16xf32>'}}
  %0:2 = varve.route_topk %l active 6 scoring softmax scale 1.0 : memref<4x16xf32>
  return
}

// -----

func.func @route_with_bias_of_another_size(%l: tensor<?x16xf32>, %b: tensor<15xf32>) {
  // C1
  // expected-error @below {{'varve.route_topk' op expected bias of shape 16 (X, C1) but got 15}}
  %0:2 = varve.route_topk %l bias %b active 6 scoring softmax scale 1.0 : tensor<?x16xf32>, tensor<15xf32>
  return
}

// -----

func.func @route_to_more_experts_than_there_are(%l: tensor<?x16xf32>) {
  // C2
  // expected-error @below {{'varve.route_topk' op expected at most 16 active experts (C2) but got 17}}
  %0:2 = varve.route_topk %l active 17 scoring softmax scale 1.0 : tensor<?x16xf32>
  return
}

// -----

func.func @route_to_no_expert(%l: tensor<?x16xf32>) {
  // expected-error @below {{'varve.route_topk' op expected a positive i32 number as active but got 0}}
  %0:2 = varve.route_topk %l active 0 scoring softmax scale 1.0 : tensor<?x16xf32>
  return
}

// -----

func.func @route_to_negative_experts_in_generic_form(%l: tensor<?x16xf32>) {
  // expected-error @below {{'varve.route_topk' op attribute 'active' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0:2 = "varve.route_topk"(%l) <{active = -6 : i64, scoring = 2 : i32, scale = 1.0 : f64}> : (tensor<?x16xf32>) -> (tensor<?x6xi32>, tensor<?x6xf32>)
  return
}

// -----

func.func @route_to_inferred_types_only(%l: tensor<?x16xf32>) {
  // C1
  // expected-error @+2 {{'varve.route_topk' op inferred type(s) 'tensor<?x6xi32>', 'tensor<?x6xf32>' are incompatible with return type(s) of operation 'tensor<?x5xi32>', 'tensor<?x6xf32>'}}
  // expected-error @below {{'varve.route_topk' op failed to infer returned types}}
  %0:2 = "varve.route_topk"(%l) <{active = 6 : i64, scoring = 2 : i32, scale = 1.0 : f64}> : (tensor<?x16xf32>) -> (tensor<?x5xi32>, tensor<?x6xf32>)
  return
}

// -----

func.func @route_by_unknown_score(%l: tensor<?x16xf32>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'scoring' [sqrt_softplus, sigmoid, softmax]}}
  %0:2 = varve.route_topk %l active 6 scoring relu scale 1.0 : tensor<?x16xf32>
  return
}

// -----

func.func @route_with_infinite_scale(%l: tensor<?x16xf32>) {
  // expected-error @below {{'varve.route_topk' op attribute 'scale' failed to satisfy constraint: 64-bit float attribute whose value is finite}}
  %0:2 = varve.route_topk %l active 6 scoring softmax scale 0x7FF0000000000000 : tensor<?x16xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.route_hash
//===----------------------------------------------------------------------===//

func.func @hash_a_vector(%l: tensor<16xf32>, %ids: tensor<?xi32>, %t: tensor<8x6xi64>) {
  // C1
  // expected-error @below {{'varve.route_hash' op expected logits of rank 2 but got 'tensor<16xf32>'}}
  %0:2 = varve.route_hash %l, %ids, %t scoring softmax scale 1.0 : tensor<16xf32>, tensor<?xi32>, tensor<8x6xi64>
  return
}

// -----

func.func @hash_with_table_of_rank_1(%l: tensor<?x16xf32>, %ids: tensor<?xi32>, %t: tensor<8xi64>) {
  // C1
  // expected-error @below {{'varve.route_hash' op expected table of rank 2 but got 'tensor<8xi64>'}}
  %0:2 = varve.route_hash %l, %ids, %t scoring softmax scale 1.0 : tensor<?x16xf32>, tensor<?xi32>, tensor<8xi64>
  return
}

// -----

func.func @hash_with_missing_ids(%l: tensor<3x16xf32>, %ids: tensor<2xi32>, %t: tensor<8x6xi64>) {
  // C1
  // expected-error @below {{'varve.route_hash' op expected one of token_ids for each of 3 rows (C1) but got 2}}
  %0:2 = varve.route_hash %l, %ids, %t scoring softmax scale 1.0 : tensor<3x16xf32>, tensor<2xi32>, tensor<8x6xi64>
  return
}

// -----

func.func @hash_to_more_experts_than_there_are(%l: tensor<?x4xf32>, %ids: tensor<?xi32>, %t: tensor<8x6xi64>) {
  // C2
  // expected-error @below {{'varve.route_hash' op expected at most 4 active experts (C2) but got 6}}
  %0:2 = varve.route_hash %l, %ids, %t scoring softmax scale 1.0 : tensor<?x4xf32>, tensor<?xi32>, tensor<8x6xi64>
  return
}

// -----

func.func @hash_with_table_of_numbers(%l: tensor<?x16xf32>, %ids: tensor<?xi32>, %t: tensor<8x6xf32>) {
  // expected-error @below {{'varve.route_hash' op operand #2 must be i64 or i32 routing table with static, positive dimensions, but got 'tensor<8x6xf32>'}}
  %0:2 = varve.route_hash %l, %ids, %t scoring softmax scale 1.0 : tensor<?x16xf32>, tensor<?xi32>, tensor<8x6xf32>
  return
}

// -----

func.func @hash_with_scale_nan(%l: tensor<?x16xf32>, %ids: tensor<?xi32>, %t: tensor<8x6xi64>) {
  // expected-error @below {{'varve.route_hash' op attribute 'scale' failed to satisfy constraint: 64-bit float attribute whose value is finite}}
  %0:2 = varve.route_hash %l, %ids, %t scoring softmax scale 0x7FF8000000000000 : tensor<?x16xf32>, tensor<?xi32>, tensor<8x6xi64>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.experts
//===----------------------------------------------------------------------===//

func.func @experts_by_ids_of_rank_1(%x: tensor<?x8xf32>, %ids: tensor<?xi32>, %w: tensor<16x4x8xf32>) {
  // C1
  // expected-error @below {{'varve.experts' op expected ids of rank 2 (T x A, C1) but got rank 1}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x8xf32>, tensor<?xi32>, tensor<16x4x8xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_of_one_matrix(%x: tensor<?x8xf32>, %ids: tensor<?x6xi32>, %w: tensor<4x8xf32>) {
  // C1
  // expected-error @below {{'varve.experts' op expected weight of rank 3 (X x N x K, C1) but got rank 2}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x8xf32>, tensor<?x6xi32>, tensor<4x8xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_of_other_columns(%x: tensor<?x9xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf32>) {
  // C1
  // expected-error @below {{'varve.experts' op expected x of shape ?x8 (T x K, C1) but got ?x9}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x9xf32>, tensor<?x6xi32>, tensor<16x4x8xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_of_x_for_other_experts(%x: tensor<?x5x8xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf32>) {
  // C1
  // expected-error @below {{'varve.experts' op expected x of shape ?x6x8 (T x A x K, C1) but got ?x5x8}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x5x8xf32>, tensor<?x6xi32>, tensor<16x4x8xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_to_a_sum(%x: tensor<?x8xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf32>) {
  // C1
  // expected-error @below {{'varve.experts' op expected result of shape ?x6x4 (T x A x N, C1) but got ?x4}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x8xf32>, tensor<?x6xi32>, tensor<16x4x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @experts_more_than_there_are(%x: tensor<?x8xf32>, %ids: tensor<?x6xi32>, %w: tensor<5x4x8xf32>) {
  // C1
  // expected-error @below {{'varve.experts' op expected at most 5 active experts (C1) but got 6}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x8xf32>, tensor<?x6xi32>, tensor<5x4x8xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_of_codes_without_scales(%x: tensor<?x8xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf4E2M1FN>) {
  // C2
  // expected-error @below {{'varve.experts' op expected scales for weight exactly when its element type is f8E4M3FN or f4E2M1FN (C2) but got 'f4E2M1FN' without scales}}
  %0 = varve.experts %x, %ids, %w : (tensor<?x8xf32>, tensor<?x6xi32>, tensor<16x4x8xf4E2M1FN>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_in_empty_blocks(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x2xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf4E2M1FN>, %ws: tensor<16x4x2xf32>) {
  // expected-error @below {{'varve.experts' op attribute 'x_block' failed to satisfy constraint: 64-bit signless integer attribute whose value is a positive i32 number}}
  %0 = varve.experts %x scaled %xs by 0, %ids, %w scaled %ws by [1, 4]
    : (tensor<?x8xf8E4M3FN>, tensor<?x2xf32>, tensor<?x6xi32>, tensor<16x4x8xf4E2M1FN>, tensor<16x4x2xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_with_other_scales_of_x(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x1xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf4E2M1FN>, %ws: tensor<16x4x2xf32>) {
  // C3
  // expected-error @below {{'varve.experts' op expected x_scale of shape ?x2 (C3) but got ?x1}}
  %0 = varve.experts %x scaled %xs by 4, %ids, %w scaled %ws by [1, 4]
    : (tensor<?x8xf8E4M3FN>, tensor<?x1xf32>, tensor<?x6xi32>, tensor<16x4x8xf4E2M1FN>, tensor<16x4x2xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_with_scales_of_one_expert(%x: tensor<?x8xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xf4E2M1FN>, %ws: tensor<4x2xf32>) {
  // C3
  // expected-error @below {{'varve.experts' op expected weight_scale of shape 16x4x2 (C3) but got 4x2}}
  %0 = varve.experts %x, %ids, %w scaled %ws by [1, 4]
    : (tensor<?x8xf32>, tensor<?x6xi32>, tensor<16x4x8xf4E2M1FN>, tensor<4x2xf32>) -> tensor<?x6x4xf32>
  return
}

// -----

func.func @experts_of_codes_with_plain_weight(%x: tensor<?x8xf8E4M3FN>, %xs: tensor<?x2xf32>, %ids: tensor<?x6xi32>, %w: tensor<16x4x8xbf16>) {
  // C4
  // expected-error @below {{'varve.experts' op expected weight codes for codes of x (C4) but got 'bf16'}}
  %0 = varve.experts %x scaled %xs by 4, %ids, %w
    : (tensor<?x8xf8E4M3FN>, tensor<?x2xf32>, tensor<?x6xi32>, tensor<16x4x8xbf16>) -> tensor<?x6x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.swiglu
//===----------------------------------------------------------------------===//

func.func @swiglu_of_a_vector(%g: tensor<?xf32>) {
  // C1
  // expected-error @below {{'varve.swiglu' op expected gate of rank 2 or more (C1) but got rank 1}}
  %0 = varve.swiglu %g, %g limit 0.0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @swiglu_with_up_of_another_shape(%g: tensor<?x8xf32>, %u: tensor<?x9xf32>) {
  // C1
  // expected-error @below {{'varve.swiglu' op expected up of shape ?x8 (C1) but got ?x9}}
  %0 = varve.swiglu %g, %u limit 0.0 : (tensor<?x8xf32>, tensor<?x9xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @swiglu_to_another_shape(%g: tensor<?x8xf32>) {
  // C1
  // expected-error @below {{'varve.swiglu' op expected result of shape ?x8 (C1) but got ?x2x4}}
  %0 = varve.swiglu %g, %g limit 0.0 : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x2x4xf32>
  return
}

// -----

func.func @swiglu_weighted_per_element(%g: tensor<?x6x8xf32>, %w: tensor<?x6x8xf32>) {
  // C2
  // expected-error @below {{'varve.swiglu' op expected weights of shape ?x6 (C2) but got ?x6x8}}
  %0 = varve.swiglu %g, %g weights %w limit 0.0 : (tensor<?x6x8xf32>, tensor<?x6x8xf32>, tensor<?x6x8xf32>) -> tensor<?x6x8xf32>
  return
}

// -----

func.func @swiglu_with_negative_limit(%g: tensor<?x8xf32>) {
  // C3
  // expected-error @below {{'varve.swiglu' op expected a limit that is not negative (C3) but got -1.000000e+00}}
  %0 = varve.swiglu %g, %g limit -1.0 : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @swiglu_with_limit_nan(%g: tensor<?x8xf32>) {
  // expected-error @below {{'varve.swiglu' op attribute 'limit' failed to satisfy constraint: 64-bit float attribute whose value is finite}}
  %0 = varve.swiglu %g, %g limit 0x7FF8000000000000 : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.combine
//===----------------------------------------------------------------------===//

func.func @combine_one_expert(%x: tensor<?x8xf32>, %ids: tensor<?x6xi32>) {
  // C1
  // expected-error @below {{'varve.combine' op expected x of rank 3 (T x A x D, C1) but got rank 2}}
  %0 = varve.combine %x, %ids : (tensor<?x8xf32>, tensor<?x6xi32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @combine_by_other_ids(%x: tensor<?x6x8xf32>, %ids: tensor<?x5xi32>) {
  // C1
  // expected-error @below {{'varve.combine' op expected ids of shape ?x6 (T x A, C1) but got ?x5}}
  %0 = varve.combine %x, %ids : (tensor<?x6x8xf32>, tensor<?x5xi32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @combine_with_shared_of_another_width(%x: tensor<?x6x8xf32>, %ids: tensor<?x6xi32>, %s: tensor<?x9xf32>) {
  // C1
  // expected-error @below {{'varve.combine' op expected shared of shape ?x8 (T x D, C1) but got ?x9}}
  %0 = varve.combine %x, %ids shared %s : (tensor<?x6x8xf32>, tensor<?x6xi32>, tensor<?x9xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @combine_to_another_width(%x: tensor<?x6x8xf32>, %ids: tensor<?x6xi32>) {
  // C1
  // expected-error @below {{'varve.combine' op expected result of shape ?x8 (T x D, C1) but got ?x9}}
  %0 = varve.combine %x, %ids : (tensor<?x6x8xf32>, tensor<?x6xi32>) -> tensor<?x9xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// varve.sample
//===----------------------------------------------------------------------===//

func.func @sample_a_vector(%l: tensor<8xf32>) {
  // C1
  // expected-error @below {{'varve.sample' op expected logits of rank 2 but got 'tensor<8xf32>'}}
  %0 = varve.sample %l temperature 0.0 : tensor<8xf32>
  return
}

// -----

func.func @sample_hot_without_uniform(%l: tensor<?x8xf32>) {
  // C1
  // expected-error @below {{'varve.sample' op expected 'uniform' exactly when the temperature is positive (C1)}}
  %0 = varve.sample %l temperature 1.0 : tensor<?x8xf32>
  return
}

// -----

func.func @sample_cold_with_uniform(%l: tensor<?x8xf32>, %u: tensor<?xf32>) {
  // C1
  // expected-error @below {{'varve.sample' op expected 'uniform' exactly when the temperature is positive (C1)}}
  %0 = varve.sample %l uniform %u temperature 0.0 : tensor<?x8xf32>, tensor<?xf32>
  return
}

// -----

func.func @sample_with_missing_uniform(%l: tensor<3x8xf32>, %u: tensor<2xf32>) {
  // C1
  // expected-error @below {{'varve.sample' op expected uniform of shape 3 (R, C1) but got 2}}
  %0 = varve.sample %l uniform %u temperature 1.0 : tensor<3x8xf32>, tensor<2xf32>
  return
}

// -----

func.func @sample_below_zero(%l: tensor<?x8xf32>) {
  // C2
  // expected-error @below {{'varve.sample' op expected a temperature that is not negative (C2) but got -1.000000e+00}}
  %0 = varve.sample %l temperature -1.0 : tensor<?x8xf32>
  return
}

// -----

func.func @sample_infinitely_hot(%l: tensor<?x8xf32>, %u: tensor<?xf32>) {
  // expected-error @below {{'varve.sample' op attribute 'temperature' failed to satisfy constraint: 64-bit float attribute whose value is finite}}
  %0 = varve.sample %l uniform %u temperature 0x7FF0000000000000 : tensor<?x8xf32>, tensor<?xf32>
  return
}

// -----

func.func @sample_from_nothing(%l: tensor<?x8xf32>, %u: tensor<?xf32>) {
  // C2
  // expected-error @below {{'varve.sample' op expected top_p above 0 and at most 1 (C2) but got 0.000000e+00}}
  %0 = varve.sample %l uniform %u temperature 1.0 top_p 0.0 : tensor<?x8xf32>, tensor<?xf32>
  return
}

// -----

func.func @sample_from_more_than_all(%l: tensor<?x8xf32>, %u: tensor<?xf32>) {
  // C2
  // expected-error @below {{'varve.sample' op expected top_p above 0 and at most 1 (C2) but got 1.500000e+00}}
  %0 = varve.sample %l uniform %u temperature 1.0 top_p 1.5 : tensor<?x8xf32>, tensor<?xf32>
  return
}
