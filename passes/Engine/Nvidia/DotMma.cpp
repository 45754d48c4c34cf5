//===- DotMma.cpp - Products by mma.sync ----------------------------------===//
//
// A warp multiplies 16 x K by K x 8 fragments, K = 16 for 16-bit and 32 for
// 8-bit elements. 8-bit elements are multiplied as such where the target can
// and the sums may be as short as it makes them, otherwise as f16, in which all
// of them are exact. 4-bit elements become 8-bit ones.
//
// Blocks: partial sums start at zero and are added to the totals in f32, one
// fused multiply-add with the scales of the block. Products of 8-bit elements
// that have no scales are summed in blocks of `kExactBlock` too: the matrix
// unit keeps fewer bits of their sums than f32 has.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Engine/Nvidia/Fragments.h"
#include "passes/Engine/Nvidia/MmaOperand.h"
#include "passes/Engine/Nvidia/MmaScales.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;
using ::varve::Feature;

namespace {

constexpr int64_t kExactBlock = 128;

class MmaDot : public DotLowering {
public:
  LogicalResult lower(Lowering &lowering, DotOp op) override;
};

/// What one product needs.
class MmaProduct {
public:
  MmaProduct(Lowering &lowering, DotOp op)
      : lowering(lowering), code(lowering.code), op(op),
        grid(lowering, cast<MmaLayoutAttr>(op.getType().getEncoding()),
             op.getType().getShape()),
        left(lowering, grid, op.getA(), /*isLeft=*/true, op.getATransposed(),
             op.getM(), op.getK()),
        right(lowering, grid, op.getB(), /*isLeft=*/false, op.getBTransposed(),
              op.getN(), op.getK()) {}

  LogicalResult run();

private:
  /// The type in which fragments are multiplied.
  LogicalResult chooseElements();
  bool hasNarrowProducts() const;
  void multiplyStep(int64_t step, MutableArrayRef<Value> sums);
  SmallVector<Value> getZeros(size_t count);

