//===- LayoutMap.cpp - A layout as sums of bits ---------------------------===//

#include "passes/Engine/Nvidia/LayoutMap.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::nvidia;
using mlir::varve::tile::LayoutAttrInterface;

LayoutMap::LayoutMap(LayoutAttrInterface layout, ArrayRef<int64_t> shape)
    : shape(shape) {
  for (auto [size, extent] : llvm::zip_equal(shape, layout.getExtents()))
    padded.push_back(llvm::alignTo(size, extent));
  if (auto slice = dyn_cast<tile::SliceLayoutAttr>(layout))
    project(slice);
  else
    measure(layout);
}

void LayoutMap::measure(LayoutAttrInterface layout) {
  auto at = [&](int64_t warp, int64_t lane, int64_t reg) {
    return Coordinates(layout.getCoordinates(padded, warp, lane, reg));
  };
  for (int64_t bit = 1; bit < tile::kWarpLanes; bit *= 2)
    laneWeights.push_back(at(0, bit, 0));
  for (int64_t bit = 1; bit < layout.getNumWarps(); bit *= 2)
    warpWeights.push_back(at(bit, 0, 0));
  for (int64_t reg = 0, e = layout.getRegistersPerLane(padded); reg < e; ++reg)
    offsets.push_back(at(0, 0, reg));
}

/// As `measure` would, from the parent's map: asking the layout for one
/// register costs as much as for all.
void LayoutMap::project(tile::SliceLayoutAttr layout) {
  Coordinates parentShape(shape);
  parentShape.insert(parentShape.begin() + layout.getDim(), 1);
  LayoutMap parent(cast<LayoutAttrInterface>(layout.getParent()), parentShape);
  auto drop = [&](ArrayRef<int64_t> position) {
    Coordinates result(position);
    result.erase(result.begin() + layout.getDim());
    return result;
  };
  for (const Coordinates &weight : parent.laneWeights)
    laneWeights.push_back(drop(weight));
  for (const Coordinates &weight : parent.warpWeights)
    warpWeights.push_back(drop(weight));
  for (const Coordinates &offset : parent.offsets) {
    Coordinates own = drop(offset);
    if (!llvm::is_contained(offsets, own))
      offsets.push_back(std::move(own));
  }
}

Coordinates LayoutMap::getPosition(int64_t warp, int64_t lane,
                                   int64_t reg) const {
  Coordinates result = offsets[reg];
  auto add = [&](ArrayRef<Coordinates> weights, int64_t bits) {
    for (auto [i, weight] : llvm::enumerate(weights))
      if (bits >> i & 1)
        for (auto [c, w] : llvm::zip_equal(result, weight))
          c += w;
  };
  add(laneWeights, lane);
  add(warpWeights, warp);
  return result;
}

Coordinates LayoutMap::getElement(int64_t warp, int64_t lane,
                                  int64_t reg) const {
  Coordinates result = getPosition(warp, lane, reg);
  for (auto [c, size] : llvm::zip_equal(result, shape))
    c %= size;
  return result;
}

int64_t LayoutMap::linearize(ArrayRef<int64_t> coordinates) const {
  int64_t result = 0;
  for (auto [c, size] : llvm::zip_equal(coordinates, shape))
    result = result * size + c;
  return result;
}

int64_t LayoutMap::getVectorWidth(int64_t limit) const {
  int64_t last = getRank() - 1;
  auto fits = [&](int64_t width) {
    if (getNumRegisters() % width != 0 || shape[last] % width != 0)
      return false;
    for (ArrayRef<Coordinates> weights : {getLaneWeights(), getWarpWeights()})
      for (const Coordinates &weight : weights)
        if (weight[last] % width != 0)
          return false;
    for (int64_t reg = 0; reg < getNumRegisters(); reg += width) {
      if (offsets[reg][last] % width != 0)
        return false;
      for (int64_t i = 1; i < width; ++i)
        for (int64_t dim = 0; dim <= last; ++dim)
          if (offsets[reg + i][dim] !=
              offsets[reg][dim] + (dim == last ? i : 0))
            return false;
    }
    return true;
  };
  int64_t width = 1;
  while (2 * width <= limit && fits(2 * width))
    width *= 2;
  return width;
}

bool LayoutMap::isSamePlacement(const LayoutMap &other) const {
  return shape == other.shape && padded == other.padded &&
         offsets == other.offsets && laneWeights == other.laneWeights &&
         warpWeights == other.warpWeights;
}
