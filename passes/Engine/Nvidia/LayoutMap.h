//===- LayoutMap.h - A layout as sums of bits ------------------*- C++ -*-===//
//
// Where the elements of a tile are, in the form in which code computes it. The
// unwrapped position of a register along a dimension is
//
//   sum over the bits of warp and lane that are set of the bit's weight
//     + the register's offset,
//
// and the coordinate is that modulo the size of the tile. An element is *owned*
// by the place that holds it with an unwrapped position below the size and with
// no bit set that has no weight: one place per element.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_LAYOUTMAP_H
#define VARVE_PASSES_ENGINE_NVIDIA_LAYOUTMAP_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve::nvidia {

using Coordinates = SmallVector<int64_t, 4>;

class LayoutMap {
public:
  LayoutMap(tile::LayoutAttrInterface layout, ArrayRef<int64_t> shape);
  /// Of a tile with a layout.
  explicit LayoutMap(RankedTensorType tile)
      : LayoutMap(cast<tile::LayoutAttrInterface>(tile.getEncoding()),
                  tile.getShape()) {}

  int64_t getRank() const { return shape.size(); }
  ArrayRef<int64_t> getShape() const { return shape; }
  /// The shape, enlarged to what places hold before they wrap around.
  ArrayRef<int64_t> getPadded() const { return padded; }
  bool wraps(int64_t dim) const { return padded[dim] != shape[dim]; }

  int64_t getNumWarps() const { return int64_t(1) << warpWeights.size(); }
  int64_t getNumRegisters() const { return offsets.size(); }
  /// Unwrapped, of a register.
  ArrayRef<int64_t> getOffset(int64_t reg) const { return offsets[reg]; }
  /// Whether a register holds an element that it owns in some place.
  bool isInside(int64_t reg) const {
    return llvm::all_of(llvm::zip_equal(offsets[reg], shape), [](auto pair) {
      return std::get<0>(pair) < std::get<1>(pair);
    });
  }
  /// Per bit of the lane's and the warp's number, a weight per dimension.
  ArrayRef<Coordinates> getLaneWeights() const { return laneWeights; }
  ArrayRef<Coordinates> getWarpWeights() const { return warpWeights; }

  /// The coordinates that a place holds.
  Coordinates getElement(int64_t warp, int64_t lane, int64_t reg) const;
  /// Its unwrapped position.
  Coordinates getPosition(int64_t warp, int64_t lane, int64_t reg) const;
  /// Row-major number of an element.
  int64_t linearize(ArrayRef<int64_t> coordinates) const;

  /// The number of registers, from `reg` on, that hold neighbours along the
  /// last dimension in every lane: a power of two up to `limit` that divides
  /// the position, the size, and `reg`'s place among them.
  int64_t getVectorWidth(int64_t limit) const;

  /// Whether both put the same element in every place.
  bool isSamePlacement(const LayoutMap &other) const;

private:
  void measure(tile::LayoutAttrInterface layout);
  void project(tile::SliceLayoutAttr layout);

  SmallVector<int64_t, 4> shape, padded;
  SmallVector<Coordinates> offsets, laneWeights, warpWeights;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_LAYOUTMAP_H
