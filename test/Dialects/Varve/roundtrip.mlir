// Every op and attribute with every optional part: read back from its own
// syntax, from the generic form and from bytecode.
//
// RUN: varve-opt %s | varve-opt | FileCheck %s
// RUN: varve-opt %s --mlir-print-op-generic | varve-opt | FileCheck %s
// RUN: varve-opt %s --emit-bytecode | varve-opt | FileCheck %s
// RUN: varve-opt %s --verify-roundtrip -o /dev/null

// CHECK: module attributes {varve.model = #varve.model<name = "tiny \22one\22", layers = "SSCHC", vocab = 512, max_positions = 4096>}
module attributes {varve.model = #varve.model<name = "tiny \"one\"", layers = "SSCHC", vocab = 512, max_positions = 4096>} {

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

// CHECK: varve.pool @window window size 128 : <448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>
varve.pool @window window size 128 : <448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>
// CHECK: varve.pool @window.values window size 128 : <256 x f16>
varve.pool @window.values window size 128 : <256 x f16>
// CHECK: varve.pool @entries entries ratio 4 page 256 : <512 x bf16>
varve.pool @entries entries ratio 4 page 256 : <512 x bf16>
// CHECK: varve.pool @entries.values entries ratio 4 page 256 : <256 x f16>
varve.pool @entries.values entries ratio 4 page 256 : <256 x f16>
// CHECK: varve.pool @keys entries ratio 4 page 256 : <128 x f4E2M1FN scaled 32 x f8E8M0FNU>
varve.pool @keys entries ratio 4 page 256 : <128 x f4E2M1FN scaled 32 x f8E8M0FNU>
// CHECK: varve.pool @keys.f8 entries ratio 4 page 256 : <128 x f8E4M3FN scaled 128 x f32>
varve.pool @keys.f8 entries ratio 4 page 256 : <128 x f8E4M3FN scaled 128 x f32>
// CHECK: varve.pool @state state size 8 {note = "ring"} : <2048 x f32>
varve.pool @state state size 8 {note = "ring"} : <2048 x f32>
// CHECK: varve.pool @kept entries ratio 128 page 256 select <keep = 512, score = position> : <512 x bf16>
varve.pool @kept entries ratio 128 page 256 select <keep = 512, score = position> : <512 x bf16>
// CHECK: varve.pool @scored entries ratio 1 page 256 select <keep = 2048, score = key, every = 128> : <1024 x bf16>
varve.pool @scored entries ratio 1 page 256 select <keep = 2048, score = key, every = 128> : <1024 x bf16>

// CHECK-LABEL: func.func @append
func.func @append(%rows: tensor<?x512xbf16>, %positions: tensor<?xi32>, %slots: tensor<?xi32>) {
  // CHECK: varve.append %{{.+}} to @window at(%{{.+}}, %{{.+}}) : tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>
  varve.append %rows to @window at (%positions, %slots)
    : tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>
  return
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

// Weights are printed under the name that the checkpoint gives them.
// CHECK-LABEL: func.func @weight
func.func @weight() -> (tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>, tensor<256x2048x4096xf4E2M1FN>, tensor<512x6xi64>) {
  // CHECK: %attn.wq_a = varve.weight "layers.3.attn.wq_a.weight" : tensor<1024x4096xf8E4M3FN>
  %a = varve.weight "layers.3.attn.wq_a.weight" : tensor<1024x4096xf8E4M3FN>
  // CHECK: %attn.wq_a.scale = varve.weight "layers.3.attn.wq_a.scale" : tensor<8x32xf8E8M0FNU>
  %b = varve.weight "layers.3.attn.wq_a.scale" : tensor<8x32xf8E8M0FNU>
  // CHECK: %ffn.experts.x.w1 = varve.weight "layers.3.ffn.experts.*.w1.weight" : tensor<256x2048x4096xf4E2M1FN>
  %c = varve.weight "layers.3.ffn.experts.*.w1.weight" : tensor<256x2048x4096xf4E2M1FN>
  // CHECK: %w0 = varve.weight "0" {note} : tensor<512x6xi64>
  %d = varve.weight "0" {note} : tensor<512x6xi64>
  return %a, %b, %c, %d : tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>, tensor<256x2048x4096xf4E2M1FN>, tensor<512x6xi64>
}

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @streams
func.func @streams(%ids: tensor<?xi32>, %table: tensor<512x16xbf16>, %fn: tensor<24x64xf32>,
                   %base: tensor<24xf32>, %scale: tensor<3xf32>, %hfn: tensor<4x64xf32>,
                   %hbase: tensor<4xf32>, %hscale: tensor<1xf32>, %rows: tensor<?xi32>) -> tensor<?x16xbf16> {
  // CHECK: varve.embed %{{.+}}, %{{.+}} : (tensor<?xi32>, tensor<512x16xbf16>) -> tensor<?x16xbf16>
  %x = varve.embed %ids, %table : (tensor<?xi32>, tensor<512x16xbf16>) -> tensor<?x16xbf16>
  // CHECK: varve.stream_expand %{{.+}} : (tensor<?x16xbf16>) -> tensor<?x4x16xbf16>
  %X = varve.stream_expand %x : (tensor<?x16xbf16>) -> tensor<?x4x16xbf16>
  // CHECK: %pre, %post, %logits = varve.stream_project %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} norm_eps 9.9999999999999995E-7 eps 1.000000e-05 : (tensor<?x4x16xbf16>, tensor<24x64xf32>, tensor<24xf32>, tensor<3xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>)
  %pre, %post, %logits = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-06 eps 1.0e-05
    : (tensor<?x4x16xbf16>, tensor<24x64xf32>, tensor<24xf32>, tensor<3xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>)
  // CHECK: varve.sinkhorn %{{.+}} iterations 20 eps 1.000000e-05 : tensor<?x4x4xf32>
  %comb = varve.sinkhorn %logits iterations 20 eps 1.0e-05 : tensor<?x4x4xf32>
  // CHECK: varve.stream_collapse %{{.+}}, %{{.+}} : (tensor<?x4x16xbf16>, tensor<?x4xf32>) -> tensor<?x16xbf16>
  %y = varve.stream_collapse %X, %pre : (tensor<?x4x16xbf16>, tensor<?x4xf32>) -> tensor<?x16xbf16>
  // CHECK: varve.stream_mix %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} : (tensor<?x16xbf16>, tensor<?x4x16xbf16>, tensor<?x4xf32>, tensor<?x4x4xf32>) -> tensor<?x4x16xbf16>
  %Z = varve.stream_mix %y, %X, %post, %comb
    : (tensor<?x16xbf16>, tensor<?x4x16xbf16>, tensor<?x4xf32>, tensor<?x4x4xf32>) -> tensor<?x4x16xbf16>
  // CHECK: varve.take %{{.+}}, %{{.+}} : (tensor<?x4x16xbf16>, tensor<?xi32>) -> tensor<?x4x16xbf16>
  %last = varve.take %Z, %rows : (tensor<?x4x16xbf16>, tensor<?xi32>) -> tensor<?x4x16xbf16>
  // The head form has one result.
  // CHECK: %[[HEAD:.+]] = varve.stream_project %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} norm_eps 1.000000e-05 eps 1.000000e-05 : (tensor<?x4x16xbf16>, tensor<4x64xf32>, tensor<4xf32>, tensor<1xf32>) -> tensor<?x4xf32>
  %head = varve.stream_project %last, %hfn, %hbase, %hscale norm_eps 1.0e-05 eps 1.0e-05
    : (tensor<?x4x16xbf16>, tensor<4x64xf32>, tensor<4xf32>, tensor<1xf32>) -> tensor<?x4xf32>
  // CHECK: varve.stream_collapse %{{.+}}, %[[HEAD]]
  %z = varve.stream_collapse %last, %head : (tensor<?x4x16xbf16>, tensor<?x4xf32>) -> tensor<?x16xbf16>
  return %z : tensor<?x16xbf16>
}

//===----------------------------------------------------------------------===//
// Norms, matrices, rotations
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%x: tensor<?x8x16xbf16>, %w: tensor<16xf32>) {
  // CHECK: varve.rms_norm %{{.+}} eps 1.000000e-05 : (tensor<?x8x16xbf16>) -> tensor<?x8x16xbf16>
  %0 = varve.rms_norm %x eps 1.0e-05 : (tensor<?x8x16xbf16>) -> tensor<?x8x16xbf16>
  // CHECK: varve.rms_norm %{{.+}} weight %{{.+}} eps 1.000000e-05 : (tensor<?x8x16xbf16>, tensor<16xf32>) -> tensor<?x8x16xf32>
  %1 = varve.rms_norm %x weight %w eps 1.0e-05 : (tensor<?x8x16xbf16>, tensor<16xf32>) -> tensor<?x8x16xf32>
  // CHECK: varve.rms_norm %{{.+}} eps 1.000000e-05 round each_step : (tensor<?x8x16xbf16>) -> tensor<?x8x16xbf16>
  %2 = varve.rms_norm %x eps 1.0e-05 round each_step : (tensor<?x8x16xbf16>) -> tensor<?x8x16xbf16>
  // The default is not printed.
  // CHECK: varve.rms_norm %{{.+}} eps 1.000000e-05 {note} : (tensor<?x8x16xbf16>) -> tensor<?x8x16xbf16>
  %3 = varve.rms_norm %x eps 1.0e-05 round once {note} : (tensor<?x8x16xbf16>) -> tensor<?x8x16xbf16>
  return
}

// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x4096xbf16>, %x8: tensor<?x4096xf8E4M3FN>, %xs: tensor<?x32xf8E8M0FNU>,
                  %w: tensor<1024x4096xbf16>, %w8: tensor<1024x4096xf8E4M3FN>, %ws: tensor<8x32xf8E8M0FNU>) {
  // CHECK: varve.linear %{{.+}}, %{{.+}} : (tensor<?x4096xbf16>, tensor<1024x4096xbf16>) -> tensor<?x1024xf32>
  %0 = varve.linear %x, %w : (tensor<?x4096xbf16>, tensor<1024x4096xbf16>) -> tensor<?x1024xf32>
  // CHECK: varve.linear %{{.+}}, %{{.+}} scaled %{{.+}} by [128, 128] : (tensor<?x4096xbf16>, tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>) -> tensor<?x8x128xbf16>
  %1 = varve.linear %x, %w8 scaled %ws by [128, 128]
    : (tensor<?x4096xbf16>, tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>) -> tensor<?x8x128xbf16>
  // CHECK: varve.linear %{{.+}} scaled %{{.+}} by 128, %{{.+}} scaled %{{.+}} by [128, 128] : (tensor<?x4096xf8E4M3FN>, tensor<?x32xf8E8M0FNU>, tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>) -> tensor<?x1024xbf16>
  %2 = varve.linear %x8 scaled %xs by 128, %w8 scaled %ws by [128, 128]
    : (tensor<?x4096xf8E4M3FN>, tensor<?x32xf8E8M0FNU>, tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>) -> tensor<?x1024xbf16>
  // CHECK: varve.linear %{{.+}} scaled %{{.+}} by 128, %{{.+}} scaled %{{.+}} by [128, 128] short_sums : (tensor<?x4096xf8E4M3FN>
  %3 = varve.linear %x8 scaled %xs by 128, %w8 scaled %ws by [128, 128] short_sums
    : (tensor<?x4096xf8E4M3FN>, tensor<?x32xf8E8M0FNU>, tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>) -> tensor<?x1024xbf16>
  return
}

