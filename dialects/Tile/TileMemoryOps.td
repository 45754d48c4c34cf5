//===- TileMemoryOps.td - Global memory --------------------*- tablegen -*-===//
#ifndef TILE_MEMORY_OPS
#define TILE_MEMORY_OPS

include "dialects/Tile/TileOpBase.td"

// Ops that touch a tile of a view at an offset. Dimension i of the tile is
// dimension `dims[i]` of the view; without `dims`, the last ones.
class Tile_WindowOp<string mnemonic, list<Trait> traits = []>
    : Tile_Op<mnemonic, traits> {
  let hasVerifier = 1;
  code dimsDeclaration = [{
    /// The dimensions of the view that the tile's dimensions run along.
    ::llvm::SmallVector<int64_t> getTileDims();
  }];
}

def Tile_LoadOp : Tile_WindowOp<"load", [
    AttrSizedOperandSegments,
    OptionalTypesMatchWith<"mask is an i1 tile of the result's shape", "result",
        "mask", "::mlir::varve::tile::getMaskType($_self)">,
    OptionalTypesMatchWith<"fill is a scalar of the result's element type",
        "result", "fill", "::mlir::getElementTypeOrSelf($_self)">]> {
  let summary = "read a tile of a view";
  let description = [{
    `result[i] = view[offsets + i]` where dimension j of the tile runs along
    dimension `dims[j]` of the view (by default the view's last ones). Where
    that is outside the view, or `mask` is 0, the element is `fill`, or zero bits
    without one. Offsets may be negative.

    C1: there is one offset per dimension of the view.
    C2: view and result have the same element type.
    C3: `dims` has one entry per dimension of the result, distinct dimensions of
        the view.

    ```mlir
    %t = tile.load %x[%m, %k] : !tile.view<?x4096xbf16> -> tensor<128x64xbf16>
    %h = tile.load %q[%t, %h, %c0] dims [0, 2] mask %p else %ninf
        : !tile.view<?x64x512xf32> -> tensor<16x512xf32>
    ```
  }];
  let arguments = (ins
    Arg<Tile_View, "", [MemRead<Tile_Global>]>:$view,
    Variadic<Index>:$offsets, Optional<Tile_MaskTile>:$mask,
    Optional<Tile_Scalar>:$fill, OptionalAttr<DenseI64ArrayAttr>:$dims,
    Tile_Cache:$cache);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $view `[` $offsets `]` (`dims` $dims^)? (`mask` $mask^)? (`else` $fill^)?
    (`cache` `` $cache^)? attr-dict `:` qualified(type($view)) `->` type($result)
  }];
  let extraClassDeclaration = dimsDeclaration;
}

def Tile_StoreOp : Tile_WindowOp<"store", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "write a tile or a shared buffer to a view";
  let description = [{
    `view[offsets + i] = value[i]`, with the dimensions of `tile.load`. Elements
    outside the view, or whose `mask` is 0, are not written. A shared buffer as
    value may be written asynchronously; the op's end is the end of its reads of
    the buffer.

    C1: there is one offset per dimension of the view.
    C2: view and value have the same element type.
    C3: `dims` has one entry per dimension of the value, distinct dimensions of
        the view.
    C4: a mask is an i1 tile of the value's shape, and the value is a tile.

    `tile.store %t, %y[%m, %n] : tensor<128x256xbf16> -> !tile.view<?x4096xbf16>`
  }];
  let arguments = (ins Tile_TileOrBuffer:$value, Tile_View:$view,
    Variadic<Index>:$offsets, Optional<Tile_MaskTile>:$mask,
    OptionalAttr<DenseI64ArrayAttr>:$dims, Tile_Cache:$cache);
  let assemblyFormat = [{
    $value `,` $view `[` $offsets `]` (`dims` $dims^)? (`mask` $mask^ `:` type($mask))?
    (`cache` `` $cache^)? attr-dict `:` type($value) `->` qualified(type($view))
  }];
  let extraClassDeclaration = dimsDeclaration;
}

