//===- WgmmaCodes.cpp - Warpgroup products of FP4 codes -------------------===//

#include "passes/Engine/Nvidia/WgmmaCodes.h"

#include "dialects/Tile/QuadOrder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Engine/Nvidia/MmaOperand.h"
#include "passes/Engine/Nvidia/RegisterCodes.h"
#include "passes/Engine/Nvidia/WgmmaScales.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

void mlir::varve::nvidia::multiplyFolded(Lowering &lowering, DotOp op,
                                         WgmmaPlan &plan,
                                         MutableArrayRef<Value> registers,
                                         std::optional<Value> accumulate) {
  constexpr int64_t kPart = 64;
  AsyncProducts &products = *lowering.products;
  int64_t step = plan.instruction.getK();
  FoldedCodes codes(lowering, op, plan.groupRow,
                    plan.layout.getWarpgroups()[0]);
  plan.a.words.resize(plan.rowTiles * plan.k / step * 4);
  for (int64_t k = 0; k < plan.k; k += kPart) {
    products.waitUntilPending(1);
    for (int64_t i = 0; i < plan.rowTiles; ++i)
      for (int64_t at = k; at < k + kPart; at += step)
        llvm::copy(codes.getWords(i, at),
                   plan.a.words.begin() + (i * plan.k + at) / step * 4);
    plan.multiply(lowering, registers, k, k + kPart, accumulate);
    accumulate = Value();
    if (k + kPart < plan.k)
      products.afterPart();
  }
}

//===----------------------------------------------------------------------===//
// Sums of words
//===----------------------------------------------------------------------===//

void mlir::varve::nvidia::multiplyWords(Lowering &lowering, DotOp op,
                                        WgmmaPlan &plan) {
  Code &code = lowering.code;
  AsyncProducts &products = *lowering.products;
  const LayoutMap &map = lowering.getMap(op.getType());
  ArrayRef<int64_t> groups = plan.layout.getWarpgroups();
  NarrowCodes codes(lowering, op, plan.groupRow, groups[0]);
  WgmmaScales columns(lowering, op, op.getBScale(), 1);
  SmallVector<Value> sums = lowering.getTile(op.getAccumulator()).registers;
  int64_t step = plan.instruction.getK();

  auto startBlock = [&](int64_t block) {
    plan.a.words.clear();
    plan.a.words.resize(plan.rowTiles * plan.k / step * 4);
    for (int64_t i = 0; i < plan.rowTiles; ++i)
      for (int64_t k = block; k < block + kQuadBlock; k += step)
        llvm::copy(codes.getWords(i, k),
                   plan.a.words.begin() + (i * plan.k + k) / step * 4);
    // One fence: each lets the instructions before it run to their ends.
    fenceWgmma(code.builder, code.loc);
    SmallVector<Value> partial;
    for (int64_t k = block; k < block + kQuadBlock; k += step) {
      SmallVector<Value> part;
      for (Value sum : sums)
        part.push_back(code.create<LLVM::UndefOp>(sum.getType()));
      plan.start(lowering, part, k, k + step, std::nullopt);
      llvm::append_range(partial, part);
    }
    commitWgmma(code.builder, code.loc);
    return partial;
  };
  Value inverse =
      code.floatConstant(code.builder.getF32Type(), NarrowCodes::kInverse);
  auto add = [&](ValueRange partial, int64_t block) {
    for (int64_t k = block; k < block + kQuadBlock; k += step)
      for (size_t reg = 0; reg < sums.size(); ++reg) {
        // One after the other: together they may be infinite beside a zero.
        Value product = code.create<arith::MulFOp>(
            partial[(k - block) / step * sums.size() + reg],
            codes.getFactor(map.getOffset(reg)[0], k));
        Value column = code.create<arith::MulFOp>(columns.get(reg, k), inverse);
        sums[reg] = code.create<math::FmaOp>(product, column, sums[reg]);
      }
  };
  SmallVector<Value> partial = startBlock(0);
  for (int64_t block = 0; block < plan.k; block += kQuadBlock) {
    SmallVector<Value> next;
    if (block + kQuadBlock < plan.k) {
      products.afterPart();
      next = startBlock(block + kQuadBlock);
      partial = waitWgmma(code.builder, code.loc, 1, partial);
    } else {
      partial = products.finishNow(partial);
    }
    add(partial, block);
    partial = std::move(next);
  }
  lowering.setTile(op.getResult(), sums);
}

