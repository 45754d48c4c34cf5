// DeepSeek-V3.2, for comparison: latent attention (128 heads over one shared
// latent row of 512 + 64) that reads the 2048 best of all tokens, which an
// indexer of 64 heads scores. 3 layers with a dense MLP, 58 with 256 experts.
//
// A function with `varve.repeat` stands for so many layers; this module is for
// costs. Its cache is FP8 with f32 scales: 656 and 132 bytes a token and layer.
!numbers = tensor<?xi32>
!hidden = tensor<?x7168xbf16>
#rope = #varve.rope<theta = 1.0e4 : f64, dim = 64>

module attributes {
    varve.model = #varve.model<name = "deepseek-v3.2", layers = "D61", vocab = 129280, max_positions = 163840, bos = 0, eos = 1>} {

func.func private @embed(%ids: !numbers) -> !hidden {
  %table = varve.weight "embed.weight" : tensor<129280x7168xbf16> loc("embed")
  %x = varve.embed %ids, %table : (!numbers, tensor<129280x7168xbf16>) -> !hidden loc("embed")
  return %x : !hidden
}

varve.pool @layers.dense.attn.entries entries ratio 1 page 256
    : <512 x f8E4M3FN scaled 128 x f32, 64 x bf16> loc("layers.dense.attn.entries")
varve.pool @layers.dense.attn.indexer.keys entries ratio 1 page 256
    : <128 x f8E4M3FN scaled 128 x f32> loc("layers.dense.attn.indexer.keys")
func.func private @layers.dense(%x: !hidden, %tokens: !numbers, %positions: !numbers, %slots: !numbers) -> !hidden
    attributes {varve.repeat = 3 : i64} {
  %h_g = varve.weight "layers.dense.attn_norm.weight" : tensor<7168xbf16> loc("layers.dense.attn_norm.weight")
  %h = varve.rms_norm %x weight %h_g eps 1.0e-6
      : (!hidden, tensor<7168xbf16>) -> !hidden loc("layers.dense.attn_norm")
  %h_c, %h_s = varve.quantize %h block 128
      : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32> loc("layers.dense.attn_norm.quantize")

  // Queries: per head 128 elements without and 64 with rotation. Multiplied by the
  // key matrix, the former meet the latent vectors themselves.
  %qa_w = varve.weight "layers.dense.attn.wq_a.weight" : tensor<1536x7168xf8E4M3FN> loc("layers.dense.attn.wq_a.weight")
  %qa_ws = varve.weight "layers.dense.attn.wq_a.scale" : tensor<12x56xf32> loc("layers.dense.attn.wq_a.scale")
  %qa = varve.linear %h_c scaled %h_s by 128, %qa_w scaled %qa_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<1536x7168xf8E4M3FN>, tensor<12x56xf32>)
      -> tensor<?x1536xbf16> loc("layers.dense.attn.wq_a")
  %qn_g = varve.weight "layers.dense.attn.q_norm.weight" : tensor<1536xbf16> loc("layers.dense.attn.q_norm.weight")
  %qn = varve.rms_norm %qa weight %qn_g eps 1.0e-6
      : (tensor<?x1536xbf16>, tensor<1536xbf16>) -> tensor<?x1536xbf16> loc("layers.dense.attn.q_norm")
  %qn_c, %qn_s = varve.quantize %qn block 128
      : tensor<?x1536xbf16> -> tensor<?x1536xf8E4M3FN>, tensor<?x12xf32> loc("layers.dense.attn.q_norm.quantize")
  %q_nope_w = varve.weight "layers.dense.attn.wq_b.nope.weight" : tensor<16384x1536xf8E4M3FN> loc("layers.dense.attn.wq_b.nope.weight")
  %q_nope_ws = varve.weight "layers.dense.attn.wq_b.nope.scale" : tensor<128x12xf32> loc("layers.dense.attn.wq_b.nope.scale")
  %q_nope = varve.linear %qn_c scaled %qn_s by 128, %q_nope_w scaled %q_nope_ws by [128, 128]
      : (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, tensor<16384x1536xf8E4M3FN>, tensor<128x12xf32>)
      -> tensor<?x128x128xbf16> loc("layers.dense.attn.wq_b.nope")
  %q_rope0_w = varve.weight "layers.dense.attn.wq_b.rope.weight" : tensor<8192x1536xf8E4M3FN> loc("layers.dense.attn.wq_b.rope.weight")
  %q_rope0_ws = varve.weight "layers.dense.attn.wq_b.rope.scale" : tensor<64x12xf32> loc("layers.dense.attn.wq_b.rope.scale")
  %q_rope0 = varve.linear %qn_c scaled %qn_s by 128, %q_rope0_w scaled %q_rope0_ws by [128, 128]
      : (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, tensor<8192x1536xf8E4M3FN>, tensor<64x12xf32>)
      -> tensor<?x128x64xbf16> loc("layers.dense.attn.wq_b.rope")
  %q_rope = varve.rope %q_rope0 at %positions table #rope : tensor<?x128x64xbf16>, !numbers loc("layers.dense.attn.q_rope")
  %q_latent_w = varve.weight "layers.dense.attn.wkv_b.k.weight" : tensor<65536x128xf8E4M3FN> loc("layers.dense.attn.wkv_b.k.weight")
  %q_latent_ws = varve.weight "layers.dense.attn.wkv_b.k.scale" : tensor<512x1xf32> loc("layers.dense.attn.wkv_b.k.scale")
  %q_latent = varve.grouped_linear %q_nope, %q_latent_w scaled %q_latent_ws by [128, 128] groups 128
      : (tensor<?x128x128xbf16>, tensor<65536x128xf8E4M3FN>, tensor<512x1xf32>) -> tensor<?x128x512xbf16> loc("layers.dense.attn.wkv_b.k")
  %q = tensor.concat dim(2) %q_latent, %q_rope
      : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>) -> tensor<?x128x576xbf16> loc("layers.dense.attn.q")

  // What is kept of a token: 512 latent elements and a rotated key of 64.
  %c0_w = varve.weight "layers.dense.attn.wkv_a.latent.weight" : tensor<512x7168xf8E4M3FN> loc("layers.dense.attn.wkv_a.latent.weight")
  %c0_ws = varve.weight "layers.dense.attn.wkv_a.latent.scale" : tensor<4x56xf32> loc("layers.dense.attn.wkv_a.latent.scale")
  %c0 = varve.linear %h_c scaled %h_s by 128, %c0_w scaled %c0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<512x7168xf8E4M3FN>, tensor<4x56xf32>)
      -> tensor<?x512xbf16> loc("layers.dense.attn.wkv_a.latent")
  %c_g = varve.weight "layers.dense.attn.kv_norm.weight" : tensor<512xbf16> loc("layers.dense.attn.kv_norm.weight")
  %c = varve.rms_norm %c0 weight %c_g eps 1.0e-6
      : (tensor<?x512xbf16>, tensor<512xbf16>) -> tensor<?x512xbf16> loc("layers.dense.attn.kv_norm")
  %k_rope0_w = varve.weight "layers.dense.attn.wkv_a.rope.weight" : tensor<64x7168xf8E4M3FN> loc("layers.dense.attn.wkv_a.rope.weight")
  %k_rope0_ws = varve.weight "layers.dense.attn.wkv_a.rope.scale" : tensor<1x56xf32> loc("layers.dense.attn.wkv_a.rope.scale")
  %k_rope0 = varve.linear %h_c scaled %h_s by 128, %k_rope0_w scaled %k_rope0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<64x7168xf8E4M3FN>, tensor<1x56xf32>)
      -> tensor<?x64xbf16> loc("layers.dense.attn.wkv_a.rope")
  %k_rope = varve.rope %k_rope0 at %positions table #rope : tensor<?x64xbf16>, !numbers loc("layers.dense.attn.k_rope")
  %entry = tensor.concat dim(1) %c, %k_rope
      : (tensor<?x512xbf16>, tensor<?x64xbf16>) -> tensor<?x576xbf16> loc("layers.dense.attn.entry")
  varve.append %entry to @layers.dense.attn.entries at(%positions, %slots)
      : tensor<?x576xbf16>, !numbers, !numbers loc("layers.dense.attn.entries.append")

  // The indexer scores every token.
  %iq0_w = varve.weight "layers.dense.attn.indexer.wq_b.weight" : tensor<8192x1536xf8E4M3FN> loc("layers.dense.attn.indexer.wq_b.weight")
  %iq0_ws = varve.weight "layers.dense.attn.indexer.wq_b.scale" : tensor<64x12xf32> loc("layers.dense.attn.indexer.wq_b.scale")
  %iq0 = varve.linear %qn_c scaled %qn_s by 128, %iq0_w scaled %iq0_ws by [128, 128]
      : (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, tensor<8192x1536xf8E4M3FN>, tensor<64x12xf32>)
      -> tensor<?x64x128xbf16> loc("layers.dense.attn.indexer.wq_b")
  %iq1 = varve.rope %iq0 at %positions table #rope : tensor<?x64x128xbf16>, !numbers loc("layers.dense.attn.indexer.q_rope")
  %iq = varve.hadamard %iq1 : tensor<?x64x128xbf16> loc("layers.dense.attn.indexer.q_hadamard")
  %iq_c, %iq_s = varve.quantize %iq block 128
      : tensor<?x64x128xbf16> -> tensor<?x64x128xf8E4M3FN>, tensor<?x64x1xf32> loc("layers.dense.attn.indexer.q_quantize")
  %iw_w = varve.weight "layers.dense.attn.indexer.weights_proj.weight" : tensor<64x7168xbf16> loc("layers.dense.attn.indexer.weights_proj.weight")
  %iw = varve.linear %h, %iw_w
      : (tensor<?x7168xbf16>, tensor<64x7168xbf16>) -> tensor<?x64xbf16> loc("layers.dense.attn.indexer.weights_proj")
  %ik0_w = varve.weight "layers.dense.attn.indexer.wk.weight" : tensor<128x7168xf8E4M3FN> loc("layers.dense.attn.indexer.wk.weight")
  %ik0_ws = varve.weight "layers.dense.attn.indexer.wk.scale" : tensor<1x56xf32> loc("layers.dense.attn.indexer.wk.scale")
  %ik0 = varve.linear %h_c scaled %h_s by 128, %ik0_w scaled %ik0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<128x7168xf8E4M3FN>, tensor<1x56xf32>)
      -> tensor<?x128xbf16> loc("layers.dense.attn.indexer.wk")
  %ik1_g = varve.weight "layers.dense.attn.indexer.k_norm.weight" : tensor<128xbf16> loc("layers.dense.attn.indexer.k_norm.weight")
  %ik1 = varve.rms_norm %ik0 weight %ik1_g eps 1.0e-6
      : (tensor<?x128xbf16>, tensor<128xbf16>) -> tensor<?x128xbf16> loc("layers.dense.attn.indexer.k_norm")
  %ik2 = varve.rope %ik1 at %positions table #rope : tensor<?x128xbf16>, !numbers loc("layers.dense.attn.indexer.k_rope")
  %ik = varve.hadamard %ik2 : tensor<?x128xbf16> loc("layers.dense.attn.indexer.k_hadamard")
  varve.append %ik to @layers.dense.attn.indexer.keys at(%positions, %slots)
      : tensor<?x128xbf16>, !numbers, !numbers loc("layers.dense.attn.indexer.keys.append")
  %scores = varve.index_score %iq_c scaled %iq_s by 128, %iw keys @layers.dense.attn.indexer.keys scale 0.011048543456039806
      at (%positions, %slots)
      : (tensor<?x64x128xf8E4M3FN>, tensor<?x64x1xf32>, tensor<?x64xbf16>, !numbers, !numbers)
      -> tensor<?x?xf32> loc("layers.dense.attn.indexer.score")
  %indices = varve.index_topk %scores k 2048 : tensor<?x?xf32> loc("layers.dense.attn.indexer.topk")

  %o = varve.sparse_attention %q entries @layers.dense.attn.entries indices %indices scale 0.072168783648703216
      at (%positions, %slots)
      : (tensor<?x128x576xbf16>, tensor<?x2048xi32>, !numbers, !numbers) -> tensor<?x128x512xbf16> loc("layers.dense.attn.core")
  %ov_w = varve.weight "layers.dense.attn.wkv_b.v.weight" : tensor<16384x512xf8E4M3FN> loc("layers.dense.attn.wkv_b.v.weight")
  %ov_ws = varve.weight "layers.dense.attn.wkv_b.v.scale" : tensor<128x4xf32> loc("layers.dense.attn.wkv_b.v.scale")
  %ov = varve.grouped_linear %o, %ov_w scaled %ov_ws by [128, 128] groups 128
      : (tensor<?x128x512xbf16>, tensor<16384x512xf8E4M3FN>, tensor<128x4xf32>) -> tensor<?x16384xbf16> loc("layers.dense.attn.wkv_b.v")
  %ov_c, %ov_s = varve.quantize %ov block 128
      : tensor<?x16384xbf16> -> tensor<?x16384xf8E4M3FN>, tensor<?x128xf32> loc("layers.dense.attn.o_quantize")
  %a_w = varve.weight "layers.dense.attn.wo.weight" : tensor<7168x16384xf8E4M3FN> loc("layers.dense.attn.wo.weight")
  %a_ws = varve.weight "layers.dense.attn.wo.scale" : tensor<56x128xf32> loc("layers.dense.attn.wo.scale")
  %a = varve.linear %ov_c scaled %ov_s by 128, %a_w scaled %a_ws by [128, 128]
      : (tensor<?x16384xf8E4M3FN>, tensor<?x128xf32>, tensor<7168x16384xf8E4M3FN>, tensor<56x128xf32>)
      -> tensor<?x7168xbf16> loc("layers.dense.attn.wo")
  %x1 = arith.addf %x, %a : !hidden loc("layers.dense.attn.residual")

  %h2_g = varve.weight "layers.dense.ffn_norm.weight" : tensor<7168xbf16> loc("layers.dense.ffn_norm.weight")
  %h2 = varve.rms_norm %x1 weight %h2_g eps 1.0e-6
      : (!hidden, tensor<7168xbf16>) -> !hidden loc("layers.dense.ffn_norm")
  %h2_c, %h2_s = varve.quantize %h2 block 128
      : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32> loc("layers.dense.ffn_norm.quantize")
  %y_g_w = varve.weight "layers.dense.ffn.w1.weight" : tensor<18432x7168xf8E4M3FN> loc("layers.dense.ffn.w1.weight")
  %y_g_ws = varve.weight "layers.dense.ffn.w1.scale" : tensor<144x56xf32> loc("layers.dense.ffn.w1.scale")
  %y_g = varve.linear %h2_c scaled %h2_s by 128, %y_g_w scaled %y_g_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<18432x7168xf8E4M3FN>, tensor<144x56xf32>)
      -> tensor<?x18432xbf16> loc("layers.dense.ffn.w1")
  %y_u_w = varve.weight "layers.dense.ffn.w3.weight" : tensor<18432x7168xf8E4M3FN> loc("layers.dense.ffn.w3.weight")
  %y_u_ws = varve.weight "layers.dense.ffn.w3.scale" : tensor<144x56xf32> loc("layers.dense.ffn.w3.scale")
  %y_u = varve.linear %h2_c scaled %h2_s by 128, %y_u_w scaled %y_u_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<18432x7168xf8E4M3FN>, tensor<144x56xf32>)
      -> tensor<?x18432xbf16> loc("layers.dense.ffn.w3")
  %y_v = varve.swiglu %y_g, %y_u limit 0.0
      : (tensor<?x18432xbf16>, tensor<?x18432xbf16>) -> tensor<?x18432xbf16> loc("layers.dense.ffn.act")
  %y_v_c, %y_v_s = varve.quantize %y_v block 128
      : tensor<?x18432xbf16> -> tensor<?x18432xf8E4M3FN>, tensor<?x144xf32> loc("layers.dense.ffn.act.quantize")
  %y_w = varve.weight "layers.dense.ffn.w2.weight" : tensor<7168x18432xf8E4M3FN> loc("layers.dense.ffn.w2.weight")
  %y_ws = varve.weight "layers.dense.ffn.w2.scale" : tensor<56x144xf32> loc("layers.dense.ffn.w2.scale")
  %y = varve.linear %y_v_c scaled %y_v_s by 128, %y_w scaled %y_ws by [128, 128]
      : (tensor<?x18432xf8E4M3FN>, tensor<?x144xf32>, tensor<7168x18432xf8E4M3FN>, tensor<56x144xf32>)
      -> tensor<?x7168xbf16> loc("layers.dense.ffn.w2")
  %x2 = arith.addf %x1, %y : !hidden loc("layers.dense.ffn.residual")
  return %x2 : !hidden
}

