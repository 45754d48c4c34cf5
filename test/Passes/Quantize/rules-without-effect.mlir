// RUN: split-file %s %t
// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/idle.json 2>&1 | FileCheck %s --check-prefix=IDLE --implicit-check-not=error:
// IDLE: error: {{.*}}'builtin.module' op rule 1 of '{{.*}}idle.json': expected to select an op of this model, but found none; did you mean 'layers.*.attn.wkv'?; "optional": true is for parts that not every model has
// IDLE: error: {{.*}}'builtin.module' op rule 2 of '{{.*}}idle.json': expected to select a pool of this model, but found none; did you mean 'layers.3.window'?; "optional"
// IDLE: error: {{.*}}'builtin.module' op rule 3 of '{{.*}}idle.json': expected to select an op of this model, but found none; "optional"
// IDLE: error: {{.*}}'builtin.module' op rule 4 of '{{.*}}idle.json': expected to select an op of this model, but found none: the weights of the 1 that fit are stored as plain numbers; "optional"
// IDLE: error: {{.*}}'builtin.module' op rule 5 of '{{.*}}idle.json': expected settings that the ops it selects have, but part of it has no effect on any of the 1

// The same rules are fine where they are optional.
// RUN: sed 's/"names"/"optional": true, "names"/; s/"pools"/"optional": true, "pools"/; s/"ops"/"optional": true, "ops"/' %t/idle.json > %t/optional.json
// RUN: varve-opt %t/model.mlir --varve-apply-precision=policy=%t/optional.json -o /dev/null

//--- idle.json
{"name": "p", "rules": [
  {"names": "layers.*.atn.wkv", "result": "bf16"},
  {"pools": "layers.3.windw", "format": [{"elements": "rest", "type": "bf16"}]},
  {"ops": "experts", "result": "bf16"},
  {"ops": "linear", "only_coded_weights": true, "quantize": {"type": "f8E4M3FN", "block": 32}},
  {"names": "layers.3.attn.wkv", "result": "bf16", "round_each_step": true}]}
//--- model.mlir
varve.pool @layers.3.window window size 4 : <64 x f32>
func.func @layer(%x: tensor<?x64xf32>) {
  %w = varve.weight "wkv.weight" : tensor<64x64xbf16>
  %y = varve.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32> loc("layers.3.attn.wkv")
  return
}
