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

// Only the first dimension of a value may be dynamic: it counts tokens, entries
// or rows of logits. Costs, verifiers and lowerings rely on the others.
defvar staticRows = CPred<
    "::mlir::varve::hasStaticRows(::llvm::cast<::mlir::RankedTensorType>($_self))">;
defvar staticShape = CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).hasStaticShape()">;

class Varve_Tensor<list<Type> types, string text>
    : RankedTensorOf<types, [staticRows]> {
  let summary = text # " with static, positive dimensions after the first";
}
class Varve_StaticTensor<list<Type> types, string text>
    : RankedTensorOf<types, [staticRows, staticShape]> {
  let summary = text # " with static, positive dimensions";
}
class Varve_RankTensor<list<Type> types, int rank, string text>
    : RankedTensorOf<types, [HasAnyRankOfPred<[rank]>]> {
  let summary = text # " of rank " # rank;
}

// Values between ops.
def Varve_Activation : Varve_Tensor<[F32, BF16, F16], "f32, bf16 or f16 tensor">;
// Values that may also be low-precision codes.
def Varve_Operand : Varve_Tensor<[F32, BF16, F16, F8E4M3FN, F4E2M1FN],
                                 "f32, bf16, f16, f8E4M3FN or f4E2M1FN tensor">;
def Varve_Codes : Varve_Tensor<[F8E4M3FN, F4E2M1FN], "f8E4M3FN or f4E2M1FN tensor">;
def Varve_Scales : Varve_Tensor<[F8E8M0FNU, F32], "f8E8M0FNU or f32 scale tensor">;
def Varve_F32Tensor : Varve_Tensor<[F32], "f32 tensor">;
def Varve_Numbers : Varve_Tensor<[I32], "i32 tensor">;
def Varve_TokenNumbers : Varve_RankTensor<[I32], 1, "i32 tensor">;
// The one value with two dynamic dimensions: a score for every visible entry.
def Varve_Scores : Varve_RankTensor<[F32, BF16, F16], 2, "f32, bf16 or f16 tensor">;

// Matrices, whose codes come with scales.
def Varve_MatrixWeight : Varve_StaticTensor<[F32, BF16, F16, F8E4M3FN, F4E2M1FN],
    "f32, bf16, f16, f8E4M3FN or f4E2M1FN weight tensor">;
// Weights that are read as they are: no op scales them.
def Varve_PlainWeight
    : Varve_StaticTensor<[F32, BF16, F16], "f32, bf16 or f16 weight tensor">;
def Varve_RoutingTable : Varve_StaticTensor<[I64, I32], "i64 or i32 routing table">;
// Whatever a checkpoint stores.
def Varve_StoredTensor
    : Varve_StaticTensor<[F32, BF16, F16, F8E4M3FN, F4E2M1FN, F8E8M0FNU, I64, I32],
                         "stored tensor of f32, bf16, f16, f8E4M3FN, f4E2M1FN, "
                         "f8E8M0FNU, i64 or i32">;

//===----------------------------------------------------------------------===//
// Attribute constraints
//===----------------------------------------------------------------------===//

// Sizes and counts. Numbers of rows and elements are i32 values at run time.
def Varve_Positive : ConfinedAttr<I64Attr, [AttrConstraint<
    CPred<"::llvm::isUInt<31>(::llvm::cast<::mlir::IntegerAttr>($_self).getInt()) && "
          "::llvm::cast<::mlir::IntegerAttr>($_self).getInt() != 0">,
    "whose value is a positive i32 number">]>;
def Varve_Finite : ConfinedAttr<F64Attr, [AttrConstraint<
    CPred<"::llvm::cast<::mlir::FloatAttr>($_self).getValue().isFinite()">,
    "whose value is finite">]>;
def Varve_Epsilon : ConfinedAttr<F64Attr, [AttrConstraint<
    CPred<"::llvm::cast<::mlir::FloatAttr>($_self).getValue().isFinite() && "
          "::llvm::cast<::mlir::FloatAttr>($_self).getValueAsDouble() > 0.0">,
    "whose value is positive and finite">]>;
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
