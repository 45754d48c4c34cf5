//===- Reduce.cpp - Reductions and scans ----------------------------------===//
//
// Sums of f32 carry the errors of their roundings along: whoever rounds a sum
// further, to a code or to a choice, gets what the exact sum would give, and
// not what some order of additions does.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/X86/Lowering.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

/// Whether the sum of `count` elements must carry what its roundings drop: one
/// rounding drops nothing that the result could show.
static bool isCompensated(ReduceOp op) {
  auto source = cast<RankedTensorType>(op.getSource().getType());
  return op.getKind() == ReduceKind::Sum && source.getElementType().isF32() &&
         source.getDimSize(op.getDim()) > 2;
}

Lowering::Partial Lowering::beginPartial(ReduceOp op, Value elements) {
  if (!isCompensated(op))
    return {elements, Value()};
  Type element = code.builder.getF32Type();
  int64_t width = cast<VectorType>(elements.getType()).getNumElements();
  return {elements, code.splat(code.zero(element), width)};
}

/// The error of `sum`, which is `a + b` rounded: exact in every case, after
/// Knuth.
static Value getSumError(Code &code, Value a, Value b, Value sum) {
  auto sub = [&](Value x, Value y) -> Value {
    return code.create<arith::SubFOp>(x, y);
  };
  Value second = sub(sum, a), first = sub(sum, second);
  return code.create<arith::AddFOp>(sub(a, first), sub(b, second));
}

Lowering::Partial Lowering::combine(ReduceKind kind, const Partial &a,
                                    const Partial &b) {
  Partial result;
  result.total = combine(kind, a.total, b.total);
  if (a.rest) {
    Value error = getSumError(code, a.total, b.total, result.total);
    Value rest = code.create<arith::AddFOp>(a.rest, b.rest);
    result.rest = code.create<arith::AddFOp>(rest, error);
  }
  return result;
}

Value Lowering::finishPartial(const Partial &partial) {
  if (!partial.rest)
    return partial.total;
  // Infinite sums have errors that are no numbers.
  Value isNumber = code.create<arith::CmpFOp>(arith::CmpFPredicate::ORD,
                                              partial.rest, partial.rest);
  Value sum = code.create<arith::AddFOp>(partial.total, partial.rest);
  return code.create<arith::SelectOp>(isNumber, sum, partial.total);
}

/// Combines the elements of vectors by halves.
Lowering::Partial Lowering::foldVector(ReduceKind kind, Partial partial) {
  int64_t width = cast<VectorType>(partial.total.getType()).getNumElements();
  for (; width > 1; width /= 2) {
    auto half = [&](Value vector, int64_t begin) -> Value {
      if (!vector)
        return Value();
      return code.create<vector::ExtractStridedSliceOp>(
          vector, ArrayRef<int64_t>{begin}, ArrayRef<int64_t>{width / 2},
          ArrayRef<int64_t>{1});
    };
    Partial low = {half(partial.total, 0), half(partial.rest, 0)};
    Partial high = {half(partial.total, width / 2),
                    half(partial.rest, width / 2)};
    partial = combine(kind, low, high);
  }
  return partial;
}

/// Combines `first` with the elements that `read` yields for positions from
/// `begin`, `step` apart.
Lowering::Partial Lowering::reduceLoop(ReduceOp op, const Partial &first,
                                       int64_t begin, int64_t end, int64_t step,
                                       function_ref<Value(Value)> read) {
  SmallVector<Value> initial = {first.total};
  if (first.rest)
    initial.push_back(first.rest);
  SmallVector<Value> results =
      code.loop(code.index(begin), code.index(end), code.index(step), initial,
                [&](Value i, ValueRange carried) {
                  Partial sum = {carried[0], first.rest ? carried[1] : Value()};
                  sum = combine(op.getKind(), sum, beginPartial(op, read(i)));
                  SmallVector<Value> next = {sum.total};
                  if (sum.rest)
                    next.push_back(sum.rest);
                  return next;
                });
  return {results[0], first.rest ? results[1] : Value()};
}

