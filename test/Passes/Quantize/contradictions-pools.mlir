// What does not fit a pool's rows, or would change what the index finds.

// RUN: split-file %s %t
// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/queries.json 2>&1 | FileCheck %s --check-prefix=QUERIES --implicit-check-not=error:
// QUERIES: error: {{.*}}'varve.index_score' op rule 1 of '{{.*}}queries.json': expected 'hadamard' for the queries and for their keys in @l.keys, or for neither, but only the queries have it; add it to the rule of the pool

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/keys.json 2>&1 | FileCheck %s --check-prefix=KEYS --implicit-check-not=error:
// KEYS: error: {{.*}}'varve.index_score' op rule 1 of '{{.*}}keys.json': expected 'hadamard' for the queries and for their keys in @l.keys, or for neither, but only the keys have it; add it to the rule of the index_score

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/values.json 2>&1 | FileCheck %s --check-prefix=VALUES --implicit-check-not=error:
// VALUES: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}values.json': expected 'hadamard' for a pool of index keys, whose queries are transformed too, but 'varve.sparse_attention' (attention) reads this one

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/power.json 2>&1 | FileCheck %s --check-prefix=POWER --implicit-check-not=error:
// POWER-DAG: error: {{.*}}'varve.index_score' op rule 2 of '{{.*}}power.json': expected rows of a power of two of elements for 'hadamard', but got 96
// POWER-DAG: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}power.json': expected rows of a power of two of elements for 'hadamard', but got 96

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/state.json 2>&1 | FileCheck %s --check-prefix=STATE --implicit-check-not=error:
// STATE: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}state.json': expected a pool of keys or entries, but this is the state of a compressor, which stays f32

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/unused.json 2>&1 | FileCheck %s --check-prefix=UNUSED --implicit-check-not=error:
// UNUSED: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}unused.json': expected a pool that rows are appended to

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/sum.json 2>&1 | FileCheck %s --check-prefix=SUM --implicit-check-not=error:
// SUM: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}sum.json': expected segments of 96 elements in all, the width of the rows, but got 64

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/wide.json 2>&1 | FileCheck %s --check-prefix=WIDE --implicit-check-not=error:
// WIDE: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}wide.json': expected segments of 96 elements in all, the width of the rows, but got 128

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/block.json 2>&1 | FileCheck %s --check-prefix=BLOCK --implicit-check-not=error:
// BLOCK: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}block.json': expected a block that divides 88 elements (C3) but got 64

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/bytes.json 2>&1 | FileCheck %s --check-prefix=BYTES --implicit-check-not=error:
// BYTES: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}bytes.json': expected the 31 elements of type 'f4E2M1FN' to fill whole bytes (C2)

// RUN: not varve-opt %t/model.mlir --varve-apply-precision=policy=%t/rotary.json 2>&1 | FileCheck %s --check-prefix=ROTARY --implicit-check-not=error:
// ROTARY: error: {{.*}}'varve.pool' op rule 1 of '{{.*}}rotary.json': expected rows that come from 'varve.rope' for a "rotary" segment; write "rest" or a number

//--- queries.json
{"name": "p", "rules": [{"names": "score", "hadamard": true}]}
//--- keys.json
{"name": "p", "rules": [{"pools": "l.keys", "hadamard": true}]}
//--- values.json
{"name": "p", "rules": [{"pools": "l.window", "hadamard": true}]}
//--- power.json
{"name": "p", "rules": [{"pools": "l.odd", "hadamard": true}, {"names": "odd", "hadamard": true}]}
//--- state.json
{"name": "p", "rules": [{"pools": "l.state", "format": [{"elements": "rest", "type": "bf16"}]}]}
//--- unused.json
{"name": "p", "rules": [{"pools": "l.unused", "format": [{"elements": "rest", "type": "bf16"}]}]}
//--- sum.json
{"name": "p", "rules": [{"pools": "l.window", "format": [{"elements": 64, "type": "bf16"}]}]}
//--- wide.json
{"name": "p", "rules": [{"pools": "l.window", "format": [{"elements": 128, "type": "bf16"}, {"elements": "rest", "type": "f32"}]}]}
//--- block.json
{"name": "p", "rules": [{"pools": "l.window", "format": [{"elements": "rest", "type": "f8E4M3FN", "block": 64}, {"elements": "rotary", "type": "bf16"}]}]}
//--- bytes.json
{"name": "p", "rules": [{"pools": "l.window", "format": [{"elements": 31, "type": "f4E2M1FN", "block": 31}, {"elements": "rest", "type": "bf16"}]}]}
//--- rotary.json
{"name": "p", "rules": [{"pools": "l.keys", "format": [{"elements": "rotary", "type": "bf16"}, {"elements": "rest", "type": "bf16"}]}]}
//--- model.mlir
varve.pool @l.window window size 4 : <96 x f32>
varve.pool @l.keys entries ratio 4 page 256 : <64 x f32>
varve.pool @l.odd entries ratio 4 page 256 : <96 x f32>
varve.pool @l.unused window size 4 : <96 x f32>
varve.pool @l.state state size 4 : <256 x f32>
func.func @index(%x: tensor<?x96xf32>, %k: tensor<?x64xf32>, %kv: tensor<?x128xf32>, %q: tensor<?x2x64xf32>,
                 %r: tensor<?x2x96xf32>, %w: tensor<?x2xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  %y = varve.rope %x at %p table <theta = 1.0e+04, dim = 8> : tensor<?x96xf32>, tensor<?xi32> loc("rope")
  varve.append %y to @l.window at (%p, %s) : tensor<?x96xf32>, tensor<?xi32>, tensor<?xi32> loc("a")
  varve.append %k to @l.keys at (%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32> loc("b")
  varve.append %x to @l.odd at (%p, %s) : tensor<?x96xf32>, tensor<?xi32>, tensor<?xi32> loc("c")
  %bias = varve.weight "ape" : tensor<4x128xf32>
  %e, %starts, %eslots = varve.compress %kv, %kv, %bias in @l.state ratio 4 at (%p, %s)
      : (tensor<?x128xf32>, tensor<?x128xf32>, tensor<4x128xf32>, tensor<?xi32>, tensor<?xi32>)
      -> (tensor<?x128xf32>, tensor<?xi32>, tensor<?xi32>) loc("compress")
  %i = varve.index_score %q, %w keys @l.keys scale 0.5 at (%p, %s)
      : (tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32> loc("score")
  %j = varve.index_score %r, %w keys @l.odd scale 0.5 at (%p, %s)
      : (tensor<?x2x96xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32> loc("odd")
  %o = varve.sparse_attention %r window @l.window scale 0.125 at (%p, %s)
      : (tensor<?x2x96xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x2x96xf32> loc("attention")
  return
}
