// RUN: varve-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'plan.pool' op expected a size in a window pool (C1)}}
plan.pool @window_without_size window : !plan.tensor<[128 slots + max_tokens] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected no size in an entries pool (C1)}}
plan.pool @entries_with_size entries size 4 ratio 4 page 256 : !plan.tensor<[64 pages] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected ratio and page in an entries pool (C1)}}
plan.pool @entries_without_page entries ratio 4 : !plan.tensor<[64 pages] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected no ratio and no page in a state pool (C1)}}
plan.pool @state_with_ratio state size 4 ratio 4 : !plan.tensor<[4 slots] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected ratio to divide page (C2) but got 3 and 256}}
plan.pool @ratio_beside_page entries ratio 3 page 256 : !plan.tensor<[64 pages] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected a dense tensor whose first size is #plan.linear<[128 slots + max_tokens]> (C3) but got '!plan.tensor<[128 slots] x 512 x f32>'}}
plan.pool @window_without_staging window size 128 : !plan.tensor<[128 slots] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected a dense tensor whose first size is #plan.linear<[64 pages]> (C3) but got}}
plan.pool @entries_of_tokens entries ratio 4 page 256 : !plan.tensor<[256 pages] x 512 x f32>

// -----

// expected-error @below {{'plan.pool' op expected a dense tensor whose first size is #plan.linear<[8 slots]> (C3) but got}}
plan.pool @strided_state state size 8 : !plan.tensor<[8 slots] x 512 x f32, strides = [1024, 1]>

// -----

// expected-error @below {{'plan.pool' op expected rows of constant size (C3) but got}}
plan.pool @ragged_state state size 8 : !plan.tensor<[8 slots] x tokens x f32>

// -----

plan.func private @missing_pool() {
  // expected-error @below {{'plan.pool_memory' op expected @nowhere to be a plan.pool (C1)}}
  %m = plan.pool_memory @nowhere : !plan.tensor<4 x f32>
  plan.return
}

// -----

plan.pool @state state size 8 : !plan.tensor<[8 slots] x 512 x f32>
plan.func private @beyond_the_pool() {
  // expected-error @below {{'plan.pool_memory' op expected '!plan.tensor<[8 slots] x 512 x f32>' to end within the pool (C2), which has #plan.linear<[16384 slots]> bytes, but it ends at #plan.linear<[16384 slots + 4]>}}
  %m = plan.pool_memory @state offset 4 : !plan.tensor<[8 slots] x 512 x f32>
  plan.return
}

// -----

plan.pool @state state size 8 : !plan.tensor<[8 slots] x 512 x f32>
plan.func private @steps_have_no_bound_in_slots() {
  // expected-error @below {{'plan.pool_memory' op expected '!plan.tensor<tokens x 512 x f32>' to end within the pool (C2)}}
  %m = plan.pool_memory @state : !plan.tensor<tokens x 512 x f32>
  plan.return
}

// -----

plan.pool @state state size 8 : !plan.tensor<[8 slots] x 512 x f32>
plan.func private @before_the_pool() {
  // expected-error @below {{'plan.pool_memory' op expected an offset that is never negative (C2) but got #plan.linear<-4>}}
  %m = plan.pool_memory @state offset -4 : !plan.tensor<1 x f32>
  plan.return
}

// -----

plan.func private @weight_without_name() {
  // expected-error @below {{'plan.weight' op expected a name that is not empty and has at most one '*' (C1) but got ''}}
  %w = plan.weight "" : !plan.tensor<4 x f32>
  plan.return
}

// -----

plan.func private @weight_with_two_stars() {
  // expected-error @below {{'plan.weight' op expected a name that is not empty and has at most one '*' (C1) but got 'a.*.*'}}
  %w = plan.weight "a.*.*" : !plan.tensor<4 x f32>
  plan.return
}

// -----

plan.func private @weight_of_run_time_size() {
  // expected-error @below {{'plan.weight' op expected a dense tensor of constant sizes (C2) but got '!plan.tensor<tokens x f32>'}}
  %w = plan.weight "a" : !plan.tensor<tokens x f32>
  plan.return
}

// -----

plan.func private @stack_without_experts() {
  // expected-error @below {{'plan.weight' op expected a stacked weight to have rank 2 or more (C2) but got '!plan.tensor<4 x f32>'}}
  %w = plan.weight "a.*" : !plan.tensor<4 x f32>
  plan.return
}

// -----

plan.func private @alloc_of_square_size() {
  // expected-error @below {{'plan.alloc' op expected a dense tensor whose bytes are linear in the sizes (C1) but got '!plan.tensor<tokens x tokens x f32>'}}
  %a = plan.alloc : !plan.tensor<tokens x tokens x f32>
  plan.return
}

// -----

plan.func private @strided_alloc() {
  // expected-error @below {{'plan.alloc' op expected a dense tensor whose bytes are linear in the sizes (C1) but got}}
  %a = plan.alloc : !plan.tensor<4 x f32, strides = [2]>
  plan.return
}

// -----

plan.func private @view_beyond_source(%x: !plan.tensor<tokens x 4 x f32>) {
  // expected-error @below {{'plan.view' op expected '!plan.tensor<tokens x 5 x f32>' to end within its source (C1), which has #plan.linear<[16 tokens]> bytes, but it ends at #plan.linear<[20 tokens]>}}
  %v = plan.view %x : !plan.tensor<tokens x 4 x f32> to !plan.tensor<tokens x 5 x f32>
  plan.return
}

// -----

plan.func private @view_of_unknown_extent(%x: !plan.tensor<slots x sequence_pages x i32>) {
  // expected-error @below {{'plan.view' op expected '!plan.tensor<4 x i32>' to end within its source (C1)}}
  %v = plan.view %x : !plan.tensor<slots x sequence_pages x i32> to !plan.tensor<4 x i32>
  plan.return
}
