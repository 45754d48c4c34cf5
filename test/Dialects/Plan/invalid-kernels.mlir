// RUN: varve-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'plan.kernel' op expected a signature of views and scalars (C1) but got '(tensor<4xf32>) -> ()'}}
plan.kernel @signature (tensor<4xf32>) -> () grid affine_map<() -> (1)> [] { builtin.module {} }

// -----

// expected-error @below {{'plan.kernel' op expected a grid of 1 to 3 results with 0 symbols and no dimensions (C1) but got}}
plan.kernel @grid () -> () grid affine_map<()[s0] -> (s0)> [] { builtin.module {} }

// -----

// expected-error @below {{'plan.kernel' op expected sizes of the arguments (C1) but got #tile.size<dim at dim 1>}}
plan.kernel @size (!tile.view<?xf32>) -> () grid affine_map<()[s0] -> (s0)> [#tile.size<dim at dim 1>] { builtin.module {} }

// -----

// expected-error @below {{'plan.kernel' op expected threads not to be negative (C2) but got -1}}
plan.kernel @negative () -> () grid affine_map<() -> (1)> [] attributes {threads = -1 : i64} { builtin.module {} }

// -----

// expected-error @below {{'plan.kernel' op expected a view with the rank of the box (C3) for #plan.tensor_map<argument = 0, box = [64], swizzle = 128>}}
plan.kernel @map (!tile.view<?x64xf32>) -> () grid affine_map<() -> (1)> []
    attributes {tensor_maps = [#plan.tensor_map<argument = 0, box = [64], swizzle = 128>]} { builtin.module {} }

// -----

// expected-error @below {{'plan.kernel' op expected a body of one module (C4)}}
plan.kernel @body () -> () grid affine_map<() -> (1)> [] { func.func private @f() }

// -----

// expected-error @below {{'plan.kernel' op expected ascending numbers of views in writes (C5) but got 1}}
plan.kernel @writes_scalar (!tile.view<?x64xf32>, i32) -> () grid affine_map<() -> (1)> []
    attributes {writes = array<i64: 0, 1>} { builtin.module {} }

// -----

// expected-error @below {{'plan.kernel' op expected ascending numbers of views in writes (C5) but got 0}}
plan.kernel @writes_twice (!tile.view<?x64xf32>) -> () grid affine_map<() -> (1)> []
    attributes {writes = array<i64: 0, 0>} { builtin.module {} }

// -----

// expected-error @below {{'plan.binary' op expected ascending numbers of views in writes (C5) but got 3}}
plan.binary @writes_nothing_there (!tile.view<?x64xf32>) -> () grid affine_map<() -> (1)> []
    object dense_resource<code> : tensor<4xi8> attributes {writes = array<i64: 3>}

// -----

// expected-error @below {{'plan.binary' op expected code to be a resource of type tensor<?xi8> (C4)}}
plan.binary @code () -> () grid affine_map<() -> (1)> [] object dense<1> : tensor<4xi8>

// -----

// expected-error @below {{expected a box of 1 to 5 sizes from 1 to 256 (C1)}}
func.func private @box() attributes {a = #plan.tensor_map<argument = 0, box = [512], swizzle = 128>}

// -----

// expected-error @below {{expected swizzle to be 0, 32, 64 or 128 (C2) but got 16}}
func.func private @swizzle() attributes {a = #plan.tensor_map<argument = 0, box = [64], swizzle = 16>}
