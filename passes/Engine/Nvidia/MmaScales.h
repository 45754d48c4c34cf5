//===- MmaScales.h - Block scales of warp-level products -------*- C++ -*-===//
//
// The factor of a block's partial sum, per register of the accumulator.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_MMASCALES_H
#define VARVE_PASSES_ENGINE_NVIDIA_MMASCALES_H

#include "passes/Engine/Nvidia/MmaOperand.h"

namespace mlir::varve::nvidia {

class MmaScales {
public:
  MmaScales(Lowering &lowering, tile::DotOp op);

  /// Writes scales that lanes do not hold, and that come from no buffer, to
  /// shared memory.
  void prepare();
  void beginReads();
  /// The product of both operands' scales, f32, for a register of the
  /// accumulator and the block number `block`; null without scales.
  Value get(int64_t reg, int64_t block);

private:
  /// One operand's scales.
  struct Side {
    /// 0 or 1, and the tile [rows, blocks].
    int64_t dim = 0;
    const RegisterTile *tile = nullptr;
    std::optional<SharedBuffer> buffer;
    /// Elements of the outer dimension and blocks of the product to a scale.
    int64_t perRow = 1, perBlock = 1;
    /// By position of the register along the dimension, and block.
    llvm::DenseMap<std::pair<int64_t, int64_t>, Value> known;
  };
  void add(int64_t dim, Value scale);
  std::optional<int64_t> getHeldRegister(const Side &side, int64_t row,
                                         int64_t block);
  Value getOne(Side &side, int64_t reg, int64_t block);

  Lowering &lowering;
  Code &code;
  tile::DotOp op;
  RankedTensorType accumulator;
  SmallVector<Side> sides;
  llvm::DenseMap<std::pair<Value, Value>, Value> products;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_MMASCALES_H
