//===- RunAhead.h - Copies of a loop in front of their use -----*- C++ -*-===//
#ifndef VARVE_PASSES_TILE_RUNAHEAD_H
#define VARVE_PASSES_TILE_RUNAHEAD_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::varve::tile {

/// Where the ops of a pipeline of one text came from.
struct MergedRoles {
  /// Roles that fill rings and wait for none.
  llvm::SmallSetVector<StringRef, 4> ahead;
  /// The role of ops that stood directly in a `tile.on`.
  llvm::DenseMap<Operation *, StringRef> roleOf;

  bool isAhead(Operation *op) const {
    return ahead.contains(roleOf.lookup(op));
  }
};

/// Splits a loop of `pipeline` whose copies come from roles that wait for
/// nobody, so that they run some iterations ahead; leaves other loops alone.
void runAhead(scf::ForOp loop, PipelineOp pipeline, const MergedRoles &roles);

} // namespace mlir::varve::tile

#endif // VARVE_PASSES_TILE_RUNAHEAD_H
