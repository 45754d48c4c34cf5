//===- VarveAttentionOps.td - Compression, index, attention -*- tablegen -*-===//
#ifndef VARVE_ATTENTION_OPS
#define VARVE_ATTENTION_OPS

include "dialects/Varve/VarveOpBase.td"

def Varve_CompressOp : Varve_PoolUserOp<"compress"> {
  let summary = "pool windows of tokens into entries";
  let description = [{
    Remembers `kv[t]` and `gate[t] + bias[position mod m]` of every token in the
    state pool, and emits entry w for every token whose position is
    (w + 1) m - 1, in token order: a softmax over the window's tokens,
    independently per channel, weighs their `kv`.

    Without `overlap` (c = 1) the window is the tokens m w ... m w + m - 1. With
    `overlap` (c = 2) a token has two halves of c channels: the window is the
    FIRST halves of tokens m (w - 1) ... m w - 1 and the SECOND halves of tokens
    m w ... m w + m - 1, and absent tokens weigh nothing. f32 throughout.

    Results: the entries, the position m w of each entry's window start, and
    its slot.

    * C1: `kv` and `gate` are [T, c dc], `bias` is [m, c dc], f32 (bias: also
        bf16 or f16).
    * C2: `entries` is [E, dc]; `starts` and `entry_slots` are [E].
    * C3: the state pool holds at least c m rows of 2 c dc f32.
    * C4: one position and one slot per row.

    ```mlir
    %e, %starts, %eslots = varve.compress %kv, %gate, %ape
        in @layers.2.attn.compressor.state ratio 4 overlap at(%positions, %slots)
        : (tensor<?x1024xf32>, tensor<?x1024xf32>, tensor<4x1024xf32>,
           tensor<?xi32>, tensor<?xi32>)
        -> (tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>)
    ```
  }];
  let arguments = (ins Varve_F32Tensor:$kv, Varve_F32Tensor:$gate,
                       Varve_PlainWeight:$bias, FlatSymbolRefAttr:$state,
                       Varve_Positive:$ratio, UnitAttr:$overlap,
                       Varve_TokenNumbers:$positions, Varve_TokenNumbers:$slots);
  let results = (outs Varve_Activation:$entries, Varve_TokenNumbers:$starts,
                      Varve_TokenNumbers:$entry_slots);
  let assemblyFormat = [{
    $kv `,` $gate `,` $bias `in` $state `ratio` $ratio (`overlap` $overlap^)?
    `at` `(` $positions `,` $slots `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    /// Halves of a token's row: 2 with overlap, else 1.
    int64_t getHalves() { return getOverlap() ? 2 : 1; }
  }];
  let hasVerifier = 1;
}

def Varve_IndexScoreOp : Varve_PoolUserOp<"index_score"> {
  let summary = "score of every visible entry for every query";
  let description = [{
    `I[t, s] = sum_h w[t, h] scale max(0, <q[t, h], k_s>)` over the heads, for
    the entries s < (position + 1) div m of the token's sequence; -inf for
    others. k_s are the rows of the key pool. The second dimension of the result
    is the largest number of visible entries of any token, or where its type says
    how many that is, as many as the model can ever see.

    With `round each_step` the product `w scale`, the dot products, the weighted
    dot products and the sum round to the result's element type.

    * C1: `q` is [T, Hi, di], `weights` [T, Hi], the result [T, S].
    * C2: `q` has scales exactly when its element type is a code: [T, Hi,
        ceil(di / q_block)].
    * C3: the key pool is an entry pool of rows of di elements.
    * C4: one position and one slot per token.
  }];
  let arguments = (ins Varve_Operand:$q, Optional<Varve_Scales>:$q_scale,
                       Varve_Activation:$weights, FlatSymbolRefAttr:$keys,
                       Varve_Finite:$scale, OptionalAttr<Varve_Positive>:$q_block,
                       Varve_TokenNumbers:$positions, Varve_TokenNumbers:$slots,
                       Varve_RoundingAttr:$rounding);
  let results = (outs Varve_Scores:$scores);
  let assemblyFormat = [{
    $q (`scaled` $q_scale^ `by` $q_block)? `,` $weights `keys` $keys `scale` $scale
    `at` `(` $positions `,` $slots `)` (`round` $rounding^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
  let hasVerifier = 1;
}

def Varve_IndexTopkOp : Varve_ComputeOp<"index_topk",
    [InferTypeOpAdaptor]> {
  let summary = "numbers of the k best-scored entries of every query";
  let description = [{
    The k largest scores of each row, best first; of equal scores the lower
    entry number wins. Scores of -inf are never selected; unused places are -1.

    * C1: `scores` is [T, S], the result [T, k].
  }];
  let arguments = (ins Varve_Scores:$scores, Varve_Positive:$k);
  let results = (outs Varve_Numbers:$indices);
  let assemblyFormat = "$scores `k` $k attr-dict `:` type($scores)";
}

def Varve_SparseAttentionOp : Varve_PoolUserOp<"sparse_attention",
    [AttrSizedOperandSegments]> {
  let summary = "one softmax over a window, entries, and a sink";
  let description = [{
    For the query of head h at position p, J is the union of

    * the last W positions max(0, p - W + 1) ... p of the window pool, if named;
    * of the entry pool, if named: the entries in `indices[t]` (-1 is none), or
      without `indices` all visible entries s < (p + 1) div m.

    `l_s = scale <q_h, k_s>`, `M = max l_s`, `p_s = exp(l_s - M)`,
    `o_h = sum_s p_s v_s / (sum_s p_s + exp(sink_h - M))`

    A sliding-window layer names a window pool; a heavily compressed layer names
    both; a compressed sparse layer also has indices. An entry pool of ratio 1
    without window is ordinary causal attention, with indices that of
    DeepSeek-V3.2. A query without any key gives 0.

    The keys are rows of kv_heads heads of d elements; head h reads head
    h div (H / kv_heads). Values are the first dv elements of the keys, or the
    rows of the value pools.

    With `block` the softmax runs online over blocks of that many keys, window
    oldest to newest first, then the entries in order of `indices` (ascending
    without); with `probabilities` p_s rounds to that type for the weighted sum,
    relative to the running maximum of its block, but not for the denominator.

    * C1: at least one of `window` and `entries` is named; `indices` needs
        `entries`; a value pool needs its key pool, and both sources have value
        pools or neither.
    * C2: `q` is [T, H, d]; kv_heads divides H; key pools hold rows of
        kv_heads d elements.
    * C3: the result is [T, H, dv]; dv <= d, or value pools hold rows of
        kv_heads dv elements.
    * C4: `sink` is [H]; `indices` is [T, k]; one position and slot per token.
    * C5: a window pool where `window` names it, an entry pool where `entries`
        does; value pools agree with their key pools in size or ratio.
  }];
  let arguments = (ins Varve_Activation:$q, Optional<Varve_Numbers>:$indices,
                       Optional<Varve_PlainWeight>:$sink,
                       Varve_TokenNumbers:$positions, Varve_TokenNumbers:$slots,
                       OptionalAttr<FlatSymbolRefAttr>:$window,
                       OptionalAttr<FlatSymbolRefAttr>:$window_values,
                       OptionalAttr<FlatSymbolRefAttr>:$entries,
                       OptionalAttr<FlatSymbolRefAttr>:$entry_values,
                       Varve_Finite:$scale,
                       DefaultValuedAttr<Varve_Positive, "1">:$kv_heads,
                       OptionalAttr<Varve_Positive>:$block,
                       OptionalAttr<TypeAttrOf<AnyTypeOf<[F32, BF16, F16]>>>:$probabilities);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $q (`window` $window^ (`values` $window_values^)?)?
    (`entries` $entries^ (`values` $entry_values^)?)?
    (`indices` $indices^)? (`sink` $sink^)? `scale` $scale
    `at` `(` $positions `,` $slots `)`
    (`kv_heads` $kv_heads^)? (`block` $block^)? (`probabilities` $probabilities^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
  let hasVerifier = 1;
}

#endif // VARVE_ATTENTION_OPS
