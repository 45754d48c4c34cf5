//===- TileSharedOps.td - Shared memory and copies ---------*- tablegen -*-===//
#ifndef TILE_SHARED_OPS
#define TILE_SHARED_OPS

include "dialects/Tile/TileMemoryOps.td"

def Tile_AllocOp : Tile_Op<"alloc"> {
  let summary = "a shared buffer";
  let description = [{
    Its contents are undefined until written; it lives until the end of the
    region that holds the op.

    `%b = tile.alloc : !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>`
  }];
  let results = (outs Res<Tile_Buffer, "", [MemAlloc<Tile_Shared>]>:$result);
  let assemblyFormat = "attr-dict `:` qualified(type($result))";
}

def Tile_ReadOp : Tile_Op<"read", [
    TypesMatchWith<"buffer has the shape and element type of the tile", "result",
        "buffer", "$_self", "::mlir::varve::tile::haveSameShape">]> {
  let summary = "read a shared buffer";
  let description = [{
    Sees every `write` before it in the text, of all threads of the role.

    C1: buffer and result have the same shape and element type.

    `%t = tile.read %b : !tile.buffer<128x64xbf16> -> tensor<128x64xbf16>`
  }];
  let arguments = (ins Arg<Tile_Buffer, "", [MemRead<Tile_Shared>]>:$buffer);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat =
      "$buffer attr-dict `:` qualified(type($buffer)) `->` type($result)";
}

def Tile_WriteOp : Tile_Op<"write", [
    TypesMatchWith<"buffer has the shape and element type of the tile", "value",
        "buffer", "$_self", "::mlir::varve::tile::haveSameShape">]> {
  let summary = "write a shared buffer";
  let description = [{
    C1: buffer and value have the same shape and element type.

    `tile.write %t, %b : tensor<128x64xbf16> -> !tile.buffer<128x64xbf16>`
  }];
  let arguments = (ins Tile_AnyTile:$value,
                       Arg<Tile_Buffer, "", [MemWrite<Tile_Shared>]>:$buffer);
  let assemblyFormat =
      "$value `,` $buffer attr-dict `:` type($value) `->` qualified(type($buffer))";
}

def Tile_SubbufferOp : Tile_Op<"subbuffer", [Pure]> {
  let summary = "a part of a shared buffer";
  let description = [{
    Element i of the result is element `offsets + i` of the buffer. The result's
    placement is the buffer's: a part keeps the swizzle of the whole.

    C1: there is one offset per dimension, none negative.
    C2: the result has the buffer's rank, element type and placement.
    C3: the part lies within the buffer.
    C4: offset and size of the last dimension are whole panels of the swizzle
        (words of 4 bytes without one), unless they are the buffer's; offsets
        and sizes of the dimension before it are multiples of 8, unless they are
        the buffer's.

    ```mlir
    %v = tile.subbuffer %kv[0, 256] : !tile.buffer<64x512xbf16>
        -> !tile.buffer<64x256xbf16>
    ```
  }];
  let arguments = (ins Tile_Buffer:$buffer, DenseI64ArrayAttr:$offsets);
  let results = (outs Tile_Buffer:$result);
  let assemblyFormat =
      "$buffer `` $offsets attr-dict `:` qualified(type($buffer)) `->` qualified(type($result))";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_CopyOp : Tile_WindowOp<"copy"> {
  let summary = "start copying a tile of a view to a shared buffer";
  let description = [{
    `buffer[i] = view[offsets + i]`, with the dimensions of `tile.load`; zero
    outside the view. The buffer may be read once `tile.wait` has seen the
    token. A copy to a buffer of a ring's stage needs no wait: `tile.commit`
    hands the stage on when all copies into it, begun since its `tile.acquire`,
    are complete.

    C1: there is one offset per dimension of the view.
    C2: view and buffer have the same element type.
    C3: `dims` has one entry per dimension of the buffer, distinct dimensions of
        the view.

    ```mlir
    %t = tile.copy %a[%m, %k] to %sa
        : !tile.view<?x4096xbf16> to !tile.buffer<128x64xbf16>
    ```
  }];
  let arguments = (ins
    Arg<Tile_View, "", [MemRead<Tile_Global>]>:$view, Variadic<Index>:$offsets,
    Arg<Tile_Buffer, "", [MemWrite<Tile_Shared>]>:$buffer,
    OptionalAttr<DenseI64ArrayAttr>:$dims, Tile_Cache:$cache);
  let results = (outs Tile_Token:$token);
  let assemblyFormat = [{
    $view `[` $offsets `]` (`dims` $dims^)? `to` $buffer (`cache` `` $cache^)?
    attr-dict `:` qualified(type($view)) `to` qualified(type($buffer))
  }];
  let extraClassDeclaration = dimsDeclaration;
}

def Tile_GatherCopyOp : Tile_Op<"gather_copy", [AttrSizedOperandSegments]> {
  let summary = "start copying rows of a view, by number, to a shared buffer";
  let description = [{
    `buffer[i, c] = view[row(i), column + c]` with the rows of `tile.gather`;
    zero for absent rows and outside the view. Completion is that of
    `tile.copy`.

    C1 to C5: those of `tile.gather`, the buffer in the result's place.
    C6: the view has rank 2.

    ```mlir
    %t = tile.gather_copy %pool[%rows] at %c0 pages %table of 64 to %skv
        : !tile.view<?x512xbf16>, tensor<64xi32>, !tile.view<?xi32>
        to !tile.buffer<64x512xbf16>
    ```
  }];
  let arguments = (ins
    Arg<Tile_View, "", [MemRead<Tile_Global>]>:$view, Tile_RowsTile:$rows,
    Optional<Index>:$column,
    Arg<Optional<Tile_View>, "", [MemRead<Tile_Global>]>:$table,
    Optional<Tile_RowsTile>:$sequences,
    Arg<Tile_Buffer, "", [MemWrite<Tile_Shared>]>:$buffer,
    OptionalAttr<I64Attr>:$page_size, Tile_Cache:$cache);
  let results = (outs Tile_Token:$token);
  let assemblyFormat = [{
    $view `[` $rows `]` (`at` $column^)?
    (`pages` $table^ (`[` $sequences^ `]`)? `of` $page_size)?
    `to` $buffer (`cache` `` $cache^)? attr-dict
    `:` qualified(type($view)) `,` type($rows) (`,` qualified(type($table))^)? (`,` type($sequences)^)?
    `to` qualified(type($buffer))
  }];
  let hasVerifier = 1;
}

def Tile_WaitOp : Tile_Op<"wait", [MemoryEffects<[
    MemRead<Tile_Shared>, MemWrite<Tile_Shared>]>]> {
  let summary = "wait for copies";
  let description = [{
    After it, the buffers of the copies hold the data, for all threads.

    `tile.wait %t0, %t1`
  }];
  let arguments = (ins Variadic<Tile_Token>:$tokens);
  let assemblyFormat = "$tokens attr-dict";
  let hasVerifier = 1;
}

#endif // TILE_SHARED_OPS
