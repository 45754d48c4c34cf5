//===- DotFamilyWgmma.cpp - Products by warpgroups ------------------------===//

#include "dialects/Tile/QuadOrder.h"
#include "passes/Tile/DotFamily.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

namespace {

constexpr int64_t kRows = 64, kMaxColumns = 256, kColumnStep = 8;
constexpr int64_t kGroupWarps = 4, kGroupLanes = kGroupWarps * kWarpLanes;
/// Registers of a lane that an accumulator may take.
constexpr int64_t kMaxRegisters = 224;
/// The narrowest swizzle of shared memory.
constexpr int64_t kPanelBytes = 32;

/// How warpgroups and instructions divide an accumulator.
struct Division {
  int64_t groupRows, groupColumns, n;
};

std::optional<Division> divide(int64_t m, int64_t n, int64_t numWarps) {
  if (numWarps % kGroupWarps != 0 || m % kRows != 0 || n % kColumnStep != 0)
    return std::nullopt;
  int64_t groups =
      llvm::bit_floor(static_cast<uint64_t>(numWarps)) / kGroupWarps;
  // Along rows first: then every warpgroup reads its own part of A.
  int64_t rowTiles = m / kRows;
  int64_t groupRows = std::min<int64_t>(groups, rowTiles & -rowTiles);
  int64_t groupColumns = groups / groupRows;
  while (groupColumns > 1 && n % (groupColumns * kColumnStep) != 0)
    groupColumns /= 2;
  int64_t columns = n / groupColumns, size = std::min(columns, kMaxColumns);
  while (columns % size != 0)
    size -= kColumnStep;
  if (m * n / (groupRows * groupColumns * kGroupLanes) > kMaxRegisters)
    return std::nullopt;
  return Division{groupRows, groupColumns, size};
}

std::optional<::varve::NumericType> getNumericType(Type type) {
  if (type.isBF16())
    return ::varve::NumericType::BF16;
  if (type.isF16())
    return ::varve::NumericType::F16;
  if (isa<Float8E4M3FNType>(type))
    return ::varve::NumericType::F8E4M3FN;
  if (isa<Float8E5M2Type>(type))
    return ::varve::NumericType::F8E5M2;
  return std::nullopt;
}

/// Columns that share a scale of codes, and that an instruction of 8-bit
/// numbers multiplies.
constexpr int64_t kScaledColumns = 32;

struct Operand {
  Type element;
  ArrayRef<int64_t> shape;
  bool isTile;
};

Operand getOperand(Value value) {
  if (auto buffer = dyn_cast<BufferType>(value.getType()))
    return {buffer.getElementType(), buffer.getShape(), false};
  auto tile = cast<RankedTensorType>(value.getType());
  return {tile.getElementType(), tile.getShape(), true};
}

} // namespace

std::optional<CodeProduct> mlir::varve::tile::getCodeProduct(DotOp op) {
  auto a = dyn_cast<BufferType>(op.getA().getType());
  if (!a || !isa<Float4E2M1FNType>(a.getElementType()) || !op.getAScale() ||
      op.getATransposed() || !op.getQuads())
    return std::nullopt;
  auto scale = cast<RankedTensorType>(op.getAScale().getType());
  int64_t columns = op.getK() / scale.getShape()[1];
  if (!isa<Float8E8M0FNUType>(scale.getElementType()) ||
      scale.getShape()[0] != op.getM() || columns % kScaledColumns != 0)
    return std::nullopt;
  Type element = getOperand(op.getB()).element;
  if (!op.getBScale())
    return element.isBF16() ? std::optional(CodeProduct::Folded) : std::nullopt;
  auto other = cast<RankedTensorType>(op.getBScale().getType());
  if (!isa<Float8E4M3FNType>(element) || other.getShape()[0] != op.getN() ||
      op.getK() / other.getShape()[1] % kQuadBlock != 0 ||
      columns != kScaledColumns)
    return std::nullopt;
  return *op.getQuads() == Quads::Words ? CodeProduct::SumsOfWords
                                        : CodeProduct::Shifted;
}

namespace {

/// Accumulators in the registers of warpgroups, operands in swizzled shared
/// memory; a left operand in registers stays there.
class WgmmaFamily : public DotFamily {
public:
  DotKind getKind() const override { return DotKind::Wgmma; }

  bool accepts(DotOp op, const DotContext &context) const override {
    Operand a = getOperand(op.getA()), b = getOperand(op.getB());
    std::optional<CodeProduct> codes = getCodeProduct(op);
    bool isInRegisters = codes.has_value();
    if (op.getQuads() && !isInRegisters)
      return false;
    // The registers' type is that of the other operand.
    if (isInRegisters)
      a.element = b.element;
    for (Type element : {a.element, b.element}) {
      std::optional<::varve::NumericType> type = getNumericType(element);
      if (!type || !llvm::is_contained(context.target.getDotEngines(*type),
                                       ::varve::MatrixEngine::Wgmma))
        return false;
    }
    int64_t bits = a.element.getIntOrFloatBitWidth();
    if (bits != b.element.getIntOrFloatBitWidth() ||
        (bits == 16 && a.element != b.element))
      return false;
    // Sums of one instruction are long enough.
    if (bits == 8 && codes != CodeProduct::SumsOfWords &&
        context.target.supports(::varve::Feature::ShortFp8Sums) &&
        !(context.strategy && context.strategy.getShortSums()))
      return false;
    int64_t step = 256 / bits;
    if (op.getK() % step != 0 ||
        (!isInRegisters && op.getScaleBlock() % step != 0))
      return false;
    // Only elements of 16 bits can be transposed.
    if (bits == 8 && (op.getATransposed() || !op.getBTransposed()))
      return false;
    for (const Operand &operand : {a, b})
      if (operand.shape[1] * bits / 8 % kPanelBytes != 0)
        return false;
    std::optional<Division> division =
        divide(op.getM(), op.getN(), context.numWarps);
    if (!division)
      return false;
    // An instruction reads whole panels of an operand that is transposed.
    auto fits = [&](const Operand &operand, int64_t columns) {
      int64_t panel = std::min<int64_t>(
          128,
          llvm::bit_floor(static_cast<uint64_t>(
              (operand.shape[1] * bits / 8) & -(operand.shape[1] * bits / 8))));
      return columns * bits / 8 % panel == 0;
    };
    return (!op.getATransposed() || fits(a, kRows)) &&
           (op.getBTransposed() || fits(b, division->n));
  }

  DotLayouts getLayouts(DotOp op, const DotContext &context) const override {
    MLIRContext *mlirContext = op.getContext();
    Division division = *divide(op.getM(), op.getN(), context.numWarps);
    auto accumulator = WgmmaLayoutAttr::get(
        mlirContext, division.n, {division.groupRows, division.groupColumns});
    DotLayouts layouts{accumulator, {}, {}, {}, {}};
    Operand a = getOperand(op.getA());
    if (a.isTile && !op.getATransposed())
      layouts.a = OperandLayoutAttr::get(mlirContext, 0, accumulator,
                                         a.element.getIntOrFloatBitWidth());
    // A scale per row lies where the row does.
    if (Value scale = op.getAScale(); scale && !getCodeProduct(op)) {
      auto type = cast<RankedTensorType>(scale.getType());
      if (type.getShape()[0] == op.getM() && type.getShape()[1] == 1)
        layouts.aScale = accumulator;
    }
    return layouts;
  }
};

} // namespace

const DotFamily &mlir::varve::tile::getWgmmaFamily() {
  static const WgmmaFamily family;
  return family;
}
