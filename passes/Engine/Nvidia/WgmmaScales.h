//===- WgmmaScales.h - Block scales of warpgroup products ------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_WGMMASCALES_H
#define VARVE_PASSES_ENGINE_NVIDIA_WGMMASCALES_H

#include "passes/Engine/Nvidia/LayoutMap.h"
#include "passes/Engine/Nvidia/Lowering.h"

namespace mlir::varve::nvidia {

/// Where the scales of `op` lie, if nobody wrote there since; else null. A
/// scale for each row may have been read as a tile of rank 1.
Value getScaleBuffer(Value scale, tile::DotOp op);

/// The scales of one operand, where this thread finds them.
class WgmmaScales {
public:
  /// Of the rows (dim 0) or columns (dim 1) of `accumulator`; `scale` is null
  /// where there are none.
  WgmmaScales(Lowering &lowering, tile::DotOp op, Value scale, unsigned dim);

  /// The f32 factor of a register of the accumulator for the block of K that
  /// begins at `k`; null for 1.
  Value get(int64_t reg, int64_t k);
  /// That of a row of the scales (i32), loaded once more.
  Value load(Value row, int64_t k);

private:
  Value getAddress(Value row, int64_t k);
  Value make(int64_t reg, int64_t offset, int64_t k);
  /// That of a register with an even offset, and the next one's.
  Value loadPair(int64_t reg, int64_t offset, int64_t k);

  Lowering &lowering;
  Value source;
  unsigned dim;
  const LayoutMap &map;
  std::optional<RegisterTile> tile;
  std::optional<SharedBuffer> buffer;
  SmallVector<Value> base;
  int64_t perScale = 1, perBlock = 1;
  bool isUniform = false, isAligned = false, isPaired = false;
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> known;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_WGMMASCALES_H
