//===- VarveInterfaces.td - Interfaces of model ops --------*- tablegen -*-===//
#ifndef VARVE_INTERFACES
#define VARVE_INTERFACES

include "mlir/IR/OpBase.td"

def Varve_CostOpInterface : OpInterface<"CostOpInterface"> {
  let cppNamespace = "::mlir::varve";
  let description = [{
    The exact work of an op as a function of the step's shape: arithmetic by
    operand precision, and the bytes it must move, by kind of memory, if every
    input is read once and every output written once.
  }];
  let methods = [
    InterfaceMethod<[{
        Work of this op in a step of the given shape. Dynamic dimensions of the
        operands follow from the shape.
      }],
      "::mlir::varve::OpCost", "getCost",
      (ins "const ::mlir::varve::StepShape &":$step)>,
  ];
}

def Varve_InterpretOpInterface : OpInterface<"InterpretOpInterface"> {
  let cppNamespace = "::mlir::varve";
  let description = [{
    The meaning of an op, executable. Implemented outside the dialect (by the
    reference interpreter) as external models, so that the dialect does not
    depend on any executor.
  }];
  let methods = [
    InterfaceMethod<[{
        Computes the results from the operands that `frame` holds and stores
        them in it. Fails after having reported a diagnostic on the op.
      }],
      "::llvm::LogicalResult", "interpret",
      (ins "::mlir::varve::InterpretFrame &":$frame)>,
  ];
}

def Varve_PoolUserOpInterface : OpInterface<"PoolUserOpInterface"> {
  let cppNamespace = "::mlir::varve";
  let description = "An op that reads or writes named pools.";
  let methods = [
    InterfaceMethod<"Appends the pools that this op reads.", "void",
      "getReadPools",
      (ins "::llvm::SmallVectorImpl<::mlir::FlatSymbolRefAttr> &":$pools)>,
    InterfaceMethod<"Appends the pools that this op writes.", "void",
      "getWrittenPools",
      (ins "::llvm::SmallVectorImpl<::mlir::FlatSymbolRefAttr> &":$pools)>,
  ];
}

#endif // VARVE_INTERFACES
