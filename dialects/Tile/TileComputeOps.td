//===- TileComputeOps.td - Products, reductions, selection -*- tablegen -*-===//
#ifndef TILE_COMPUTE_OPS
#define TILE_COMPUTE_OPS

include "dialects/Tile/TileOpBase.td"

def Tile_DotOp : Tile_Op<"dot", [
    AttrSizedOperandSegments,
    TypesMatchWith<"result and accumulator have the same type", "accumulator",
        "result", "$_self">,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "matrix product added to an accumulator";
  let description = [{
    `result[m, n] = accumulator[m, n] + sum_k a[m, k] b[k, n]`, products and
    sums in f32. A `transposed` operand is stored the other way round: `a` as
    [K, M], `b` as [N, K]. Operands are tiles or shared buffers.

    Scales multiply blocks of an operand's codes. `a_scale` is [M / ga, K / ka]
    and stands for one scale per ga x ka elements; `b_scale` is [N / gb, K / kb]
    however `b` is stored. Then, with g the smaller of ka and kb (K without),
    blocks of g along K are f32 partial sums of code products, and in ascending
    order of the blocks

    `total = fma(partial, a_scale * b_scale, total)`.

    With an `exponent`, scales of `a` count 2^exponent times what they are. What
    multiplies codes by their scales before the product may reach few exponents;
    the scales of `b` then bring the rest.

    The order of additions within a block is the target's, and fixed. Inputs of
    fewer than 16 bits multiply exactly; f32 ones multiply as f32. Codes beside
    numbers of 16 bits may be multiplied by scales that are powers of two before
    the product, which is then one sum: their products are the same numbers.

    `b` in `quads` has its columns in the order in which the four lanes that
    share a row of `a` in registers take them (QuadOrder.h): in `words`, 8-bit
    numbers, each 32 columns as [16, 2] transposed; in `quarters` each 128 as
    [4, 4, 2, 4], transposed to [1, 3, 0, 2] for numbers of 16 bits and to
    [1, 2, 0, 3] for those of 8. `a` and all scales stay in the order of K.

    C1: operands and accumulator have rank 2; K agrees, and the accumulator is
        [M, N].
    C2: the operands' element types are equal, or one of them has at most 8
        bits; they are f32, bf16, f16, f8E4M3FN, f8E5M2 or f4E2M1FN.
    C3: scale shapes divide [M, K] and [N, K]; one of ka and kb divides the
        other.
    C4: `b` in quads is transposed, its elements have 8 bits, or 16 in quarters,
        and K is a multiple of 128.
    C5: beside an exponent, `a` has scales, and `b` is in quarters of elements
        of 8 bits.

    ```mlir
    %d = tile.dot %a, %b transposed, %c
        : tensor<128x64xbf16>, !tile.buffer<256x64xbf16> -> tensor<128x256xf32>
    %e = tile.dot %x scaled %xs, %w transposed scaled %ws, %c
        : tensor<128x128xf8E4M3FN> scaled tensor<128x1xf32>,
          tensor<128x128xf4E2M1FN> scaled tensor<128x4xf8E8M0FNU>
        -> tensor<128x128xf32>
    ```
  }];
  // The accumulator precedes what is optional: its type is inferred by position.
  let arguments = (ins Tile_TileOrBuffer:$a, Tile_TileOrBuffer:$b,
    Tile_AccumulatorTile:$accumulator,
    Optional<Tile_ScaleTile>:$a_scale, Optional<Tile_ScaleTile>:$b_scale,
    UnitAttr:$a_transposed, UnitAttr:$b_transposed,
    OptionalAttr<Tile_Quads>:$quads,
    DefaultValuedOptionalAttr<I64Attr, "0">:$exponent);
  let results = (outs Tile_AccumulatorTile:$result);
  let assemblyFormat = [{
    $a (`transposed` $a_transposed^)? (`scaled` $a_scale^)?
    (`exponent` $exponent^)? `,`
    $b (`transposed` $b_transposed^)? (`quads` `` $quads^)?
    (`scaled` $b_scale^)? `,` $accumulator attr-dict
    `:` type($a) (`scaled` type($a_scale)^)? `,`
    type($b) (`scaled` type($b_scale)^)?
    `->` type($accumulator)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getM() { return getAccumulator().getType().getShape()[0]; }
    int64_t getN() { return getAccumulator().getType().getShape()[1]; }
    int64_t getK();
    /// The number of k that share the scales of both operands; K without.
    int64_t getScaleBlock();
  }];
}

