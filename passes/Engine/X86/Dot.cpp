//===- Dot.cpp - Matrix products ------------------------------------------===//
//
// A block of rows x vectors of the result stays in registers while k runs:
// each step broadcasts an element of `a` per row and multiplies it with vectors
// of a row of `b`. For that `b` is copied, as f32, to panels as wide as a
// block; `a` is read in place if it is f32 and converted otherwise.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/QuadOrder.h"
#include "passes/Engine/X86/Lowering.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

Array Lowering::getOperandArray(Value operand) {
  if (isa<BufferType>(operand.getType()))
    return buffers[operand];
  return store(operand);
}

static Value extendToF32(Code &code, Value vector) {
  auto type = cast<VectorType>(vector.getType());
  if (type.getElementType().isF32())
    return vector;
  return code.create<arith::ExtFOp>(type.clone(code.builder.getF32Type()),
                                    vector);
}

Array Lowering::toF32(const Array &source, ArrayRef<int64_t> shape) {
  Array target = allocate(shape, code.builder.getF32Type());
  bool flat = source.strides == target.strides;
  writeElements(
      shape, flat,
      [&](const Point &point) {
        return extendToF32(code, evaluateArray(source, shape, point));
      },
      target);
  return target;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// `a` as f32, with the strides of m and k.
Array Lowering::getLeft(DotOp op, Array array) {
  SmallVector<int64_t> shape = {op.getM(), op.getK()};
  if (op.getATransposed())
    std::swap(shape[0], shape[1]);
  if (!array.element.isF32())
    array = toF32(array, shape);
  if (op.getATransposed())
    std::swap(array.strides[0], array.strides[1]);
  return array;
}

/// `b` as f32, in panels.
Value Lowering::getRight(DotOp op, Array array, int64_t panel) {
  int64_t n = op.getN(), k = op.getK();
  Value target = allocateBytes(llvm::divideCeil(n, panel) * panel * k * 4);
  // Strides of k and n, whichever way `b` is stored.
  if (op.getBTransposed())
    std::swap(array.strides[0], array.strides[1]);
  if (std::optional<Quads> quads = op.getQuads())
    packQuads(*quads, array, n, k, panel, target);
  else if (array.strides[1] == 1)
    packRows(array, n, k, panel, target);
  else
    packColumns(array, n, k, panel, target);
  return target;
}

/// Where element (k, n) of `b` is in its panels; n is a multiple of the panel
/// plus `column`.
static Value getPanelPosition(Code &code, Value k, Value n, int64_t column,
                              int64_t size, int64_t panel) {
  Value position =
      code.add(code.mul(n, code.index(size)), code.mul(k, code.index(panel)));
  return code.add(position, code.index(column));
}

/// Panels of a matrix whose rows (along n) are contiguous.
void Lowering::packRows(const Array &source, int64_t n, int64_t k,
                        int64_t panel, Value target) {
  auto packPanel = [&](Value begin, int64_t width) {
    code.loop(k, [&](Value row) {
      code.forVectors(width, [&](Value column, int64_t lanes) {
        Point from{{row, code.add(begin, column)}, lanes};
        Value vector = extendToF32(code, evaluateArray(source, {k, n}, from));
        Value to = getPanelPosition(code, row, begin, 0, k, panel);
        code.store(vector, target, code.add(to, column));
      });
    });
  };
  int64_t whole = n / panel * panel;
  if (whole != 0)
    code.loop(code.index(0), code.index(whole), code.index(panel),
              [&](Value begin) { packPanel(begin, panel); });
  if (whole != n)
    packPanel(code.index(whole), n - whole);
}

/// The transpose of 16 vectors of 16: 1 x 1 blocks are exchanged across the
/// diagonal of 2 x 2 ones, then 2 x 2 across 4 x 4, and so on.
static void transpose(Code &code, MutableArrayRef<Value> rows) {
  for (int64_t distance = 1; distance < kLanes; distance *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      bool isUpper = lane & distance;
      low.push_back(isUpper ? kLanes + lane - distance : lane);
      high.push_back(isUpper ? kLanes + lane : lane + distance);
    }
    for (int64_t i = 0; i < kLanes; ++i) {
      if (i & distance)
        continue;
      Value a = rows[i], b = rows[i + distance];
      rows[i] = code.create<vector::ShuffleOp>(a, b, low);
      rows[i + distance] = code.create<vector::ShuffleOp>(a, b, high);
    }
  }
}

