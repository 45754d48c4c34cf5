//===- MergeRoles.h - What merged pipelines tell engines -------*- C++ -*-===//
//
// Attributes that `tile-merge-roles` leaves on ops of rings. They are promises
// about the text around the op; an engine may ignore them and do what the op
// asks for in general.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TILE_MERGEROLES_H
#define VARVE_PASSES_TILE_MERGEROLES_H

namespace mlir::varve {

/// On a `tile.receive`, an integer: the stage holds its data when all copies
/// but those of the newest so many committed stages are complete. Without it,
/// when all are.
inline constexpr char kPendingStagesAttrName[] = "tile.pending_stages";

/// On a `tile.receive`: a receive before it in the same iteration has waited
/// for the stage already.
inline constexpr char kLandedAttrName[] = "tile.landed";

/// On a `tile.acquire`: since the stage was released, all warps have met at a
/// `tile.receive`; or the stage was never used before.
inline constexpr char kVacantAttrName[] = "tile.vacant";

} // namespace mlir::varve

#endif // VARVE_PASSES_TILE_MERGEROLES_H
