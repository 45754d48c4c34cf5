// RUN: varve-opt %s -split-input-file -varve-verify-fused -verify-diagnostics

func.func @not_in_a_kernel(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{expected compute ops in a 'varve.kernel' (F1)}}
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %n : tensor<?x64xf32>
}

// -----

varve.pool @window window size 8 : <64 x f32>
func.func @not_committed(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  varve.kernel "rows" {
    // expected-error@+1 {{expected one 'varve.commit' of @window (F2) but got 0}}
    varve.append %x to @window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  return
}

// -----

// Copies of a function commit for themselves.
varve.pool @window window size 8 : <64 x f32>
func.func @committed(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  varve.kernel "rows" {
    varve.append %x to @window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  varve.kernel "commit" {
    varve.commit @window at(%p, %s) : tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  return
}
func.func @committed_elsewhere(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  varve.kernel "rows" {
    // expected-error@+1 {{expected one 'varve.commit' of @window (F2) but got 0}}
    varve.append %x to @window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  return
}
