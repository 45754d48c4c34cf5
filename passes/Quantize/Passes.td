//===- Passes.td - The quantize phase ----------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_QUANTIZE_PASSES
#define VARVE_PASSES_QUANTIZE_PASSES

include "mlir/Pass/PassBase.td"

def ApplyPrecisionPass : Pass<"varve-apply-precision", "::mlir::ModuleOp"> {
  let summary = "Make a precision policy part of the model";
  let description = [{
    The import says what a model computes, in f32. This pass says how it
    rounds, following a policy: a file of rules that select ops and pools.

    * Results get the policy's element types; functions and calls follow.
    * Operands of matrix products with coded weights, and index queries, are
      quantised by a `varve.quantize` that all users of a value share.
    * Pools get the formats in which they store rows.
    * `varve.hadamard` is inserted in front of index queries and keys.
    * Roundings inside ops become their attributes.

    The module is marked with `varve.precision`. Weights keep the types in which
    they are stored: nothing is re-quantised. A module that already has a
    precision is refused, unless the policy is the same: then nothing changes.

    Errors name the policy's file and rule, or the op.
  }];
  let options = [
    Option<"policy", "policy", "std::string", /*default=*/"\"f32\"",
           "f32, bf16, native, or a .json file of rules">
  ];
  let dependentDialects = ["::mlir::varve::VarveDialect"];
}

def VerifyQuantizedPass : Pass<"varve-verify-quantized", "::mlir::ModuleOp"> {
  let summary = "Check what the phases behind the quantize phase rely on";
  let description = [{
    Reports every violation, the first ten, before it fails:

    Q1: the module has a precision.
    Q2: codes never cross a function boundary, where their scales would be lost.
    Q3: codes and the scales used with them come from the same `quantize` op, or
        from weights of the same tensor (`X.weight` and `X.scale`).
    Q4: index queries and the keys that they meet are both transformed by
        `hadamard`, or neither is.

    It changes nothing.
  }];
}

#endif // VARVE_PASSES_QUANTIZE_PASSES
