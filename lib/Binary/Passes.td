//===- Passes.td - The binary phase ------------------------*- tablegen -*-===//
#ifndef VARVE_BINARY_PASSES
#define VARVE_BINARY_PASSES

include "mlir/Pass/PassBase.td"

def RecallKernelsPass : Pass<"plan-recall-kernels", "::mlir::ModuleOp"> {
  let summary = "Replace kernels that were compiled before by their machine code";
  let description = [{
    Looks every `plan.kernel` of a target's module up in the kernel cache, by the
    tile function in it, and replaces it by the `plan.binary` that it became the
    last time. The others get an attribute with their key, under which
    `plan-compile-kernels` stores them.

    For runs that go on to the binary phase without an artefact in between; a
    kernel that was edited after it was lowered must not have the attribute. The
    options are those of `plan-compile-kernels`.
  }];
  let options = [
    Option<"ptx", "ptx", "bool", /*default=*/"false",
           "Look for PTX even if ptxas is here">,
    Option<"strict", "strict", "bool", /*default=*/"true",
           "Look for kernels that were held to it">
  ];
}

def CompileKernelsPass : Pass<"plan-compile-kernels", "::mlir::ModuleOp"> {
  let summary = "Compile the kernels of all targets to machine code";
  let description = [{
    Replaces every `plan.kernel` by a `plan.binary` with its code and the
    assembler's report. For NVIDIA targets the code is a cubin if a `ptxas` is
    found, else PTX, which the driver assembles when the package is loaded; a
    remark says so. For x86 it is an object.

    Kernels are compiled on all cores. Each has a context of its own, so one
    kernel's code cannot depend on another's. Results come from, and go to, the
    kernel cache. The code depends on the kernel, the target and the tools only.

    Errors of a kernel name it, its target and where it comes from; all kernels
    are tried.
  }];
  let options = [
    Option<"ptx", "ptx", "bool", /*default=*/"false",
           "Leave PTX to the driver's assembler even if ptxas is here">,
    Option<"threads", "threads", "unsigned", /*default=*/"0",
           "Kernels to compile at the same time; 0: one per core">,
    Option<"strict", "strict", "bool", /*default=*/"true",
           "Refuse kernels that spill registers or serialise products">
  ];
}

#endif // VARVE_BINARY_PASSES
