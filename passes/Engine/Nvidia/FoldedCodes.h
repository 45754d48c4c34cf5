//===- FoldedCodes.h - FP4 codes as a register operand ---------*- C++ -*-===//
//
// A warpgroup product whose left operand is f4E2M1FN codes in shared memory
// takes them from registers, as bf16 numbers that have been multiplied by their
// scales (`foldsScales`). Columns are in quad order: of every 128, a lane reads
// its 32 neighbours at once, and the scale that they share.
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
  /// `tile`, columns k ... k + 15 of the right operand.
  SmallVector<Value> getWords(int64_t tile, int64_t k);

private:
  /// A lane's quarter of a block of 128 columns of one of its rows.
  struct Quarter {
    SmallVector<Value> codes; ///< four words
    Value factor;
  };
  Quarter &getQuarter(int64_t row, int64_t block);
  SmallVector<Value> loadCodes(int64_t row, int64_t block);
  Value loadFactor(int64_t row, int64_t block);
  Value getWord(int64_t row, int64_t group);

  Lowering &lowering;
  Code &code;
  SharedBuffer codes, scales;
  int64_t rowStep, columnsPerScale;
  /// The lane's first row in the operand, and its place among those that share
  /// it.
  Value firstRow, quarter;
  /// Bytes of a row of a panel, of a panel, and what its rows' chunks are
  /// exchanged by; no panels without swizzle.
  int64_t rowBytes, panelBytes;
  Value pattern;
  /// By row (a constant behind the first one) and block.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Quarter> quarters;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_FOLDEDCODES_H
