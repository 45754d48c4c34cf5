//===- TileShapeOps.td - Making and reshaping tiles --------*- tablegen -*-===//
#ifndef TILE_SHAPE_OPS
#define TILE_SHAPE_OPS

include "dialects/Tile/TileOpBase.td"

class Tile_ShapeOp<string mnemonic, list<Trait> traits = []>
    : Tile_Op<mnemonic, !listconcat([Pure], traits)>;

def Tile_IotaOp : Tile_ShapeOp<"iota"> {
  let summary = "the index along a dimension";
  let description = [{
    `result[i] = i[dim]`.

    C1: `dim` is a dimension of the result, whose elements are i32, i64 or
        index.

    `%col = tile.iota 1 : tensor<128x64xi32>`
  }];
  let arguments = (ins Tile_Axis:$dim);
  let results = (outs Tile_Tile<[I32, I64, Index], "tile of i32, i64 or index">:$result);
  let assemblyFormat = "$dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_SplatOp : Tile_ShapeOp<"splat", [
    TypesMatchWith<"value is a scalar of the result's element type", "result",
        "value", "::mlir::getElementTypeOrSelf($_self)">]> {
  let summary = "a tile of equal elements";
  let description = [{
    `%t = tile.splat %x : tensor<128xf32>`
  }];
  let arguments = (ins Tile_Scalar:$value);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Tile_ExtractOp : Tile_ShapeOp<"extract", [
    TypesMatchWith<"result is the tile's element type", "source", "result",
        "::mlir::getElementTypeOrSelf($_self)">]> {
  let summary = "one element of a tile, for all threads";
  let description = [{
    C1: there is one position per dimension, within the tile.

    `%x = tile.extract %t[0, 3] : tensor<16x4xf32>`
  }];
  let arguments = (ins Tile_AnyTile:$source, DenseI64ArrayAttr:$position);
  let results = (outs Tile_Scalar:$result);
  let assemblyFormat = "$source `` $position attr-dict `:` type($source)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_BroadcastOp : Tile_ShapeOp<"broadcast", [SameOperandsAndResultElementType]> {
  let summary = "repeat a tile along new dimensions";
  let description = [{
    Dimension i of the source becomes dimension `dims[i]` of the result; the
    result does not vary along the others.

    C1: `dims` has one entry per dimension of the source, ascending dimensions
        of the result, of equal size.
    C2: element types are equal.

    `%m = tile.broadcast %row_max dims [0] : tensor<64xf32> -> tensor<64x128xf32>`
  }];
  let arguments = (ins Tile_AnyTile:$source, DenseI64ArrayAttr:$dims);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $source `dims` $dims attr-dict `:` type($source) `->` type($result)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_ReshapeOp : Tile_ShapeOp<"reshape", [SameOperandsAndResultElementType]> {
  let summary = "the same elements in row-major order, other shape";
  let description = [{
    C1: source and result have the same number of elements.
    C2: element types are equal.

    `%p = tile.reshape %x : tensor<16x64xf32> -> tensor<16x32x2xf32>`
  }];
  let arguments = (ins Tile_AnyTile:$source);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat =
      "$source attr-dict `:` type($source) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_TransposeOp : Tile_ShapeOp<"transpose", [SameOperandsAndResultElementType]> {
  let summary = "permute the dimensions of a tile";
  let description = [{
    Dimension i of the result is dimension `permutation[i]` of the source.

    C1: `permutation` is a permutation of the source's dimensions and gives the
        result's shape.
    C2: element types are equal.

    `%t = tile.transpose %x [1, 0] : tensor<64x32xf32> -> tensor<32x64xf32>`
  }];
  let arguments = (ins Tile_AnyTile:$source, DenseI64ArrayAttr:$permutation);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $source $permutation attr-dict `:` type($source) `->` type($result)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_SliceOp : Tile_ShapeOp<"slice", [SameOperandsAndResultElementType]> {
  let summary = "a part of a tile";
  let description = [{
    `result[i] = source[offsets + i]`.

    C1: there is one offset per dimension; source and result have the same rank.
    C2: the part lies within the source.
    C3: element types are equal.

    `%rope = tile.slice %q[0, 448] : tensor<16x512xf32> -> tensor<16x64xf32>`
  }];
  let arguments = (ins Tile_AnyTile:$source, DenseI64ArrayAttr:$offsets);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $source `` $offsets attr-dict `:` type($source) `->` type($result)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_ConcatOp : Tile_ShapeOp<"concat", [SameOperandsAndResultElementType]> {
  let summary = "tiles one after another along a dimension";
  let description = [{
    C1: there is a source; all have the result's rank, and its sizes except
        along `dim`, where they add up to it.
    C2: element types are equal.

    ```mlir
    %q = tile.concat %nope, %rope along 1
        : tensor<16x448xf32>, tensor<16x64xf32> -> tensor<16x512xf32>
    ```
  }];
  let arguments = (ins Variadic<Tile_AnyTile>:$sources, Tile_Axis:$dim);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat = [{
    $sources `along` $dim attr-dict `:` type($sources) `->` type($result)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Tile_ConvertLayoutOp : Tile_ShapeOp<"convert_layout"> {
  let summary = "the same tile, distributed otherwise";
  let description = [{
    C1: source and result have the same shape and element type.

    ```mlir
    %y = tile.convert_layout %x : tensor<64x64xf32, #tile.mma<warps = [4, 1]>>
        -> tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Tile_AnyTile:$source);
  let results = (outs Tile_AnyTile:$result);
  let assemblyFormat =
      "$source attr-dict `:` type($source) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

#endif // TILE_SHAPE_OPS
