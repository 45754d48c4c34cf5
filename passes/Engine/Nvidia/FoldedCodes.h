//===- FoldedCodes.h - FP4 codes as a register operand ---------*- C++ -*-===//
//
// A warpgroup product whose left operand is f4E2M1FN codes in shared memory
// takes them from registers, as bf16 numbers that have been multiplied by their
// scales (`foldsScales`). Every lane reads the bytes of the two neighbours that
// a word of its fragment holds, and the scales of its rows.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_FOLDEDCODES_H
#define VARVE_PASSES_ENGINE_NVIDIA_FOLDEDCODES_H

#include "passes/Engine/Nvidia/Lowering.h"

namespace mlir::varve::nvidia {

class FoldedCodes {
public:
  /// Of the left operand of `op`; this thread's warpgroup is number `groupRow`
  /// (i32) of `groupRows` along M.
  FoldedCodes(Lowering &lowering, tile::DotOp op, Value groupRow,
              int64_t groupRows);

  /// The four words of an instruction's fragment: of the warpgroup's row tile
  /// `tile`, columns k ... k + 15.
  SmallVector<Value> getWords(int64_t tile, int64_t k);

private:
  Value getFactor(int64_t row, int64_t k);
  Value getWord(int64_t row, int64_t column);

  Lowering &lowering;
  Code &code;
  SharedBuffer codes, scales;
  int64_t rowStep, columnsPerScale;
  /// The lane's first row in the operand, and its first byte in a group of 8.
  Value firstRow, firstByte;
  /// Bytes of a row of a panel, of a panel, and what its rows' chunks are
  /// exchanged by; no panels without swizzle.
  int64_t rowBytes, panelBytes;
  Value pattern;
  /// Of the lane's first row, by chunk of 16 bytes.
  llvm::DenseMap<int64_t, Value> chunks;
  /// By row (a constant behind the first one) and scale.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> factors;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_FOLDEDCODES_H
