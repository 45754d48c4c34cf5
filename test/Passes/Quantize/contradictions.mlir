// A policy that contradicts the model is refused with the op, the rule and a
// remedy, and nothing else is printed.

// RUN: split-file %s %t
// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/plain.json 2>&1 | FileCheck %s --check-prefix=PLAIN --implicit-check-not=error:
// PLAIN: error: {{.*}}'varve.linear' op rule 1 of '{{.*}}plain.json': expected a weight stored as codes for a quantised input, but it is stored as 'bf16'; add "only_coded_weights": true to the rule

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/rank.json 2>&1 | FileCheck %s --check-prefix=RANK --implicit-check-not=error:
// RANK: error: {{.*}}'varve.grouped_linear' op rule 1 of '{{.*}}rank.json': expected an input of rank 2 to quantise, whose rows a scale can be counted along, but got 'tensor<?x2x64xf32>'; exclude the op with a later rule {"names": "wo_a", "quantize": "none"}

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/block.json 2>&1 | FileCheck %s --check-prefix=BLOCK --implicit-check-not=error:
// BLOCK: error: {{.*}}'varve.linear' op rule 1 of '{{.*}}block.json': expected a block that divides, or is a multiple of, the 32 columns that share a scale of the weight, but got 48

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/odd.json 2>&1 | FileCheck %s --check-prefix=ODD --implicit-check-not=error:
// ODD: error: {{.*}}'varve.linear' op rule 1 of '{{.*}}odd.json': expected an even number of elements for f4E2M1FN, two of which share a byte, but got 63; quantise to f8E4M3FN

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/codes.json 2>&1 | FileCheck %s --check-prefix=CODES --implicit-check-not=error:
// CODES: error: {{.*}}'varve.linear' op rule 1 of '{{.*}}codes.json': expected an input that is not quantised yet, but got codes of type 'f8E4M3FN'

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/each-step.json 2>&1 | FileCheck %s --check-prefix=STEP --implicit-check-not=error:
// STEP: error: {{.*}}'varve.rms_norm' op rule 1 of '{{.*}}each-step.json': expected a norm without weight for "round_each_step"; select norms by name, like "*.attn.q_head_norm"

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/needs-f32.json 2>&1 | FileCheck %s --check-prefix=F32 --implicit-check-not=error:
// F32: error: {{.*}}'varve.linear' op rule 1 of '{{.*}}needs-f32.json': expected an f32 result, which 'varve.route_topk' (route) needs, but got 'bf16'; add a later rule {"names": "router", "result": "f32"}
// F32: error: {{.*}}'varve.linear' op rule 1 of '{{.*}}needs-f32.json': expected an f32 result, which 'func.return' needs, but got 'bf16'; add a later rule {"names": "router", "result": "f32"}

//--- plain.json
{"name": "p", "rules": [{"names": "router", "quantize": {"type": "f8E4M3FN", "block": 32}}]}
//--- rank.json
{"name": "p", "rules": [{"ops": "grouped_linear", "quantize": {"type": "f8E4M3FN", "block": 32}}]}
//--- block.json
{"name": "p", "rules": [{"names": "wkv", "quantize": {"type": "f8E4M3FN", "block": 48}}]}
//--- odd.json
{"name": "p", "rules": [{"names": "odd", "quantize": {"type": "f4E2M1FN", "block": 32}}]}
//--- codes.json
{"name": "p", "rules": [{"names": "done", "quantize": {"type": "f8E4M3FN", "block": 32}}]}
//--- each-step.json
{"name": "p", "rules": [{"ops": "rms_norm", "round_each_step": true}]}
//--- needs-f32.json
{"name": "p", "rules": [{"ops": "linear", "result": "bf16"}]}
//--- model.mlir
func.func @step(%a: tensor<?x64xf32>, %b: tensor<?x63xf32>, %o: tensor<?x2x64xf32>) -> tensor<?x4xf32> {
  %g = varve.weight "norm.weight" : tensor<64xbf16>
  %x = varve.rms_norm %a weight %g eps 1.0e-06 : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32> loc("norm")
  %h = varve.rms_norm %o eps 1.0e-06 : (tensor<?x2x64xf32>) -> tensor<?x2x64xf32> loc("q_head_norm")
  %r = varve.weight "gate.weight" : tensor<4x64xbf16>
  %logits = varve.linear %x, %r : (tensor<?x64xf32>, tensor<4x64xbf16>) -> tensor<?x4xf32> loc("router")
  %ids, %weights = varve.route_topk %logits active 2 scoring sigmoid scale 1.0 : tensor<?x4xf32> loc("route")
  %w = varve.weight "wkv.weight" : tensor<8x64xf8E4M3FN>
  %ws = varve.weight "wkv.scale" : tensor<1x2xf8E8M0FNU>
  %kv = varve.linear %x, %w scaled %ws by [128, 32]
      : (tensor<?x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("wkv")
  %codes, %scales = varve.quantize %x block 32
      : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU> loc("codes")
  %done = varve.linear %codes scaled %scales by 32, %w scaled %ws by [128, 32]
      : (tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>)
      -> tensor<?x8xf32> loc("done")
  %v = varve.weight "odd.weight" : tensor<8x63xf8E4M3FN>
  %vs = varve.weight "odd.scale" : tensor<1x2xf8E8M0FNU>
  %odd = varve.linear %b, %v scaled %vs by [128, 32]
      : (tensor<?x63xf32>, tensor<8x63xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("odd")
  %a2 = varve.grouped_linear %o, %w scaled %ws by [128, 32] groups 2
      : (tensor<?x2x64xf32>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32> loc("wo_a")
  return %logits : tensor<?x4xf32>
}
