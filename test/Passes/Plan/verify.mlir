// RUN: varve-opt %s --plan-verify --split-input-file --verify-diagnostics

tile.func private @copy(%x: !tile.view<?xf32>, %y: !tile.view<?xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %i = tile.program_id 0
  %t = tile.load %x[%i] : !tile.view<?xf32> -> tensor<16xf32>
  tile.store %t, %y[%i] : tensor<16xf32> -> !tile.view<?xf32>
  tile.return
}

plan.func @scratch_is_written_in_each_case(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  %a = plan.alloc : !plan.tensor<tokens x f32>
  plan.when tokens in [1, 32] {
    plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [33, inf] {
    plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [1, 16] {
    plan.launch @copy(%a, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [17, inf] {
    plan.launch @copy(%a, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.return
}

// -----

tile.func private @copy(%x: !tile.view<?xf32>, %y: !tile.view<?xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %i = tile.program_id 0
  %n = tile.dim %x, 0 : !tile.view<?xf32>
  %w = tile.subview %y[%i] sizes [%n] : !tile.view<?xf32> -> !tile.view<?xf32>
  %t = tile.load %x[%i] : !tile.view<?xf32> -> tensor<16xf32>
  tile.store %t, %w[%i] : tensor<16xf32> -> !tile.view<?xf32>
  tile.return
}

plan.func @scratch_of_the_case_only(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  // expected-note @below {{its memory is from here}}
  %a = plan.alloc : !plan.tensor<tokens x f32>
  plan.when tokens in [1, 32] {
    plan.launch @copy(%x, %a) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [33, inf] {
  }
  plan.when tokens in [1, 33] {
    // expected-error @below {{'plan.launch' op reads argument 0, which nothing has written in this case (P2)}}
    plan.launch @copy(%a, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [34, inf] {
    plan.launch @copy(%x, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.return
}

// -----

tile.func private @copy(%x: !tile.view<?xf32>, %y: !tile.view<?xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %i = tile.program_id 0
  %t = tile.load %x[%i] : !tile.view<?xf32> -> tensor<16xf32>
  tile.store %t, %y[%i] : tensor<16xf32> -> !tile.view<?xf32>
  tile.return
}

plan.func @unwritten_scratch(%y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  // expected-note @below {{its memory is from here}}
  %a = plan.alloc : !plan.tensor<tokens x f32>
  // expected-error @below {{'plan.launch' op reads argument 0, which nothing has written (P2)}}
  plan.launch @copy(%a, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.return
}

plan.func @output_as_input(%y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output},
    %z: !plan.tensor<tokens x f32> {plan.name = "z", plan.output}) {
  // expected-error @below {{'plan.launch' op reads argument 0, which nothing has written (P2)}}
  plan.launch @copy(%y, %z) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.launch @copy(%z, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  plan.return
}

plan.func @written_constants(%x: !plan.tensor<4 x f32> {plan.name = "x"},
    %y: !plan.tensor<4 x f32> {plan.name = "y", plan.output}) {
  %w = plan.weight "w" : !plan.tensor<4 x f32>
  // expected-error @below {{'plan.launch' op writes argument 1, which is the weight 'w' (P3)}}
  plan.launch @copy(%x, %w) : !plan.tensor<4 x f32>, !plan.tensor<4 x f32>
  // expected-error @below {{'plan.launch' op writes argument 1, which is the input 'x' (P3)}}
  plan.launch @copy(%w, %x) : !plan.tensor<4 x f32>, !plan.tensor<4 x f32>
  plan.launch @copy(%w, %y) : !plan.tensor<4 x f32>, !plan.tensor<4 x f32>
  plan.return
}

// expected-error @below {{'plan.func' op expected output 'y' to be written in every case (P4)}}
plan.func @unwritten_output(%x: !plan.tensor<tokens x f32> {plan.name = "x"},
    %y: !plan.tensor<tokens x f32> {plan.name = "y", plan.output}) {
  plan.when tokens in [1, 32] {
    plan.launch @copy(%x, %y) : !plan.tensor<tokens x f32>, !plan.tensor<tokens x f32>
  }
  plan.when tokens in [33, inf] {
  }
  plan.return
}

// -----

plan.func private @cases_leave_a_gap() {
  // expected-error @below {{'plan.when' op expected this and the cases behind it to hold every number from 1 on (P1)}}
  plan.when tokens in [1, 32] {
  }
  plan.when tokens in [34, inf] {
  }
  plan.return
}

plan.func private @cases_overlap() {
  // expected-note @below {{the other case is here}}
  plan.when tokens in [1, 32] {
  }
  // expected-error @below {{'plan.when' op expected cases of one choice to be disjoint (P1)}}
  plan.when tokens in [32, inf] {
  }
  plan.return
}

plan.func private @one_choice_behind_another() {
  plan.when tokens in [33, inf] {
  }
  plan.when tokens in [1, 32] {
  }
  plan.when tokens in [1, 8] {
  }
  plan.when tokens in [9, inf] {
  }
  plan.when rows in [0, inf] {
  }
  plan.return
}

// -----

tile.func private @copy(%x: !tile.view<?x4xi8, strides = [16, 1]>, %y: !tile.view<?x4xi8, strides = [16, 1]>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %i = tile.program_id 0
  %t = tile.load %x[%i, %i] : !tile.view<?x4xi8, strides = [16, 1]> -> tensor<16x4xi8>
  tile.store %t, %y[%i, %i] : tensor<16x4xi8> -> !tile.view<?x4xi8, strides = [16, 1]>
  tile.return
}

plan.pool @state state size 8 : !plan.tensor<[8 slots] x 16 x i8>

plan.func private @columns_of_rows_may_overlap() {
  %a = plan.pool_memory @state : !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>
  %b = plan.pool_memory @state offset 4 : !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>
  %c = plan.pool_memory @state offset 6 : !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>
  plan.launch @copy(%a, %b) : !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>, !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>
  // expected-error @below {{'plan.launch' op writes argument 1, which overlaps with argument 0 (P5)}}
  plan.launch @copy(%b, %c) : !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>, !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>
  // expected-error @below {{'plan.launch' op writes argument 1, which overlaps with argument 0 (P5)}}
  plan.launch @copy(%a, %a) : !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>, !plan.tensor<[8 slots] x 4 x i8, strides = [16, 1]>
  plan.return
}
