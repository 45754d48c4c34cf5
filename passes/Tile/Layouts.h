//===- Layouts.h - Layouts that suit an access -----------------*- C++ -*-===//
#ifndef VARVE_PASSES_TILE_LAYOUTS_H
#define VARVE_PASSES_TILE_LAYOUTS_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve::tile {

/// Bytes of the widest access of a lane.
inline constexpr int64_t kVectorBytes = 16;

/// A layout in which a warp covers whole stretches of the last dimension, a
/// lane up to `vector` neighbours of it, for moving a tile from or to memory.
/// Lanes that one row does not need take further rows; warps take rows first.
/// Narrower vectors are preferred to replication, down to 8 bytes. `numWarps`
/// need not be a power of two: the rest of the warps holds copies.
BlockedLayoutAttr getMemoryLayout(MLIRContext *context, ArrayRef<int64_t> shape,
                                  int64_t elementBits, int64_t vector,
                                  int64_t numWarps);

/// With vectors of `kVectorBytes` bytes.
BlockedLayoutAttr getMemoryLayout(RankedTensorType type, int64_t numWarps);

} // namespace mlir::varve::tile

#endif // VARVE_PASSES_TILE_LAYOUTS_H
