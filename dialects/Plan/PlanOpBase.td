//===- PlanOpBase.td - What all plan ops share -------------*- tablegen -*-===//
#ifndef PLAN_OP_BASE
#define PLAN_OP_BASE

include "dialects/Plan/PlanTypes.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/CallInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Plan_Op<string mnemonic, list<Trait> traits = []>
    : Op<Plan_Dialect, mnemonic, traits>;

def Plan_Tensor : Type<CPred<"::llvm::isa<::mlir::varve::plan::DeviceTensorType>($_self)">,
    "plan tensor", "::mlir::varve::plan::DeviceTensorType">;
def Plan_Scalar : AnyTypeOf<[Index, I1, I8, I16, I32, I64, F16, BF16, F32, F64], "scalar">;
def Plan_Argument : AnyTypeOf<[Plan_Tensor, Plan_Scalar], "plan tensor or scalar">;
def Plan_SizeValue : AnyTypeOf<[Index, I32, I64], "index, i32 or i64">;
def Plan_Positive : ConfinedAttr<I64Attr, [IntPositive]>;

#endif // PLAN_OP_BASE
