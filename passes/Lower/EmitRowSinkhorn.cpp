//===- EmitRowSinkhorn.cpp - Doubly stochastic matrices of rows -----------===//
//
// The matrices are small, so the lines of one are summed by the lanes of a
// warp: with a number a lane, a step is one division instead of n n, which all
// warps would repeat. Terms are added in the order of the interpreter.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lower/RowEmitter.h"
#include <limits>

using namespace mlir;
using namespace mlir::varve;

namespace {

/// Builds on matrices n n in tiles [R, N, N], where N is a power of two. What
/// is around a matrix is -inf or NaN and goes into none of its numbers.
class MatrixBuilder {
public:
  MatrixBuilder(TileBuilder &b, int64_t rows, int64_t n)
      : b(b), rows(rows), n(n), padded(roundUpToPowerOfTwo(n)),
        shape({rows, padded, padded}) {}

  Value join(ArrayRef<Value> parts);
  SmallVector<Value> split(Value matrix);
  Value softmaxRows(Value matrix);
  Value normalize(Value matrix, int64_t dim, float eps);

private:
  Value acrossLine(Value line, int64_t dim) {
    return b.broadcast(line, shape, {0, dim == 1 ? 2 : 1});
  }

  TileBuilder &b;
  int64_t rows, n, padded;
  SmallVector<int64_t> shape;
};

/// From n n tiles [R], row by row.
Value MatrixBuilder::join(ArrayRef<Value> parts) {
  int64_t count = padded * padded;
  Value column = b.iota({rows, count}, 1);
  Value flat = b.constant({rows, count}, b.getF32Type(),
                          -std::numeric_limits<double>::infinity());
  for (int64_t i = 0; i < n * n; ++i) {
    Value isHere = b.compare(arith::CmpIPredicate::eq, column,
                             b.likeInt(column, i / n * padded + i % n));
    flat = b.select(isHere, b.acrossColumns(parts[i], count), flat);
  }
  return b.reshape(flat, shape);
}

SmallVector<Value> MatrixBuilder::split(Value matrix) {
  Value flat = b.reshape(matrix, {rows, padded * padded});
  SmallVector<Value> parts;
  for (int64_t i = 0; i < n * n; ++i)
    parts.push_back(b.column(flat, i / n * padded + i % n));
  return parts;
}

/// Divides each line along `dim` by its sum plus `eps`.
Value MatrixBuilder::normalize(Value matrix, int64_t dim, float eps) {
  Value number = b.iota(shape, dim), zero = b.like(matrix, 0.0);
  Value sum;
  for (int64_t i = 0; i < n; ++i) {
    Value isHere =
        b.compare(arith::CmpIPredicate::eq, number, b.likeInt(number, i));
    Value term =
        b.reduce(tile::ReduceKind::Sum, b.select(isHere, matrix, zero), dim);
    sum = sum ? b.addf(sum, term) : term;
  }
  if (eps != 0.0f)
    sum = b.addf(sum, eps);
  return b.divf(matrix, acrossLine(sum, dim));
}

Value MatrixBuilder::softmaxRows(Value matrix) {
  Value largest = b.reduce(tile::ReduceKind::Max, matrix, 2);
  Value exponent = b.subf(matrix, acrossLine(largest, 2));
  return normalize(math::ExpOp::create(b, exponent), 2, 0.0f);
}

} // namespace

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, SinkhornOp op) {
  if (op.getResult().getType().getRank() != 3)
    return op.emitOpError("can be lowered for one matrix per row only");
  int64_t n = op.getResult().getType().getShape().back();
  TileBuilder &b = emitter.b;
  auto eps = static_cast<float>(op.getEps().convertToDouble());
  MatrixBuilder m(b, emitter.window.rows, n);
  Value matrix = m.softmaxRows(m.join(emitter.getNarrow(op.getLogits())));
  matrix = m.normalize(b.addf(matrix, eps), 1, eps);
  auto loop = scf::ForOp::create(
      b, b.index(0), b.index(static_cast<int64_t>(op.getIterations()) - 1),
      b.index(1), matrix);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value next = m.normalize(loop.getRegionIterArg(0), 2, eps);
    scf::YieldOp::create(b, m.normalize(next, 1, eps));
  }
  emitter.setNarrow(op.getResult(), m.split(loop.getResult(0)));
  return success();
}