// CHECK-LABEL: func.func @grouped_linear
func.func @grouped_linear(%x: tensor<?x4x64xbf16>, %x4: tensor<?x4x64xf4E2M1FN>, %xs: tensor<?x8xf32>,
                          %w: tensor<32x128xf16>, %w4: tensor<32x128xf4E2M1FN>, %ws: tensor<32x4xf32>) {
  // CHECK: varve.grouped_linear %{{.+}}, %{{.+}} groups 2 : (tensor<?x4x64xbf16>, tensor<32x128xf16>) -> tensor<?x2x16xbf16>
  %0 = varve.grouped_linear %x, %w groups 2 : (tensor<?x4x64xbf16>, tensor<32x128xf16>) -> tensor<?x2x16xbf16>
  // CHECK: varve.grouped_linear %{{.+}}, %{{.+}} scaled %{{.+}} by [1, 32] groups 2 : (tensor<?x4x64xbf16>, tensor<32x128xf4E2M1FN>, tensor<32x4xf32>) -> tensor<?x32xbf16>
  %1 = varve.grouped_linear %x, %w4 scaled %ws by [1, 32] groups 2
    : (tensor<?x4x64xbf16>, tensor<32x128xf4E2M1FN>, tensor<32x4xf32>) -> tensor<?x32xbf16>
  // CHECK: varve.grouped_linear %{{.+}} scaled %{{.+}} by 32, %{{.+}} scaled %{{.+}} by [1, 32] groups 2 : (tensor<?x4x64xf4E2M1FN>, tensor<?x8xf32>, tensor<32x128xf4E2M1FN>, tensor<32x4xf32>) -> tensor<?x32xbf16>
  %2 = varve.grouped_linear %x4 scaled %xs by 32, %w4 scaled %ws by [1, 32] groups 2
    : (tensor<?x4x64xf4E2M1FN>, tensor<?x8xf32>, tensor<32x128xf4E2M1FN>, tensor<32x4xf32>) -> tensor<?x32xbf16>
  // CHECK: varve.grouped_linear %{{.+}} scaled %{{.+}} by 32, %{{.+}} scaled %{{.+}} by [1, 32] groups 2 short_sums : (tensor<?x4x64xf4E2M1FN>
  %3 = varve.grouped_linear %x4 scaled %xs by 32, %w4 scaled %ws by [1, 32] groups 2 short_sums
    : (tensor<?x4x64xf4E2M1FN>, tensor<?x8xf32>, tensor<32x128xf4E2M1FN>, tensor<32x4xf32>) -> tensor<?x32xbf16>
  return
}

