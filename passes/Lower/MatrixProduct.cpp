//===- MatrixProduct.cpp - Tiles of a product with a weight ---------------===//

#include "passes/Lower/MatrixProduct.h"
#include <numeric>

using namespace mlir;
using namespace mlir::varve;

template <typename OpT> static ProductFormat formatOf(OpT op) {
  auto element = [](Value value) {
    return value ? getElementTypeOrSelf(value.getType()) : Type();
  };
  ProductFormat format;
  format.xType = element(op.getX());
  format.xScaleType = element(op.getXScale());
  format.weightType = element(op.getWeight());
  format.weightScaleType = element(op.getWeightScale());
  format.xBlock = op.getXBlock().value_or(0);
  if (auto block = op.getWeightBlock()) {
    format.weightRows = (*block)[0];
    format.weightColumns = (*block)[1];
  }
  return format;
}

ProductFormat ProductFormat::of(LinearOp op) { return formatOf(op); }
ProductFormat ProductFormat::of(GroupedLinearOp op) { return formatOf(op); }
ProductFormat ProductFormat::of(ExpertsOp op) { return formatOf(op); }

int64_t ProductFormat::getDepthUnit() const {
  return std::lcm(std::max<int64_t>(xBlock, 1),
                  std::max<int64_t>(weightColumns, 1));
}

Value mlir::varve::loadWeightScales(TileBuilder &b, const ProductFormat &format,
                                    Value view, Value row, Value k,
                                    int64_t columns, int64_t depth,
                                    bool aligned) {
  int64_t blocks = depth / format.weightColumns;
  Value column = b.div(k, format.weightColumns);
  if (aligned && format.weightRows % columns == 0)
    return b.load(view, {b.div(row, format.weightRows), column}, {1, blocks});
  if (aligned && columns % format.weightRows == 0)
    return b.load(view, {b.div(row, format.weightRows), column},
                  {columns / format.weightRows, blocks});
  Value rows = b.numbersFrom(row, columns);
  rows = arith::DivUIOp::create(b, rows, b.likeInt(rows, format.weightRows));
  return b.gather(view, rows, blocks, column);
}

/// The numbers that codes stand for, f32.
static Value dequantize(TileBuilder &b, Value codes, Value scales) {
  ArrayRef<int64_t> shape = TileBuilder::getShape(codes);
  ArrayRef<int64_t> groups = TileBuilder::getShape(scales);
  SmallVector<int64_t> blocks = {groups[0], shape[0] / groups[0], groups[1],
                                 shape[1] / groups[1]};
  Value factors = b.broadcast(b.toF32(scales), blocks, {0, 2});
  return b.mulf(b.toF32(codes), b.reshape(factors, shape));
}

Value mlir::varve::asTile(TileBuilder &b, Value operand) {
  auto buffer = dyn_cast<tile::BufferType>(operand.getType());
  if (!buffer)
    return operand;
  return tile::ReadOp::create(
      b, RankedTensorType::get(buffer.getShape(), buffer.getElementType()),
      operand);
}

Value mlir::varve::multiply(TileBuilder &b, const ProductFormat &format,
                            ProductOperand x, ProductOperand weight,
                            Value accumulator) {
  if (!format.isDirect()) {
    weight.tile = asTile(b, weight.tile);
    x.tile = asTile(b, x.tile);
    if (format.hasWeightCodes() &&
        isa<Float8E8M0FNUType>(format.weightScaleType) &&
        format.xType.isBF16()) {
      // Codes have few bits and are exact in 16; a power of two may be
      // multiplied later.
      weight.tile = b.round(b.toF32(weight.tile), format.xType);
    } else if (format.hasWeightCodes()) {
      weight.tile = dequantize(b, weight.tile, weight.scale);
      weight.scale = Value();
    }
    if (TileBuilder::getElement(weight.tile) !=
        TileBuilder::getElement(x.tile)) {
      weight.tile = b.toF32(weight.tile);
      x.tile = b.toF32(x.tile);
    }
  }
  return tile::DotOp::create(b, x.tile, weight.tile, accumulator, x.scale,
                             weight.scale, /*a_transposed=*/false,
                             /*b_transposed=*/true, tile::QuadsAttr());
}
