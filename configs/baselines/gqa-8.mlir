// A model of DeepSeek-V3.2's size with grouped-query attention, for comparison:
// 128 query heads, 8 key and value heads of 128, every query reads every token.
// 3 layers with a dense MLP, 58 with 256 experts.
//
// A function with `varve.repeat` stands for so many layers; this module is for
// costs. Its cache is bf16: 4096 bytes a token and layer.
!numbers = tensor<?xi32>
!hidden = tensor<?x7168xbf16>
#rope = #varve.rope<theta = 1.0e4 : f64, dim = 128>

module attributes {
    varve.model = #varve.model<name = "gqa-8", layers = "G61", vocab = 129280, max_positions = 1048576, bos = 0, eos = 1>} {

func.func private @embed(%ids: !numbers) -> !hidden {
  %table = varve.weight "embed.weight" : tensor<129280x7168xbf16> loc("embed")
  %x = varve.embed %ids, %table : (!numbers, tensor<129280x7168xbf16>) -> !hidden loc("embed")
  return %x : !hidden
}

varve.pool @layers.dense.attn.keys entries ratio 1 page 256
    : <1024 x bf16> loc("layers.dense.attn.keys")
varve.pool @layers.dense.attn.values entries ratio 1 page 256
    : <1024 x bf16> loc("layers.dense.attn.values")
func.func private @layers.dense(%x: !hidden, %tokens: !numbers, %positions: !numbers, %slots: !numbers) -> !hidden
    attributes {varve.repeat = 3 : i64} {
  %h_g = varve.weight "layers.dense.attn_norm.weight" : tensor<7168xbf16> loc("layers.dense.attn_norm.weight")
  %h = varve.rms_norm %x weight %h_g eps 1.0e-6
      : (!hidden, tensor<7168xbf16>) -> !hidden loc("layers.dense.attn_norm")
  %h_c, %h_s = varve.quantize %h block 128
      : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32> loc("layers.dense.attn_norm.quantize")

  %q0_w = varve.weight "layers.dense.attn.wq.weight" : tensor<16384x7168xf8E4M3FN> loc("layers.dense.attn.wq.weight")
  %q0_ws = varve.weight "layers.dense.attn.wq.scale" : tensor<128x56xf32> loc("layers.dense.attn.wq.scale")
  %q0 = varve.linear %h_c scaled %h_s by 128, %q0_w scaled %q0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<16384x7168xf8E4M3FN>, tensor<128x56xf32>)
      -> tensor<?x128x128xbf16> loc("layers.dense.attn.wq")
  %q = varve.rope %q0 at %positions table #rope : tensor<?x128x128xbf16>, !numbers loc("layers.dense.attn.q_rope")
  %k0_w = varve.weight "layers.dense.attn.wk.weight" : tensor<1024x7168xf8E4M3FN> loc("layers.dense.attn.wk.weight")
  %k0_ws = varve.weight "layers.dense.attn.wk.scale" : tensor<8x56xf32> loc("layers.dense.attn.wk.scale")
  %k0 = varve.linear %h_c scaled %h_s by 128, %k0_w scaled %k0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<1024x7168xf8E4M3FN>, tensor<8x56xf32>)
      -> tensor<?x8x128xbf16> loc("layers.dense.attn.wk")
  %k1 = varve.rope %k0 at %positions table #rope : tensor<?x8x128xbf16>, !numbers loc("layers.dense.attn.k_rope")
  %k = tensor.collapse_shape %k1 [[0], [1, 2]]
      : tensor<?x8x128xbf16> into tensor<?x1024xbf16> loc("layers.dense.attn.k")
  %v_w = varve.weight "layers.dense.attn.wv.weight" : tensor<1024x7168xf8E4M3FN> loc("layers.dense.attn.wv.weight")
  %v_ws = varve.weight "layers.dense.attn.wv.scale" : tensor<8x56xf32> loc("layers.dense.attn.wv.scale")
  %v = varve.linear %h_c scaled %h_s by 128, %v_w scaled %v_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<1024x7168xf8E4M3FN>, tensor<8x56xf32>)
      -> tensor<?x1024xbf16> loc("layers.dense.attn.wv")
  varve.append %k to @layers.dense.attn.keys at(%positions, %slots)
      : tensor<?x1024xbf16>, !numbers, !numbers loc("layers.dense.attn.keys.append")
  varve.append %v to @layers.dense.attn.values at(%positions, %slots)
      : tensor<?x1024xbf16>, !numbers, !numbers loc("layers.dense.attn.values.append")
  %o = varve.sparse_attention %q entries @layers.dense.attn.keys values @layers.dense.attn.values scale 0.088388347648318447
      at (%positions, %slots) kv_heads 8
      : (tensor<?x128x128xbf16>, !numbers, !numbers) -> tensor<?x128x128xbf16> loc("layers.dense.attn.core")
  %ov = tensor.collapse_shape %o [[0], [1, 2]]
      : tensor<?x128x128xbf16> into tensor<?x16384xbf16> loc("layers.dense.attn.o")
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

