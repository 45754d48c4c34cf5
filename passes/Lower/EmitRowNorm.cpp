//===- EmitRowNorm.cpp - Norms and rotations of rows ----------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Lower/RopeTable.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

/// Ops that look at a whole row cannot work on a window of its columns.
static LogicalResult expectWholeRows(RowEmitter &emitter, Operation *op,
                                     Value value) {
  if (!emitter.window.firstColumn &&
      emitter.getColumns(emitter.getWidth(value)) >= emitter.getWidth(value))
    return success();
  return op->emitOpError("needs whole rows, but its kernel has a window of "
                         "their columns");
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, RmsNormOp op) {
  if (failed(expectWholeRows(emitter, op, op.getX())))
    return failure();
  TileBuilder &b = emitter.b;
  Type element = op.getResult().getType().getElementType();
  auto step = [&](Value tile) {
    return op.getRounding() == Rounding::EachStep ? b.roundTrip(tile, element)
                                                  : tile;
  };
  Value x = emitter.getF32(op.getX());
  int64_t columns = TileBuilder::getShape(x)[1];
  Value square = step(b.mulf(x, x));
  Value sum = emitter.sumsWithCare ? b.sumNearlyRounded(square)
                                   : b.reduce(tile::ReduceKind::Sum, square, 1);
  Value mean = step(b.divf(sum, b.like(sum, emitter.getWidth(op.getX()))));
  Value eps = b.like(mean, static_cast<float>(op.getEps().convertToDouble()));
  Value factor = step(b.rsqrt(step(b.addf(mean, eps))));
  Value y = step(b.mulf(x, b.acrossColumns(factor, columns)));
  if (op.getWeight()) {
    Value weight = emitter.getColumnWeight(op.getWeight());
    y = b.mulf(b.acrossRows(weight, emitter.window.rows), y);
  }
  emitter.setRounded(op.getResult(), y);
  return success();
}

/// The even or the odd elements of [R, pairs, 2], as [R, pairs]: all other
/// elements are dropped by a sum with zero, which moves nothing between lanes.
static Value getHalf(TileBuilder &b, Value pairs, Value isOdd, bool odd) {
  Value zero = b.like(pairs, 0.0);
  Value only =
      odd ? b.select(isOdd, pairs, zero) : b.select(isOdd, zero, pairs);
  return b.reduce(tile::ReduceKind::Sum, only, 2);
}

/// Rotates the pairs of [R, dim] by `angle`, f32 [R, dim / 2].
static Value rotate(TileBuilder &b, Value x, Value angle, bool inverse) {
  ArrayRef<int64_t> shape = TileBuilder::getShape(x);
  SmallVector<int64_t> pairShape = {shape[0], shape[1] / 2, 2};
  Value cosine = math::CosOp::create(b, angle);
  Value sine = math::SinOp::create(b, angle);
  if (inverse)
    sine = arith::NegFOp::create(b, sine);
  Value pairs = b.reshape(x, pairShape);
  Value place = b.iota(pairShape, 2);
  Value isOdd = b.compare(arith::CmpIPredicate::ne, place, b.likeInt(place, 0));
  Value first = getHalf(b, pairs, isOdd, false);
  Value second = getHalf(b, pairs, isOdd, true);
  Value even = b.subf(b.mulf(first, cosine), b.mulf(second, sine));
  Value odd = b.addf(b.mulf(first, sine), b.mulf(second, cosine));
  Value rotated = b.select(isOdd, b.broadcast(odd, pairShape, {0, 1}),
                           b.broadcast(even, pairShape, {0, 1}));
  return b.reshape(rotated, {shape[0], shape[1]});
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, RopeOp op) {
  if (failed(expectWholeRows(emitter, op, op.getX())))
    return failure();
  TileBuilder &b = emitter.b;
  int64_t rows = emitter.window.rows, width = emitter.getWidth(op.getX());
  int64_t dim = op.getTable().getDim(), plain = width - dim;
  Value x = emitter.getF32(op.getX());
  int64_t columns = TileBuilder::getShape(x)[1];

  SmallVector<float> frequencies = getRopeFrequencies(op.getTable());
  Value table = arith::ConstantOp::create(
      b,
      DenseElementsAttr::get(RankedTensorType::get({dim / 2}, b.getF32Type()),
                             ArrayRef<float>(frequencies)));
  Value position = b.toFloat(emitter.getNarrow(op.getPositions()).front());
  Value angle =
      b.mulf(b.acrossColumns(position, dim / 2), b.acrossRows(table, rows));

  SmallVector<Value> pieces;
  if (plain)
    pieces.push_back(b.slice(x, {0, 0}, {rows, plain}));
  Value tail = b.slice(x, {0, plain}, {rows, dim});
  pieces.push_back(rotate(b, tail, angle, op.getInverse()));
  if (columns != width)
    pieces.push_back(b.slice(x, {0, width}, {rows, columns - width}));
  Value y = pieces.front();
  if (pieces.size() > 1)
    y = tile::ConcatOp::create(b, x.getType(), pieces, 1);
  emitter.setRounded(op.getResult(), y);
  return success();
}
