//===- Append.h - Programs that store rows in pools ------------*- C++ -*-===//
//
// A row of a window pool goes to the staging area behind the rings, where the
// step's readers find it; after the last reader a commit copies what later
// steps need to the rings. A row of an entry pool goes to its page at once.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_APPEND_H
#define VARVE_PASSES_LOWER_PROGRAMS_APPEND_H

#include "passes/Lower/Programs/PoolRows.h"

namespace mlir::varve {

/// The writing side of a pool in a program.
class PoolWriter {
public:
  /// A pool whose views are at hand; `place` is what `addTo` adds.
  PoolWriter(const PoolShape &shape, ArrayRef<Value> views, Value place)
      : shape(shape), rows(shape.format, views), place(place) {}

  /// Adds the pool's views and, behind them, where its rows are: the staging
  /// area's first row (i32) of a window, the page table of entries.
  static PoolWriter addTo(TileProgram &program, const PoolShape &shape);

  /// Stores an f32 tile [N, width]: row i is that of number `first + i` of the
  /// step (index), at `positions[i]` of sequence `slots[i]` (i32 tiles, -1: not
  /// stored).
  void write(TileProgram &program, Value values, Value first, Value positions,
             Value slots) const;

private:
  PoolWriter() = default;

  PoolShape shape;
  PoolRows rows;
  Value place;
};

struct AppendStrategy {
  int64_t rows = 8; ///< of a block
  int64_t warps = 4;
};

/// `varve.append` of rows of `element`. Arguments: rows [T, width], positions,
/// slots, those of PoolWriter.
void buildAppend(TileProgram &p, Type element, const PoolShape &pool,
                 const AppendStrategy &strategy = {});

/// Copies the last W positions of every sequence from the staging area to the
/// rings. Arguments: positions, slots, ends, the pool as words (getRawPart),
/// the staging area's first row (i32).
void buildCommitWindow(TileProgram &p, const PoolShape &pool,
                       const AppendStrategy &strategy = {});

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_APPEND_H
