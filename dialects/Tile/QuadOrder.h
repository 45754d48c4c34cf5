//===- QuadOrder.h - Columns as quads of lanes take them -------*- C++ -*-===//
//
// Four lanes share a row of a left operand in registers. A fragment gives each
// of them pairs (of 16-bit numbers) or quadruples (of 8-bit ones) from all over
// K; but a sum over K may be taken in any order. In quad order a lane takes 32
// neighbours of every 128, which it reads as one, and the right operand's
// columns lie as fragments then meet them.
//
// A block of 128 columns is [4 quarters, 4 words, 2 halves, 4 places]: a lane's
// quarter, eight 4-bit codes as a word, its two halves, and places in those.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_TILE_QUADORDER_H
#define VARVE_DIALECTS_TILE_QUADORDER_H

#include "mlir/Support/LLVM.h"

namespace mlir::varve::tile {

inline constexpr int64_t kQuadBlock = 128;

/// The sizes of quarters, words, halves and places.
inline constexpr int64_t kQuadShape[] = {4, 4, 2, 4};

/// Which of them the dimensions of a stored block are, for numbers of `bits`
/// (8 or 16). A register holds the last one or two: four neighbours, or the
/// same place of both halves of a word, which a shift by 16 tells apart.
inline ArrayRef<int64_t> getQuadOrder(unsigned bits) {
  static constexpr int64_t quadruples[] = {1, 2, 0, 3}, pairs[] = {1, 3, 0, 2};
  return bits == 8 ? ArrayRef(quadruples) : ArrayRef(pairs);
}

} // namespace mlir::varve::tile

#endif // VARVE_DIALECTS_TILE_QUADORDER_H