  Lowering &lowering;
  Code &code;
  DotOp op;
  MmaGrid grid;
  MmaOperand left, right;
  Type leftElement, rightElement;
  /// 8-bit fragments are multiplied as f16.
  bool widens = false;
};

Type getElement(Value operand) {
  if (auto buffer = dyn_cast<BufferType>(operand.getType()))
    return buffer.getElementType();
  return getElementTypeOrSelf(operand.getType());
}

/// Whether 8-bit elements are multiplied as such: where the instructions are
/// the target's own (Hopper's assembler makes f16 products of them, and an
/// addition behind each) and keep as much of sums as the program asks for.
bool MmaProduct::hasNarrowProducts() const {
  const ::varve::TargetModel &target = lowering.target;
  if (!target.supports(Feature::MmaSyncFp8) || target.supports(Feature::Wgmma))
    return false;
  StrategyAttr strategy = lowering.source.getStrategyAttr();
  return !target.supports(Feature::ShortFp8Sums) ||
         (strategy && strategy.getShortSums());
}

LogicalResult MmaProduct::chooseElements() {
  auto get = [&](Value operand) -> Type {
    Type element = getElement(operand);
    if (isa<Float4E2M1FNType>(element))
      return code.builder.getType<Float8E4M3FNType>();
    return element;
  };
  leftElement = get(op.getA());
  rightElement = get(op.getB());
  if (leftElement.getIntOrFloatBitWidth() == 8)
    widens = !hasNarrowProducts();
  else if (!leftElement.isBF16() && !leftElement.isF16())
    return lowering.refuse(op, "mma.sync multiplies bf16, f16 and 8-bit "
                               "floats here; use dot = fma");
  return success();
}

SmallVector<Value> MmaProduct::getZeros(size_t count) {
  Value zero = code.floatConstant(code.builder.getF32Type(), 0.0);
  return SmallVector<Value>(count, zero);
}

/// Adds the products of one fragment's K to `sums`.
void MmaProduct::multiplyStep(int64_t step, MutableArrayRef<Value> sums) {
  SmallVector<SmallVector<Value>> a = left.load(step), b = right.load(step);
  auto multiply = [&](Type aType, Type bType, auto getA, auto getB) {
    for (int64_t i = 0; i < grid.tiles[0]; ++i)
      for (int64_t j = 0; j < grid.tiles[1]; ++j) {
        auto part = sums.slice((i * grid.tiles[1] + j) * 4, 4);
        SmallVector<Value> next =
            multiplyFragments(code, aType, bType, getA(i), getB(j), part);
        llvm::copy(next, part.begin());
      }
  };
  if (!widens)
    return multiply(
        leftElement, rightElement, [&](int64_t i) { return ValueRange(a[i]); },
        [&](int64_t j) { return ValueRange(b[j]); });
  // Halves of the words, K in another order but the same for both.
  bool hasConversions = lowering.target.supports(Feature::CvtFp8);
  auto widen = [&](SmallVector<Value> &words, Type element) {
    SmallVector<Value> low, high;
    for (Value word : words) {
      SmallVector<Value> pair = widenToF16(code, word, element, hasConversions);
      low.push_back(pair[0]);
      high.push_back(pair[1]);
    }
    words = low;
    llvm::append_range(words, high);
  };
  for (auto &words : a)
    widen(words, leftElement);
  for (auto &words : b)
    widen(words, rightElement);
  Type f16 = code.builder.getF16Type();
  for (int64_t half : {0, 1})
    multiply(
        f16, f16,
        [&](int64_t i) { return ValueRange(a[i]).slice(4 * half, 4); },
        [&](int64_t j) { return ValueRange(b[j]).slice(2 * half, 2); });
}

LogicalResult MmaProduct::run() {
  if (failed(chooseElements()))
    return failure();
  int64_t k = op.getK(), stepSize = 256 / left.getFragmentBits();
  bool isScaled = op.getAScale() || op.getBScale();
  bool isNarrow = left.getFragmentBits() == 8 && !widens;
  int64_t block = op.getScaleBlock();
  if (k % stepSize != 0 || block % stepSize != 0)
    return lowering.refuse(op, "mma.sync needs K and the blocks of scales in "
                               "multiples of " +
                                   Twine(stepSize));
  SharedArena::Scope scope(lowering.shared);
  MmaScales scales(lowering, op);
  if (failed(left.prepare(op)) || failed(right.prepare(op)))
    return failure();
  scales.prepare();
  left.beginReads();
  right.beginReads();
  scales.beginReads();

  SmallVector<Value> totals = lowering.getTile(op.getAccumulator()).registers;
  if (!isScaled && (!isNarrow || k <= stepSize)) {
    for (int64_t step = 0; step < k / stepSize; ++step)
      multiplyStep(step, totals);
    lowering.setTile(op.getResult(), std::move(totals));
    return success();
  }
  // Sums of narrow elements are exact enough in blocks only.
  int64_t length = isNarrow ? std::min(block, kExactBlock) : block;
  for (int64_t begin = 0; begin < k; begin += length) {
    SmallVector<Value> partial = getZeros(totals.size());
    int64_t end = std::min({begin + length, k, (begin / block + 1) * block});
    for (int64_t at = begin; at < end; at += stepSize)
      multiplyStep(at / stepSize, partial);
    for (auto [reg, total] : llvm::enumerate(totals)) {
      Value scale = scales.get(reg, begin / block);
      total =
          scale
              ? code.create<math::FmaOp>(partial[reg], scale, total).getResult()
              : code.create<arith::AddFOp>(total, partial[reg]).getResult();
    }
  }
  lowering.setTile(op.getResult(), std::move(totals));
  return success();
}

LogicalResult MmaDot::lower(Lowering &lowering, DotOp op) {
  return MmaProduct(lowering, op).run();
}

} // namespace

std::unique_ptr<DotLowering> mlir::varve::nvidia::createMmaDot() {
  return std::make_unique<MmaDot>();
}
