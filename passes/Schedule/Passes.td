//===- Passes.td - The schedule phase ----------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_SCHEDULE_PASSES
#define VARVE_PASSES_SCHEDULE_PASSES

include "mlir/Pass/PassBase.td"

def ExposeLayersPass : Pass<"varve-expose-layers", "::mlir::ModuleOp"> {
  let summary = "Make a program of every layer";
  let description = [{
    A private function `@layers.N` or `@head` becomes `@layers.N.body` or
    `@head.body`, and a public one of its old name calls it: packages then have a
    program for every layer besides the step, for comparing and measuring layers
    alone. Kernels are those of the step.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def OutlineKernelsPass : Pass<"varve-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Share equal kernels";
  let description = [{
    Every `varve.kernel` becomes a `varve.launch` of a `varve.kernel_func`.
    Kernels that differ only in the values, weights and pools that they use share
    one: layers of the same kind compile once. Functions are named after their
    ops and sizes; a launch keeps the location of its kernel, and so the name of
    its layer.

    Arguments and results whose rows are rows of logits, not tokens, are marked
    `varve.logit_rows`, in functions too.
  }];
  let dependentDialects = ["::mlir::varve::VarveDialect"];
}

def SplitTargetsPass : Pass<"varve-split-targets", "::mlir::ModuleOp"> {
  let summary = "One module per target";
  let description = [{
    Moves everything in the module into a nested module per target, named after
    it and marked `varve.target`. Attributes of the module stay where they are.

    Errors: no target, an unknown one, or the same one twice.
  }];
  let options = [
    ListOption<"targets", "targets", "std::string",
               "Target models to compile for">
  ];
}

def ChooseStrategiesPass : Pass<"varve-choose-strategies", "::mlir::ModuleOp"> {
  let summary = "Decide how each kernel is lowered";
  let description = [{
    Attaches `strategies` to every kernel of the nested modules, as the lowering
    of its kind proposes for the module's target. A kernel that has some keeps
    them: users and tuners attach their own.

    Errors: a kernel of a kind that no lowering knows, or a target without a
    model.
  }];
  let dependentDialects = ["::mlir::varve::VarveDialect",
                           "::mlir::varve::tile::TileDialect"];
}

def VerifyScheduledPass : Pass<"varve-verify-scheduled", "::mlir::ModuleOp"> {
  let summary = "Check what the phases behind the schedule phase rely on";
  let description = [{
    S1: there is a nested module per target, and everything is in one.
    S2: kernels are launched, not written out.
    S3: every kernel has strategies.

    It changes nothing.
  }];
}

#endif // VARVE_PASSES_SCHEDULE_PASSES
