//===- VarveDialect.td - The model dialect -----------------*- tablegen -*-===//
#ifndef VARVE_DIALECT
#define VARVE_DIALECT

include "mlir/IR/OpBase.td"

def Varve_Dialect : Dialect {
  let name = "varve";
  let cppNamespace = "::mlir::varve";
  let summary = "What a hybrid-attention language model computes, on tensors";
  let description = [{
    One op per mechanism of the model, at the granularity of its published
    formulas. A function processes a *step*: T tokens of any number of
    sequences, flattened. Prefill, chunked prefill, decode and speculative
    verification are the same function with different T.

    Letters used throughout:

    | letter | meaning |
    |---|---|
    | T | tokens of the step (dynamic) |
    | E | entries that the step completes (dynamic) |
    | D | hidden size |
    | n | residual streams |
    | H, d | query heads, head size |
    | r | rotary dimensions, the last r of d |
    | m | compression ratio: tokens an entry stands for |
    | W | sliding window, the query included |
    | Hi, di | indexer heads, indexer head size |
    | k | selected entries of a query |
    | X, A, I | routed experts, active experts of a token, expert inner size |

    Every token has an absolute *position* (from 0) and a sequence *slot*. A
    row whose slot is -1 is padding: it is computed like any other, but no op
    stores anything for it.

    **Rounding is in the types.** An op computes in f32 and rounds its result
    to the result's element type once, unless it says otherwise. A precision
    policy is therefore visible in the IR: it is the element types, the formats
    of the pools, the `quantize` ops, and the few attributes that describe a
    rounding inside an op.

    **State is explicit.** Pools are declared in the module and named by the ops
    that read or write them; those ops carry memory effects on the pool's
    symbol. Ops of a step take effect in program order.

    Equal scores select the lower index, everywhere.

    **Limits.** Only the first dimension of a tensor may be dynamic (scores are
    the one exception). Sizes, counts and positions are i32 numbers, and a
    tensor has at most 2^40 elements per row: no product of sizes overflows.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Adds the attributes to the dialect; they are defined in their own file.
    void registerAttributes();
  }];
}

#endif // VARVE_DIALECT
