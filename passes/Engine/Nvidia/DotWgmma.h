//===- DotWgmma.h - Matrix products by warpgroups --------------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_DOTWGMMA_H
#define VARVE_PASSES_ENGINE_NVIDIA_DOTWGMMA_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve::nvidia {

/// The placement in shared memory of an operand of this type, which rows of a
/// multiple of 32 bytes have; else null.
tile::SharedLayoutAttr getWgmmaPlacement(RankedTensorType operand);

/// Whether warpgroup products can read an operand from a buffer of this type
/// (a part of it at whole panels and rows of 8). An MN-major one has rows of M
/// or N, of which one instruction takes `step`.
bool canReadWgmmaOperand(tile::BufferType whole, int64_t step, bool isMNMajor);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_DOTWGMMA_H
