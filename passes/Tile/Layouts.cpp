//===- Layouts.cpp - Layouts that suit an access --------------------------===//

#include "passes/Tile/Layouts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

/// The greatest power of two that divides a positive number.
static int64_t getPowerOfTwo(int64_t number) { return number & -number; }

static int64_t ceilToPowerOfTwo(int64_t number) {
  return static_cast<int64_t>(llvm::PowerOf2Ceil(number));
}

/// Whole segments of a row that make an access efficient, in bytes.
static constexpr int64_t kSegmentBytes = 128;

static BlockedLayoutAttr makeLayout(MLIRContext *context,
                                    ArrayRef<int64_t> shape,
                                    int64_t elementBits, int64_t vector,
                                    int64_t numWarps) {
  int64_t rank = shape.size(), last = rank - 1;
  SmallVector<int64_t> perLane(rank, 1), lanes(rank, 1), warps(rank, 1);
  perLane[last] = vector;
  auto getParts = [&](int64_t dim) {
    return llvm::divideCeil(shape[dim], perLane[dim] * lanes[dim] * warps[dim]);
  };
  int64_t rest = kWarpLanes;
  for (int64_t dim = last; dim >= 0; --dim) {
    int64_t parts = getParts(dim), count = getPowerOfTwo(parts);
    // Few lanes to a row would waste memory transactions.
    int64_t segment =
        dim == last ? kSegmentBytes * 8 / (elementBits * vector) : 1;
    if (count < segment)
      count = ceilToPowerOfTwo(parts);
    lanes[dim] = std::min(rest, count);
    rest /= lanes[dim];
  }
  // What is left over goes to rows that are not covered, then holds copies.
  for (int64_t dim = last; dim >= 0 && rest > 1; --dim) {
    int64_t count = std::min(rest, ceilToPowerOfTwo(getParts(dim)));
    lanes[dim] *= count;
    rest /= count;
  }
  lanes[0] *= rest;

  rest = llvm::PowerOf2Ceil(numWarps + 1) / 2;
  for (int64_t dim : llvm::seq<int64_t>(rank)) {
    int64_t count = std::min(rest, getPowerOfTwo(getParts(dim)));
    warps[dim] = count;
    rest /= count;
  }
  for (int64_t dim = 0; dim < rank && rest > 1; ++dim) {
    int64_t count = std::min(rest, ceilToPowerOfTwo(getParts(dim)));
    warps[dim] *= count;
    rest /= count;
  }
  warps[0] *= rest;
  SmallVector<int64_t> order(llvm::reverse(llvm::seq<int64_t>(rank)));
  return BlockedLayoutAttr::get(context, perLane, lanes, warps, order);
}

BlockedLayoutAttr mlir::varve::tile::getMemoryLayout(MLIRContext *context,
                                                     ArrayRef<int64_t> shape,
                                                     int64_t elementBits,
                                                     int64_t vector,
                                                     int64_t numWarps) {
  int64_t total = llvm::product_of(shape);
  // All lanes should have something; packed elements come in pairs.
  int64_t least = elementBits == 4 ? 2 : 1;
  int64_t share = std::max<int64_t>(
      least, ceilToPowerOfTwo(llvm::divideCeil(total, kWarpLanes * numWarps)));
  vector = std::min({vector, getPowerOfTwo(shape.back()), share});
  auto wraps = [&](BlockedLayoutAttr layout) {
    return shape.back() % layout.getExtents().back() != 0 &&
           shape.back() > layout.getExtents().back();
  };
  BlockedLayoutAttr widest;
  for (int64_t width = vector; width >= 1; width /= 2) {
    BlockedLayoutAttr layout =
        makeLayout(context, shape, elementBits, width, numWarps);
    if (!widest)
      widest = layout;
    if (!wraps(layout))
      return layout;
    if (width * elementBits <= 64)
      break;
  }
  return widest;
}

BlockedLayoutAttr mlir::varve::tile::getMemoryLayout(RankedTensorType type,
                                                     int64_t numWarps) {
  Type element = type.getElementType();
  int64_t bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  return getMemoryLayout(type.getContext(), type.getShape(), bits,
                         kVectorBytes * 8 / std::max<int64_t>(bits, 4),
                         numWarps);
}
