// A module that no longer rounds as its policy says is refused (Q5).

// RUN: split-file %s %t
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json --mlir-print-debuginfo > %t/applied.mlir
// RUN: varve-opt %t/applied.mlir --varve-verify-quantized=policy=%t/policy.json -o /dev/null
// RUN: sed -e 's/block 64 probabilities bf16/block 32/' -e 's/ round each_step//' \
// RUN:   -e 's/<64 x bf16>/<64 x f16>/' -e 's/-> tensor<?x8xbf16>/-> tensor<?x8xf32>/' \
// RUN:   %t/applied.mlir | not varve-opt --varve-verify-quantized=policy=%t/policy.json 2>&1 \
// RUN:   | FileCheck %s --implicit-check-not=error:

// CHECK: error: {{.*}}'varve.pool' op expected the format #varve.format<64 x bf16> (Q5, rule 3 of '{{.*}}policy.json') but got #varve.format<64 x f16>
// CHECK: error: {{.*}}'varve.rms_norm' op expected to round each step (Q5, rule 2 of '{{.*}}policy.json')
// CHECK: error: {{.*}}'varve.linear' op expected a result of type 'bf16' (Q5, rule 1 of '{{.*}}policy.json') but got 'f32'
// CHECK: error: {{.*}}'varve.sparse_attention' op expected blocks of 64 (Q5, rule 4 of '{{.*}}policy.json') but got 32
// CHECK: error: {{.*}}'varve.sparse_attention' op expected probabilities of type 'bf16' (Q5, rule 4 of '{{.*}}policy.json') but got 'f32'

// Another policy's module is not held against this one's rules (Q1).
// RUN: sed 's/precision = "[^"]*"/precision = "other"/' %t/applied.mlir \
// RUN:   | not varve-opt --varve-verify-quantized=policy=%t/policy.json 2>&1 \
// RUN:   | FileCheck %s --check-prefix=OTHER --implicit-check-not=error:
// OTHER: error: {{.*}}'builtin.module' op expected the precision "mine@{{[0-9a-f]+}}" (Q1) but got "other"

// Inputs: what the rule says and what is there.
// RUN: not varve-opt %t/inputs.mlir --varve-verify-quantized=policy=bf16 2>&1 | FileCheck %s --check-prefix=BUILTIN
// BUILTIN: error: {{.*}}'builtin.module' op rule {{[0-9]+}} of policy 'bf16': expected to select

//--- policy.json
{"name": "mine", "rules": [
  {"ops": "*", "result": "bf16"},
  {"names": "norm", "round_each_step": true},
  {"pools": "window", "format": [{"elements": "rest", "type": "bf16"}]},
  {"ops": "sparse_attention", "block": 64, "probabilities": "bf16"}]}
//--- model.mlir
varve.pool @window window size 4 : <64 x f32>
func.func @layer(%x: tensor<?x1x64xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  %n = varve.rms_norm %x eps 1.0e-06 : (tensor<?x1x64xf32>) -> tensor<?x1x64xf32> loc("norm")
  %r = varve.weight "k.weight" : tensor<64x64xbf16>
  %k = varve.linear %x, %r : (tensor<?x1x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32> loc("k")
  varve.append %k to @window at (%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
  %w = varve.weight "w.weight" : tensor<8x64xbf16>
  %y = varve.linear %n, %w : (tensor<?x1x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32> loc("w")
  %o = varve.sparse_attention %n window @window scale 0.125 at (%p, %s)
      : (tensor<?x1x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x1x64xf32> loc("attention")
  return
}
//--- inputs.mlir
module attributes {varve.precision = "bf16"} {
}