varve.pool @layers.moe.attn.entries entries ratio 1 page 256
    : <512 x f8E4M3FN scaled 128 x f32, 64 x bf16> loc("layers.moe.attn.entries")
varve.pool @layers.moe.attn.indexer.keys entries ratio 1 page 256
    : <128 x f8E4M3FN scaled 128 x f32> loc("layers.moe.attn.indexer.keys")
func.func private @layers.moe(%x: !hidden, %tokens: !numbers, %positions: !numbers, %slots: !numbers) -> !hidden
    attributes {varve.repeat = 58 : i64} {
  %h_g = varve.weight "layers.moe.attn_norm.weight" : tensor<7168xbf16> loc("layers.moe.attn_norm.weight")
  %h = varve.rms_norm %x weight %h_g eps 1.0e-6
      : (!hidden, tensor<7168xbf16>) -> !hidden loc("layers.moe.attn_norm")
  %h_c, %h_s = varve.quantize %h block 128
      : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32> loc("layers.moe.attn_norm.quantize")

  // Queries: per head 128 elements without and 64 with rotation. Multiplied by the
  // key matrix, the former meet the latent vectors themselves.
  %qa_w = varve.weight "layers.moe.attn.wq_a.weight" : tensor<1536x7168xf8E4M3FN> loc("layers.moe.attn.wq_a.weight")
  %qa_ws = varve.weight "layers.moe.attn.wq_a.scale" : tensor<12x56xf32> loc("layers.moe.attn.wq_a.scale")
  %qa = varve.linear %h_c scaled %h_s by 128, %qa_w scaled %qa_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<1536x7168xf8E4M3FN>, tensor<12x56xf32>)
      -> tensor<?x1536xbf16> loc("layers.moe.attn.wq_a")
  %qn_g = varve.weight "layers.moe.attn.q_norm.weight" : tensor<1536xbf16> loc("layers.moe.attn.q_norm.weight")
  %qn = varve.rms_norm %qa weight %qn_g eps 1.0e-6
      : (tensor<?x1536xbf16>, tensor<1536xbf16>) -> tensor<?x1536xbf16> loc("layers.moe.attn.q_norm")
  %qn_c, %qn_s = varve.quantize %qn block 128
      : tensor<?x1536xbf16> -> tensor<?x1536xf8E4M3FN>, tensor<?x12xf32> loc("layers.moe.attn.q_norm.quantize")
  %q_nope_w = varve.weight "layers.moe.attn.wq_b.nope.weight" : tensor<16384x1536xf8E4M3FN> loc("layers.moe.attn.wq_b.nope.weight")
  %q_nope_ws = varve.weight "layers.moe.attn.wq_b.nope.scale" : tensor<128x12xf32> loc("layers.moe.attn.wq_b.nope.scale")
  %q_nope = varve.linear %qn_c scaled %qn_s by 128, %q_nope_w scaled %q_nope_ws by [128, 128]
      : (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, tensor<16384x1536xf8E4M3FN>, tensor<128x12xf32>)
      -> tensor<?x128x128xbf16> loc("layers.moe.attn.wq_b.nope")
  %q_rope0_w = varve.weight "layers.moe.attn.wq_b.rope.weight" : tensor<8192x1536xf8E4M3FN> loc("layers.moe.attn.wq_b.rope.weight")
  %q_rope0_ws = varve.weight "layers.moe.attn.wq_b.rope.scale" : tensor<64x12xf32> loc("layers.moe.attn.wq_b.rope.scale")
  %q_rope0 = varve.linear %qn_c scaled %qn_s by 128, %q_rope0_w scaled %q_rope0_ws by [128, 128]
      : (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, tensor<8192x1536xf8E4M3FN>, tensor<64x12xf32>)
      -> tensor<?x128x64xbf16> loc("layers.moe.attn.wq_b.rope")
  %q_rope = varve.rope %q_rope0 at %positions table #rope : tensor<?x128x64xbf16>, !numbers loc("layers.moe.attn.q_rope")
  %q_latent_w = varve.weight "layers.moe.attn.wkv_b.k.weight" : tensor<65536x128xf8E4M3FN> loc("layers.moe.attn.wkv_b.k.weight")
  %q_latent_ws = varve.weight "layers.moe.attn.wkv_b.k.scale" : tensor<512x1xf32> loc("layers.moe.attn.wkv_b.k.scale")
  %q_latent = varve.grouped_linear %q_nope, %q_latent_w scaled %q_latent_ws by [128, 128] groups 128
      : (tensor<?x128x128xbf16>, tensor<65536x128xf8E4M3FN>, tensor<512x1xf32>) -> tensor<?x128x512xbf16> loc("layers.moe.attn.wkv_b.k")
  %q = tensor.concat dim(2) %q_latent, %q_rope
      : (tensor<?x128x512xbf16>, tensor<?x128x64xbf16>) -> tensor<?x128x576xbf16> loc("layers.moe.attn.q")

  // What is kept of a token: 512 latent elements and a rotated key of 64.
  %c0_w = varve.weight "layers.moe.attn.wkv_a.latent.weight" : tensor<512x7168xf8E4M3FN> loc("layers.moe.attn.wkv_a.latent.weight")
  %c0_ws = varve.weight "layers.moe.attn.wkv_a.latent.scale" : tensor<4x56xf32> loc("layers.moe.attn.wkv_a.latent.scale")
  %c0 = varve.linear %h_c scaled %h_s by 128, %c0_w scaled %c0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<512x7168xf8E4M3FN>, tensor<4x56xf32>)
      -> tensor<?x512xbf16> loc("layers.moe.attn.wkv_a.latent")
  %c_g = varve.weight "layers.moe.attn.kv_norm.weight" : tensor<512xbf16> loc("layers.moe.attn.kv_norm.weight")
  %c = varve.rms_norm %c0 weight %c_g eps 1.0e-6
      : (tensor<?x512xbf16>, tensor<512xbf16>) -> tensor<?x512xbf16> loc("layers.moe.attn.kv_norm")
  %k_rope0_w = varve.weight "layers.moe.attn.wkv_a.rope.weight" : tensor<64x7168xf8E4M3FN> loc("layers.moe.attn.wkv_a.rope.weight")
  %k_rope0_ws = varve.weight "layers.moe.attn.wkv_a.rope.scale" : tensor<1x56xf32> loc("layers.moe.attn.wkv_a.rope.scale")
  %k_rope0 = varve.linear %h_c scaled %h_s by 128, %k_rope0_w scaled %k_rope0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<64x7168xf8E4M3FN>, tensor<1x56xf32>)
      -> tensor<?x64xbf16> loc("layers.moe.attn.wkv_a.rope")
  %k_rope = varve.rope %k_rope0 at %positions table #rope : tensor<?x64xbf16>, !numbers loc("layers.moe.attn.k_rope")
  %entry = tensor.concat dim(1) %c, %k_rope
      : (tensor<?x512xbf16>, tensor<?x64xbf16>) -> tensor<?x576xbf16> loc("layers.moe.attn.entry")
  varve.append %entry to @layers.moe.attn.entries at(%positions, %slots)
      : tensor<?x576xbf16>, !numbers, !numbers loc("layers.moe.attn.entries.append")

  // The indexer scores every token.
  %iq0_w = varve.weight "layers.moe.attn.indexer.wq_b.weight" : tensor<8192x1536xf8E4M3FN> loc("layers.moe.attn.indexer.wq_b.weight")
  %iq0_ws = varve.weight "layers.moe.attn.indexer.wq_b.scale" : tensor<64x12xf32> loc("layers.moe.attn.indexer.wq_b.scale")
  %iq0 = varve.linear %qn_c scaled %qn_s by 128, %iq0_w scaled %iq0_ws by [128, 128]
      : (tensor<?x1536xf8E4M3FN>, tensor<?x12xf32>, tensor<8192x1536xf8E4M3FN>, tensor<64x12xf32>)
      -> tensor<?x64x128xbf16> loc("layers.moe.attn.indexer.wq_b")
  %iq1 = varve.rope %iq0 at %positions table #rope : tensor<?x64x128xbf16>, !numbers loc("layers.moe.attn.indexer.q_rope")
  %iq = varve.hadamard %iq1 : tensor<?x64x128xbf16> loc("layers.moe.attn.indexer.q_hadamard")
  %iq_c, %iq_s = varve.quantize %iq block 128
      : tensor<?x64x128xbf16> -> tensor<?x64x128xf8E4M3FN>, tensor<?x64x1xf32> loc("layers.moe.attn.indexer.q_quantize")
  %iw_w = varve.weight "layers.moe.attn.indexer.weights_proj.weight" : tensor<64x7168xbf16> loc("layers.moe.attn.indexer.weights_proj.weight")
  %iw = varve.linear %h, %iw_w
      : (tensor<?x7168xbf16>, tensor<64x7168xbf16>) -> tensor<?x64xbf16> loc("layers.moe.attn.indexer.weights_proj")
  %ik0_w = varve.weight "layers.moe.attn.indexer.wk.weight" : tensor<128x7168xf8E4M3FN> loc("layers.moe.attn.indexer.wk.weight")
  %ik0_ws = varve.weight "layers.moe.attn.indexer.wk.scale" : tensor<1x56xf32> loc("layers.moe.attn.indexer.wk.scale")
  %ik0 = varve.linear %h_c scaled %h_s by 128, %ik0_w scaled %ik0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<128x7168xf8E4M3FN>, tensor<1x56xf32>)
      -> tensor<?x128xbf16> loc("layers.moe.attn.indexer.wk")
  %ik1_g = varve.weight "layers.moe.attn.indexer.k_norm.weight" : tensor<128xbf16> loc("layers.moe.attn.indexer.k_norm.weight")
  %ik1 = varve.rms_norm %ik0 weight %ik1_g eps 1.0e-6
      : (tensor<?x128xbf16>, tensor<128xbf16>) -> tensor<?x128xbf16> loc("layers.moe.attn.indexer.k_norm")
  %ik2 = varve.rope %ik1 at %positions table #rope : tensor<?x128xbf16>, !numbers loc("layers.moe.attn.indexer.k_rope")
  %ik = varve.hadamard %ik2 : tensor<?x128xbf16> loc("layers.moe.attn.indexer.k_hadamard")
  varve.append %ik to @layers.moe.attn.indexer.keys at(%positions, %slots)
      : tensor<?x128xbf16>, !numbers, !numbers loc("layers.moe.attn.indexer.keys.append")
  %scores = varve.index_score %iq_c scaled %iq_s by 128, %iw keys @layers.moe.attn.indexer.keys scale 0.011048543456039806
      at (%positions, %slots)
      : (tensor<?x64x128xf8E4M3FN>, tensor<?x64x1xf32>, tensor<?x64xbf16>, !numbers, !numbers)
      -> tensor<?x?xf32> loc("layers.moe.attn.indexer.score")
  %indices = varve.index_topk %scores k 2048 : tensor<?x?xf32> loc("layers.moe.attn.indexer.topk")

  %o = varve.sparse_attention %q entries @layers.moe.attn.entries indices %indices scale 0.072168783648703216
      at (%positions, %slots)
      : (tensor<?x128x576xbf16>, tensor<?x2048xi32>, !numbers, !numbers) -> tensor<?x128x512xbf16> loc("layers.moe.attn.core")
  %ov_w = varve.weight "layers.moe.attn.wkv_b.v.weight" : tensor<16384x512xf8E4M3FN> loc("layers.moe.attn.wkv_b.v.weight")
  %ov_ws = varve.weight "layers.moe.attn.wkv_b.v.scale" : tensor<128x4xf32> loc("layers.moe.attn.wkv_b.v.scale")
  %ov = varve.grouped_linear %o, %ov_w scaled %ov_ws by [128, 128] groups 128
      : (tensor<?x128x512xbf16>, tensor<16384x512xf8E4M3FN>, tensor<128x4xf32>) -> tensor<?x16384xbf16> loc("layers.moe.attn.wkv_b.v")
  %ov_c, %ov_s = varve.quantize %ov block 128
      : tensor<?x16384xbf16> -> tensor<?x16384xf8E4M3FN>, tensor<?x128xf32> loc("layers.moe.attn.o_quantize")
  %a_w = varve.weight "layers.moe.attn.wo.weight" : tensor<7168x16384xf8E4M3FN> loc("layers.moe.attn.wo.weight")
  %a_ws = varve.weight "layers.moe.attn.wo.scale" : tensor<56x128xf32> loc("layers.moe.attn.wo.scale")
  %a = varve.linear %ov_c scaled %ov_s by 128, %a_w scaled %a_ws by [128, 128]
      : (tensor<?x16384xf8E4M3FN>, tensor<?x128xf32>, tensor<7168x16384xf8E4M3FN>, tensor<56x128xf32>)
      -> tensor<?x7168xbf16> loc("layers.moe.attn.wo")
  %x1 = arith.addf %x, %a : !hidden loc("layers.moe.attn.residual")

  %h2_g = varve.weight "layers.moe.ffn_norm.weight" : tensor<7168xbf16> loc("layers.moe.ffn_norm.weight")
  %h2 = varve.rms_norm %x1 weight %h2_g eps 1.0e-6
      : (!hidden, tensor<7168xbf16>) -> !hidden loc("layers.moe.ffn_norm")
  %h2_c, %h2_s = varve.quantize %h2 block 128
      : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32> loc("layers.moe.ffn_norm.quantize")
  %logits_w = varve.weight "layers.moe.ffn.gate.weight" : tensor<256x7168xbf16> loc("layers.moe.ffn.gate.weight")
  %logits = varve.linear %h2, %logits_w
      : (tensor<?x7168xbf16>, tensor<256x7168xbf16>) -> tensor<?x256xf32> loc("layers.moe.ffn.gate")
  %bias = varve.weight "layers.moe.ffn.gate.bias" : tensor<256xf32> loc("layers.moe.ffn.gate.bias")
  %ids, %weights = varve.route_topk %logits bias %bias active 8 scoring sigmoid normalize scale 2.5
      : tensor<?x256xf32>, tensor<256xf32> loc("layers.moe.ffn.route")
  %e_g_w = varve.weight "layers.moe.ffn.experts.*.w1.weight" : tensor<256x2048x7168xf8E4M3FN> loc("layers.moe.ffn.experts.*.w1.weight")
  %e_g_ws = varve.weight "layers.moe.ffn.experts.*.w1.scale" : tensor<256x16x56xf32> loc("layers.moe.ffn.experts.*.w1.scale")
  %e_g = varve.experts %h2_c scaled %h2_s by 128, %ids, %e_g_w scaled %e_g_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256x2048x7168xf8E4M3FN>,
         tensor<256x16x56xf32>) -> tensor<?x8x2048xbf16> loc("layers.moe.ffn.experts.w1")
  %e_u_w = varve.weight "layers.moe.ffn.experts.*.w3.weight" : tensor<256x2048x7168xf8E4M3FN> loc("layers.moe.ffn.experts.*.w3.weight")
  %e_u_ws = varve.weight "layers.moe.ffn.experts.*.w3.scale" : tensor<256x16x56xf32> loc("layers.moe.ffn.experts.*.w3.scale")
  %e_u = varve.experts %h2_c scaled %h2_s by 128, %ids, %e_u_w scaled %e_u_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<?x8xi32>, tensor<256x2048x7168xf8E4M3FN>,
         tensor<256x16x56xf32>) -> tensor<?x8x2048xbf16> loc("layers.moe.ffn.experts.w3")
  %e_v = varve.swiglu %e_g, %e_u weights %weights limit 0.0
      : (tensor<?x8x2048xbf16>, tensor<?x8x2048xbf16>, tensor<?x8xf32>) -> tensor<?x8x2048xbf16> loc("layers.moe.ffn.experts.act")
  %e_v_c, %e_v_s = varve.quantize %e_v block 128
      : tensor<?x8x2048xbf16> -> tensor<?x8x2048xf8E4M3FN>, tensor<?x8x16xf32> loc("layers.moe.ffn.experts.act.quantize")
  %e_w = varve.weight "layers.moe.ffn.experts.*.w2.weight" : tensor<256x7168x2048xf8E4M3FN> loc("layers.moe.ffn.experts.*.w2.weight")
  %e_ws = varve.weight "layers.moe.ffn.experts.*.w2.scale" : tensor<256x56x16xf32> loc("layers.moe.ffn.experts.*.w2.scale")
  %e = varve.experts %e_v_c scaled %e_v_s by 128, %ids, %e_w scaled %e_ws by [128, 128]
      : (tensor<?x8x2048xf8E4M3FN>, tensor<?x8x16xf32>, tensor<?x8xi32>, tensor<256x7168x2048xf8E4M3FN>,
         tensor<256x56x16xf32>) -> tensor<?x8x7168xbf16> loc("layers.moe.ffn.experts.w2")
  %shared_g_w = varve.weight "layers.moe.ffn.shared_experts.w1.weight" : tensor<2048x7168xf8E4M3FN> loc("layers.moe.ffn.shared_experts.w1.weight")
  %shared_g_ws = varve.weight "layers.moe.ffn.shared_experts.w1.scale" : tensor<16x56xf32> loc("layers.moe.ffn.shared_experts.w1.scale")
  %shared_g = varve.linear %h2_c scaled %h2_s by 128, %shared_g_w scaled %shared_g_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<2048x7168xf8E4M3FN>, tensor<16x56xf32>)
      -> tensor<?x2048xbf16> loc("layers.moe.ffn.shared_experts.w1")
  %shared_u_w = varve.weight "layers.moe.ffn.shared_experts.w3.weight" : tensor<2048x7168xf8E4M3FN> loc("layers.moe.ffn.shared_experts.w3.weight")
  %shared_u_ws = varve.weight "layers.moe.ffn.shared_experts.w3.scale" : tensor<16x56xf32> loc("layers.moe.ffn.shared_experts.w3.scale")
  %shared_u = varve.linear %h2_c scaled %h2_s by 128, %shared_u_w scaled %shared_u_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<2048x7168xf8E4M3FN>, tensor<16x56xf32>)
      -> tensor<?x2048xbf16> loc("layers.moe.ffn.shared_experts.w3")
  %shared_v = varve.swiglu %shared_g, %shared_u limit 0.0
      : (tensor<?x2048xbf16>, tensor<?x2048xbf16>) -> tensor<?x2048xbf16> loc("layers.moe.ffn.shared_experts.act")
  %shared_v_c, %shared_v_s = varve.quantize %shared_v block 128
      : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32> loc("layers.moe.ffn.shared_experts.act.quantize")
  %shared_w = varve.weight "layers.moe.ffn.shared_experts.w2.weight" : tensor<7168x2048xf8E4M3FN> loc("layers.moe.ffn.shared_experts.w2.weight")
  %shared_ws = varve.weight "layers.moe.ffn.shared_experts.w2.scale" : tensor<56x16xf32> loc("layers.moe.ffn.shared_experts.w2.scale")
  %shared = varve.linear %shared_v_c scaled %shared_v_s by 128, %shared_w scaled %shared_ws by [128, 128]
      : (tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>, tensor<7168x2048xf8E4M3FN>, tensor<56x16xf32>)
      -> tensor<?x7168xbf16> loc("layers.moe.ffn.shared_experts.w2")
  %y = varve.combine %e, %ids shared %shared
      : (tensor<?x8x7168xbf16>, tensor<?x8xi32>, !hidden) -> !hidden loc("layers.moe.ffn.combine")
  %x2 = arith.addf %x1, %y : !hidden loc("layers.moe.ffn.residual")
  return %x2 : !hidden
}

