//===- Reduce.cpp - Reductions and scans ----------------------------------===//

#include "passes/Engine/X86/Lowering.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

Value Lowering::combine(ReduceKind kind, Value a, Value b) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(a.getType()));
  switch (kind) {
  case ReduceKind::Sum:
    return isFloat ? code.create<arith::AddFOp>(a, b).getResult()
                   : code.create<arith::AddIOp>(a, b).getResult();
  case ReduceKind::Max:
    return isFloat ? code.create<arith::MaxNumFOp>(a, b).getResult()
                   : code.create<arith::MaxSIOp>(a, b).getResult();
  case ReduceKind::Min:
    return isFloat ? code.create<arith::MinNumFOp>(a, b).getResult()
                   : code.create<arith::MinSIOp>(a, b).getResult();
  }
  llvm_unreachable("all kinds are listed");
}

/// Combines the elements of a vector by halves.
Value Lowering::foldVector(ReduceKind kind, Value vector) {
  int64_t width = cast<VectorType>(vector.getType()).getNumElements();
  for (; width > 1; width /= 2) {
    auto half = [&](int64_t begin) -> Value {
      return code.create<vector::ExtractStridedSliceOp>(
          vector, ArrayRef<int64_t>{begin}, ArrayRef<int64_t>{width / 2},
          ArrayRef<int64_t>{1});
    };
    Value low = half(0), high = half(width / 2);
    vector = combine(kind, low, high);
  }
  return code.first(vector);
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
  Value total;
  if (whole != 0) {
    Value sums = read(code.index(0), kLanes);
    if (whole > kLanes)
      sums =
          code.loop(code.index(kLanes), code.index(whole), code.index(kLanes),
                    sums, [&](Value i, ValueRange carried) {
                      return SmallVector<Value>{
                          combine(op.getKind(), carried[0], read(i, kLanes))};
                    })[0];
    total = foldVector(op.getKind(), sums);
  }
  for (auto [begin, width] : getTailPieces(whole, count - whole)) {
    Value piece = foldVector(op.getKind(), read(code.index(begin), width));
    total = total ? combine(op.getKind(), total, piece) : piece;
  }
  return total;
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
        Value total = code.loop(code.index(1), code.index(shape[op.getDim()]),
                                code.index(1), read(code.index(0)),
                                [&](Value i, ValueRange carried) {
                                  return SmallVector<Value>{combine(
                                      op.getKind(), carried[0], read(i))};
                                })[0];
        code.store(total, target.base, code.add(getPosition(outer), column));
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
