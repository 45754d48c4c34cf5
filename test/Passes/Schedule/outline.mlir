// RUN: varve-opt %s -varve-outline-kernels | FileCheck %s

// Layers differ in weights and pools only: one kernel each.
// CHECK: varve.pool @a
// CHECK: varve.pool @b
varve.pool @a window size 8 : <64 x f32>
varve.pool @b window size 8 : <64 x f32>
varve.pool @c window size 4 : <64 x f32>

// CHECK-LABEL: func.func @layers
func.func @layers(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  %w0 = varve.weight "w0" : tensor<64xf32>
  %w1 = varve.weight "w1" : tensor<64xf32>
  // CHECK: varve.launch @rms_norm_64_f32_append(%arg0, %w0, %arg1, %arg2) pools [@a]
  // CHECK: varve.launch @rms_norm_64_f32_append(%arg0, %w1, %arg1, %arg2) pools [@b]
  // CHECK: varve.launch @rms_norm_64_f32_append_0(%arg0, %w1, %arg1, %arg2) pools [@c]
  varve.kernel "rows" {
    %n = varve.rms_norm %x weight %w0 eps 1.0e-6
        : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    varve.append %n to @a at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  varve.kernel "rows" {
    %n = varve.rms_norm %x weight %w1 eps 1.0e-6
        : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    varve.append %n to @b at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  varve.kernel "rows" {
    %n = varve.rms_norm %x weight %w1 eps 1.0e-6
        : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    varve.append %n to @c at(%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    varve.yield
  }
  return
}

// Rows of logits are other rows than tokens, so this is a kernel of its own.
// CHECK-LABEL: func.func @head
// CHECK-SAME: %arg1: tensor<?xi32> {varve.logit_rows}
// CHECK-SAME: -> (tensor<?x64xf32> {varve.logit_rows})
func.func @head(%x: tensor<?x64xf32>, %rows: tensor<?xi32>) -> tensor<?x64xf32> {
  // CHECK: %[[T:.*]] = varve.launch @take_64_f32(%arg0, %arg1)
  // CHECK: varve.launch @rms_norm_64_f32(%[[T]])
  %t = varve.kernel "take" -> tensor<?x64xf32> {
    %t = varve.take %x, %rows : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
    varve.yield %t : tensor<?x64xf32>
  }
  %n = varve.kernel "rows" -> tensor<?x64xf32> {
    %n = varve.rms_norm %t eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
    varve.yield %n : tensor<?x64xf32>
  }
  return %n : tensor<?x64xf32>
}

// CHECK: varve.kernel_func private @rms_norm_64_f32_append(%arg0: tensor<?x64xf32>, %arg1: tensor<64xf32>
// CHECK-SAME: kind "rows" pools [@a] {
// CHECK: varve.kernel_func private @rms_norm_64_f32_append_0
// CHECK-SAME: kind "rows" pools [@c] {
// CHECK: varve.kernel_func private @take_64_f32(%arg0: tensor<?x64xf32>, %arg1: tensor<?xi32> {varve.logit_rows}) -> (tensor<?x64xf32> {varve.logit_rows})
// CHECK: varve.kernel_func private @rms_norm_64_f32(%arg0: tensor<?x64xf32> {varve.logit_rows})
