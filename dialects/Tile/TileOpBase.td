//===- TileOpBase.td - What all tile ops share -------------*- tablegen -*-===//
#ifndef TILE_OP_BASE
#define TILE_OP_BASE

include "dialects/Tile/TileAttrs.td"
include "dialects/Tile/TileInterfaces.td"
include "dialects/Tile/TileTypes.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/CallInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Operand roles
//===----------------------------------------------------------------------===//

def Tile_HasStaticShape : CPred<
    "::mlir::varve::tile::isTileType($_self)">;

class Tile_Tile<list<Type> types, string role>
    : Type<And<[Tile_HasStaticShape,
                RankedTensorOf<types>.predicate]>,
           role, "::mlir::RankedTensorType">;

def Tile_F16Like : AnyTypeOf<[F32, F64, BF16, F16]>;
def Tile_AnyFloat : AnyTypeOf<[F64, F32, BF16, F16, F8E4M3FN, F8E5M2, F8E8M0FNU, F4E2M1FN]>;
def Tile_AnyInteger : AnyTypeOf<[I1, I8, I16, I32, I64, Index]>;

def Tile_AnyTile : Tile_Tile<[Tile_AnyFloat, Tile_AnyInteger],
    "tile (ranked tensor of static shape)">;
def Tile_MaskTile : Tile_Tile<[I1], "tile of i1">;
def Tile_RowsTile : Type<And<[Tile_HasStaticShape, RankedTensorOf<[I32, I64, Index]>.predicate,
                              HasAnyRankOfPred<[1]>]>,
    "rank-1 tile of row numbers", "::mlir::RankedTensorType">;
def Tile_AccumulatorTile : Tile_Tile<[F32], "f32 tile">;
def Tile_IntegerTile : Tile_Tile<[I32, I64], "tile of i32 or i64">;
def Tile_ScaleTile : Tile_Tile<[F32, BF16, F8E8M0FNU], "tile of scales (f32, bf16 or f8E8M0FNU)">;
def Tile_Scalar : AnyTypeOf<[Tile_AnyFloat, Tile_AnyInteger], "scalar">;
def Tile_ScoreTile : Tile_Tile<[F32, BF16], "tile of f32 or bf16 scores">;

def Tile_View : Type<CPred<"::llvm::isa<::mlir::varve::tile::ViewType>($_self)">,
    "view of global memory", "::mlir::varve::tile::ViewType">;
def Tile_Buffer : Type<CPred<"::llvm::isa<::mlir::varve::tile::BufferType>($_self)">,
    "shared buffer", "::mlir::varve::tile::BufferType">;
def Tile_Ring : Type<CPred<"::llvm::isa<::mlir::varve::tile::RingType>($_self)">,
    "ring of stages", "::mlir::varve::tile::RingType">;
def Tile_Slot : Type<CPred<"::llvm::isa<::mlir::varve::tile::SlotType>($_self)">,
    "stage of a ring", "::mlir::varve::tile::SlotType">,
    BuildableType<"::mlir::varve::tile::SlotType::get($_builder.getContext())">;
def Tile_Token : Type<CPred<"::llvm::isa<::mlir::varve::tile::TokenType>($_self)">,
    "token of an asynchronous copy", "::mlir::varve::tile::TokenType">,
    BuildableType<"::mlir::varve::tile::TokenType::get($_builder.getContext())">;
def Tile_TileOrBuffer : AnyTypeOf<[Tile_AnyTile, Tile_Buffer], "tile or shared buffer">;

//===----------------------------------------------------------------------===//
// Memory resources
//===----------------------------------------------------------------------===//

def Tile_Global : Resource<"::mlir::varve::tile::GlobalMemory">;
def Tile_Shared : Resource<"::mlir::varve::tile::SharedMemory">;
// Order among blocks and among the stages of rings: ops with effects on it stay
// in textual order among themselves.
def Tile_Schedule : Resource<"::mlir::varve::tile::Schedule">;

//===----------------------------------------------------------------------===//
// Attribute constraints and op classes
//===----------------------------------------------------------------------===//

def Tile_Axis : ConfinedAttr<I64Attr, [IntNonNegative]>;
def Tile_Cache : DefaultValuedAttr<Tile_CacheHint,
    "::mlir::varve::tile::CacheHint::Normal">;

class Tile_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, mnemonic, traits>;

#endif // TILE_OP_BASE
