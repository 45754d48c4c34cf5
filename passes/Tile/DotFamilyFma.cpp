//===- DotFamilyFma.cpp - Products by multiply-add ------------------------===//

#include "passes/Tile/DotFamily.h"
#include "passes/Tile/Layouts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

namespace {

/// Lanes form a grid of 4 x 8 and warps one as square as the tile allows, so
/// that few rows and columns serve many accumulators. Along a dimension that
/// its operand stores contiguously a lane holds neighbours; along one that it
/// stores across, neighbours belong to different lanes, which then read
/// different banks.
class FmaFamily : public DotFamily {
public:
  DotKind getKind() const override { return DotKind::Fma; }

  bool accepts(DotOp op, const DotContext &context) const override {
    return true;
  }

  DotLayouts getLayouts(DotOp op, const DotContext &context) const override {
    int64_t size[2] = {op.getM(), op.getN()};
    bool isContiguous[2] = {op.getATransposed(), !op.getBTransposed()};
    int64_t perLane[2], lanes[2], warps[2] = {1, 1};
    auto getParts = [&](int64_t dim) {
      return llvm::PowerOf2Ceil(
          llvm::divideCeil(size[dim], perLane[dim] * lanes[dim] * warps[dim]));
    };
    for (int64_t dim : {0, 1}) {
      lanes[dim] = 1;
      perLane[dim] =
          isContiguous[dim] ? std::min<int64_t>(4, size[dim] & -size[dim]) : 1;
    }
    // 4 rows of lanes, fewer or more where the tile is narrow.
    lanes[0] = std::min<int64_t>(4, getParts(0));
    lanes[1] = std::min<int64_t>(kWarpLanes / lanes[0], getParts(1));
    lanes[0] = kWarpLanes / lanes[1];
    int64_t rest = llvm::PowerOf2Ceil(context.numWarps + 1) / 2;
    for (; rest > 1; rest /= 2)
      warps[getParts(0) >= getParts(1) ? 0 : 1] *= 2;
    MLIRContext *mlirContext = op.getContext();
    return {BlockedLayoutAttr::get(mlirContext, perLane, lanes, warps, {1, 0}),
            {},
            {},
            {},
            {}};
  }
};

} // namespace

const DotFamily &mlir::varve::tile::getFmaFamily() {
  static const FmaFamily family;
  return family;
}