// CHECK-LABEL: func.func @rope
func.func @rope(%x: tensor<?x8x64xbf16>, %positions: tensor<?xi32>) {
  // CHECK: varve.rope %{{.+}} at %{{.+}} table <theta = 1.000000e+04 : f64, dim = 32> : tensor<?x8x64xbf16>, tensor<?xi32>
  %0 = varve.rope %x at %positions table <theta = 1.0e4 : f64, dim = 32> : tensor<?x8x64xbf16>, tensor<?xi32>
  // CHECK: varve.rope inverse %{{.+}} at %{{.+}} table <theta = 1.600000e+05 : f64, dim = 64, yarn = <factor = 1.600000e+01 : f64, beta_fast = 3.200000e+01 : f64, beta_slow = 1.000000e+00 : f64, original = 65536>> : tensor<?x8x64xbf16>, tensor<?xi32>
  %1 = varve.rope inverse %x at %positions
    table <theta = 1.6e5 : f64, dim = 64, yarn = <factor = 16.0 : f64, beta_fast = 32.0 : f64, beta_slow = 1.0 : f64, original = 65536>>
    : tensor<?x8x64xbf16>, tensor<?xi32>
  return
}

// CHECK-LABEL: func.func @hadamard
func.func @hadamard(%x: tensor<?x64x128xbf16>) {
  // CHECK: varve.hadamard %{{.+}} : tensor<?x64x128xbf16>
  %0 = varve.hadamard %x : tensor<?x64x128xbf16>
  return
}

