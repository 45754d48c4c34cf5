// RUN: varve-opt %s -split-input-file -verify-diagnostics

func.func @foreign_op(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected compute ops in the kernel (C1) but got 'varve.weight'}}
  varve.kernel "rows" {
    // expected-note@+1 {{this op}}
    %w = varve.weight "w" : tensor<64xf32>
    varve.yield
  }
  return
}

// -----

func.func @other_results(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected to yield values of the types 'tensor<?x32xf32>' (C2) but got 'tensor<?x64xf32>'}}
  %y = varve.kernel "rows" -> tensor<?x32xf32> {
    %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
    varve.yield %n : tensor<?x64xf32>
  }
  return
}

// -----

// expected-error@+1 {{expected a strategy from T = 17 on (C2) but got #varve.strategy<min = 18>}}
varve.kernel_func @gap(%x: tensor<?x64xf32>) -> tensor<?x64xf32> kind "rows" pools []
    strategies [#varve.strategy<max = 16>, #varve.strategy<min = 18>] {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  varve.yield %n : tensor<?x64xf32>
}

// -----

// expected-error@+1 {{expected a strategy from T = 17 on (C2)}}
varve.kernel_func @end(%x: tensor<?x64xf32>) -> tensor<?x64xf32> kind "rows" pools []
    strategies [#varve.strategy<max = 16>] {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  varve.yield %n : tensor<?x64xf32>
}

// -----

// expected-error@+1 {{expected a power of two up to 32 as warps (C1) but got 3}}
#s = #varve.strategy<warps = 3>

// -----

varve.pool @a window size 8 : <64 x f32>
// expected-note@+1 {{the launch's pool}}
varve.pool @b window size 4 : <64 x f32>
// expected-note@-3 {{the kernel's pool}}
varve.kernel_func @store(%x: tensor<?x64xf32>, %p: tensor<?xi32>) kind "rows" pools [@a] {
  varve.append %x to @a at(%p, %p) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  varve.yield
}
func.func @other_pool(%x: tensor<?x64xf32>, %p: tensor<?xi32>) {
  // expected-error@+1 {{expected a pool like @a (C2) but got @b}}
  varve.launch @store(%x, %p) pools [@b] : (tensor<?x64xf32>, tensor<?xi32>) -> ()
  return
}

// -----

func.func @no_kernel(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a 'varve.kernel_func' called @nothing (C1)}}
  varve.launch @nothing(%x) pools [] : (tensor<?x64xf32>) -> ()
  return
}

// -----

varve.pool @entries entries ratio 4 page 16 : <64 x f32>
func.func @commit_of_entries(%p: tensor<?xi32>) {
  // expected-error@+1 {{expected a window pool (C1) but got one of kind entries}}
  varve.commit @entries at(%p, %p) : tensor<?xi32>, tensor<?xi32>
  return
}
