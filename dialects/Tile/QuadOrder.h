//===- QuadOrder.h - Columns as quads of lanes take them -------*- C++ -*-===//
//
// Four lanes share a row of a left operand in registers. A fragment gives each
// of them pairs (of 16-bit numbers) or quadruples (of 8-bit ones) from all over
// K; but a sum over K may be taken in any order. In quad order a lane takes
// neighbours, which it reads as one, and what shifts and masks make of them;
// the right operand's columns lie as fragments then meet them.
//
// Of 128 columns beside 16-bit numbers a lane takes a quarter, four words of
// eight 4-bit codes; a register holds the same place of both halves of a word.
// Of 32 columns beside 8-bit numbers a lane takes a word; a register holds the
// even or the odd codes. An instruction then takes 32 neighbours, which share
// their scales.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_TILE_QUADORDER_H
#define VARVE_DIALECTS_TILE_QUADORDER_H

#include "mlir/Support/LLVM.h"

namespace mlir::varve::tile {

inline constexpr int64_t kQuadBlock = 128;

/// A block of columns as `shape`, of which dimension i of the stored block is
/// `order[i]`.
struct QuadOrder {
  int64_t shape[4], order[4];

  /// For numbers of 8 or 16 bits.
  static constexpr QuadOrder get(unsigned bits) {
    // Quarters, words, halves, places; groups, words, bytes, halves.
    return bits == 16 ? QuadOrder{{4, 4, 2, 4}, {1, 3, 0, 2}}
                      : QuadOrder{{4, 4, 4, 2}, {0, 3, 1, 2}};
  }
};

} // namespace mlir::varve::tile

#endif // VARVE_DIALECTS_TILE_QUADORDER_H