//===----------------------------------------------------------------------===//
// Shifted
//===----------------------------------------------------------------------===//

/// Where a column (i32) of a block lies in quad order.
static Value getStoredColumn(Code &code, const QuadOrder &order, Value column) {
  SmallVector<Value> parts(4);
  for (int64_t dim = 4; dim-- > 0; column = code.div(column, order.shape[dim]))
    parts[dim] = code.rem(column, order.shape[dim]);
  Value stored = code.i32(0);
  int64_t stride = 1;
  for (int64_t dim : llvm::reverse(order.order)) {
    stored = code.add(stored, code.mul(parts[dim], stride));
    stride *= order.shape[dim];
  }
  return stored;
}

namespace {

/// A product of shifted codes, whose blocks are under way one after another.
class ShiftedProduct {
public:
  ShiftedProduct(Lowering &lowering, DotOp op, const WgmmaPlan &plan)
      : lowering(lowering), op(op),
        codes(lowering, op, plan.groupRow, plan.layout.getWarpgroups()[0]),
        columns(lowering, op, op.getBScale(), 1), rightBuffer(plan.b.shared),
        sums(lowering.getTile(op.getAccumulator()).registers) {}

  /// Makes the words of the block of K that begins at `k`.
  void unpack(WgmmaPlan &plan, int64_t k);
  /// Starts its products; those before have been added.
  void start(WgmmaPlan &plan, int64_t k);
  /// Adds what was started last to the sums, when at most `pending` groups are
  /// unfinished.
  void add(int64_t pending);
  ArrayRef<Value> getSums() const { return sums; }

private:
  SmallVector<Value> addApart(ValueRange sums, int64_t k);

  Lowering &lowering;
  DotOp op;
  ShiftedCodes codes;
  WgmmaScales columns;
  SharedBuffer rightBuffer;
  SmallVector<Value> sums, partial;
  /// Of the block that was unpacked last, and that was started last.
  Value nextApart, isApart;
  int64_t started = 0;
};

} // namespace

void ShiftedProduct::unpack(WgmmaPlan &plan, int64_t k) {
  int64_t step = plan.instruction.getK();
  for (int64_t i = 0; i < plan.rowTiles; ++i)
    for (int64_t at = k; at < k + kQuadBlock; at += step)
      llvm::copy(codes.getWords(i, at),
                 plan.a.words.begin() + (i * plan.k + at) / step * 4);
  nextApart = codes.takeApart();
}

void ShiftedProduct::start(WgmmaPlan &plan, int64_t k) {
  partial.clear();
  for (Value sum : sums)
    partial.push_back(lowering.code.create<LLVM::UndefOp>(sum.getType()));
  plan.multiply(lowering, partial, k, k + kQuadBlock, std::nullopt);
  isApart = nextApart;
  started = k;
}

void ShiftedProduct::add(int64_t pending) {
  Code &code = lowering.code;
  partial = waitWgmma(code.builder, code.loc, pending, partial);
  for (size_t reg = 0; reg < sums.size(); ++reg)
    sums[reg] = code.create<math::FmaOp>(partial[reg],
                                         columns.get(reg, started), sums[reg]);
  sums = code.ifElse(isApart, [&] { return addApart(sums, started); }, sums);
}

