//===- TileAttrs.td - Enumerations and attributes ----------*- tablegen -*-===//
#ifndef TILE_ATTRS
#define TILE_ATTRS

include "dialects/Tile/TileAttrInterfaces.td"
include "dialects/Tile/TileDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

class Tile_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::varve::tile";
  let genSpecializedAttr = 0;
}
class Tile_EnumAttr<Tile_Enum info, string mnemonic>
    : EnumAttr<Tile_Dialect, info, mnemonic>;

def Tile_ReduceKind : Tile_EnumAttr<Tile_Enum<"ReduceKind", "how a reduction combines two elements", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">
]>, "reduce_kind">;

def Tile_AtomicKind : Tile_EnumAttr<Tile_Enum<"AtomicKind", "how an atomic update combines old and new", [
  I32EnumAttrCase<"Add", 0, "add">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">,
  I32EnumAttrCase<"And", 3, "and">,
  I32EnumAttrCase<"Or", 4, "or">,
  I32EnumAttrCase<"Xor", 5, "xor">
]>, "atomic_kind">;

def Tile_CacheHint : Tile_EnumAttr<Tile_Enum<"CacheHint", "how long data should stay in the caches", [
  I32EnumAttrCase<"Normal", 0, "normal">,
  I32EnumAttrCase<"Streaming", 1, "streaming">,
  I32EnumAttrCase<"Keep", 2, "keep">
]>, "cache_hint">;

def Tile_DotKind : Tile_EnumAttr<Tile_Enum<"DotKind", "instruction family of matrix products", [
  I32EnumAttrCase<"Auto", 0, "auto">,
  I32EnumAttrCase<"Fma", 1, "fma">,
  I32EnumAttrCase<"MmaSync", 2, "mma_sync">,
  I32EnumAttrCase<"Wgmma", 3, "wgmma">,
  I32EnumAttrCase<"BlockMma", 4, "block_mma">
]>, "dot_kind">;

def Tile_Quads : Tile_EnumAttr<Tile_Enum<"Quads", "columns that a lane of a quad takes", [
  I32EnumAttrCase<"Words", 0, "words">,
  I32EnumAttrCase<"Quarters", 1, "quarters">
]>, "quads"> {
  let assemblyFormat = "`<` $value `>`";
}

def Tile_SizeKind : Tile_EnumAttr<Tile_Enum<"SizeKind", "where a run-time size of the grid comes from", [
  I32EnumAttrCase<"Dim", 0, "dim">,
  I32EnumAttrCase<"Scalar", 1, "scalar">,
  I32EnumAttrCase<"Resident", 2, "resident">
]>, "size_kind">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Tile_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Tile_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

// A distribution of a tile over lanes and registers.
class Tile_LayoutAttr<string name, string attrMnemonic>
    : Tile_Attr<name, attrMnemonic, [
          DeclareAttrInterfaceMethods<Tile_LayoutAttrInterface>,
          VerifiableTensorEncoding]> {
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::llvm::LogicalResult verifyEncoding(
        ::llvm::ArrayRef<int64_t> shape, ::mlir::Type elementType,
        ::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError) const {
      return verifyShape(shape, emitError);
    }
  }];
}

