// RUN: split-file %s %t
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json | FileCheck %t/model.mlir
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/policy.json \
// RUN:   --varve-verify-quantized=policy=%t/policy.json --verify-each -o /dev/null

// A rule of all ops gives its type to what an op rounds; ops that follow their
// operand, functions and calls follow; what an op fixes stays.

//--- policy.json
{"name": "results", "rules": [
  {"ops": "*", "result": "bf16"},
  {"names": "router", "optional": true, "result": "f32"}]}
//--- model.mlir
// CHECK: module attributes {varve.precision = "results@{{[0-9a-f]+}}"}
// CHECK-LABEL: func.func private @types_flow_through_calls
// CHECK-SAME: (%[[X:.+]]: tensor<?x2x8xbf16>, %[[P:.+]]: tensor<?xi32>) -> tensor<?x2x8xbf16>
func.func private @types_flow_through_calls(%x: tensor<?x2x8xf32>, %p: tensor<?xi32>) -> tensor<?x2x8xf32> {
  // CHECK: varve.rope %[[X]] at %[[P]]
  // CHECK-SAME: tensor<?x2x8xbf16>
  %y = varve.rope %x at %p table <theta = 1.0e+04, dim = 4> : tensor<?x2x8xf32>, tensor<?xi32>
  return %y : tensor<?x2x8xf32>
}

// CHECK-LABEL: func.func @caller
func.func @caller(%ids: tensor<?xi32>, %p: tensor<?xi32>) {
  %table = varve.weight "embed.weight" : tensor<32x8xbf16>
  // CHECK: %[[E:.+]] = varve.embed {{.*}} -> tensor<?x8xbf16>
  %e = varve.embed %ids, %table : (tensor<?xi32>, tensor<32x8xbf16>) -> tensor<?x8xf32>
  // CHECK: %[[X:.+]] = varve.stream_expand %[[E]] : (tensor<?x8xbf16>) -> tensor<?x2x8xbf16>
  %x = varve.stream_expand %e : (tensor<?x8xf32>) -> tensor<?x2x8xf32>
  // CHECK: call @types_flow_through_calls(%[[X]], {{.*}}) : (tensor<?x2x8xbf16>, tensor<?xi32>) -> tensor<?x2x8xbf16>
  %y = func.call @types_flow_through_calls(%x, %p) : (tensor<?x2x8xf32>, tensor<?xi32>) -> tensor<?x2x8xf32>
  // CHECK: varve.take {{.*}} -> tensor<?x2x8xbf16>
  %z = varve.take %y, %ids : (tensor<?x2x8xf32>, tensor<?xi32>) -> tensor<?x2x8xf32>
  return
}

// CHECK-LABEL: func.func @fixed_results_stay
// CHECK-SAME: -> tensor<?x8xbf16>
func.func @fixed_results_stay(%x: tensor<?x2x8xf32>) -> tensor<?x8xf32> {
  %fn = varve.weight "hc_fn" : tensor<8x16xf32>
  %base = varve.weight "hc_base" : tensor<8xf32>
  %scale = varve.weight "hc_scale" : tensor<3xf32>
  // CHECK: %[[PRE:.+]], %{{.+}}, %[[LOGITS:.+]] = varve.stream_project
  // CHECK-SAME: -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  %pre, %post, %logits = varve.stream_project %x, %fn, %base, %scale norm_eps 1.0e-06 eps 1.0e-06
      : (tensor<?x2x8xf32>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
      -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>)
  // CHECK: varve.sinkhorn %[[LOGITS]] iterations 2 eps {{.*}} : tensor<?x2x2xf32>
  %comb = varve.sinkhorn %logits iterations 2 eps 1.0e-06 : tensor<?x2x2xf32>
  // CHECK: varve.stream_collapse %{{.+}}, %[[PRE]] : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xbf16>
  %h = varve.stream_collapse %x, %pre : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return %h : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @later_rules_win
func.func @later_rules_win(%x: tensor<?x8xf32>) {
  %w = varve.weight "gate" : tensor<4x8xbf16>
  // CHECK: varve.linear {{.*}} -> tensor<?x4xbf16>
  %a = varve.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xbf16>) -> tensor<?x4xf32> loc("other")
  // CHECK: varve.linear {{.*}} -> tensor<?x4xf32>
  %b = varve.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xbf16>) -> tensor<?x4xf32> loc("router")
  // CHECK: varve.route_topk {{.*}} : tensor<?x4xf32>
  %ids, %weights = varve.route_topk %b active 2 scoring sigmoid scale 1.0 : tensor<?x4xf32>
  return
}
