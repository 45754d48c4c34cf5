// Quantisation runs with what makes the numbers: every way of it, and what stands
// against it.
//
// RUN: varve-opt %s -split-input-file -varve-form-kernels=remarks 2>&1 >%t \
// RUN:   | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark: --implicit-check-not=error:
// RUN: FileCheck %s --input-file=%t

// Norm and quantisation.
// CHECK-LABEL: func.func @norm
func.func @norm(%x: tensor<?x256xbf16>)
    -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>) {
  // CHECK: varve.kernel "rows" -> tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU> {
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.quantize
  // CHECK-NEXT: varve.yield
  // CHECK-NOT: varve.kernel
  %w = varve.weight "w" : tensor<256xbf16>
  %n = varve.rms_norm %x weight %w eps 1.0e-6
      : (tensor<?x256xbf16>, tensor<256xbf16>) -> tensor<?x256xbf16> loc("norm")
  // REMARK: remark: {{.*}}rows: joined with norm
  %c, %s = varve.quantize %n block 128
      : tensor<?x256xbf16> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  return %c, %s : tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
}

// -----

// The norm of collapsed streams, whose bf16 numbers others need too.
// CHECK-LABEL: func.func @norm_of_streams
func.func @norm_of_streams(%x: tensor<?x2x128xbf16>)
    -> (tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>) {
  // CHECK: varve.kernel "streams" -> tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU> {
  // CHECK-NEXT: varve.stream_project
  // CHECK-NEXT: varve.stream_collapse
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.quantize
  // CHECK-NOT: varve.kernel
  %fn = varve.weight "fn" : tensor<2x256xf32>
  %base = varve.weight "base" : tensor<2xf32>
  %scale = varve.weight "scale" : tensor<1xf32>
  %pre = varve.stream_project %x, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
      : (tensor<?x2x128xbf16>, tensor<2x256xf32>, tensor<2xf32>, tensor<1xf32>)
      -> tensor<?x2xf32> loc("project")
  // REMARK: remark: {{.*}}followers: joined with project
  %u = varve.stream_collapse %x, %pre
      : (tensor<?x2x128xbf16>, tensor<?x2xf32>) -> tensor<?x128xbf16> loc("collapse")
  // REMARK: remark: {{.*}}followers: joined with collapse
  %n = varve.rms_norm %u eps 1.0e-6 : (tensor<?x128xbf16>) -> tensor<?x128xbf16> loc("norm")
  // REMARK: remark: {{.*}}followers: joined with norm
  %c, %s = varve.quantize %n block 128
      : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
  return %n, %c, %s : tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
}

// -----

// A norm whose rows go through a product first has nothing to do with the codes.
// CHECK-LABEL: func.func @norm_before_a_product
func.func @norm_before_a_product(%x: tensor<?x128xbf16>)
    -> (tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>) {
  // CHECK: varve.kernel "rows" -> tensor<?x128xbf16> {
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "linear"
  // CHECK-NEXT: varve.linear
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.quantize
  %w = varve.weight "w" : tensor<128x128xbf16>
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x128xbf16>) -> tensor<?x128xbf16>
  %y = varve.linear %n, %w
      : (tensor<?x128xbf16>, tensor<128x128xbf16>) -> tensor<?x128xbf16> loc("product")
  // REMARK: remark: {{.*}}epilogue: not joined with product, whose result has other users
  %c, %s = varve.quantize %y block 128
      : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
  return %y, %c, %s : tensor<?x128xbf16>, tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
}

// -----

// SwiGLU and quantisation, of experts.
// CHECK-LABEL: func.func @gate
func.func @gate(%x: tensor<?x128xbf16>, %ids: tensor<?x2xi32>, %p: tensor<?x2xf32>)
    -> (tensor<?x2x256xf8E4M3FN>, tensor<?x2x2xf8E8M0FNU>) {
  // CHECK: varve.kernel "experts" -> tensor<?x2x256xf8E4M3FN>, tensor<?x2x2xf8E8M0FNU> {
  // CHECK-NEXT: varve.experts
  // CHECK-NEXT: varve.experts
  // CHECK-NEXT: varve.swiglu
  // CHECK-NEXT: varve.quantize
  // CHECK-NOT: varve.kernel
  %w1 = varve.weight "e.*.w1" : tensor<4x256x128xbf16>
  %w3 = varve.weight "e.*.w3" : tensor<4x256x128xbf16>
  %g = varve.experts %x, %ids, %w1
      : (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4x256x128xbf16>)
      -> tensor<?x2x256xbf16> loc("w1")
  // REMARK: remark: {{.*}}gated: joined with w1
  %u = varve.experts %x, %ids, %w3
      : (tensor<?x128xbf16>, tensor<?x2xi32>, tensor<4x256x128xbf16>)
      -> tensor<?x2x256xbf16> loc("w3")
  // REMARK: remark: {{.*}}gated: joined with w1
  %v = varve.swiglu %g, %u weights %p limit 10.0
      : (tensor<?x2x256xbf16>, tensor<?x2x256xbf16>, tensor<?x2xf32>)
      -> tensor<?x2x256xbf16> loc("gate")
  // REMARK: remark: {{.*}}epilogue: joined with gate
  %c, %s = varve.quantize %v block 128
      : tensor<?x2x256xbf16> -> tensor<?x2x256xf8E4M3FN>, tensor<?x2x2xf8E8M0FNU>
  return %c, %s : tensor<?x2x256xf8E4M3FN>, tensor<?x2x2xf8E8M0FNU>
}

