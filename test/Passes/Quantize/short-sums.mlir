// Every product of codes can be permitted short sums and refused them again, and
// the verifier finds what differs, either way.

// RUN: split-file %s %t
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json --mlir-print-debuginfo > %t/applied.mlir
// RUN: FileCheck %t/model.mlir < %t/applied.mlir
// RUN: varve-opt %t/applied.mlir --varve-verify-quantized=policy=%t/policy.json -o /dev/null
// Not lost by canonicalisation, nor do equal products of other sums become one.
// RUN: varve-opt %t/applied.mlir --canonicalize --cse --mlir-print-debuginfo | FileCheck %t/model.mlir

// RUN: sed 's/ short_sums//' %t/applied.mlir \
// RUN:   | not varve-opt --varve-verify-quantized=policy=%t/policy.json 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LOST --implicit-check-not=error:
// LOST: error: {{.*}}'varve.linear' op expected sums that may be short (Q5, rule 1 of '{{.*}}policy.json')
// LOST: error: {{.*}}'varve.grouped_linear' op expected sums that may be short (Q5, rule 1 of '{{.*}}policy.json')
// LOST: error: {{.*}}'varve.experts' op expected sums that may be short (Q5, rule 1 of '{{.*}}policy.json')

// RUN: sed 's/ by \(\[[0-9]*, 32\]\) :/ by \1 short_sums :/' %t/applied.mlir \
// RUN:   | not varve-opt --varve-verify-quantized=policy=%t/policy.json 2>&1 \
// RUN:   | FileCheck %s --check-prefix=GAINED --implicit-check-not=error:
// GAINED: error: {{.*}}'varve.linear' op expected sums in f32 (Q5, rule 2 of '{{.*}}policy.json')
// GAINED: error: {{.*}}'varve.experts' op expected sums in f32 (Q5, rule 2 of '{{.*}}policy.json')

//--- policy.json
{"name": "sums", "rules": [
  {"ops": ["linear", "grouped_linear", "experts"], "only_coded_weights": true, "short_sums": true},
  {"names": "exact_*", "short_sums": false}]}
//--- model.mlir
// CHECK-LABEL: func.func @matrices
func.func @matrices(%x: tensor<?x64xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %p = varve.weight "p.weight" : tensor<8x64xbf16>
  %w = varve.weight "w.weight" : tensor<8x64xf8E4M3FN>
  %ws = varve.weight "w.scale" : tensor<1x2xf8E8M0FNU>
  %g = varve.weight "g.weight" : tensor<8x32xf8E4M3FN>
  %gs = varve.weight "g.scale" : tensor<1x1xf8E8M0FNU>
  // CHECK: varve.linear %{{.+}}, %{{.+}} : (tensor<?x64xf32>, tensor<8x64xbf16>)
  %a = varve.linear %x, %p : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32> loc("plain")
  // CHECK: varve.linear {{.*}} by [128, 32] short_sums :
  %b = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("coded")
  // CHECK: varve.linear {{.*}} by [128, 32] :
  %c = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("exact_coded")
  // CHECK: varve.grouped_linear {{.*}} by [128, 32] groups 2 short_sums :
  %d = varve.grouped_linear %x, %g scaled %gs by [128, 32] groups 2
      : (tensor<?x64xf32>, tensor<8x32xf8E4M3FN>, tensor<1x1xf8E8M0FNU>) -> tensor<?x8xf32> loc("grouped")
  return %a, %b, %c, %d : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: func.func @experts
func.func @experts(%x: tensor<?x64xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>) {
  %p = varve.weight "e.*.p.weight" : tensor<4x8x64xbf16>
  %w = varve.weight "e.*.w.weight" : tensor<4x8x64xf4E2M1FN>
  %ws = varve.weight "e.*.w.scale" : tensor<4x8x2xf8E8M0FNU>
  // CHECK: varve.experts %{{.+}}, %{{.+}}, %{{.+}} : (tensor<?x64xf32>
  %a = varve.experts %x, %ids, %p
      : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<4x8x64xbf16>) -> tensor<?x2x8xf32> loc("plain_experts")
  // CHECK: varve.experts {{.*}} by [1, 32] short_sums :
  %b = varve.experts %x, %ids, %w scaled %ws by [1, 32]
      : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<4x8x64xf4E2M1FN>, tensor<4x8x2xf8E8M0FNU>) -> tensor<?x2x8xf32> loc("coded_experts")
  // CHECK: varve.experts {{.*}} by [1, 32] :
  %c = varve.experts %x, %ids, %w scaled %ws by [1, 32]
      : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<4x8x64xf4E2M1FN>, tensor<4x8x2xf8E8M0FNU>) -> tensor<?x2x8xf32> loc("exact_experts")
  return %a, %b, %c : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>
}
