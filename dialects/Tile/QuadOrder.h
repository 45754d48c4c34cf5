//===- QuadOrder.h - Columns as quads of lanes take them -------*- C++ -*-===//
//
// Four lanes share a row of a left operand in registers. A fragment gives each
// of them pairs (of 16-bit numbers) or quadruples (of 8-bit ones) from all over
// K; but a sum over K may be taken in any order. In quad order a lane takes
// neighbours, which it reads as one, and what a few shifts and masks make of
// them; the right operand's columns lie as fragments then meet them.
//
// In words, a lane takes eight of every 32 columns, a word of 4-bit codes; a
// register holds the even or the odd ones. An instruction of 8-bit numbers then
// multiplies 32 neighbours, which share their scales.
//
// In quarters, a lane takes 32 of every 128 columns, four words whose codes
// share a scale. A register holds the same place of both halves of a word
// beside 16-bit numbers, and a half beside 8-bit ones.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_TILE_QUADORDER_H
#define VARVE_DIALECTS_TILE_QUADORDER_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve::tile {

inline constexpr int64_t kQuadBlock = 128;

/// A block of columns as `shape`, of which dimension i of the stored block is
/// `order[i]`.
struct QuadOrder {
  int64_t shape[4], order[4];

  /// For numbers of `bits`, 8 or 16.
  static constexpr QuadOrder get(Quads quads, unsigned bits) {
    // Groups of 32, words, bytes, halves.
    if (quads == Quads::Words)
      return {{4, 4, 4, 2}, {0, 3, 1, 2}};
    // Quarters, words, halves, places.
    return bits == 16 ? QuadOrder{{4, 4, 2, 4}, {1, 3, 0, 2}}
                      : QuadOrder{{4, 4, 2, 4}, {1, 2, 0, 3}};
  }
};

} // namespace mlir::varve::tile

#endif // VARVE_DIALECTS_TILE_QUADORDER_H
