//===- CheckOwnership.h - Which role may use what --------------*- C++ -*-===//
#ifndef VARVE_PASSES_TILE_CHECKOWNERSHIP_H
#define VARVE_PASSES_TILE_CHECKOWNERSHIP_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve {

/// Checks P6 and P7 of `tile-check-pipelines`: values stay with the role that
/// made them, and roles share no memory that one of them writes.
LogicalResult checkOwnership(tile::PipelineOp pipeline);

} // namespace mlir::varve

#endif // VARVE_PASSES_TILE_CHECKOWNERSHIP_H
