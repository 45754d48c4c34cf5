// RUN: split-file %s %t
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json \
// RUN:   --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %t/model.mlir
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json \
// RUN:   --varve-verify-quantized=policy=%t/policy.json -o /dev/null

//--- policy.json
{"name": "pools", "rules": [
  {"pools": "*.window", "format": [
    {"elements": 32, "type": "f16"},
    {"elements": "rest", "type": "f8E4M3FN", "block": 8},
    {"elements": "rotary", "type": "bf16"}]},
  {"pools": "*.keys", "hadamard": true, "format": [
    {"elements": "rest", "type": "f4E2M1FN", "block": 32, "scale": "f32"}]},
  {"ops": "index_score", "hadamard": true, "round_each_step": true, "result": "bf16",
   "quantize": {"type": "f4E2M1FN", "block": 32}},
  {"ops": "sparse_attention", "block": 64, "probabilities": "bf16"},
  {"names": "once", "block": "none", "probabilities": "f32"}]}
//--- model.mlir
// CHECK: varve.pool @l.window window size 4 : <32 x f16, 24 x f8E4M3FN scaled 8 x f8E8M0FNU, 8 x bf16>
varve.pool @l.window window size 4 : <64 x f32>
// CHECK: varve.pool @l.keys entries ratio 4 page 256 : <64 x f4E2M1FN scaled 32 x f32>
varve.pool @l.keys entries ratio 4 page 256 : <64 x f32>
// Pools that no rule names keep their format.
// CHECK: varve.pool @l.entries entries ratio 4 page 256 : <64 x f32>
varve.pool @l.entries entries ratio 4 page 256 : <64 x f32>

// CHECK-LABEL: func.func @formats_transforms_and_roundings
func.func @formats_transforms_and_roundings(
    %x: tensor<?x64xf32>, %q: tensor<?x2x64xf32>, %w: tensor<?x2xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // CHECK: %[[K:.+]] = varve.rope
  %k = varve.rope %x at %p table <theta = 1.0e+04, dim = 8> : tensor<?x64xf32>, tensor<?xi32> loc("k_rope")
  // CHECK-NEXT: %[[KH:.+]] = varve.hadamard %[[K]] : tensor<?x64xf32> loc("k_rope.hadamard"
  // CHECK-NEXT: varve.append %[[K]] to @l.window
  varve.append %k to @l.window at (%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32> loc("a")
  // CHECK-NEXT: varve.append %[[KH]] to @l.keys
  varve.append %k to @l.keys at (%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32> loc("b")
  // CHECK: %[[Q:.+]] = varve.rope
  // CHECK-NEXT: %[[QH:.+]] = varve.hadamard %[[Q]]
  // CHECK-NEXT: %[[CODES:.+]], %[[SCALES:.+]] = varve.quantize %[[QH]] block 32 {{.*}} loc("q_rope.hadamard.quantize"
  %qr = varve.rope %q at %p table <theta = 1.0e+04, dim = 8> : tensor<?x2x64xf32>, tensor<?xi32> loc("q_rope")
  // CHECK-NEXT: varve.index_score %[[CODES]] scaled %[[SCALES]] by 32, %{{.+}} keys @l.keys scale {{.*}} round each_step
  // CHECK-SAME: -> tensor<?x?xbf16>
  %i = varve.index_score %qr, %w keys @l.keys scale 0.5 at (%p, %s)
      : (tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32> loc("score")
  // CHECK: varve.sparse_attention %[[Q]] window @l.window scale {{.*}} block 64 probabilities bf16
  %o = varve.sparse_attention %qr window @l.window scale 0.125 at (%p, %s)
      : (tensor<?x2x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x2x64xf32> loc("attention")
  // CHECK: varve.sparse_attention %[[Q]] window @l.window
  // CHECK-NOT: block
  // CHECK-SAME: probabilities f32
  %u = varve.sparse_attention %qr window @l.window scale 0.125 at (%p, %s)
      : (tensor<?x2x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x2x64xf32> loc("once")
  return
}
