//===- VarveStreamOps.td - Embedding and residual streams --*- tablegen -*-===//
#ifndef VARVE_STREAM_OPS
#define VARVE_STREAM_OPS

include "dialects/Varve/VarveOpBase.td"

def Varve_EmbedOp : Varve_ComputeOp<"embed"> {
  let summary = "rows of the embedding table";
  let description = [{
    `y[t, :] = table[ids[t], :]`.

    * C1: `table` is [V, D] and the result [T, D].
    * C2: one id per result row.
  }];
  let arguments = (ins Varve_TokenNumbers:$ids, Varve_PlainWeight:$table);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Varve_StreamExpandOp : Varve_ComputeOp<"stream_expand"> {
  let summary = "copy a hidden state into n residual streams";
  let description = [{
    `X[t, j, :] = x[t, :]` for j = 0 ... n - 1.

    * C1: `x` is [T, D] and the result [T, n, D] of the same element type.
  }];
  let arguments = (ins Varve_Activation:$x);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Varve_StreamProjectOp : Varve_ComputeOp<"stream_project", [AttrSizedResultSegments]> {
  let summary = "input-dependent mixing coefficients of the residual streams";
  let description = [{
    With `u = flatten(X[t])` (stream-major) and
    `g = rsqrt(mean(u^2) + norm_eps)`:

    `M[i] = (sum_k u[k] fn[i, k]) g`
    `pre[j] = sigmoid(M[j] scale[0] + base[j]) + eps`
    `post[j] = 2 sigmoid(M[n + j] scale[1] + base[n + j])`
    `logits[j, k] = M[2n + n j + k] scale[2] + base[2n + n j + k]`

    in f32. The head form, in front of the output projection, has `pre` only.

    * C1: `X` is [T, n, D].
    * C2: `fn` is [n (2 + n), n D] with `base` [n (2 + n)] and `scale` [3]; in the
        head form [n, n D], [n], [1].
    * C3: `pre` and `post` are [T, n], `logits` [T, n, n]; `post` and `logits` are
        present together, exactly when `fn` is not of the head form.

    ```mlir
    %pre, %post, %logits = varve.stream_project %X, %fn, %base, %scale
        norm_eps 1.0e-06 eps 1.0e-06
        : (tensor<?x4x4096xbf16>, tensor<24x16384xf32>, tensor<24xf32>, tensor<3xf32>)
        -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4x4xf32>)
    ```
  }];
  let arguments = (ins Varve_Activation:$streams, Varve_PlainWeight:$fn,
                       Varve_PlainWeight:$base, Varve_PlainWeight:$scale,
                       Varve_Epsilon:$norm_eps, Varve_Epsilon:$eps);
  let results = (outs Varve_F32Tensor:$pre, Optional<Varve_F32Tensor>:$post,
                      Optional<Varve_F32Tensor>:$logits);
  let assemblyFormat = [{
    $streams `,` $fn `,` $base `,` $scale `norm_eps` $norm_eps `eps` $eps attr-dict
    `:` custom<ProjectTypes>(type($streams), type($fn), type($base), type($scale),
                             type($pre), type($post), type($logits))
  }];
  let hasVerifier = 1;
}

def Varve_SinkhornOp : Varve_ComputeOp<"sinkhorn", [SameOperandsAndResultType]> {
  let summary = "near-doubly-stochastic matrix of a square matrix of logits";
  let description = [{
    Softmax over the last dimension, plus `eps` on every element; then a column
    step `C[j, k] /= (sum_j C[j, k] + eps)`; then `iterations - 1` times a row
    step `C[j, k] /= (sum_k C[j, k] + eps)` and a column step. f32 throughout.
    The last operation is a column step, and sums end at 1 - eps: both are part
    of the function.

    * C1: the last two dimensions are equal.
  }];
  let arguments = (ins Varve_F32Tensor:$logits, Varve_Positive:$iterations,
                       Varve_Epsilon:$eps);
  let results = (outs Varve_F32Tensor:$result);
  let assemblyFormat = [{
    $logits `iterations` $iterations `eps` $eps attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def Varve_StreamCollapseOp : Varve_ComputeOp<"stream_collapse"> {
  let summary = "weighted sum of the residual streams";
  let description = [{
    `x[t, :] = sum_j pre[t, j] X[t, j, :]`, summed in f32.

    * C1: `X` is [T, n, D], `pre` [T, n], the result [T, D].
  }];
  let arguments = (ins Varve_Activation:$streams, Varve_F32Tensor:$pre);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = "$streams `,` $pre attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Varve_StreamMixOp : Varve_ComputeOp<"stream_mix"> {
  let summary = "write a sub-block's result back to the residual streams";
  let description = [{
    `X'[t, k, :] = post[t, k] y[t, :] + sum_j comb[t, j, k] X[t, j, :]`, in f32.
    The sum runs over the FIRST index of `comb`: it is applied transposed.

    * C1: `y` is [T, D], `X` and the result [T, n, D], `post` [T, n],
        `comb` [T, n, n].
  }];
  let arguments = (ins Varve_Activation:$y, Varve_Activation:$streams,
                       Varve_F32Tensor:$post, Varve_F32Tensor:$comb);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $y `,` $streams `,` $post `,` $comb attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Varve_TakeOp : Varve_ComputeOp<"take"> {
  let summary = "chosen rows of a tensor";
  let description = [{
    `y[i, ...] = x[rows[i], ...]`. Used in front of the output head, where only
    some tokens need logits.

    * C1: the result is `x` with as many rows as `rows` has numbers, of the same
        element type.
  }];
  let arguments = (ins Varve_Activation:$x, Varve_TokenNumbers:$rows);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = "$x `,` $rows attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // VARVE_STREAM_OPS
