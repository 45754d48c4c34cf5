//===- EmitRowCodes.cpp - Codes, and what prepares rows for them ----------===//

#include "passes/Lower/Programs/PoolRows.h"
#include "passes/Lower/RowEmitter.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;

/// The groups of `block` columns of a part that has `columns`: a row shorter
/// than a block is one group.
static FailureOr<int64_t> getGroup(Operation *op, int64_t block,
                                   int64_t columns) {
  int64_t group = std::min(block, columns);
  if (columns % group != 0)
    return op->emitOpError()
           << "has groups of " << block << " elements, which do not divide the "
           << columns << " columns that a kernel works on";
  return group;
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, QuantizeOp op) {
  TileBuilder &b = emitter.b;
  TileProgram program(b, b.getLoc());
  Type code = getElementTypeOrSelf(op.getCodes().getType());
  Type scaleType = getElementTypeOrSelf(op.getScales().getType());
  SmallVector<Value> codes, scales;
  for (Value part : emitter.getWide(op.getX())) {
    FailureOr<int64_t> group =
        getGroup(op, op.getBlock(), TileBuilder::getShape(part)[1]);
    if (failed(group))
      return failure();
    auto [c, s] = emitQuantize(program, b.toF32(part), *group, code);
    codes.push_back(c);
    scales.push_back(program.convert(s, scaleType));
  }
  emitter.setWide(op.getCodes(), codes);
  emitter.setWide(op.getScales(), scales);
  return success();
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, DequantizeOp op) {
  TileBuilder &b = emitter.b;
  RowEmitter::Parts codes = emitter.getWide(op.getCodes());
  RowEmitter::Parts scales = emitter.getWide(op.getScales());
  Type element = getElementTypeOrSelf(op.getType());
  SmallVector<Value> results;
  for (auto [c, s] : llvm::zip_equal(codes, scales)) {
    ArrayRef<int64_t> shape = TileBuilder::getShape(c);
    FailureOr<int64_t> group = getGroup(op, op.getBlock(), shape[1]);
    if (failed(group))
      return failure();
    int64_t groups = shape[1] / *group;
    if (TileBuilder::getShape(s)[1] != groups)
      s = b.slice(s, {0, 0}, {shape[0], groups});
    SmallVector<int64_t> grouped = {shape[0], groups, *group};
    Value factor = b.broadcast(b.toF32(s), grouped, {0, 1});
    Value product = b.mulf(b.reshape(b.toF32(c), grouped), factor);
    results.push_back(b.round(b.reshape(product, shape), element));
  }
  emitter.setWide(op.getResult(), results);
  return success();
}

/// The stages of the transform on [R, d]: pairs at a distance become their sum
/// and their difference.
static Value emitButterflies(TileBuilder &b, Value x) {
  ArrayRef<int64_t> shape = TileBuilder::getShape(x);
  int64_t rows = shape[0], d = shape[1];
  for (int64_t distance = 1; distance < d; distance *= 2) {
    SmallVector<int64_t> paired = {rows, d / (2 * distance), 2, distance};
    Value pairs = b.reshape(x, paired);
    Value place = b.iota(paired, 2);
    Value isFirst =
        b.compare(arith::CmpIPredicate::eq, place, b.likeInt(place, 0));
    Value negated = arith::NegFOp::create(b, pairs);
    Value sum = b.reduce(tile::ReduceKind::Sum, pairs, 2);
    Value difference =
        b.reduce(tile::ReduceKind::Sum, b.select(isFirst, pairs, negated), 2);
    Value next = b.select(isFirst, b.broadcast(sum, paired, {0, 1, 3}),
                          b.broadcast(difference, paired, {0, 1, 3}));
    x = b.reshape(next, {rows, d});
  }
  auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d)));
  return b.mulf(x, scale);
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, HadamardOp op) {
  TileBuilder &b = emitter.b;
  int64_t width = emitter.getWidth(op.getX());
  Type element = getElementTypeOrSelf(op.getType());
  SmallVector<Value> results;
  for (Value part : emitter.getWide(op.getX())) {
    if (emitter.window.form == RowForm::Flat || emitter.window.firstColumn ||
        TileBuilder::getShape(part)[1] != width)
      return op.emitOpError("needs whole rows, but its kernel has a window of "
                            "their columns");
    results.push_back(b.round(emitButterflies(b, b.toF32(part)), element));
  }
  emitter.setWide(op.getResult(), results);
  return success();
}
