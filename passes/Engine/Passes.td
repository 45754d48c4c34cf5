//===- Passes.td - From tile programs to what a back end reads -*- tablegen -*-===//
#ifndef VARVE_PASSES_ENGINE_PASSES
#define VARVE_PASSES_ENGINE_PASSES

include "mlir/Pass/PassBase.td"

def LowerKernelPass : Pass<"plan-lower-kernel", "::mlir::varve::plan::KernelOp"> {
  let summary = "Lower the tile function of a kernel for the module's target";
  let description = [{
    Runs the engine of the target that the enclosing module names in
    `varve.target` on the kernel's own module, and copies what the host must know
    of the result (threads, shared memory, scratch, tensor maps) to the kernel.
    Kernels are lowered independently of each other, at the same time.

    The function keeps its name. A note says which kernel of which target could
    not be lowered, behind what the engine said.
  }];
}

def VerifyTargetsPass : Pass<"varve-verify-targets", "::mlir::ModuleOp"> {
  let summary = "Check what the binary phase relies on";
  let description = [{
    L1: there is at least one nested module, each names in `varve.target` a
        target model that exists, and no two the same.
    L2: such a module holds pools, public functions without calls, and kernels;
        every alloc has a storage.
    L3: a kernel's module has a function with the kernel's name, and no `tile`
        op.
    L4: with `compiled`, kernels are `plan.binary` ops.

    It changes nothing.
  }];
  let options = [
    Option<"compiled", "compiled", "bool", /*default=*/"false",
           "Whether kernels are machine code already">
  ];
}

#endif // VARVE_PASSES_ENGINE_PASSES
