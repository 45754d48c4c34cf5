//===- VarveExpertOps.td - Routing, experts, sampling ------*- tablegen -*-===//
#ifndef VARVE_EXPERT_OPS
#define VARVE_EXPERT_OPS

include "dialects/Varve/VarveOpBase.td"

def Varve_RouteTopkOp : Varve_ComputeOp<"route_topk",
    [InferTypeOpAdaptor]> {
  let summary = "the A best-scored experts of a token and their weights";
  let description = [{
    `a = scoring(logits[t])`; `ids` are the A largest of `a + bias`, best first,
    equal ones by lower expert number; `weights = a[ids]`, divided by their sum
    if `normalize`, times `scale`. f32.

    * C1: `logits` is [T, X], `bias` [X].
    * C2: A is at most X.
  }];
  let arguments = (ins Varve_F32Tensor:$logits, Optional<Varve_PlainWeight>:$bias,
                       Varve_Positive:$active, Varve_Scoring:$scoring,
                       UnitAttr:$normalize, Varve_Finite:$scale);
  let results = (outs Varve_Numbers:$ids, Varve_F32Tensor:$weights);
  let assemblyFormat = [{
    $logits (`bias` $bias^)? `active` $active `scoring` $scoring
    (`normalize` $normalize^)? `scale` $scale attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Varve_RouteHashOp : Varve_ComputeOp<"route_hash",
    [InferTypeOpAdaptor]> {
  let summary = "the experts that a table names for a token id, and their weights";
  let description = [{
    `ids[t] = table[token_ids[t]]`; the weights are those of `varve.route_topk`.

    * C1: `logits` is [T, X], `table` [V, A], one token id per row.
    * C2: A is at most X.
  }];
  let arguments = (ins Varve_F32Tensor:$logits, Varve_TokenNumbers:$token_ids,
                       Varve_RoutingTable:$table,
                       Varve_Scoring:$scoring, UnitAttr:$normalize, Varve_Finite:$scale);
  let results = (outs Varve_Numbers:$ids, Varve_F32Tensor:$weights);
  let assemblyFormat = [{
    $logits `,` $token_ids `,` $table `scoring` $scoring
    (`normalize` $normalize^)? `scale` $scale attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Varve_ExpertsOp : Varve_ComputeOp<"experts", [AttrSizedOperandSegments]> {
  let summary = "matrix product of each token with its experts' weights";
  let description = [{
    `y[t, a, o] = sum_k x[t, a, k] w[ids[t, a], o, k]`; an `x` of rank 2 is the
    same for all of a token's experts. Scales and `short_sums` are as for
    `varve.linear`, within each expert's matrix.

    * C1: `ids` is [T, A], `weight` [X, N, K], the result [T, A, N]; `x` is [T, K]
        or [T, A, K]; A is at most X.
    * C2: an operand has scales exactly when its element type is f8E4M3FN or
        f4E2M1FN, and a block exactly when it has scales.
    * C3: `x_scale` has the shape of `x` with ceil(K / x_block) as last dimension;
        `weight_scale` is [X, ceil(N / rows), ceil(K / columns)].
    * C4: codes of `x` need codes of `weight`; one of the two blocks' columns
        divides the other.
  }];
  let arguments = (ins
    Varve_Operand:$x, Optional<Varve_Scales>:$x_scale, Varve_Numbers:$ids,
    Varve_MatrixWeight:$weight, Optional<Varve_Scales>:$weight_scale,
    OptionalAttr<Varve_Positive>:$x_block,
    OptionalAttr<DenseI64ArrayAttr>:$weight_block, UnitAttr:$short_sums);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $x (`scaled` $x_scale^ `by` $x_block)? `,` $ids `,`
    $weight (`scaled` $weight_scale^ `by` $weight_block)?
    (`short_sums` $short_sums^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Varve_SwigluOp : Varve_ComputeOp<"swiglu"> {
  let summary = "gated activation, clamped and weighted";
  let description = [{
    `v = silu(min(gate, limit)) clamp(up, -limit, limit)`, times the routing
    weight of the (token, expert) if given; `silu(z) = z / (1 + e^-z)`. A limit
    of 0 does not clamp. f32.

    * C1: `gate`, `up` and the result have the same shape, of rank 2 or more.
    * C2: `weights` has that shape without its last dimension.
    * C3: the limit is not negative.
  }];
  let arguments = (ins Varve_Activation:$gate, Varve_Activation:$up,
                       Optional<Varve_F32Tensor>:$weights, Varve_Finite:$limit);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $gate `,` $up (`weights` $weights^)? `limit` $limit attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Varve_CombineOp : Varve_ComputeOp<"combine"> {
  let summary = "sum of a token's experts";
  let description = [{
    `y[t] = sum_a x[t, a] (+ shared[t])`, in f32: experts in ascending expert
    number, the shared expert last.

    * C1: `x` is [T, A, D], `ids` [T, A], `shared` and the result [T, D].
  }];
  let arguments = (ins Varve_Activation:$x, Varve_Numbers:$ids,
                       Optional<Varve_Activation>:$shared);
  let results = (outs Varve_Activation:$result);
  let assemblyFormat = [{
    $x `,` $ids (`shared` $shared^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Varve_SampleOp : Varve_ComputeOp<"sample",
    [InferTypeOpAdaptor]> {
  let summary = "choose one id per row of logits";
  let description = [{
    With a temperature of 0 the largest logit, of equal ones the lowest id.
    Otherwise `p = softmax(logits / temperature)`; ids are ordered by descending
    p (equal ones by id); the shortest prefix whose mass reaches `top_p` is kept
    and the first id at which the cumulative mass exceeds
    `uniform[i] * (kept mass)` is chosen.

    * C1: `logits` is [R, V], `uniform` [R] with numbers in [0, 1), present
        exactly when the temperature is positive.
    * C2: temperature >= 0, 0 < top_p <= 1.
  }];
  let arguments = (ins Varve_F32Tensor:$logits, Optional<Varve_F32Tensor>:$uniform,
                       Varve_Finite:$temperature,
                       DefaultValuedAttr<F64Attr, "1.0">:$top_p);
  let results = (outs Varve_TokenNumbers:$ids);
  let assemblyFormat = [{
    $logits (`uniform` $uniform^)? `temperature` $temperature (`top_p` $top_p^)?
    attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

#endif // VARVE_EXPERT_OPS
