// RUN: varve-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'plan.func' op expected argument 0 of a public function to be a plan tensor (C1) but got 'i32'}}
plan.func @scalar_of_a_program(%n: i32 {plan.name = "n"}) { plan.return }

// -----

// expected-error @below {{'plan.func' op expected argument 0 to be a plan tensor or a scalar (C1) but got 'tensor<4xf32>'}}
plan.func private @builtin_tensor(%n: tensor<4xf32>) { plan.return }

// -----

// expected-error @below {{'plan.func' op expected no results (C1) but got 1}}
plan.func private @result() -> i32 { plan.return }

// -----

// expected-error @below {{'plan.func' op region #0 ('body') failed to verify constraint: region with 1 blocks}}
plan.func private @two_blocks() {
  cf.br ^bb1
^bb1:
  plan.return
}

// -----

// expected-error @below {{'plan.func' op expected argument 0 of a public function to have a plan.name (C3)}}
plan.func @argument_without_name(%x: !plan.tensor<4 x f32>) { plan.return }

// -----

// expected-error @below {{'plan.func' op expected arguments with different names (C3) but two are 'x'}}
plan.func @same_name(%x: !plan.tensor<4 x f32> {plan.name = "x"}, %y: !plan.tensor<4 x f32> {plan.name = "x"}) { plan.return }

// -----

// expected-error @below {{'plan.func' op expected a public function to have an argument with plan.output (C4)}}
plan.func @no_output(%x: !plan.tensor<4 x f32> {plan.name = "x"}) { plan.return }

// -----

tile.func private @k() grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @call_of_a_kernel() {
  // expected-error @below {{'plan.call' op expected @k to be a plan.func (C1)}}
  plan.call @k()
  plan.return
}

// -----

// expected-note @below {{the function is here}}
plan.func private @part(%x: !plan.tensor<4 x f32>) { plan.return }
plan.func private @call_with_wrong_types(%x: !plan.tensor<8 x f32>) {
  // expected-error @below {{'plan.call' op expected arguments of types ('!plan.tensor<4 x f32>') (C2) but got ('!plan.tensor<8 x f32>')}}
  plan.call @part(%x) : !plan.tensor<8 x f32>
  plan.return
}

// -----

plan.func private @part() { plan.return }
plan.func private @launch_of_a_function() {
  // expected-error @below {{'plan.launch' op expected @part to be a kernel of this module (C1)}}
  plan.launch @part()
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<4xf32>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @too_few_arguments() {
  // expected-error @below {{'plan.launch' op expected 1 arguments for kernel @k (C2) but got 0}}
  plan.launch @k()
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<4xf32>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @wrong_element_type(%x: !plan.tensor<4 x bf16>) {
  // expected-error @below {{'plan.launch' op expected argument 0 to fit '!tile.view<4xf32>' (C3) but got '!plan.tensor<4 x bf16>'}}
  plan.launch @k(%x) : !plan.tensor<4 x bf16>
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<4xf32>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @wrong_rank(%x: !plan.tensor<4 x 1 x f32>) {
  // expected-error @below {{'plan.launch' op expected argument 0 to fit '!tile.view<4xf32>' (C3)}}
  plan.launch @k(%x) : !plan.tensor<4 x 1 x f32>
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<?x4xf32>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @wrong_size(%x: !plan.tensor<tokens x 5 x f32>) {
  // expected-error @below {{'plan.launch' op expected argument 0 to fit '!tile.view<?x4xf32>' (C3) but got '!plan.tensor<tokens x 5 x f32>': size 1}}
  plan.launch @k(%x) : !plan.tensor<tokens x 5 x f32>
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<?x4xf32>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @strided_for_dense(%x: !plan.tensor<tokens x 4 x f32, strides = [8, 1]>) {
  // expected-error @below {{'plan.launch' op expected argument 0 to fit '!tile.view<?x4xf32>' (C3) but got '!plan.tensor<tokens x 4 x f32, strides = [8, 1]>': stride 0}}
  plan.launch @k(%x) : !plan.tensor<tokens x 4 x f32, strides = [8, 1]>
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<?x4xf32, strides = [8, 1]>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @wrong_stride(%x: !plan.tensor<tokens x 4 x f32>) {
  // expected-error @below {{'plan.launch' op expected argument 0 to fit '!tile.view<?x4xf32, strides = [8, 1]>' (C3) but got '!plan.tensor<tokens x 4 x f32>': stride 0}}
  plan.launch @k(%x) : !plan.tensor<tokens x 4 x f32>
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<?x?x?xf32, strides = [?, ?, 1]>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @stride_is_a_product(%x: !plan.tensor<4 x tokens x slots x f32>) {
  // expected-error @below {{'plan.launch' op expected argument 0 to fit '!tile.view<?x?x?xf32, strides = [?, ?, 1]>' (C4) but got '!plan.tensor<4 x tokens x slots x f32>': stride 0}}
  plan.launch @k(%x) : !plan.tensor<4 x tokens x slots x f32>
  plan.return
}

// -----

tile.func private @k(%x: !tile.view<4xf32>) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @scalar_for_a_view(%x: f32) {
  // expected-error @below {{'plan.launch' op expected argument 0 of type '!tile.view<4xf32>' (C3) but got 'f32'}}
  plan.launch @k(%x) : f32
  plan.return
}

// -----

tile.func private @k(%n: i32) grid affine_map<() -> (1)> [] warps 1 { tile.return }
plan.func private @wrong_scalar(%n: i64) {
  // expected-error @below {{'plan.launch' op expected argument 0 of type 'i32' (C5) but got 'i64'}}
  plan.launch @k(%n) : i64
  plan.return
}

// -----

plan.func private @empty_interval() {
  // expected-error @below {{'plan.when' op expected high to be at least low (C1) but got [33, 32]}}
  plan.when tokens in [33, 32] {
  }
  plan.return
}

// -----

plan.func private @negative_interval() {
  // expected-error @below {{attribute 'low' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  plan.when tokens in [-1, 32] {
  }
  plan.return
}

// -----

plan.func private @constant_choice() {
  // expected-error @below {{'plan.when' op expected a value that depends on a size (C2) but got #plan.linear<4>}}
  plan.when 4 in [1, 32] {
  }
  plan.return
}
