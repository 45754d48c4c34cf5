// RUN: varve-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{expected a tensor of rank 1 to 6 (C1) but got rank 0}}
plan.func private @rank_zero(%x: !plan.tensor<f32>) { plan.return }

// -----

// expected-error @below {{expected a tensor of rank 1 to 6 (C1) but got rank 7}}
plan.func private @rank_seven(%x: !plan.tensor<1 x 1 x 1 x 1 x 1 x 1 x 1 x f32>) { plan.return }

// -----

// expected-error @below {{expected no negative number in size 1 (C2) but got -1}}
plan.func private @negative_size(%x: !plan.tensor<4 x [tokens - 1] x f32>) { plan.return }

// -----

// expected-error @below {{expected an element type that memory can hold (i8 to i64, bf16, f16, f32, f64, 8- and 4-bit floats, C3) but got 'index'}}
plan.func private @element_type(%x: !plan.tensor<4 x index>) { plan.return }

// -----

// expected-error @below {{expected one stride per dimension (2, C4) but got 1}}
plan.func private @too_few_strides(%x: !plan.tensor<4 x 4 x f32, strides = [4]>) { plan.return }

// -----

// expected-error @below {{expected strides that are not negative (C4) but got -1}}
plan.func private @negative_stride(%x: !plan.tensor<4 x f32, strides = [-1]>) { plan.return }

// -----

// expected-error @below {{expected the last size of a tensor of 4-bit elements to be constant and even (C5)}}
plan.func private @odd_row_of_packed_elements(%x: !plan.tensor<4 x 3 x f4E2M1FN>) { plan.return }

// -----

// expected-error @below {{expected the last size of a tensor of 4-bit elements to be constant and even (C5)}}
plan.func private @run_time_row_of_packed_elements(%x: !plan.tensor<4 x tokens x f4E2M1FN>) { plan.return }

// -----

// expected-error @below {{expected stride 1 in the last dimension of a tensor of 4-bit elements (C5) but got 2}}
plan.func private @spread_packed_elements(%x: !plan.tensor<4 x 4 x f4E2M1FN, strides = [8, 2]>) { plan.return }

// -----

// expected-error @below {{expected even strides in a tensor of 4-bit elements (C5) but got 7}}
plan.func private @odd_stride_of_packed_rows(%x: !plan.tensor<4 x 4 x f4E2M1FN, strides = [7, 1]>) { plan.return }

// -----

// expected-error @below {{expected a number or one of the sizes tokens, rows, slots, pages, sequence_pages, max_tokens}}
plan.func private @unknown_symbol(%x: !plan.tensor<[token] x f32>) { plan.return }

// -----

// expected-error @below {{expected 'x' behind a size}}
plan.func private @no_separator(%x: !plan.tensor<4, f32>) { plan.return }

// -----

// expected-error @below {{number does not fit 64 bits}}
plan.func private @too_large() attributes {a = #plan.linear<[9223372036854775807 + 1]>} { plan.return }

// -----

// expected-error @below {{expected a size: a number, a name, or a sum in brackets}}
plan.func private @no_size() attributes {a = #plan.linear<x>} { plan.return }