// -----

// Both of the pair may have short sums, and keep them.
// CHECK-LABEL: func.func @gate_with_short_sums
func.func @gate_with_short_sums(%x: tensor<?x128xf8E4M3FN>, %xs: tensor<?x1xf8E8M0FNU>,
    %ids: tensor<?x2xi32>) -> tensor<?x2x64xbf16> {
  // CHECK: varve.kernel "experts"
  // CHECK-NEXT: varve.experts {{.*}} short_sums :
  // CHECK-NEXT: varve.experts {{.*}} short_sums :
  // CHECK-NEXT: varve.swiglu
  // CHECK-NOT: varve.kernel
  %w1 = varve.weight "e.*.w1" : tensor<4x64x128xf4E2M1FN>
  %s1 = varve.weight "e.*.s1" : tensor<4x64x4xf8E8M0FNU>
  %w3 = varve.weight "e.*.w3" : tensor<4x64x128xf4E2M1FN>
  %s3 = varve.weight "e.*.s3" : tensor<4x64x4xf8E8M0FNU>
  %g = varve.experts %x scaled %xs by 128, %ids, %w1 scaled %s1 by [1, 32] short_sums
      : (tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x2xi32>,
         tensor<4x64x128xf4E2M1FN>, tensor<4x64x4xf8E8M0FNU>) -> tensor<?x2x64xbf16> loc("w1")
  // REMARK: remark: {{.*}}gated: joined with w1
  %u = varve.experts %x scaled %xs by 128, %ids, %w3 scaled %s3 by [1, 32] short_sums
      : (tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x2xi32>,
         tensor<4x64x128xf4E2M1FN>, tensor<4x64x4xf8E8M0FNU>) -> tensor<?x2x64xbf16> loc("w3")
  // REMARK: remark: {{.*}}gated: joined with w1
  %v = varve.swiglu %g, %u limit 10.0
      : (tensor<?x2x64xbf16>, tensor<?x2x64xbf16>) -> tensor<?x2x64xbf16> loc("gate")
  return %v : tensor<?x2x64xbf16>
}

// -----

// One of the two alone does not make a pair.
// CHECK-LABEL: func.func @gate_with_short_sums_of_one
func.func @gate_with_short_sums_of_one(%x: tensor<?x128xf8E4M3FN>, %xs: tensor<?x1xf8E8M0FNU>,
    %ids: tensor<?x2xi32>) -> tensor<?x2x64xbf16> {
  // CHECK: varve.kernel "experts"
  // CHECK-NEXT: varve.experts {{.*}} short_sums :
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "experts"
  // CHECK-NEXT: varve.experts {{.*}} by [1, 32] :
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel
  // CHECK-NEXT: varve.swiglu
  %w1 = varve.weight "e.*.w1" : tensor<4x64x128xf4E2M1FN>
  %s1 = varve.weight "e.*.s1" : tensor<4x64x4xf8E8M0FNU>
  %w3 = varve.weight "e.*.w3" : tensor<4x64x128xf4E2M1FN>
  %s3 = varve.weight "e.*.s3" : tensor<4x64x4xf8E8M0FNU>
  %g = varve.experts %x scaled %xs by 128, %ids, %w1 scaled %s1 by [1, 32] short_sums
      : (tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x2xi32>,
         tensor<4x64x128xf4E2M1FN>, tensor<4x64x4xf8E8M0FNU>) -> tensor<?x2x64xbf16> loc("w1")
  %u = varve.experts %x scaled %xs by 128, %ids, %w3 scaled %s3 by [1, 32]
      : (tensor<?x128xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x2xi32>,
         tensor<4x64x128xf4E2M1FN>, tensor<4x64x4xf8E8M0FNU>) -> tensor<?x2x64xbf16> loc("w3")
  %v = varve.swiglu %g, %u limit 10.0
      : (tensor<?x2x64xbf16>, tensor<?x2x64xbf16>) -> tensor<?x2x64xbf16> loc("gate")
  return %v : tensor<?x2x64xbf16>
}

// -----

