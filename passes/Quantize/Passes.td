//===- Passes.td - The quantize phase ----------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_QUANTIZE_PASSES
#define VARVE_PASSES_QUANTIZE_PASSES

include "mlir/Pass/PassBase.td"

def ApplyPrecisionPass : Pass<"varve-apply-precision", "::mlir::ModuleOp"> {
  let summary = "Make a precision policy part of the model";
  let description = [{
    The import says what a model computes, in f32. This pass says how it
    rounds, following a policy: a file of rules that select ops and pools
    (docs/precision.md).

    * Results get the policy's element types; functions and calls follow.
    * Inputs of matrix products whose weights are codes, and index queries, are
      quantised by a `varve.quantize` that all users of a value share.
    * Pools get the formats in which they store rows.
    * `varve.hadamard` is inserted in front of index queries and keys.
    * Roundings inside ops become their attributes.

    With the rule `{"ops": "linear", "only_coded_weights": true, "quantize":
    {"type": "f8E4M3FN", "block": 128}}`,

    ```mlir
    %y = varve.linear %x, %w scaled %ws by [128, 128]
        : (tensor<?x256xf32>, tensor<64x256xf8E4M3FN>, tensor<1x2xf8E8M0FNU>)
        -> tensor<?x64xf32>
    ```

    becomes

    ```mlir
    %codes, %scales = varve.quantize %x block 128
        : tensor<?x256xf32> -> tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
    %y = varve.linear %codes scaled %scales by 128, %w scaled %ws by [128, 128]
        : (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>,
           tensor<64x256xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x64xf32>
    ```

    The module is marked with `varve.precision`. Weights keep the types in which
    they are stored: nothing is re-quantised. A module that has a precision is
    refused, unless it is that of the policy: then nothing changes.

    A policy that contradicts the model is refused as a whole; the first ten
    contradictions are reported, each on its op with the rule.
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

    Q1: the module has a precision, and it is that of `policy`, if given.
    Q2: codes never cross a function boundary, where their scales would be lost.
    Q3: codes and the scales used with them come from the same `quantize` op and
        are used with its block, or from weights of the same tensor (`X.weight`
        and `X.scale`).
    Q4: index queries and the keys that they meet are both transformed by
        `hadamard`, or neither is.
    Q5: every op and pool rounds as the policy says. Without `policy` this is
        checked for modules of a built-in policy.

    It changes nothing.
  }];
  let options = [
    Option<"policy", "policy", "std::string", /*default=*/"\"\"",
           "the policy that was applied; by default that of the module, if it "
           "is built in">
  ];
}

#endif // VARVE_PASSES_QUANTIZE_PASSES
