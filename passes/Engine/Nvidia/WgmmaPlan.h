//===- WgmmaPlan.h - Operands and instructions of a product ----*- C++ -*-===//
//
// What products by warpgroups of every kind share: where their operands are,
// and the instructions that multiply them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_WGMMAPLAN_H
#define VARVE_PASSES_ENGINE_NVIDIA_WGMMAPLAN_H

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/Wgmma.h"

namespace mlir::varve::nvidia {

/// An operand as instructions take it.
struct WgmmaOperand {
  WgmmaOperandShape shape;
  /// Of this warpgroup's first instruction; null for registers.
  Value descriptor;
  /// What that describes.
  SharedBuffer shared;
  /// Words of 32 bits of a left operand in registers.
  SmallVector<Value> words;
  /// The source buffer that is read, if any.
  Value buffer;

  /// The operand of the instruction at (mn, k) from the first.
  Value getDescriptor(Code &code, int64_t mn, int64_t k) const {
    return code.add(descriptor, shape.getOffset(mn, k) / 16);
  }
};

/// How a product's instructions read its operands.
struct WgmmaPlan {
  tile::WgmmaLayoutAttr layout;
  WgmmaInstruction instruction;
  int64_t m, n, k;
  /// Instructions per warpgroup.
  int64_t rowTiles, columnTiles;
  /// Of this thread.
  Value groupRow, groupColumn;
  WgmmaOperand a, b;
  /// Whether operands were written for this op alone.
  bool hasOwnBuffers = false;
  SharedRange ownRange;

  /// Starts the instructions for begin <= k < end, behind a fence. Without a
  /// value, `accumulate` is false for the first of each tile.
  void start(Lowering &lowering, MutableArrayRef<Value> registers,
             int64_t begin, int64_t end, std::optional<Value> accumulate) const;
  /// As `start`, with the fence, and closes their group.
  void multiply(Lowering &lowering, MutableArrayRef<Value> registers,
                int64_t begin, int64_t end,
                std::optional<Value> accumulate) const;
};

/// Writes operands to shared memory that instructions cannot take from where
/// they are. A left operand that is codes has no words yet. Reports what does
/// not suit warpgroup products.
FailureOr<WgmmaPlan> makeWgmmaPlan(Lowering &lowering, tile::DotOp op);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_WGMMAPLAN_H