/// The elements of a row (along the last dimension), combined.
Value Lowering::reduceRow(ReduceOp op, ValueRange outer) {
  ArrayRef<int64_t> shape = getShape(op.getSource());
  auto read = [&](Value i, int64_t width) {
    Point point{SmallVector<Value>(outer), width};
    point.position.push_back(i);
    return evaluate(op.getSource(), point);
  };
  int64_t count = shape.back(), whole = count / kLanes * kLanes;
  std::optional<Partial> total;
  if (whole != 0) {
    Partial sums = beginPartial(op, read(code.index(0), kLanes));
    if (whole > kLanes)
      sums = reduceLoop(op, sums, kLanes, whole, kLanes,
                        [&](Value i) { return read(i, kLanes); });
    total = foldVector(op.getKind(), sums);
  }
  for (auto [begin, width] : getTailPieces(whole, count - whole)) {
    Partial piece = foldVector(
        op.getKind(), beginPartial(op, read(code.index(begin), width)));
    total = total ? combine(op.getKind(), *total, piece) : piece;
  }
  return code.first(finishPartial(*total));
}

void Lowering::lowerReduce(ReduceOp op) {
  ArrayRef<int64_t> shape = getShape(op.getSource());
  if (shape.size() == 1) {
    scalars.map(op.getResult(), reduceRow(op, {}));
    return;
  }
  auto type = cast<RankedTensorType>(op.getResult().getType());
  Array target = allocate(type.getShape(), type.getElementType());
  auto getPosition = [&](ValueRange outer) {
    Value position = code.index(0);
    for (auto [i, stride] : llvm::zip(outer, target.strides))
      position = code.add(position, code.mul(i, code.index(stride)));
    return position;
  };
  if (op.getDim() + 1 == shape.size()) {
    code.forEach(type.getShape(), [&](ValueRange outer) {
      code.store(code.splat(reduceRow(op, outer), 1), target.base,
                 getPosition(outer));
    });
  } else {
    code.forEach(type.getShape().drop_back(), [&](ValueRange outer) {
      code.forVectors(type.getShape().back(), [&](Value column, int64_t width) {
        auto read = [&](Value i) {
          Point point{SmallVector<Value>(outer), width};
          point.position.push_back(column);
          point.position.insert(point.position.begin() + op.getDim(), i);
          return evaluate(op.getSource(), point);
        };
        Partial total = reduceLoop(op, beginPartial(op, read(code.index(0))), 1,
                                   shape[op.getDim()], 1, read);
        code.store(finishPartial(total), target.base,
                   code.add(getPosition(outer), column));
      });
    });
  }
  arrays[op.getResult()] = target;
}

void Lowering::lowerScan(ScanOp op) {
  ArrayRef<int64_t> shape = op.getType().getShape();
  Type element = op.getType().getElementType();
  Array source = store(op.getSource());
  Array target = allocate(shape, element);
  bool alongLast = op.getDim() + 1 == shape.size();
  // Along the last dimension a lane at a time, along others by vectors.
  SmallVector<int64_t> outerShape(shape.drop_back());
  if (!alongLast)
    outerShape[op.getDim()] = 1;
  code.forEach(outerShape, [&](ValueRange outer) {
    auto scanLine = [&](Value column, int64_t width) {
      Value zero = code.splat(code.zero(element), width);
      code.loop(code.index(0), code.index(shape[op.getDim()]), code.index(1),
                zero, [&](Value i, ValueRange carried) {
                  Point point{SmallVector<Value>(outer), width};
                  point.position.push_back(column);
                  point.position[op.getDim()] = i;
                  Value sum = combine(ReduceKind::Sum, carried[0],
                                      evaluateArray(source, shape, point));
                  Value to = code.index(0);
                  for (auto [index, stride] :
                       llvm::zip_equal(point.position, target.strides))
                    to = code.add(to, code.mul(index, code.index(stride)));
                  code.store(op.getExclusive() ? carried[0] : sum, target.base,
                             to);
                  return SmallVector<Value>{sum};
                });
    };
    if (alongLast)
      scanLine(code.index(0), 1);
    else
      code.forVectors(shape.back(), scanLine);
  });
  arrays[op.getResult()] = target;
}
