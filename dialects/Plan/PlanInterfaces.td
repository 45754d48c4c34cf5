//===- PlanInterfaces.td - What kernels of a plan can be asked -*- tablegen -*-===//
#ifndef PLAN_INTERFACES
#define PLAN_INTERFACES

include "mlir/IR/OpBase.td"

def Plan_KernelOpInterface : OpInterface<"KernelOpInterface"> {
  let cppNamespace = "::mlir::varve::plan";
  let description = [{
    A kernel after its `tile.func` was lowered: machine code, or what becomes
    machine code. It still knows the views that it is launched with.
  }];
  let methods = [
    InterfaceMethod<"The name by which it is launched.",
                    "::llvm::StringRef", "getKernelName", (ins), [{
      return $_op.getSymName();
    }]>,
    InterfaceMethod<"Views and scalars, those of the `tile.func`.",
                    "::llvm::ArrayRef<::mlir::Type>", "getArgumentTypes", (ins), [{
      return ::llvm::cast<::mlir::FunctionType>($_op.getSignature()).getInputs();
    }]>,
    InterfaceMethod<"Number of 64-bit words that a launch passes.",
                    "int64_t", "getNumWords">
  ];
}

#endif // PLAN_INTERFACES