func.func private @head(%x: !hidden, %rows: !numbers) -> tensor<?x129280xf32> {
  %taken = varve.take %x, %rows : (!hidden, !numbers) -> !hidden loc("head.take")
  %g = varve.weight "norm.weight" : tensor<7168xbf16> loc("norm.weight")
  %n = varve.rms_norm %taken weight %g eps 1.0e-6 : (!hidden, tensor<7168xbf16>) -> !hidden loc("norm")
  %w = varve.weight "head.weight" : tensor<129280x7168xbf16> loc("head.weight")
  %logits = varve.linear %n, %w : (!hidden, tensor<129280x7168xbf16>) -> tensor<?x129280xf32> loc("head")
  return %logits : tensor<?x129280xf32>
}

func.func @step(%ids: !numbers, %positions: !numbers, %slots: !numbers, %rows: !numbers) -> tensor<?x129280xf32> {
  %x0 = call @embed(%ids) : (!numbers) -> !hidden
  %x1 = call @layers.dense(%x0, %ids, %positions, %slots) : (!hidden, !numbers, !numbers, !numbers) -> !hidden
  %x2 = call @layers.moe(%x1, %ids, %positions, %slots) : (!hidden, !numbers, !numbers, !numbers) -> !hidden
  %logits = call @head(%x2, %rows) : (!hidden, !numbers) -> tensor<?x129280xf32>
  return %logits : tensor<?x129280xf32>
}

}