// A last block that is shorter does not lie in a tile of its own.
// CHECK-LABEL: func.func @gate_with_a_short_block
func.func @gate_with_a_short_block(%x: tensor<?x128xbf16>)
    -> (tensor<?x192xf8E4M3FN>, tensor<?x2xf8E8M0FNU>) {
  // CHECK: varve.kernel "linear"
  // CHECK: varve.swiglu
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.quantize
  %w1 = varve.weight "w1" : tensor<192x128xbf16>
  %w3 = varve.weight "w3" : tensor<192x128xbf16>
  %g = varve.linear %x, %w1
      : (tensor<?x128xbf16>, tensor<192x128xbf16>) -> tensor<?x192xbf16> loc("w1")
  // REMARK: remark: {{.*}}gated: joined with w1
  %u = varve.linear %x, %w3
      : (tensor<?x128xbf16>, tensor<192x128xbf16>) -> tensor<?x192xbf16> loc("w3")
  // REMARK: remark: {{.*}}gated: joined with w1
  %v = varve.swiglu %g, %u limit 10.0
      : (tensor<?x192xbf16>, tensor<?x192xbf16>) -> tensor<?x192xbf16> loc("gate")
  // REMARK: remark: {{.*}}epilogue: not joined with gate, whose rows of 192 elements are not made of blocks of 128
  %c, %s = varve.quantize %v block 128
      : tensor<?x192xbf16> -> tensor<?x192xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  return %c, %s : tensor<?x192xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
}

// -----

// Rotation, quantisation and the write to the cache: the pool's format has the
// codes.
varve.pool @window window size 8 : <64 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>
// CHECK-LABEL: func.func @rotation_and_store
func.func @rotation_and_store(%x: tensor<?x128xbf16>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
  // CHECK: varve.kernel "rows" {
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.rope
  // CHECK-NEXT: varve.append
  // CHECK: varve.kernel "commit"
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x128xbf16>) -> tensor<?x128xbf16> loc("norm")
  // REMARK: remark: {{.*}}rows: joined with norm
  %r = varve.rope %n at %p table <theta = 1.0e4, dim = 64>
      : tensor<?x128xbf16>, tensor<?xi32> loc("rope")
  // REMARK: remark: {{.*}}rows: joined with rope
  varve.append %r to @window at(%p, %s) : tensor<?x128xbf16>, tensor<?xi32>, tensor<?xi32>
  varve.commit @window at(%p, %s) : tensor<?xi32>, tensor<?xi32>
  return
}

// -----

// A reader that needs the rotated rows and the pool as it was lies between.
varve.pool @window window size 8 : <64 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>
// CHECK-LABEL: func.func @a_reader_before_the_store
func.func @a_reader_before_the_store(%x: tensor<?x128xbf16>, %p: tensor<?xi32>,
                                     %s: tensor<?xi32>) -> tensor<?x2x128xbf16> {
  // CHECK: varve.kernel "rows" -> tensor<?x128xbf16> {
  // CHECK-NEXT: varve.rope
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "attention"
  // CHECK: varve.kernel "rows" {
  // CHECK-NEXT: varve.append
  %w = varve.weight "w" : tensor<256x128xbf16>
  %r = varve.rope %x at %p table <theta = 1.0e4, dim = 64>
      : tensor<?x128xbf16>, tensor<?xi32> loc("rope")
  %q = varve.linear %r, %w
      : (tensor<?x128xbf16>, tensor<256x128xbf16>) -> tensor<?x2x128xbf16>
  %o = varve.sparse_attention %q window @window scale 1.0 at(%p, %s)
      : (tensor<?x2x128xbf16>, tensor<?xi32>, tensor<?xi32>)
      -> tensor<?x2x128xbf16> loc("attention")
  // REMARK: remark: {{.*}}rows: not joined with rope, since varve.linear lies between
  varve.append %r to @window at(%p, %s) : tensor<?x128xbf16>, tensor<?xi32>, tensor<?xi32>
  varve.commit @window at(%p, %s) : tensor<?xi32>, tensor<?xi32>
  return %o : tensor<?x2x128xbf16>
}

// -----