def Tile_ReduceOp : Tile_Op<"reduce", [
    Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "combine the elements along a dimension";
  let description = [{
    The result lacks dimension `dim`; of a rank-1 source it is a scalar. The
    order of combination is a function of the op's type and the target, the same
    in every run. `max` and `min` of floats ignore NaN unless all elements are
    NaN; of integers they are signed.

    C1: `dim` is a dimension of the source.
    C2: the elements are f32, f64, i32, i64 or index; f32 sums are f32 sums.

    `%s = tile.reduce sum %p along 1 : tensor<64x128xf32>`
  }];
  let arguments = (ins Tile_ReduceKind:$kind,
    Tile_Tile<[F32, F64, I32, I64, Index], "tile of f32, f64, i32, i64 or index">:$source,
    Tile_Axis:$dim);
  let results = (outs AnyType:$result);
  let assemblyFormat = "`` $kind $source `along` $dim attr-dict `:` type($source)";
}

def Tile_ScanOp : Tile_Op<"scan", [Pure, AllTypesMatch<["source", "result"]>]> {
  let summary = "running sums along a dimension";
  let description = [{
    `result[.., i, ..] = sum_{j <= i} source[.., j, ..]`, or `j < i` when
    `exclusive`.

    C1: `dim` is a dimension of the source.

    `%ends = tile.scan %counts along 0 : tensor<256xi32>`
  }];
  let arguments = (ins
    Tile_Tile<[F32, I32, I64, Index], "tile of f32, i32, i64 or index">:$source,
    Tile_Axis:$dim, UnitAttr:$exclusive);
  let results = (outs
    Tile_Tile<[F32, I32, I64, Index], "tile of f32, i32, i64 or index">:$result);
  let assemblyFormat = [{
    $source `along` $dim (`exclusive` $exclusive^)? attr-dict `:` type($source)
  }];
  let hasVerifier = 1;
}

def Tile_SelectTopkOp : Tile_Op<"select_topk", [Pure]> {
  let summary = "the k best elements of each row";
  let description = [{
    Per row (the last dimension) the `k` greatest elements in descending order,
    k being the size of the results' last dimension, and where they were. Equal
    elements (-0 equals 0) are taken, and listed, by ascending position; NaN
    ranks below everything else. `indices` is the position, or the element of
    `ids` there.

    Running selections compose: the best of a prefix, concatenated with new
    elements and their ids, select again, and ties still go to the lower
    position.

    C1: source and results have rank 1 or 2 and agree except in the last size,
        which in the results is from 1 to the source's.
    C2: `values` has the source's element type, `indices` has i32.
    C3: `ids` has the source's shape and i32 elements.

    ```mlir
    %v, %i = tile.select_topk %scores
        : tensor<4x256xf32> -> tensor<4x6xf32>, tensor<4x6xi32>
    ```
  }];
  let arguments = (ins Tile_ScoreTile:$source,
                       Optional<Tile_Tile<[I32], "tile of i32">>:$ids);
  let results = (outs Tile_ScoreTile:$values, Tile_Tile<[I32], "tile of i32">:$indices);
  let assemblyFormat = [{
    $source (`ids` $ids^ `:` type($ids))? attr-dict
    `:` type($source) `->` type($values) `,` type($indices)
  }];
  let hasVerifier = 1;
}

#endif // TILE_COMPUTE_OPS