// CHECK-LABEL: func.func @quantize
func.func @quantize(%x: tensor<?x4x100xbf16>) {
  // CHECK: %codes, %scales = varve.quantize %{{.+}} block 32 : tensor<?x4x100xbf16> -> tensor<?x4x100xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>
  %c, %s = varve.quantize %x block 32 : tensor<?x4x100xbf16> -> tensor<?x4x100xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>
  // CHECK: varve.dequantize %codes scaled %scales block 32 : (tensor<?x4x100xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>) -> tensor<?x4x100xf16>
  %y = varve.dequantize %c scaled %s block 32 : (tensor<?x4x100xf4E2M1FN>, tensor<?x4x4xf8E8M0FNU>) -> tensor<?x4x100xf16>
  return
}

//===----------------------------------------------------------------------===//
// Compression, index, attention
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @compress
func.func @compress(%kv: tensor<?x1024xf32>, %bias: tensor<4x1024xf32>, %bias8: tensor<8x1024xbf16>,
                    %positions: tensor<?xi32>, %slots: tensor<?xi32>) {
  // CHECK: %entries, %starts, %entry_slots = varve.compress %{{.+}}, %{{.+}}, %{{.+}} in @state ratio 4 overlap at(%{{.+}}, %{{.+}}) : (tensor<?x1024xf32>, tensor<?x1024xf32>, tensor<4x1024xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>)
  %0:3 = varve.compress %kv, %kv, %bias in @state ratio 4 overlap at (%positions, %slots)
    : (tensor<?x1024xf32>, tensor<?x1024xf32>, tensor<4x1024xf32>, tensor<?xi32>, tensor<?xi32>)
    -> (tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>)
  // CHECK: varve.compress %{{.+}}, %{{.+}}, %{{.+}} in @state ratio 8 at(%{{.+}}, %{{.+}}) : (tensor<?x1024xf32>, tensor<?x1024xf32>, tensor<8x1024xbf16>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x1024xf32>, tensor<?xi32>, tensor<?xi32>)
  %1:3 = varve.compress %kv, %kv, %bias8 in @state ratio 8 at (%positions, %slots)
    : (tensor<?x1024xf32>, tensor<?x1024xf32>, tensor<8x1024xbf16>, tensor<?xi32>, tensor<?xi32>)
    -> (tensor<?x1024xf32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// CHECK-LABEL: func.func @index
func.func @index(%q: tensor<?x64x128xbf16>, %q4: tensor<?x64x128xf4E2M1FN>, %qs: tensor<?x64x4xf8E8M0FNU>,
                 %weights: tensor<?x64xbf16>, %positions: tensor<?xi32>, %slots: tensor<?xi32>) {
  // CHECK: %[[SCORES:.+]] = varve.index_score %{{.+}}, %{{.+}} keys @keys scale 1.250000e-01 at(%{{.+}}, %{{.+}}) : (tensor<?x64x128xbf16>, tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  %0 = varve.index_score %q, %weights keys @keys scale 0.125 at (%positions, %slots)
    : (tensor<?x64x128xbf16>, tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
  // CHECK: varve.index_score %{{.+}} scaled %{{.+}} by 32, %{{.+}} keys @keys.f8 scale -1.250000e-01 at(%{{.+}}, %{{.+}}) round each_step : (tensor<?x64x128xf4E2M1FN>, tensor<?x64x4xf8E8M0FNU>, tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xbf16>
  %1 = varve.index_score %q4 scaled %qs by 32, %weights keys @keys.f8 scale -0.125 at (%positions, %slots) round each_step
    : (tensor<?x64x128xf4E2M1FN>, tensor<?x64x4xf8E8M0FNU>, tensor<?x64xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xbf16>
  // The result's type is inferred from k.
  // CHECK: %[[BEST:.+]] = varve.index_topk %[[SCORES]] k 512 : tensor<?x?xf32>
  %2 = varve.index_topk %0 k 512 : tensor<?x?xf32>
  // CHECK: call @uses_indices(%[[BEST]]) : (tensor<?x512xi32>) -> ()
  call @uses_indices(%2) : (tensor<?x512xi32>) -> ()
  return
}
func.func private @uses_indices(tensor<?x512xi32>)

// CHECK-LABEL: func.func @sparse_attention
func.func @sparse_attention(%q: tensor<?x8x512xbf16>, %indices: tensor<?x512xi32>, %sink: tensor<8xf32>,
                            %positions: tensor<?xi32>, %slots: tensor<?xi32>) {
  // Sliding window.
  // CHECK: varve.sparse_attention %{{.+}} window @window scale 1.250000e-01 at(%{{.+}}, %{{.+}}) : (tensor<?x8x512xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x512xbf16>
  %0 = varve.sparse_attention %q window @window scale 0.125 at (%positions, %slots)
    : (tensor<?x8x512xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x512xbf16>
  // Causal attention to entries, with values that are a prefix of the keys.
  // CHECK: varve.sparse_attention %{{.+}} entries @entries scale 1.250000e-01 at(%{{.+}}, %{{.+}}) : (tensor<?x8x512xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x448xf32>
  %1 = varve.sparse_attention %q entries @entries scale 0.125 at (%positions, %slots)
    : (tensor<?x8x512xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x448xf32>
  // CHECK: varve.sparse_attention %{{.+}} window @window entries @entries indices %{{.+}} sink %{{.+}} scale 1.250000e-01 at(%{{.+}}, %{{.+}}) block 64 probabilities bf16 : (tensor<?x8x512xbf16>, tensor<?x512xi32>, tensor<8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x512xbf16>
  %2 = varve.sparse_attention %q window @window entries @entries indices %indices sink %sink scale 0.125
    at (%positions, %slots) block 64 probabilities bf16
    : (tensor<?x8x512xbf16>, tensor<?x512xi32>, tensor<8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x512xbf16>
  return
}

// CHECK-LABEL: func.func @attention_with_separate_values
func.func @attention_with_separate_values(%q: tensor<?x8x256xbf16>, %positions: tensor<?xi32>, %slots: tensor<?xi32>) {
  // CHECK: varve.sparse_attention %{{.+}} window @window values @window.values entries @entries values @entries.values scale 1.250000e-01 at(%{{.+}}, %{{.+}}) kv_heads 2 : (tensor<?x8x256xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x128xbf16>
  %0 = varve.sparse_attention %q window @window values @window.values entries @entries values @entries.values
    scale 0.125 at (%positions, %slots) kv_heads 2
    : (tensor<?x8x256xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x128xbf16>
  // CHECK: varve.sparse_attention %{{.+}} entries @entries values @entries.values scale 1.250000e-01 at(%{{.+}}, %{{.+}}) kv_heads 2 : (tensor<?x8x256xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x128xbf16>
  %1 = varve.sparse_attention %q entries @entries values @entries.values
    scale 0.125 at (%positions, %slots) kv_heads 2
    : (tensor<?x8x256xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8x128xbf16>
  return
}

//===----------------------------------------------------------------------===//
// Routing, experts, sampling
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @route
func.func @route(%logits: tensor<?x16xf32>, %bias: tensor<16xf32>, %ids: tensor<?xi32>, %table: tensor<512x6xi64>) -> (tensor<?x6xi32>, tensor<?x6xf32>) {
  // CHECK: %ids, %weights = varve.route_topk %{{.+}} active 6 scoring sigmoid scale 1.000000e+00 : tensor<?x16xf32>
  %0:2 = varve.route_topk %logits active 6 scoring sigmoid scale 1.0 : tensor<?x16xf32>
  // CHECK: varve.route_topk %{{.+}} bias %{{.+}} active 6 scoring sqrt_softplus normalize scale 1.500000e+00 : tensor<?x16xf32>, tensor<16xf32>
  %1:2 = varve.route_topk %logits bias %bias active 6 scoring sqrt_softplus normalize scale 1.5
    : tensor<?x16xf32>, tensor<16xf32>
  // CHECK: varve.route_hash %{{.+}}, %{{.+}}, %{{.+}} scoring softmax scale 1.500000e+00 : tensor<?x16xf32>, tensor<?xi32>, tensor<512x6xi64>
  %2:2 = varve.route_hash %logits, %ids, %table scoring softmax scale 1.5
    : tensor<?x16xf32>, tensor<?xi32>, tensor<512x6xi64>
  // CHECK: varve.route_hash %{{.+}}, %{{.+}}, %{{.+}} scoring sqrt_softplus normalize scale 1.500000e+00 :
  %3:2 = varve.route_hash %logits, %ids, %table scoring sqrt_softplus normalize scale 1.5
    : tensor<?x16xf32>, tensor<?xi32>, tensor<512x6xi64>
  // CHECK: return {{.+}} : tensor<?x6xi32>, tensor<?x6xf32>
  return %3#0, %3#1 : tensor<?x6xi32>, tensor<?x6xf32>
}

// CHECK-LABEL: func.func @experts
func.func @experts(%x: tensor<?x256xbf16>, %x8: tensor<?x256xf8E4M3FN>, %xs: tensor<?x2xf8E8M0FNU>,
                   %h: tensor<?x6x256xf8E4M3FN>, %hs: tensor<?x6x2xf8E8M0FNU>, %ids: tensor<?x6xi32>,
                   %w: tensor<16x64x256xbf16>, %w4: tensor<16x64x256xf4E2M1FN>, %ws: tensor<16x64x8xf8E8M0FNU>) {
  // CHECK: varve.experts %{{.+}}, %{{.+}}, %{{.+}} : (tensor<?x256xbf16>, tensor<?x6xi32>, tensor<16x64x256xbf16>) -> tensor<?x6x64xbf16>
  %0 = varve.experts %x, %ids, %w : (tensor<?x256xbf16>, tensor<?x6xi32>, tensor<16x64x256xbf16>) -> tensor<?x6x64xbf16>
  // CHECK: varve.experts %{{.+}}, %{{.+}}, %{{.+}} scaled %{{.+}} by [1, 32] : (tensor<?x256xbf16>, tensor<?x6xi32>, tensor<16x64x256xf4E2M1FN>, tensor<16x64x8xf8E8M0FNU>) -> tensor<?x6x64xbf16>
  %1 = varve.experts %x, %ids, %w4 scaled %ws by [1, 32]
    : (tensor<?x256xbf16>, tensor<?x6xi32>, tensor<16x64x256xf4E2M1FN>, tensor<16x64x8xf8E8M0FNU>) -> tensor<?x6x64xbf16>
  // CHECK: varve.experts %{{.+}} scaled %{{.+}} by 128, %{{.+}}, %{{.+}} scaled %{{.+}} by [1, 32] : (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<?x6xi32>, tensor<16x64x256xf4E2M1FN>, tensor<16x64x8xf8E8M0FNU>) -> tensor<?x6x64xbf16>
  %2 = varve.experts %x8 scaled %xs by 128, %ids, %w4 scaled %ws by [1, 32]
    : (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<?x6xi32>, tensor<16x64x256xf4E2M1FN>, tensor<16x64x8xf8E8M0FNU>) -> tensor<?x6x64xbf16>
  // CHECK: varve.experts %{{.+}} scaled %{{.+}} by 128, %{{.+}}, %{{.+}} scaled %{{.+}} by [1, 32] : (tensor<?x6x256xf8E4M3FN>, tensor<?x6x2xf8E8M0FNU>,
  %3 = varve.experts %h scaled %hs by 128, %ids, %w4 scaled %ws by [1, 32]
    : (tensor<?x6x256xf8E4M3FN>, tensor<?x6x2xf8E8M0FNU>, tensor<?x6xi32>, tensor<16x64x256xf4E2M1FN>, tensor<16x64x8xf8E8M0FNU>) -> tensor<?x6x64xbf16>
  // CHECK: varve.experts %{{.+}} scaled %{{.+}} by 128, %{{.+}}, %{{.+}} scaled %{{.+}} by [1, 32] short_sums : (tensor<?x6x256xf8E4M3FN>
  %4 = varve.experts %h scaled %hs by 128, %ids, %w4 scaled %ws by [1, 32] short_sums
    : (tensor<?x6x256xf8E4M3FN>, tensor<?x6x2xf8E8M0FNU>, tensor<?x6xi32>, tensor<16x64x256xf4E2M1FN>, tensor<16x64x8xf8E8M0FNU>) -> tensor<?x6x64xbf16>
  return
}

// CHECK-LABEL: func.func @swiglu
func.func @swiglu(%gate: tensor<?x6x64xbf16>, %weights: tensor<?x6xf32>) {
  // CHECK: varve.swiglu %{{.+}}, %{{.+}} limit 0.000000e+00 : (tensor<?x6x64xbf16>, tensor<?x6x64xbf16>) -> tensor<?x6x64xf32>
  %0 = varve.swiglu %gate, %gate limit 0.0 : (tensor<?x6x64xbf16>, tensor<?x6x64xbf16>) -> tensor<?x6x64xf32>
  // CHECK: varve.swiglu %{{.+}}, %{{.+}} weights %{{.+}} limit 1.000000e+01 : (tensor<?x6x64xbf16>, tensor<?x6x64xbf16>, tensor<?x6xf32>) -> tensor<?x6x64xbf16>
  %1 = varve.swiglu %gate, %gate weights %weights limit 10.0 : (tensor<?x6x64xbf16>, tensor<?x6x64xbf16>, tensor<?x6xf32>) -> tensor<?x6x64xbf16>
  return
}

// CHECK-LABEL: func.func @combine
func.func @combine(%x: tensor<?x6x64xbf16>, %ids: tensor<?x6xi32>, %shared: tensor<?x64xbf16>) {
  // CHECK: varve.combine %{{.+}}, %{{.+}} : (tensor<?x6x64xbf16>, tensor<?x6xi32>) -> tensor<?x64xbf16>
  %0 = varve.combine %x, %ids : (tensor<?x6x64xbf16>, tensor<?x6xi32>) -> tensor<?x64xbf16>
  // CHECK: varve.combine %{{.+}}, %{{.+}} shared %{{.+}} : (tensor<?x6x64xbf16>, tensor<?x6xi32>, tensor<?x64xbf16>) -> tensor<?x64xbf16>
  %1 = varve.combine %x, %ids shared %shared : (tensor<?x6x64xbf16>, tensor<?x6xi32>, tensor<?x64xbf16>) -> tensor<?x64xbf16>
  return
}

// CHECK-LABEL: func.func @sample
func.func @sample(%logits: tensor<?x512xf32>, %uniform: tensor<?xf32>) -> tensor<?xi32> {
  // CHECK: varve.sample %{{.+}} temperature 0.000000e+00 : tensor<?x512xf32>
  %0 = varve.sample %logits temperature 0.0 : tensor<?x512xf32>
  // CHECK: varve.sample %{{.+}} uniform %{{.+}} temperature 1.000000e+00 top_p 5.000000e-01 : tensor<?x512xf32>, tensor<?xf32>
  %1 = varve.sample %logits uniform %uniform temperature 1.0 top_p 0.5 : tensor<?x512xf32>, tensor<?xf32>
  // The default is not printed.
  // CHECK: varve.sample %{{.+}} uniform %{{.+}} temperature 1.000000e+00 : tensor<?x512xf32>, tensor<?xf32>
  %2 = varve.sample %logits uniform %uniform temperature 1.0 top_p 1.0 : tensor<?x512xf32>, tensor<?xf32>
  return %2 : tensor<?xi32>
}

// Attributes outside their ops, with the parts that are optional.
// CHECK-LABEL: func.func private @attributes
// CHECK-SAME: eos = #varve.model<name = "", layers = "S", vocab = 8, max_positions = 1, bos = 0, eos = 7>
// CHECK-SAME: format = #varve.format<2 x f4E2M1FN scaled 1 x f32>
// CHECK-SAME: rope = #varve.rope<theta = 2.000000e+00 : f32, dim = 2>
// CHECK-SAME: scaled = #varve.segment<64 x f8E4M3FN scaled 32 x f32>
// CHECK-SAME: segment = #varve.segment<3 x bf16>
// CHECK-SAME: yarn = #varve.yarn<factor = 1.000000e+00 : f64, beta_fast = 1.000000e+00 : f64, beta_slow = 1.000000e+00 : f64, original = 1>
func.func private @attributes() attributes {
  eos = #varve.model<name = "", layers = "S", vocab = 8, max_positions = 1, bos = 0, eos = 7>,
  format = #varve.format<2 x f4E2M1FN scaled 1 x f32>,
  rope = #varve.rope<theta = 2.0 : f32, dim = 2>,
  scaled = #varve.segment<64 x f8E4M3FN scaled 32 x f32>,
  segment = #varve.segment<3 x bf16>,
  yarn = #varve.yarn<factor = 1.0 : f64, beta_fast = 1.0 : f64, beta_slow = 1.0 : f64, original = 1>}
}
