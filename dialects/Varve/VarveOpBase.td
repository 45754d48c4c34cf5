//===- VarveOpBase.td - What all model ops share -----------*- tablegen -*-===//
#ifndef VARVE_OP_BASE
#define VARVE_OP_BASE

include "dialects/Varve/VarveAttrs.td"
include "dialects/Varve/VarveInterfaces.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Operand roles
//===----------------------------------------------------------------------===//

class Varve_Tensor<list<Type> types, string role>
    : RankedTensorOf<types, [], role>;

// Values between ops.
def Varve_Activation : Varve_Tensor<[F32, BF16, F16], "activation tensor">;
// Values that may also be low-precision codes.
def Varve_Operand
    : Varve_Tensor<[F32, BF16, F16, F8E4M3FN, F4E2M1FN], "activation or code tensor">;
def Varve_Codes : Varve_Tensor<[F8E4M3FN, F4E2M1FN], "code tensor">;
def Varve_Scales : Varve_Tensor<[F8E8M0FNU, F32], "scale tensor">;
def Varve_WeightTensor
    : Varve_Tensor<[F32, BF16, F16, F8E4M3FN, F4E2M1FN], "weight tensor">;
def Varve_F32Tensor : Varve_Tensor<[F32], "f32 tensor">;
def Varve_TokenNumbers : RankedTensorOf<[I32], [HasAnyRankOfPred<[1]>], "rank-1 number tensor">;
def Varve_Numbers : Varve_Tensor<[I32], "number tensor">;

//===----------------------------------------------------------------------===//
// Attribute constraints
//===----------------------------------------------------------------------===//

def Varve_Positive : ConfinedAttr<I64Attr, [IntPositive]>;
def Varve_Epsilon : ConfinedAttr<F64Attr, [
    AttrConstraint<CPred<"::llvm::cast<::mlir::FloatAttr>($_self).getValueAsDouble() > 0.0">,
                   "whose value is positive">]>;
def Varve_RoundingAttr : DefaultValuedAttr<Varve_Rounding,
    "::mlir::varve::Rounding::Once">;

//===----------------------------------------------------------------------===//
// Op classes
//===----------------------------------------------------------------------===//

class Varve_Op<string mnemonic, list<Trait> traits = []>
    : Op<Varve_Dialect, mnemonic, traits>;

// An op that computes its results from its operands alone.
class Varve_ComputeOp<string mnemonic, list<Trait> traits = []>
    : Varve_Op<mnemonic, !listconcat([
          Pure, DeclareOpInterfaceMethods<Varve_CostOpInterface>], traits)>;

// An op that reads or writes named pools. `positions` and `slots` say which
// rows of which sequences.
class Varve_PoolUserOp<string mnemonic, list<Trait> traits = []>
    : Varve_Op<mnemonic, !listconcat([
          DeclareOpInterfaceMethods<Varve_CostOpInterface>,
          DeclareOpInterfaceMethods<Varve_PoolUserOpInterface>,
          DeclareOpInterfaceMethods<SymbolUserOpInterface>,
          DeclareOpInterfaceMethods<MemoryEffectsOpInterface>], traits)>;

#endif // VARVE_OP_BASE
