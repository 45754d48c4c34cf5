//===- Passes.h - Passes on tile programs ----------------------*- C++ -*-===//
#ifndef VARVE_PASSES_TILE_PASSES_H
#define VARVE_PASSES_TILE_PASSES_H

#include "dialects/Tile/Tile.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Tile/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Tile/Passes.h.inc"

/// What `tile-check-pipelines` checks, for passes that lower pipelines and rely
/// on it. Violations are errors on the ops.
LogicalResult checkPipelines(tile::FuncOp func);

/// What `tile-merge-roles` does. Errors are diagnostics.
LogicalResult mergeRoles(tile::FuncOp func);

} // namespace mlir::varve

#endif // VARVE_PASSES_TILE_PASSES_H
