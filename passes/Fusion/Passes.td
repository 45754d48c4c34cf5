//===- Passes.td - The fuse phase --------------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_FUSION_PASSES
#define VARVE_PASSES_FUSION_PASSES

include "mlir/Pass/PassBase.td"

def InsertCommitsPass : Pass<"varve-insert-commits", "::mlir::ModuleOp"> {
  let summary = "Say when a step's rows are kept for later steps";
  let description = [{
    `varve.append` to a window pool and `varve.compress` both leave rows for this
    step's readers and for later steps. Executors do the second when no reader
    of the step needs what the rows replace. This pass writes that point down: a
    `varve.commit` behind the last reader of every appended window pool, and
    behind every `varve.compress`.

    Entry pools need none: their rows are never replaced.

    Errors: a pool whose writer and readers are in different functions.
  }];
  let dependentDialects = ["::mlir::varve::VarveDialect"];
}

def ExposeStoredPass : Pass<"varve-expose-stored", "::mlir::ModuleOp"> {
  let summary = "Make programs that show the values inside layers";
  let description = [{
    For comparisons with other implementations, which store values inside layers.
    Beside a private function `@layers.N`, public copies of it that begin at a
    stored value and return more of them:

    | program | takes, besides the layer's arguments | in the place of | returns, besides the layer's result |
    |---|---|---|---|
    | `@layers.N.stored.attn` | `attn.input` | `attn_norm` | `attn.q_latent`, `attn.q`, `attn.o`, `attn.output`; `indexer.q`, `indexer.q_scale` (of codes), `indexer.scores`, `indexer.topk` |
    | `@layers.N.stored.moe` | `moe.input` | `ffn_norm` | `router.logits`, `router.indices`, `router.weights`, `moe.output` |
    | `@layers.N.stored.topk` | `indexer.scores` alone | | `indexer.topk` |

    Arguments have these names as locations, results as `varve.port`. What a layer
    does not have is left out; so is a program without anything to return. Scores get as
    many columns as the model's positions have entries; without `varve.model` in
    the module they are left out.

    Kernels are formed afterwards, by the same rules as for the layers: where a
    value exists only inside of a kernel, that of the copy yields it besides.
    What goes through pools (keys of the window, entries, keys of the index) is
    found there.

    It runs behind `varve-insert-commits`, which wants every pool's users in one
    function.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect",
                           "::mlir::varve::VarveDialect"];
}

def FormKernelsPass : Pass<"varve-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Decide which ops run together";
  let description = [{
    Puts every compute op of a function into a `varve.kernel`. Each op begins
    alone; rules then join kernels, in this order, where nothing in between
    depends on the first and is needed by the second:

    | rule | joins |
    |---|---|
    | `selection` | `index_score` and the `index_topk` of its scores |
    | `gated` | two products of the same rows and the `swiglu` of their results |
    | `epilogue` | a product and the `quantize` of its result, when nothing else uses that and its blocks lie within rows |
    | `followers` | attention, a compressor, or a stream projection and ops on the rows that it has at hand; a compressor's append |
    | `rows` | ops that treat rows one by one, on the same rows |

    A kernel's kind is that of its anchor: `linear` (also `grouped_linear`),
    `experts`, `attention`, `index`, `compress`, `streams`, `commit`, `take`,
    `sample`; or `rows` without one.

    With `remarks`, every join is reported, and what a rule found but could not
    join, with the reason.
  }];
  let options = [
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "Report what was joined and what was not">
  ];
  let dependentDialects = ["::mlir::varve::VarveDialect"];
}

def VerifyFusedPass : Pass<"varve-verify-fused", "::mlir::ModuleOp"> {
  let summary = "Check what the phases behind the fuse phase rely on";
  let description = [{
    F1: compute ops are in kernels.
    F2: every appended window pool and every compressor's state is committed
        once in the function that writes it, behind its readers.

    It changes nothing.
  }];
}

#endif // VARVE_PASSES_FUSION_PASSES
