//===- Passes.td - The lower phase -------------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_LOWER_PASSES
#define VARVE_PASSES_LOWER_PASSES

include "mlir/Pass/PassBase.td"

def LowerKernelsPass : Pass<"varve-lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Kernels to tile functions, functions to plans";
  let description = [{
    In every nested module, `varve` disappears:

    * a `varve.kernel_func` becomes `tile.func`s and a private `plan.func` that
      launches them, one series of launches for each strategy, in a
      `plan.when` where there are several;
    * a `func.func` becomes a `plan.func` in destination style: behind its own
      arguments come `starts`, `ends` and `page_table`, then its results;
    * `varve.weight` and `varve.pool` become their `plan` counterparts, values
      between launches become `plan.alloc`s, launches and calls `plan.call`s.

    Arguments of public functions are named after their locations, or `arg0`,
    `arg1`, ...; those of `@step` are `ids`, `positions`, `slots`, `logit_rows`
    and `logits`.

    Errors: what a kernel's lowering refuses; a function that returns an
    argument, or a value twice.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::varve::plan::PlanDialect",
    "::mlir::varve::tile::TileDialect"
  ];
}

def VerifyLoweredPass : Pass<"varve-verify-lowered", "::mlir::ModuleOp"> {
  let summary = "Check what the phases behind the lower phase rely on";
  let description = [{
    L1: no op of the `varve` dialect and no `func.func` is left.

    It changes nothing.
  }];
}

#endif // VARVE_PASSES_LOWER_PASSES