/// Panels of a matrix whose columns (along k) are contiguous, or neither.
void Lowering::packColumns(const Array &source, int64_t n, int64_t k,
                           int64_t panel, Value target) {
  auto getTarget = [&](Value row, Value column) {
    Value within = code.rem(column, code.index(panel));
    Value to =
        getPanelPosition(code, row, code.sub(column, within), 0, k, panel);
    return code.add(to, within);
  };
  bool isContiguous = source.strides[0] == 1;
  int64_t wholeN = isContiguous ? n / kLanes * kLanes : 0;
  int64_t wholeK = isContiguous ? k / kLanes * kLanes : 0;
  Array columns = source;
  std::swap(columns.strides[0], columns.strides[1]);
  if (wholeN != 0 && wholeK != 0)
    code.loop(
        code.index(0), code.index(wholeN), code.index(kLanes),
        [&](Value column) {
          code.loop(
              code.index(0), code.index(wholeK), code.index(kLanes),
              [&](Value row) {
                SmallVector<Value> block;
                for (int64_t i = 0; i < kLanes; ++i) {
                  Point from{{code.add(column, code.index(i)), row}, kLanes};
                  block.push_back(
                      extendToF32(code, evaluateArray(columns, {n, k}, from)));
                }
                transpose(code, block);
                for (int64_t i = 0; i < kLanes; ++i)
                  code.store(block[i], target,
                             getTarget(code.add(row, code.index(i)), column));
              });
        });
  auto copySingly = [&](int64_t beginN, int64_t beginK) {
    if (beginN == n || beginK == k)
      return;
    code.loop(
        code.index(beginN), code.index(n), code.index(1), [&](Value column) {
          code.loop(
              code.index(beginK), code.index(k), code.index(1), [&](Value row) {
                Value element =
                    evaluateArray(columns, {n, k}, Point{{column, row}, 1});
                code.store(extendToF32(code, element), target,
                           getTarget(row, column));
              });
        });
  };
  if (wholeN == 0 || wholeK == 0)
    return copySingly(0, 0);
  copySingly(wholeN, 0);
  copySingly(0, wholeK);
}

/// The column of K that lies at `stored` in quad order.
static Value getQuadColumn(Code &code, Value stored, const QuadOrder &order) {
  int64_t strides[] = {0, 0, 0, 1};
  for (size_t dim = 3; dim > 0; --dim)
    strides[dim - 1] = strides[dim] * order.shape[dim];
  Value column = code.mul(code.div(stored, code.index(kQuadBlock)),
                          code.index(kQuadBlock));
  for (int64_t dim : llvm::reverse(order.order)) {
    Value size = code.index(order.shape[dim]);
    column = code.add(
        column, code.mul(code.rem(stored, size), code.index(strides[dim])));
    stored = code.div(stored, size);
  }
  return column;
}

/// Panels of a matrix whose columns (along k) are in quad order.
void Lowering::packQuads(Quads quads, const Array &source, int64_t n, int64_t k,
                         int64_t panel, Value target) {
  QuadOrder order =
      QuadOrder::get(quads, source.element.getIntOrFloatBitWidth());
  code.loop(k, [&](Value stored) {
    Value row = getQuadColumn(code, stored, order);
    code.loop(n, [&](Value column) {
      Value element = evaluateArray(source, {k, n}, Point{{stored, column}, 1});
      Value within = code.rem(column, code.index(panel));
      Value to =
          getPanelPosition(code, row, code.sub(column, within), 0, k, panel);
      code.store(extendToF32(code, element), target, code.add(to, within));
    });
  });
}