/// Products whose scales are apart, one column of K after another. They are
/// rare, but not so the registers: some of them at a time.
SmallVector<Value> ShiftedProduct::addApart(ValueRange sums, int64_t k) {
  constexpr size_t kRegisters = 8;
  Code &code = lowering.code;
  const LayoutMap &map = lowering.getMap(op.getType());
  // The addresses of all columns of the result do not change, and would fill
  // registers from before the outermost loop on.
  SmallVector<Value> base = lowering.getBase(map), result;
  base[1] = makeOpaque(code.builder, code.loc, base[1]);
  auto element = cast<FloatType>(rightBuffer.whole.getElementType());
  QuadOrder order = QuadOrder::get(*op.getQuads(), element.getWidth());
  // The left operand's scales come without 2^exponent, which might exceed f32.
  Value exponent = code.floatConstant(code.builder.getF32Type(),
                                      std::ldexp(1.0, op.getExponent()));
  auto loadRight = [&](int64_t reg, Value column) -> Value {
    Value at = code.add(getStoredColumn(code, order, column), k);
    Value row = lowering.getCoordinate(map, base, reg, 1);
    Value bits = code.load(lowering.getElementAddress(rightBuffer, {row, at}),
                           getStorageType(element), 1)
                     .front();
    Value number = code.create<arith::ExtFOp>(code.builder.getF32Type(),
                                              code.fromStorage(bits, element));
    number = code.create<arith::MulFOp>(number, columns.load(row, k));
    return code.create<arith::MulFOp>(number, exponent);
  };
  auto addColumn = [&](size_t first, Value column, ValueRange carried) {
    llvm::DenseMap<int64_t, Value> left, right;
    SmallVector<Value> next(carried);
    for (auto [i, sum] : llvm::enumerate(next)) {
      ArrayRef<int64_t> offset = map.getOffset(first + i);
      Value &a = left[offset[0]], &b = right[offset[1]];
      if (!a)
        a = codes.loadApart(offset[0], k / kQuadBlock, column);
      if (!b)
        b = loadRight(first + i, column);
      sum = code.create<math::FmaOp>(a, b, sum);
    }
    return next;
  };
  for (size_t first = 0; first < sums.size(); first += kRegisters)
    llvm::append_range(
        result,
        code.loop(code.i32(0), code.i32(kQuadBlock), 1,
                  sums.slice(first, std::min(kRegisters, sums.size() - first)),
                  [&](Value column, ValueRange carried) {
                    return addColumn(first, column, carried);
                  }));
  return result;
}

void mlir::varve::nvidia::multiplyShifted(Lowering &lowering, DotOp op,
                                          WgmmaPlan &plan) {
  AsyncProducts &products = *lowering.products;
  auto product = std::make_shared<ShiftedProduct>(lowering, op, plan);
  plan.a.words.resize(plan.rowTiles * plan.k / plan.instruction.getK() * 4);
  for (int64_t k = 0; k < plan.k; k += kQuadBlock) {
    product->unpack(plan, k);
    if (k == 0) {
      products.settleAll();
    } else {
      products.afterPart();
      product->add(/*pending=*/0);
    }
    product->start(plan, k);
  }
  lowering.setTile(op.getResult(), SmallVector<Value>(product->getSums()));
  // What is added later reads all of them.
  SmallVector<Value> buffers;
  bool isOwn = plan.hasOwnBuffers || !products.mayOverlap;
  for (Value buffer :
       {Value(op.getA()), plan.b.buffer, getScaleBuffer(op.getAScale(), op),
        getScaleBuffer(op.getBScale(), op)}) {
    // Memory of this op, or of the role's, may be written again.
    isOwn |= !buffer || lowering.getBuffer(buffer).range.size() != 0;
    if (buffer)
      buffers.push_back(buffer);
  }
  products.finishLater(op, buffers, [product](int64_t pending) {
    product->add(pending);
    return SmallVector<Value>(product->getSums());
  });
  if (isOwn)
    products.settle(op.getResult());
}
