// RUN: varve-opt %s -split-input-file -varve-insert-commits -verify-diagnostics | FileCheck %s

varve.pool @window window size 8 : <64 x f32>
varve.pool @entries entries ratio 4 page 16 : <64 x f32>
varve.pool @state state size 4 : <128 x f32>
// CHECK-LABEL: func.func @commits
func.func @commits(%q: tensor<?x4x64xf32>, %x: tensor<?x64xf32>, %g: tensor<?x64xf32>,
                   %p: tensor<?xi32>, %s: tensor<?xi32>) -> tensor<?x4x64xf32> {
  %b = varve.weight "bias" : tensor<4x64xf32>
  // CHECK: varve.append %arg1 to @window
  // CHECK-NEXT: varve.compress
  // CHECK-NEXT: varve.commit @state of(%arg1, %arg2, %bias :
  // CHECK-NEXT: varve.append %{{.*}} to @entries
  // CHECK-NEXT: varve.sparse_attention
  // CHECK-NEXT: varve.commit @window at(%arg3, %arg4)
  // CHECK-NEXT: return
  varve.append %x to @window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  %e, %starts, %slots = varve.compress %x, %g, %b in @state ratio 4 at(%p, %s)
      : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<4x64xf32>, tensor<?xi32>, tensor<?xi32>)
      -> (tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>)
  varve.append %e to @entries at(%starts, %slots)
      : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  %o = varve.sparse_attention %q window @window entries @entries scale 1.0 at(%p, %s)
      : (tensor<?x4x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x64xf32>
  return %o : tensor<?x4x64xf32>
}

// -----

varve.pool @window window size 8 : <64 x f32>
func.func @write(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error@+1 {{expected the readers of @window in the function of its append}}
  varve.append %x to @window at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
  return
}
func.func @read(%q: tensor<?x4x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>)
    -> tensor<?x4x64xf32> {
  // expected-note@+1 {{this one is elsewhere}}
  %o = varve.sparse_attention %q window @window scale 1.0 at(%p, %s)
      : (tensor<?x4x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x64xf32>
  return %o : tensor<?x4x64xf32>
}
