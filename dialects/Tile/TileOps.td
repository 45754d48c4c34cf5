//===- TileOps.td - All ops of the kernel dialect ----------*- tablegen -*-===//
#ifndef TILE_OPS
#define TILE_OPS

include "dialects/Tile/TileComputeOps.td"
include "dialects/Tile/TileFuncOps.td"
include "dialects/Tile/TileMemoryOps.td"
include "dialects/Tile/TilePipelineOps.td"
include "dialects/Tile/TileShapeOps.td"
include "dialects/Tile/TileSharedOps.td"

#endif // TILE_OPS
