//===- SplitRoles.h - One text for each role -------------------*- C++ -*-===//
#ifndef VARVE_PASSES_TILE_SPLITROLES_H
#define VARVE_PASSES_TILE_SPLITROLES_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve {

/// Rewrites a pipeline that `checkPipelines` accepts so that its body is the
/// rings and one `tile.on` per role, in the order of the roles, that holds all
/// of what the role runs. The texts are meant to run at the same time: one
/// after another they would wait for each other.
void splitRoles(tile::PipelineOp pipeline);

} // namespace mlir::varve

#endif // VARVE_PASSES_TILE_SPLITROLES_H