def Tile_LoadScalarOp : Tile_Op<"load_scalar", [
    TypesMatchWith<"result is the view's element type", "view", "result",
        "::llvm::cast<::mlir::varve::tile::ViewType>($_self).getElementType()">]> {
  let summary = "read one element of a view";
  let description = [{
    The element at `offsets`, for all threads of the block; zero outside the
    view.

    C1: there is one offset per dimension of the view.
    C2: the element type has at least 8 bits.

    `%n = tile.load_scalar %counts[%e] : !tile.view<256xi32>`
  }];
  let arguments = (ins
    Arg<Tile_View, "", [MemRead<Tile_Global>]>:$view, Variadic<Index>:$offsets);
  let results = (outs Tile_Scalar:$result);
  let assemblyFormat = "$view `[` $offsets `]` attr-dict `:` qualified(type($view))";
  let hasVerifier = 1;
}

def Tile_SubviewOp : Tile_Op<"subview", [Pure, AttrSizedOperandSegments]> {
  let summary = "a smaller window of a view";
  let description = [{
    Element i of the result is element `offsets + i` of the view. `sizes` gives
    the run-time sizes of the result, one per `?` of its shape. Offsets and
    sizes are clamped: an offset to `0 ... size`, a size to what is left, so the
    result never reaches beyond the view. A dimension of static size is that of
    the view, with offset ignored.

    This is how a block works on the rows of one expert or sequence: bounds
    checks of loads and stores then stop at the end of those rows.

    C1: there is one offset per dimension.
    C2: the result has the view's rank and element type; a dimension is `?` or
        equal to the view's.
    C3: there is one size per `?` of the result.
    C4: the result has the view's static strides (those of a dense view follow
        from its sizes); a dense result differs from a dense view at most in its
        first size.
    C5: the view's elements have at least 8 bits.

    ```mlir
    %rows = tile.subview %x[%first, %c0] sizes [%count]
        : !tile.view<?x4096xbf16> -> !tile.view<?x4096xbf16>
    ```
  }];
  let arguments = (ins Tile_View:$view, Variadic<Index>:$offsets,
                       Variadic<Index>:$sizes);
  let results = (outs Tile_View:$result);
  let assemblyFormat = [{
    $view `[` $offsets `]` `sizes` `[` $sizes `]` attr-dict
    `:` qualified(type($view)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Rows by number
//===----------------------------------------------------------------------===//

def Tile_GatherOp : Tile_Op<"gather", [
    AttrSizedOperandSegments,
    OptionalTypesMatchWith<"fill is a scalar of the result's element type",
        "result", "fill", "::mlir::getElementTypeOrSelf($_self)">]> {
  let summary = "read rows of a view by number";
  let description = [{
    `result[i, c] = view[row(i), column + c]`, or `result[i] = view[row(i)]` for
    a view of rank 1. Without a page table `row(i) = rows[i]`. With one, rows
    are numbered within a sequence and `page_size` of them share a page:
    `row(i) = table[sequences[i], rows[i] div page_size] * page_size +
    rows[i] mod page_size`; a table of rank 1 belongs to one sequence and takes
    no `sequences`.

    A row is *absent* when its number, sequence or page is negative or outside
    its view or table. Elements of absent rows and columns outside the view are
    `fill`, or zero bits.

    C1: view and result have the same element type and rank 1 or 2.
    C2: the result has one row per row number.
    C3: a column is given exactly when the rank is 2.
    C4: a table has rank 1 or 2 and integers of at least 32 bits, and comes with
        a positive `page_size`; `sequences` is a tile of the shape of `rows`,
        present exactly when the table has rank 2.
    C5: 4-bit elements need a view of rank 2.

    ```mlir
    %k = tile.gather %pool[%rows] at %c0 pages %table[%seq] of 64
        : !tile.view<?x512xbf16>, tensor<64xi32>, !tile.view<?x?xi32>,
          tensor<64xi32> -> tensor<64x512xbf16>
    ```
  }];
  let arguments = (ins
    Arg<Tile_View, "", [MemRead<Tile_Global>]>:$view, Tile_RowsTile:$rows,
    Optional<Index>:$column,
    Arg<Optional<Tile_View>, "", [MemRead<Tile_Global>]>:$table,
    Optional<Tile_RowsTile>:$sequences, Optional<Tile_Scalar>:$fill,
    OptionalAttr<I64Attr>:$page_size, Tile_Cache:$cache);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $view `[` $rows `]` (`at` $column^)?
    (`pages` $table^ (`[` $sequences^ `]`)? `of` $page_size)?
    (`else` $fill^)? (`cache` `` $cache^)? attr-dict
    `:` qualified(type($view)) `,` type($rows) (`,` qualified(type($table))^)? (`,` type($sequences)^)?
    `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_ScatterOp : Tile_Op<"scatter", [AttrSizedOperandSegments]> {
  let summary = "write rows of a view by number";
  let description = [{
    `view[row(i), column + c] = value[i, c]`, with the rows of `tile.gather`.
    Absent rows and columns outside the view are not written. Rows that are not
    absent must be distinct.

    C1 to C5: those of `tile.gather`, the value in the result's place.

    ```mlir
    tile.scatter %kv, %pool[%rows] at %c0 pages %table[%seq] of 64
        : tensor<16x512xbf16>, !tile.view<?x512xbf16>, tensor<16xi32>,
          !tile.view<?x?xi32>, tensor<16xi32>
    ```
  }];
  let arguments = (ins Tile_AnyTile:$value,
    Arg<Tile_View, "", [MemWrite<Tile_Global>]>:$view, Tile_RowsTile:$rows,
    Optional<Index>:$column,
    Arg<Optional<Tile_View>, "", [MemRead<Tile_Global>]>:$table,
    Optional<Tile_RowsTile>:$sequences, OptionalAttr<I64Attr>:$page_size,
    Tile_Cache:$cache);
  let assemblyFormat = [{
    $value `,` $view `[` $rows `]` (`at` $column^)?
    (`pages` $table^ (`[` $sequences^ `]`)? `of` $page_size)?
    (`cache` `` $cache^)? attr-dict
    `:` type($value) `,` qualified(type($view)) `,` type($rows)
    (`,` qualified(type($table))^)? (`,` type($sequences)^)?
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Atomic updates
//===----------------------------------------------------------------------===//

def Tile_AtomicOp : Tile_WindowOp<"atomic", [
    AttrSizedOperandSegments,
    AllTypesMatch<["value", "old"]>,
    OptionalTypesMatchWith<"mask is an i1 tile of the value's shape", "value",
        "mask", "::mlir::varve::tile::getMaskType($_self)">]> {
  let summary = "update a tile of a view atomically";
  let description = [{
    For every element, `old[i] = view[offsets + i]` and `view[offsets + i] =
    kind(old[i], value[i])` as one indivisible step among all blocks of the
    grid. Elements outside the view or whose `mask` is 0 are not touched and
    their `old` is 0. `max` and `min` are signed.

    Stores of the block before the op are visible to a block that sees its
    effect (acquire and release at device scope). Only integers: a sum of floats
    would depend on the order of the blocks. So does `old`: a program must give
    the same result for any order, as "the last block combines the parts" does.

    C1: there is one offset per dimension of the view.
    C2: view and value have the same element type.
    C3: `dims` has one entry per dimension of the value, distinct dimensions of
        the view.

    `%ticket = tile.atomic add %one, %counter[%c0] : tensor<1xi32>, !tile.view<1xi32>`
  }];
  let arguments = (ins Tile_AtomicKind:$kind, Tile_IntegerTile:$value,
    Arg<Tile_View, "", [MemRead<Tile_Global>, MemWrite<Tile_Global>]>:$view,
    Variadic<Index>:$offsets, Optional<Tile_MaskTile>:$mask,
    OptionalAttr<DenseI64ArrayAttr>:$dims);
  let results = (outs Res<Tile_IntegerTile, "", [MemWrite<Tile_Schedule>]>:$old);
  let assemblyFormat = [{
    `` $kind $value `,` $view `[` $offsets `]` (`dims` $dims^)? (`mask` $mask^)?
    attr-dict `:` type($value) `,` qualified(type($view))
  }];
  let extraClassDeclaration = dimsDeclaration;
}

#endif // TILE_MEMORY_OPS
