//===- MatrixProduct.h - Tiles of a product with a weight ------*- C++ -*-===//
//
// What products with weights share: `varve.linear`, `varve.grouped_linear`, and
// per expert `varve.experts`. Operands are numbers or codes with scales; tiles
// have `rows` rows of the activations, `columns` rows of the weight, and
// `depth` of what is summed.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_MATRIXPRODUCT_H
#define VARVE_PASSES_LOWER_MATRIXPRODUCT_H

#include "passes/Lower/TileKernel.h"

namespace mlir::varve {

/// How the operands of a product are stored.
struct ProductFormat {
  Type xType, xScaleType, weightType, weightScaleType;
  /// Columns that share a scale of x; 0 for numbers.
  int64_t xBlock = 0;
  /// Rows and columns that share a scale of the weight; 0 for numbers.
  int64_t weightRows = 0, weightColumns = 0;

  bool hasXCodes() const { return xBlock != 0; }
  bool hasWeightCodes() const { return weightRows != 0; }

  static ProductFormat of(LinearOp op);
  static ProductFormat of(GroupedLinearOp op);
  static ProductFormat of(ExpertsOp op);

  /// The least depth that holds whole scale blocks.
  int64_t getDepthUnit() const;
  /// Whether operands go into `tile.dot` as they are stored: both codes, or
  /// numbers of one type.
  bool isDirect() const {
    return (hasXCodes() && hasWeightCodes()) ||
           (!hasWeightCodes() && xType == weightType);
  }
};

/// One operand's rows for `tile.dot`: a tile or a buffer, with scales or none.
struct ProductOperand {
  Value tile;
  Value scale;
};

/// Scales of a tile of the weight: [rows / g, depth / weightColumns] for the
/// tile of `columns` rows whose first is row `row` of the matrix; `view` has
/// the scales of all rows, [N / weightRows, K / weightColumns]. g is a constant
/// that divides `columns`. `aligned` says that `row` is a multiple of
/// `columns`.
Value loadWeightScales(TileBuilder &b, const ProductFormat &format, Value view,
                       Value row, Value k, int64_t columns, int64_t depth,
                       bool aligned);

/// A tile, or what is read from a buffer.
Value asTile(TileBuilder &b, Value operand);

/// Adds a tile's product to `accumulator`, f32 [rows, columns]: with scales
/// where both operands are codes, else on numbers, which codes of the weight
/// become first.
Value multiply(TileBuilder &b, const ProductFormat &format, ProductOperand x,
               ProductOperand weight, Value accumulator);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_MATRIXPRODUCT_H
