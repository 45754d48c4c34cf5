// RUN: split-file %s %t
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json \
// RUN:   --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %t/model.mlir
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json \
// RUN:   --varve-verify-quantized=policy=%t/policy.json -o /dev/null

//--- policy.json
{"name": "inputs", "rules": [
  {"ops": ["linear", "experts", "grouped_linear"], "only_coded_weights": true,
   "quantize": {"type": "f8E4M3FN", "block": 32}},
  {"names": "plain_*", "quantize": "none"},
  {"names": "coarse", "quantize": {"type": "f8E4M3FN", "block": 64}}]}
//--- model.mlir
// CHECK-LABEL: func.func @users_of_a_value_share_its_codes
func.func @users_of_a_value_share_its_codes(%a: tensor<?x64xf32>) {
  %w = varve.weight "a.weight" : tensor<8x64xf8E4M3FN>
  %ws = varve.weight "a.scale" : tensor<1x2xf8E8M0FNU>
  // CHECK: %[[X:.+]] = varve.rms_norm
  %x = varve.rms_norm %a eps 1.0e-06 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("norm")
  // CHECK-NEXT: %[[COARSE:.+]], %{{.+}} = varve.quantize %[[X]] block 64 {{.*}} tensor<?x1xf8E8M0FNU> loc("norm.quantize{{.*}}"
  // CHECK-NEXT: %[[CODES:.+]], %[[SCALES:.+]] = varve.quantize %[[X]] block 32
  // CHECK-SAME: : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU> loc("norm.quantize"
  // CHECK-NOT: varve.quantize
  // CHECK: varve.linear %[[CODES]] scaled %[[SCALES]] by 32, %{{.+}} scaled %{{.+}} by [128, 32]
  %b = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("b")
  // CHECK: varve.linear %[[CODES]] scaled %[[SCALES]] by 32
  %c = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("c")
  // CHECK: varve.linear %[[COARSE]] scaled %{{.+}} by 64
  %d = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("coarse")
  return
}

// CHECK-LABEL: func.func @plain_weights_and_exceptions_keep_their_input
func.func @plain_weights_and_exceptions_keep_their_input(%x: tensor<?x64xf32>) {
  // CHECK-NOT: varve.quantize
  %p = varve.weight "p.weight" : tensor<8x64xbf16>
  %w = varve.weight "a.weight" : tensor<8x64xf8E4M3FN>
  %ws = varve.weight "a.scale" : tensor<1x2xf8E8M0FNU>
  // CHECK: varve.linear %{{.+}}, %{{.+}} : (tensor<?x64xf32>, tensor<8x64xbf16>)
  %a = varve.linear %x, %p : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32> loc("a")
  // CHECK: varve.linear %{{.+}}, %{{.+}} scaled %{{.+}} by [128, 32] : (tensor<?x64xf32>
  %b = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("plain_b")
  return
}

// The codes of an argument are named after it.
// CHECK-LABEL: func.func @arguments_and_experts
func.func @arguments_and_experts(%x: tensor<?x2x64xf32> loc("rows"), %ids: tensor<?x2xi32>, %y: tensor<?x128xf32>) {
  // CHECK: varve.quantize %{{.+}} : tensor<?x128xf32> {{.*}} loc("arguments_and_experts.argument2.quantize"
  // CHECK: %[[CODES:.+]], %[[SCALES:.+]] = varve.quantize {{.*}} tensor<?x2x64xf8E4M3FN>, tensor<?x2x2xf8E8M0FNU> loc("arguments_and_experts.rows.quantize"
  %w = varve.weight "e.*.w1.weight" : tensor<4x8x64xf4E2M1FN>
  %ws = varve.weight "e.*.w1.scale" : tensor<4x8x2xf8E8M0FNU>
  // CHECK: varve.experts %[[CODES]] scaled %[[SCALES]] by 32
  %a = varve.experts %x, %ids, %w scaled %ws by [1, 32]
      : (tensor<?x2x64xf32>, tensor<?x2xi32>, tensor<4x8x64xf4E2M1FN>, tensor<4x8x2xf8E8M0FNU>)
      -> tensor<?x2x8xf32> loc("experts")
  %g = varve.weight "g.weight" : tensor<8x64xf8E4M3FN>
  %gs = varve.weight "g.scale" : tensor<1x2xf8E8M0FNU>
  // CHECK: varve.grouped_linear %{{.+}} scaled %{{.+}} by 32
  %b = varve.grouped_linear %y, %g scaled %gs by [128, 32] groups 2
      : (tensor<?x128xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("grouped")
  return
}
