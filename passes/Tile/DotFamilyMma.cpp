//===- DotFamilyMma.cpp - Products by mma.sync ----------------------------===//

#include "passes/Tile/DotFamily.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using ::varve::Feature;

namespace {

/// An instruction tile, and the greatest number of scales that every lane may
/// hold.
constexpr int64_t kMmaRows = 16, kMmaColumns = 8, kMostScales = 8;

class MmaFamily : public DotFamily {
public:
  DotKind getKind() const override { return DotKind::MmaSync; }
  bool accepts(DotOp op, const DotContext &context) const override;
  DotLayouts getLayouts(DotOp op, const DotContext &context) const override;
};

Type getOperandElement(Value operand) {
  if (auto buffer = dyn_cast<BufferType>(operand.getType()))
    return buffer.getElementType();
  return getElementTypeOrSelf(operand.getType());
}

/// Bits of an element in a fragment; 4-bit ones become 8-bit ones.
int64_t getFragmentBits(Type element) {
  return std::max<int64_t>(element.getIntOrFloatBitWidth(), 8);
}

/// 16- and 8-bit floats, whole instructions along K and in every block of
/// scales, 4-bit operands stored along K in whole chunks of 16 bytes.
bool MmaFamily::accepts(DotOp op, const DotContext &context) const {
  if (!context.target.supports(Feature::MmaSync) ||
      !context.target.supports(Feature::LdMatrix))
    return false;
  auto isNarrow = [](Type element) {
    return isa<Float8E4M3FNType, Float8E5M2Type, Float4E2M1FNType>(element);
  };
  Type a = getOperandElement(op.getA()), b = getOperandElement(op.getB());
  if (!(a == b && (a.isBF16() || a.isF16())) && !(isNarrow(a) && isNarrow(b)))
    return false;
  int64_t step = 256 / getFragmentBits(a);
  if (op.getQuads() || op.getK() % step != 0 || op.getScaleBlock() % step != 0)
    return false;
  auto isStoredWell = [](Value operand, bool isAcross) {
    Type element = getOperandElement(operand);
    if (element.getIntOrFloatBitWidth() >= 8)
      return true;
    int64_t columns;
    if (auto buffer = dyn_cast<BufferType>(operand.getType()))
      columns = buffer.getShape().back();
    else
      columns = cast<RankedTensorType>(operand.getType()).getShape().back();
    return !isAcross && columns % 32 == 0;
  };
  return isStoredWell(op.getA(), op.getATransposed()) &&
         isStoredWell(op.getB(), !op.getBTransposed());
}

/// The warps per dimension that leave a warp the least to compute, and then the
/// least to read.
SmallVector<int64_t> splitWarps(int64_t m, int64_t n, int64_t numWarps) {
  int64_t rows = llvm::divideCeil(m, kMmaRows);
  int64_t columns = llvm::divideCeil(n, kMmaColumns);
  SmallVector<int64_t> best;
  std::pair<int64_t, int64_t> least;
  int64_t all = llvm::bit_floor(static_cast<uint64_t>(numWarps));
  for (int64_t along = 1; along <= all; along *= 2) {
    int64_t i = llvm::divideCeil(rows, along);
    int64_t j = llvm::divideCeil(columns, all / along);
    std::pair<int64_t, int64_t> cost = {i * j, i * kMmaRows + j * kMmaColumns};
    if (best.empty() || cost < least) {
      best = {along, all / along};
      least = cost;
    }
  }
  return best;
}

/// Whether a tile is computed, element by element, from what is read from
/// shared buffers: lanes can then read what they multiply. Tiles that are read
/// and nothing else are better left in the buffer.
bool isComputedFromBuffers(Value tile) {
  SmallVector<Value> work = {tile};
  bool reads = false, computes = false;
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op)
      return false;
    if (isa<ReadOp>(op)) {
      reads = true;
      continue;
    }
    if (isa<LoadOp, BroadcastOp, ReshapeOp, SplatOp, IotaOp>(op) ||
        op->hasTrait<OpTrait::ConstantLike>()) {
      // A loaded tile has its vectors along rows.
      if (isa<LoadOp>(op))
        return false;
      continue;
    }
    if (!OpTrait::hasElementwiseMappableTraits(op))
      return false;
    computes = true;
    llvm::append_range(work, op->getOperands());
  }
  return reads && computes;
}

DotLayouts MmaFamily::getLayouts(DotOp op, const DotContext &context) const {
  MLIRContext *mlirContext = op.getContext();
  SmallVector<int64_t> warps =
      splitWarps(op.getM(), op.getN(), context.numWarps);
  DotLayouts layouts;
  auto accumulator = MmaLayoutAttr::get(mlirContext, warps);
  layouts.accumulator = accumulator;
  auto getOperand = [&](Value operand, int64_t index,
                        bool isTransposed) -> Attribute {
    // With warps along the other dimension each would compute the same.
    Type element = getOperandElement(operand);
    if (isTransposed || warps[1 - index] != 1 ||
        element.getIntOrFloatBitWidth() < 8 ||
        !isa<RankedTensorType>(operand.getType()) ||
        !isComputedFromBuffers(operand))
      return {};
    return OperandLayoutAttr::get(mlirContext, index, accumulator,
                                  getFragmentBits(element));
  };
  layouts.a = getOperand(op.getA(), 0, op.getATransposed());
  layouts.b = getOperand(op.getB(), 1, op.getBTransposed());

  // Scales where the sums are; few of them everywhere.
  auto getScale = [&](Value scale, int64_t rows) -> Attribute {
    if (!scale)
      return {};
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(scale.getType()).getShape();
    if (rows != 0 && shape[0] == rows && shape[1] <= 2)
      return accumulator;
    if (llvm::product_of(shape) > kMostScales ||
        !llvm::isPowerOf2_64(shape[0]) || !llvm::isPowerOf2_64(shape[1]))
      return {};
    SmallVector<int64_t> perLane(shape), lanes = {kWarpLanes, 1},
                                         across = {warps[0] * warps[1], 1};
    return BlockedLayoutAttr::get(mlirContext, perLane, lanes, across, {1, 0});
  };
  layouts.aScale = getScale(op.getAScale(), op.getM());
  layouts.bScale = getScale(op.getBScale(), 0);
  return layouts;
}

} // namespace

const DotFamily &mlir::varve::tile::getMmaFamily() {
  static const MmaFamily family;
  return family;
}
