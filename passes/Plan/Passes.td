//===- Passes.td - From functions to launches and storages -*- tablegen -*-===//
#ifndef VARVE_PASSES_PLAN_PASSES
#define VARVE_PASSES_PLAN_PASSES

include "mlir/Pass/PassBase.td"

def PlanInlinePass : Pass<"plan-inline", "::mlir::ModuleOp"> {
  let summary = "Dissolve functions into the programs that call them";
  let description = [{
    Replaces every `plan.call` by the body of its function and erases the
    private functions. What is left is one straight list of launches per public
    function.

    An op that was called keeps its own location and gets the call's, so that
    the layer's name survives where several layers share a function.

    A function that calls itself, directly or not, is an error.
  }];
  let dependentDialects = ["::mlir::varve::plan::PlanDialect"];
}

def PlanOutlineKernelsPass : Pass<"plan-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Give every launched kernel a module of its own";
  let description = [{
    Replaces each `tile.func` that is launched by a `plan.kernel` of the same name
    and arguments, with the function inside, and notes which arguments it writes.
    Functions that nothing launches are
    erased.
  }];
  let dependentDialects = ["::mlir::varve::plan::PlanDialect"];
}

def PlanShareStoragePass : Pass<"plan-share-storage", "::mlir::varve::plan::FuncOp"> {
  let summary = "Give scratch tensors that never live together the same storage";
  let description = [{
    Sets `storage` of every `plan.alloc`. A tensor lives from its first use to
    its last, uses of views of it included. Two tensors get the same storage only
    if their lives are apart, or if one `plan.when` excludes the other's. The
    largest tensors choose first, and each takes the first storage that is free
    for it; sizes are compared for a step of many tokens. What a storage must
    hold is the largest of its tensors, those inside a `plan.when` at the most
    tokens that it admits.

    Functions that call others are left alone: `plan-inline` comes first.
    Storages that are set already are set anew.
  }];
  let dependentDialects = ["::mlir::varve::plan::PlanDialect"];
}

def PlanVerifyPass : Pass<"plan-verify", "::mlir::ModuleOp"> {
  let summary = "Check what holds between the ops of a plan";
  let description = [{
    Reports every violation (the first ten) and fails if there is any:

    P1: neighbouring `plan.when` ops of one expression are cases of one choice:
        their intervals are disjoint, and together they hold every number from
        1 on.
    P2: a scratch tensor or an output is written before it is read, in every
        case.
    P3: nothing writes a weight or an input.
    P4: a program writes all of its outputs, in every case.
    P5: a tensor that a launch writes does not overlap with any other of its
        arguments.

    What a launch reads and writes is known from the body of its `tile.func`, so
    this pass runs before kernels are lowered. It changes nothing.
  }];
}

#endif // VARVE_PASSES_PLAN_PASSES