def Tile_BlockedLayout : Tile_LayoutAttr<"BlockedLayout", "blocked"> {
  let summary = "contiguous elements per lane, lanes and warps in a grid";
  let description = [{
    Per dimension, a lane holds `per_lane` neighbouring elements, a warp is
    `lanes` wide and the block `warps` wide. `order` lists the dimensions, the
    one along which lanes and warps are numbered first at the front. Where the
    tile is larger than the block it repeats in registers, where it is smaller,
    or no multiple, elements are replicated.

    C1: all four lists have one entry per dimension.
    C2: sizes are powers of two and `lanes` multiply to 32.
    C3: `order` is a permutation.

    `#tile.blocked<per_lane = [1, 8], lanes = [4, 8], warps = [4, 1], order = [1, 0]>`
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$per_lane, ArrayRefParameter<"int64_t">:$lanes,
    ArrayRefParameter<"int64_t">:$warps, ArrayRefParameter<"int64_t">:$order);
  let assemblyFormat = [{
    `<` `per_lane` `=` `[` $per_lane `]` `,` `lanes` `=` `[` $lanes `]` `,`
    `warps` `=` `[` $warps `]` `,` `order` `=` `[` $order `]` `>`
  }];
}

def Tile_MmaLayout : Tile_LayoutAttr<"MmaLayout", "mma"> {
  let summary = "accumulator of m16n8 matrix instructions";
  let description = [{
    A warp's instruction tile is 16 x 8; lane l holds row l / 4 (registers 0, 1)
    and l / 4 + 8 (registers 2, 3), columns 2 (l mod 4) and the next. `warps`
    warps lie side by side per dimension, the last dimension first; larger tiles
    repeat in registers, columns first.

    C1: `warps` are two powers of two.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$warps);
  let assemblyFormat = "`<` `warps` `=` `[` $warps `]` `>`";
}

def Tile_WgmmaLayout : Tile_LayoutAttr<"WgmmaLayout", "wgmma"> {
  let summary = "accumulator of m64nN warpgroup matrix instructions";
  let description = [{
    The four warps of a warpgroup hold 16 rows each of a 64 x `n` instruction
    tile; inside a warp the elements lie as in `#tile.mma`, columns in steps of
    8. `warpgroups` lie side by side per dimension, the last dimension first;
    larger tiles repeat in registers, columns first.

    C1: `n` is a multiple of 8 from 8 to 256.
    C2: `warpgroups` are two powers of two.
  }];
  let parameters = (ins "int64_t":$n, ArrayRefParameter<"int64_t">:$warpgroups);
  let assemblyFormat =
      "`<` `n` `=` $n `,` `warpgroups` `=` `[` $warpgroups `]` `>`";
}

def Tile_OperandLayout : Tile_LayoutAttr<"OperandLayout", "operand"> {
  let summary = "register operand of a matrix instruction";
  let description = [{
    Operand `index` (0: the left one, [M, K]; 1: the right one, [K, N]) of the
    instruction whose accumulator is `parent`, for elements of `bits` bits. With
    e = 32 / bits elements to a register word, lane l of the left operand holds
    row l / 4 (+ 8 in every other word) and columns e (l mod 4) + 0 ... e - 1
    (+ 4 e after two words); of the right operand rows (K) e (l mod 4) + 0 ...
    e - 1 (+ 4 e per word) and column l / 4. Warps that differ only in the other
    operand's dimension hold the same elements.

    C1: `parent` is `#tile.mma` or, for operand 0, `#tile.wgmma`.
    C2: `bits` is 8 or 16.
  }];
  let parameters = (ins "int64_t":$index, "::mlir::Attribute":$parent,
                        "int64_t":$bits);
  let assemblyFormat = [{
    `<` `index` `=` $index `,` `parent` `=` $parent `,` `bits` `=` $bits `>`
  }];
}

def Tile_SliceLayout : Tile_LayoutAttr<"SliceLayout", "slice"> {
  let summary = "what is left of a layout after a dimension is reduced";
  let description = [{
    The layout of the tile that a reduction of dimension `dim` leaves: element c
    is where `parent` has c with a 0 inserted at `dim`, and in every lane that
    holds any element of that line.

    C1: `parent` is a tile layout of rank 2 or more; `dim` is one of its
        dimensions.
  }];
  let parameters = (ins "int64_t":$dim, "::mlir::Attribute":$parent);
  let assemblyFormat = "`<` `dim` `=` $dim `,` `parent` `=` $parent `>`";
}

def Tile_SharedLayout : Tile_Attr<"SharedLayout", "shared"> {
  let summary = "swizzled placement of a shared buffer";
  let description = [{
    The last dimension is cut into panels of `swizzle` bytes; a panel holds all
    rows, one after another. In row r of a panel, the 16-byte chunk c lies at
    chunk `c xor ((r * swizzle / 128) mod (swizzle / 16))`. This is the placement
    of tensor copies (swizzle modes 32, 64, 128) and what matrix instructions
    read without bank conflicts. 0 means plain row-major.

    C1: `swizzle` is 0, 32, 64 or 128.
  }];
  let parameters = (ins "int64_t":$swizzle);
  let assemblyFormat = "`<` `swizzle` `=` $swizzle `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Whether a buffer of `shape` can be placed like this: with a swizzle, the
    /// last dimension fills whole panels.
    ::llvm::LogicalResult verifyShape(
        ::llvm::ArrayRef<int64_t> shape, int64_t elementBits,
        ::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError) const;
    /// The offset in bits of an element from the start of the buffer.
    int64_t getBitOffset(::llvm::ArrayRef<int64_t> shape, int64_t elementBits,
                         ::llvm::ArrayRef<int64_t> coordinates) const;
  }];
}

