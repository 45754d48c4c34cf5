//===- LayoutRelations.h - How layouts of tiles depend ---------*- C++ -*-===//
//
// What the layout of one tile suggests for tiles that an op makes of it, or
// that it is made of, and how wide memory accesses of a tile can be.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TILE_LAYOUTRELATIONS_H
#define VARVE_PASSES_TILE_LAYOUTRELATIONS_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve::tile {

/// Calls `body` with every tile that an op relates to `tile`, and the layout
/// that makes that op cheap when `tile` has `layout`.
void forRelatedTiles(Value tile, Attribute layout,
                     function_ref<void(Value, Attribute)> body);

/// The layout from which a broadcast takes its elements without moving them:
/// what is left of the result's when the dimensions along which it repeats are
/// dropped.
Attribute getBroadcastSourceLayout(BroadcastOp op);

/// The number of bits of a tile's elements; index counts as 64.
int64_t getElementBits(Value tile);

/// The elements that one access takes at most, in the op that reads or writes
/// `tile` from or to memory; 0 without such an op.
int64_t getAccessWidth(Value tile);

} // namespace mlir::varve::tile

#endif // VARVE_PASSES_TILE_LAYOUTRELATIONS_H