varve.pool @layers.moe.attn.keys entries ratio 1 page 256
    : <1024 x bf16> loc("layers.moe.attn.keys")
varve.pool @layers.moe.attn.values entries ratio 1 page 256
    : <1024 x bf16> loc("layers.moe.attn.values")
func.func private @layers.moe(%x: !hidden, %tokens: !numbers, %positions: !numbers, %slots: !numbers) -> !hidden
    attributes {varve.repeat = 58 : i64} {
  %h_g = varve.weight "layers.moe.attn_norm.weight" : tensor<7168xbf16> loc("layers.moe.attn_norm.weight")
  %h = varve.rms_norm %x weight %h_g eps 1.0e-6
      : (!hidden, tensor<7168xbf16>) -> !hidden loc("layers.moe.attn_norm")
  %h_c, %h_s = varve.quantize %h block 128
      : tensor<?x7168xbf16> -> tensor<?x7168xf8E4M3FN>, tensor<?x56xf32> loc("layers.moe.attn_norm.quantize")

  %q0_w = varve.weight "layers.moe.attn.wq.weight" : tensor<16384x7168xf8E4M3FN> loc("layers.moe.attn.wq.weight")
  %q0_ws = varve.weight "layers.moe.attn.wq.scale" : tensor<128x56xf32> loc("layers.moe.attn.wq.scale")
  %q0 = varve.linear %h_c scaled %h_s by 128, %q0_w scaled %q0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<16384x7168xf8E4M3FN>, tensor<128x56xf32>)
      -> tensor<?x128x128xbf16> loc("layers.moe.attn.wq")
  %q = varve.rope %q0 at %positions table #rope : tensor<?x128x128xbf16>, !numbers loc("layers.moe.attn.q_rope")
  %k0_w = varve.weight "layers.moe.attn.wk.weight" : tensor<1024x7168xf8E4M3FN> loc("layers.moe.attn.wk.weight")
  %k0_ws = varve.weight "layers.moe.attn.wk.scale" : tensor<8x56xf32> loc("layers.moe.attn.wk.scale")
  %k0 = varve.linear %h_c scaled %h_s by 128, %k0_w scaled %k0_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<1024x7168xf8E4M3FN>, tensor<8x56xf32>)
      -> tensor<?x8x128xbf16> loc("layers.moe.attn.wk")
  %k1 = varve.rope %k0 at %positions table #rope : tensor<?x8x128xbf16>, !numbers loc("layers.moe.attn.k_rope")
  %k = tensor.collapse_shape %k1 [[0], [1, 2]]
      : tensor<?x8x128xbf16> into tensor<?x1024xbf16> loc("layers.moe.attn.k")
  %v_w = varve.weight "layers.moe.attn.wv.weight" : tensor<1024x7168xf8E4M3FN> loc("layers.moe.attn.wv.weight")
  %v_ws = varve.weight "layers.moe.attn.wv.scale" : tensor<8x56xf32> loc("layers.moe.attn.wv.scale")
  %v = varve.linear %h_c scaled %h_s by 128, %v_w scaled %v_ws by [128, 128]
      : (tensor<?x7168xf8E4M3FN>, tensor<?x56xf32>, tensor<1024x7168xf8E4M3FN>, tensor<8x56xf32>)
      -> tensor<?x1024xbf16> loc("layers.moe.attn.wv")
  varve.append %k to @layers.moe.attn.keys at(%positions, %slots)
      : tensor<?x1024xbf16>, !numbers, !numbers loc("layers.moe.attn.keys.append")
  varve.append %v to @layers.moe.attn.values at(%positions, %slots)
      : tensor<?x1024xbf16>, !numbers, !numbers loc("layers.moe.attn.values.append")
  %o = varve.sparse_attention %q entries @layers.moe.attn.keys values @layers.moe.attn.values scale 0.088388347648318447
      at (%positions, %slots) kv_heads 8
      : (tensor<?x128x128xbf16>, !numbers, !numbers) -> tensor<?x128x128xbf16> loc("layers.moe.attn.core")
  %ov = tensor.collapse_shape %o [[0], [1, 2]]
      : tensor<?x128x128xbf16> into tensor<?x16384xbf16> loc("layers.moe.attn.o")
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