def Tile_RoleAttr : Tile_Attr<"Role", "role"> {
  let summary = "a group of warps with one program";
  let description = [{
    `registers` is the budget per lane that the role asks for; 0 leaves it to
    the target.

    C1: `name` is not empty, `warps` is positive.
    C2: `registers` is 0 or a multiple of 8 from 24 to 256.
  }];
  let parameters = (ins StringRefParameter<"name">:$name, "int64_t":$warps,
                        DefaultValuedParameter<"int64_t", "0">:$registers);
  let assemblyFormat = [{
    `<` $name `,` `warps` `=` $warps (`,` `registers` `=` $registers^)? `>`
  }];
  let genVerifyDecl = 1;
}

def Tile_SizeAttr : Tile_Attr<"Size", "size"> {
  let summary = "a run-time size that the grid depends on";
  let description = [{
    `dim`: dimension `dim` of view argument `argument`; `scalar`: the value of
    integer argument `argument`; `resident`: the number of blocks that the
    device runs at once (on a CPU, any positive number), for persistent grids.
  }];
  let parameters = (ins "::mlir::varve::tile::SizeKind":$kind,
                        DefaultValuedParameter<"int64_t", "0">:$argument,
                        DefaultValuedParameter<"int64_t", "0">:$dim);
  let assemblyFormat = [{
    `<` $kind (`of` `argument` $argument^)? (`at` `dim` $dim^)? `>`
  }];
}

def Tile_StrategyAttr : Tile_Attr<"Strategy", "strategy"> {
  let summary = "how a target should lower a function";
  let description = [{
    Everything that changes the machine code of a function and not its result's
    meaning. `dot` picks the family of matrix instructions. `in_flight` is the
    number of asynchronous matrix products a role leaves unfinished when it goes
    on to its next stage; a stage is handed back that much later.
    `blocks_per_multiprocessor` bounds registers. `staged_store` sends stores of
    accumulators through shared memory, so that global memory sees whole rows.
    `short_sums` lets products of elements of at most 8 bits keep fewer bits of
    the sums within 128 k, or a block of scales if that is shorter, than f32 has,
    where the target has faster instructions that do. Scales that are multiplied
    into codes before make no blocks.

    C1: `in_flight` is from 0 to 7.
    C2: `blocks_per_multiprocessor` is from 1 to 32.
  }];
  let parameters = (ins
    DefaultValuedParameter<"::mlir::varve::tile::DotKind",
                           "::mlir::varve::tile::DotKind::Auto">:$dot,
    DefaultValuedParameter<"int64_t", "0">:$in_flight,
    DefaultValuedParameter<"int64_t", "1">:$blocks_per_multiprocessor,
    DefaultValuedParameter<"bool", "false">:$staged_store,
    DefaultValuedParameter<"bool", "false">:$short_sums);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // TILE_ATTRS