// Compression, norm, rotation, quantisation and the write to the cache.
varve.pool @state state size 4 : <256 x f32>
varve.pool @entries entries ratio 4 page 16 : <64 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>
// CHECK-LABEL: func.func @entry_rows
func.func @entry_rows(%kv: tensor<?x128xf32>, %gate: tensor<?x128xf32>, %p: tensor<?xi32>,
                   %s: tensor<?xi32>) {
  // CHECK: varve.kernel "compress" {
  // CHECK-NEXT: varve.compress
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.rope
  // CHECK-NEXT: varve.append
  %ape = varve.weight "ape" : tensor<4x128xf32>
  %e, %starts, %slots = varve.compress %kv, %gate, %ape in @state ratio 4 at(%p, %s)
      : (tensor<?x128xf32>, tensor<?x128xf32>, tensor<4x128xf32>, tensor<?xi32>, tensor<?xi32>)
      -> (tensor<?x128xbf16>, tensor<?xi32>, tensor<?xi32>) loc("compress")
  // REMARK: remark: {{.*}}followers: joined with compress
  %n = varve.rms_norm %e eps 1.0e-6 : (tensor<?x128xbf16>) -> tensor<?x128xbf16> loc("norm")
  // REMARK: remark: {{.*}}followers: joined with norm
  %r = varve.rope %n at %starts table <theta = 1.0e4, dim = 64>
      : tensor<?x128xbf16>, tensor<?xi32> loc("rope")
  // REMARK: remark: {{.*}}followers: joined with rope
  varve.append %r to @entries at(%starts, %slots)
      : tensor<?x128xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

// Codes of entries that something else than the cache needs are not at hand.
varve.pool @state state size 4 : <256 x f32>
// CHECK-LABEL: func.func @codes_of_entries
func.func @codes_of_entries(%kv: tensor<?x128xf32>, %gate: tensor<?x128xf32>, %p: tensor<?xi32>,
                            %s: tensor<?xi32>)
    -> (tensor<?x128xf8E4M3FN>, tensor<?x2xf8E8M0FNU>) {
  // CHECK: varve.kernel "compress"
  // CHECK-NEXT: varve.compress
  // CHECK-NEXT: varve.rms_norm
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.quantize
  %ape = varve.weight "ape" : tensor<4x128xf32>
  %e, %starts, %slots = varve.compress %kv, %gate, %ape in @state ratio 4 at(%p, %s)
      : (tensor<?x128xf32>, tensor<?x128xf32>, tensor<4x128xf32>, tensor<?xi32>, tensor<?xi32>)
      -> (tensor<?x128xbf16>, tensor<?xi32>, tensor<?xi32>) loc("compress")
  // REMARK: remark: {{.*}}followers: joined with compress
  %n = varve.rms_norm %e eps 1.0e-6 : (tensor<?x128xbf16>) -> tensor<?x128xbf16> loc("norm")
  // REMARK: remark: {{.*}}followers: not joined with norm, since kernels of kind 'compress' make no codes
  %c, %k = varve.quantize %n block 64
      : tensor<?x128xbf16> -> tensor<?x128xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
  return %c, %k : tensor<?x128xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
}

// -----

// The Hadamard transform and FP4, of queries.
// CHECK-LABEL: func.func @queries
func.func @queries(%q: tensor<?x4x128xbf16>, %p: tensor<?xi32>)
    -> (tensor<?x4x128xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>) {
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.rope
  // CHECK-NEXT: varve.hadamard
  // CHECK-NEXT: varve.quantize
  // CHECK-NOT: varve.kernel
  %r = varve.rope %q at %p table <theta = 1.0e4, dim = 64>
      : tensor<?x4x128xbf16>, tensor<?xi32> loc("rope")
  // REMARK: remark: {{.*}}rows: joined with rope
  %h = varve.hadamard %r : tensor<?x4x128xbf16> loc("hadamard")
  // REMARK: remark: {{.*}}rows: joined with hadamard
  %c, %s = varve.quantize %h block 32
      : tensor<?x4x128xbf16> -> tensor<?x4x128xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>
  return %c, %s : tensor<?x4x128xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>
}

// -----

// A transform of heads and one of whole tokens treat different rows.
// CHECK-LABEL: func.func @heads_and_tokens
func.func @heads_and_tokens(%g: tensor<?x2x128xbf16>, %u: tensor<?x2x128xbf16>, %ids: tensor<?x2xi32>)
    -> (tensor<?x128xf4E2M1FN>, tensor<?x4xf8E8M0FNU>) {
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.hadamard
  // CHECK-NEXT: varve.yield
  // CHECK: varve.kernel "rows"
  // CHECK-NEXT: varve.combine
  // CHECK-NEXT: varve.hadamard
  // CHECK-NEXT: varve.quantize
  %h = varve.hadamard %g : tensor<?x2x128xbf16> loc("heads")
  // REMARK: remark: {{.*}}rows: not joined with heads, which treats other rows
  %t = varve.combine %h, %ids
      : (tensor<?x2x128xbf16>, tensor<?x2xi32>) -> tensor<?x128xbf16> loc("sum")
  // REMARK: remark: {{.*}}rows: joined with sum
  %y = varve.hadamard %t : tensor<?x128xbf16> loc("hadamard")
  // REMARK: remark: {{.*}}rows: joined with hadamard
  %c, %s = varve.quantize %y block 32
      : tensor<?x128xbf16> -> tensor<?x128xf4E2M1FN>, tensor<?x4xf8E8M0FNU>
  return %c, %s : tensor<?x128xf4E2M1FN>, tensor<?x4xf8E8M0FNU>
}