/// The scales of an operand of `rows` x `k` times 2^exponent, one per row and
/// block of `block` along k, the rows of a block one after another.
std::optional<Array> Lowering::getScales(Value scale, int64_t rows, int64_t k,
                                         int64_t block, int64_t exponent) {
  if (!scale)
    return std::nullopt;
  ArrayRef<int64_t> shape = getShape(scale);
  Array source = store(scale);
  Array target = allocate({k / block, rows}, code.builder.getF32Type());
  int64_t perRow = rows / shape[0], perBlock = k / shape[1] / block;
  code.forEach({k / block, rows}, [&](ValueRange position) {
    Point from{{code.div(position[1], code.index(perRow)),
                code.div(position[0], code.index(perBlock))},
               1};
    Value to = code.add(code.mul(position[0], code.index(rows)), position[1]);
    Value factor = extendToF32(code, evaluateArray(source, shape, from));
    if (exponent != 0)
      factor = code.create<arith::MulFOp>(
          factor, code.splat(code.constant(code.builder.getF32Type(),
                                           std::ldexp(1.0, exponent)),
                             1));
    code.store(factor, target.base, to);
  });
  return target;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Adds the products of `begin <= k < end` to the sums of a block: for each row
/// a vector per width.
SmallVector<Value> Lowering::accumulate(const DotPlan &plan, Value m, Value n,
                                        int64_t rows, ArrayRef<int64_t> widths,
                                        Value begin, Value end,
                                        ValueRange sums) {
  Type f32 = code.builder.getF32Type();
  return code.loop(
      begin, end, code.index(1), sums, [&](Value k, ValueRange carried) {
        SmallVector<Value> right;
        int64_t column = 0;
        for (int64_t width : widths) {
          right.push_back(code.load(
              plan.b, getPanelPosition(code, k, n, column, plan.k, plan.panel),
              f32, width));
          column += width;
        }
        SmallVector<Value> next;
        for (int64_t row = 0; row < rows; ++row) {
          Point from{{code.add(m, code.index(row)), k}, 1};
          Value left =
              code.first(evaluateArray(plan.a, {plan.m, plan.k}, from));
          for (auto [i, width] : llvm::enumerate(widths))
            next.push_back(
                code.create<vector::FMAOp>(code.splat(left, width), right[i],
                                           carried[row * widths.size() + i]));
        }
        return next;
      });
}

/// A block of `rows` rows from m and the columns of `widths` from n.
void Lowering::emitDotBlock(const DotPlan &plan, Value m, Value n, int64_t rows,
                            ArrayRef<int64_t> widths) {
  Type f32 = code.builder.getF32Type();
  auto forVectors =
      [&](function_ref<void(Value, Value, int64_t, int64_t)> body) {
        for (int64_t row = 0; row < rows; ++row) {
          int64_t column = 0;
          for (int64_t width : widths) {
            body(code.add(m, code.index(row)), code.add(n, code.index(column)),
                 row, width);
            column += width;
          }
        }
      };
  SmallVector<Value> zeros, sums;
  forVectors([&](Value i, Value j, int64_t, int64_t width) {
    zeros.push_back(code.splat(code.zero(f32), width));
    sums.push_back(evaluate(plan.accumulator, Point{{i, j}, width}));
  });
  if (!plan.aScale && !plan.bScale) {
    SmallVector<Value> products = accumulate(
        plan, m, n, rows, widths, code.index(0), code.index(plan.k), zeros);
    for (auto [sum, product] : llvm::zip_equal(sums, products))
      sum = code.create<arith::AddFOp>(sum, product);
  } else {
    auto addScaled = [&](Value block, ValueRange totals) {
      SmallVector<Value> next;
      Value begin = code.mul(block, code.index(plan.scaleBlock));
      Value end = code.add(begin, code.index(plan.scaleBlock));
      SmallVector<Value> partial =
          accumulate(plan, m, n, rows, widths, begin, end, zeros);
      auto getScale = [&](const Array &scales, int64_t count, Value at,
                          int64_t width) {
        return code.load(scales.base,
                         code.add(code.mul(block, code.index(count)), at), f32,
                         width);
      };
      forVectors([&](Value i, Value j, int64_t, int64_t width) {
        Value factor;
        if (plan.aScale)
          factor = code.splat(code.first(getScale(*plan.aScale, plan.m, i, 1)),
                              width);
        if (plan.bScale) {
          Value right = getScale(*plan.bScale, plan.n, j, width);
          factor = factor ? code.create<arith::MulFOp>(factor, right) : right;
        }
        next.push_back(code.create<vector::FMAOp>(partial[next.size()], factor,
                                                  totals[next.size()]));
      });
      return next;
    };
    sums = code.loop(code.index(0), code.index(plan.k / plan.scaleBlock),
                     code.index(1), sums, addScaled);
  }
  unsigned next = 0;
  forVectors([&](Value i, Value j, int64_t, int64_t) {
    Value to =
        code.add(code.index(plan.target.offset),
                 code.add(code.mul(i, code.index(plan.target.strides[0])), j));
    code.store(sums[next++], plan.target.base, to);
  });
}

/// All rows of the columns of `widths` from n.
void Lowering::emitDotColumns(const DotPlan &plan, Value n,
                              ArrayRef<int64_t> widths) {
  int64_t m = plan.m, whole = m / plan.rows * plan.rows;
  if (whole != 0)
    code.loop(code.index(0), code.index(whole), code.index(plan.rows),
              [&](Value i) { emitDotBlock(plan, i, n, plan.rows, widths); });
  if (whole != m)
    emitDotBlock(plan, code.index(whole), n, m - whole, widths);
}

void Lowering::lowerDot(DotOp op) {
  Array target = getTarget(op, op.getType(),
                           op->getOperands().slice(2, 1) /*accumulator*/);
  // Arrays of operands stay; what is made for this product alone goes.
  Array a = getOperandArray(op.getA()), b = getOperandArray(op.getB());
  for (Value scale : {op.getAScale(), op.getBScale()})
    if (scale)
      store(scale);
  Scope scope(*this);
  // Sums, a vector of `b` per column and an element of `a` fit the registers.
  bool isWide = vectorBits >= 512;
  bool isScaled = op.getAScale() || op.getBScale();
  DotPlan plan;
  plan.accumulator = op.getAccumulator();
  plan.m = op.getM();
  plan.n = op.getN();
  plan.panel = isWide ? 2 * kLanes : kLanes;
  plan.rows = (isWide ? 8 : 6) / (isScaled ? 2 : 1);
  plan.k = op.getK();
  plan.scaleBlock = op.getScaleBlock();
  plan.a = getLeft(op, a);
  plan.b = getRight(op, b, plan.panel);
  plan.aScale = getScales(op.getAScale(), op.getM(), plan.k, plan.scaleBlock,
                          op.getExponent());
  plan.bScale = getScales(op.getBScale(), op.getN(), plan.k, plan.scaleBlock);
  plan.target = target;

  int64_t n = op.getN(), whole = n / plan.panel * plan.panel;
  SmallVector<int64_t> widths(plan.panel / kLanes, kLanes);
  if (whole != 0)
    code.loop(code.index(0), code.index(whole), code.index(plan.panel),
              [&](Value j) { emitDotColumns(plan, j, widths); });
  if (whole != n) {
    int64_t vectors = (n - whole) / kLanes;
    widths.assign(vectors, kLanes);
    for (auto [begin, width] : getTailPieces(0, n - whole - vectors * kLanes))
      widths.push_back(width);
    emitDotColumns(plan, code.index(whole), widths);
  }
  arrays[op.getResult()] = target;
}
