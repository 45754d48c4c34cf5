//===- VarveLinearOps.td - Norms, matrices, rotations ------*- tablegen -*-===//
#ifndef VARVE_LINEAR_OPS
#define VARVE_LINEAR_OPS

include "dialects/Varve/VarveOpBase.td"

def Varve_RmsNormOp : Varve_ComputeOp<"rms_norm"> {
  let summary = "root-mean-square normalisation of the last dimension";
  let description = [{
    `y = weight * (x * rsqrt(mean(x^2) + eps))`, in f32; without `weight` the
    factor is left out. With `round each_step` (weightless form) the square, the
    mean, `mean + eps`, the reciprocal root and the product each round to the
    result's element type; the mean accumulates in f32.

    * C1: `x` and the result have the same shape, of rank 2 or more.
    * C2: `weight` is [size of the last dimension].
    * C3: `each_step` is for the weightless form.
  }];
  let arguments = (ins Varve_Activation:$x, Optional<Varve_PlainWeight>:$weight,
                       Varve_Epsilon:$eps, Varve_RoundingAttr:$rounding);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $x (`weight` $weight^)? `eps` $eps (`round` $rounding^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
  let hasVerifier = 1;
}

def Varve_LinearOp : Varve_ComputeOp<"linear", [AttrSizedOperandSegments]> {
  let summary = "matrix product with a weight";
  let description = [{
    `y[t, o] = sum_k x[t, k] w[o, k]`. The dimensions of `x` after the first are
    flattened to K, those of the result to N.

    Low-precision operands are codes that come with scales: `x_scale` holds one
    scale per `x_block` elements of a row, `weight_scale` one per tile of
    `weight_block` rows and columns. If both operands are codes, each block of
    `b = min(x_block, columns of weight_block)` columns is an f32 partial sum of
    code products, multiplied by the product of its two scales and added to an
    f32 total in ascending order. If only the weight is, it stands for the
    numbers `code scale`, and the product is that of plain operands.

    `short_sums` lets a target keep fewer bits of the sums of code products
    within such a block than f32 has, if its matrix instructions do: Hopper's keep
    13 behind the point of the largest product. Scales of f4E2M1FN weights that
    are powers of two may be multiplied into the codes before, which is exact:
    the block is then that of `x`, with several scales of `weight`.

    * C1: `weight` is [N, K]; K is the product of the dimensions of `x` after the
        first, N that of the result.
    * C2: an operand has scales exactly when its element type is f8E4M3FN or
        f4E2M1FN, and a block exactly when it has scales.
    * C3: `x_scale` is [T, ceil(K / x_block)], `weight_scale`
        [ceil(N / rows), ceil(K / columns)].
    * C4: codes of `x` need codes of `weight`; one of the two blocks' columns
        divides the other.

    ```mlir
    %q = varve.linear %x scaled %xs by 128, %w scaled %ws by [128, 128]
        : (tensor<?x4096xf8E4M3FN>, tensor<?x32xf8E8M0FNU>,
           tensor<1024x4096xf8E4M3FN>, tensor<8x32xf8E8M0FNU>) -> tensor<?x1024xbf16>
    ```
  }];
  let arguments = (ins
    Varve_Operand:$x, Optional<Varve_Scales>:$x_scale,
    Varve_MatrixWeight:$weight, Optional<Varve_Scales>:$weight_scale,
    OptionalAttr<Varve_Positive>:$x_block,
    OptionalAttr<DenseI64ArrayAttr>:$weight_block, UnitAttr:$short_sums);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $x (`scaled` $x_scale^ `by` $x_block)? `,`
    $weight (`scaled` $weight_scale^ `by` $weight_block)?
    (`short_sums` $short_sums^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Varve_GroupedLinearOp : Varve_ComputeOp<"grouped_linear", [AttrSizedOperandSegments]> {
  let summary = "one matrix product per group of columns";
  let description = [{
    The K columns of `x` form `groups` contiguous groups; group g is multiplied
    by rows `g N/groups ... (g + 1) N/groups - 1` of the weight:
    `y[t, g N/groups + o] = sum_k x[t, g K/groups + k] w[g N/groups + o, k]`.
    Flattening, scales, `short_sums` and constraints are those of `varve.linear`, with
    `x_block` and the columns of `weight_block` counted within a group.

    * C1: `groups` divides N and K; `weight` is [N, K / groups].
    * C2-C4: as for `varve.linear`.
  }];
  let arguments = (ins
    Varve_Operand:$x, Optional<Varve_Scales>:$x_scale,
    Varve_MatrixWeight:$weight, Optional<Varve_Scales>:$weight_scale,
    Varve_Positive:$groups,
    OptionalAttr<Varve_Positive>:$x_block,
    OptionalAttr<DenseI64ArrayAttr>:$weight_block, UnitAttr:$short_sums);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $x (`scaled` $x_scale^ `by` $x_block)? `,`
    $weight (`scaled` $weight_scale^ `by` $weight_block)? `groups` $groups
    (`short_sums` $short_sums^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
  let hasVerifier = 1;
}

def Varve_RopeOp : Varve_ComputeOp<"rope", [AllTypesMatch<["x", "result"]>]> {
  let summary = "rotary position embedding of the last dimensions";
  let description = [{
    Rotates adjacent pairs (2i, 2i+1) of the last `table.dim` elements of the
    last dimension by `positions[t] f_i`:
    `a' = a cos - b sin`, `b' = a sin + b cos`. `inverse` rotates by the
    negative angle. Angles are f32 products of the position and the f32
    frequency; sine and cosine are f32.

    * C1: the table's dimensions fit the last dimension of `x`.
    * C2: one position per row.
  }];
  let arguments = (ins Varve_Activation:$x, Varve_TokenNumbers:$positions,
                       Varve_RopeAttr:$table, UnitAttr:$inverse);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    (`inverse` $inverse^)? $x `at` $positions `table` $table attr-dict
    `:` type($x) `,` type($positions)
  }];
  let hasVerifier = 1;
}

def Varve_HadamardOp : Varve_ComputeOp<"hadamard", [AllTypesMatch<["x", "result"]>]> {
  let summary = "orthogonal Hadamard transform of the last dimension";
  let description = [{
    `y[i] = d^(-1/2) sum_j (-1)^popcount(i & j) x[j]` with d the size of the
    last dimension, natural (Sylvester) order, in f32. Applying it twice is the
    identity in real arithmetic.

    * C1: `x` has rank 2 or more, and d is a power of two.
  }];
  let arguments = (ins Varve_Activation:$x);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Varve_QuantizeOp : Varve_ComputeOp<"quantize"> {
  let summary = "round groups of the last dimension to codes with a shared scale";
  let description = [{
    For each group of `block` consecutive elements of the last dimension (the
    last group may be shorter), with M the largest finite code:

    `a = max(max|x|, floor)`, `s = 2^ceil(log2(a / M))`,
    `code = round(clamp(x / s, -M, M))` to nearest, ties to even.

    f8E4M3FN: M = 448, floor = 1e-4. f4E2M1FN: M = 6, floor = 6 * 2^-126.
    `a / M` is the f32 product with the f32 reciprocal, and the power of two is
    taken from its bits. A group with a NaN or an infinity has the scale NaN,
    and codes without meaning.

    * C1: `codes` has the shape of `x`, of rank 2 or more.
    * C2: `scales` has the shape of `x` with ceil(last / block) as last dimension.
  }];
  let arguments = (ins Varve_Activation:$x, Varve_Positive:$block);
  let results = (outs Varve_Codes:$codes, Varve_Scales:$scales);
  let assemblyFormat = [{
    $x `block` $block attr-dict `:` type($x) `->` type($codes) `,` type($scales)
  }];
  let hasVerifier = 1;
}

def Varve_DequantizeOp : Varve_ComputeOp<"dequantize"> {
  let summary = "the numbers that codes and scales stand for";
  let description = [{
    `y[.., i] = codes[.., i] scales[.., i div block]`.

    * C1: the result has the shape of `codes`, of rank 2 or more.
    * C2: `scales` has the shape of `codes` with ceil(last / block) as last
        dimension.
  }];
  let arguments = (ins Varve_Codes:$codes, Varve_Scales:$scales, Varve_Positive:$block);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $codes `scaled` $scales `block` $block attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // VARVE_LINEAR_OPS
