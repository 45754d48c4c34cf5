//===- RegisterCodes.h - FP4 codes as a register operand -------*- C++ -*-===//
//
// A warpgroup product whose left operand is f4E2M1FN codes in shared memory
// takes them from registers, as numbers of the other operand's type. Columns
// are in quad order (QuadOrder.h).
//
// Beside bf16 the numbers have been multiplied by their scales (`foldsScales`).
// Beside f8E4M3FN they are 2^-6 of the codes, and an instruction's sum has one
// scale per row, by which the caller multiplies it (`scalesSums`).
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_REGISTERCODES_H
#define VARVE_PASSES_ENGINE_NVIDIA_REGISTERCODES_H

#include "passes/Engine/Nvidia/Lowering.h"

namespace mlir::varve::nvidia {

class RegisterCodes {
public:
  /// Of the left operand of `op`; this thread's warpgroup is number `groupRow`
  /// (i32) of `groupRows` along M.
  RegisterCodes(Lowering &lowering, tile::DotOp op, Value groupRow,
                int64_t groupRows);

protected:
  /// `count` words from byte `first` (i32) of a chunk of 16 bytes, and the
  /// chunk `chunk` (i32) behind that of column `column` (a constant).
  SmallVector<Value> loadCodes(int64_t row, int64_t column, Value chunk,
                               Value first, int64_t count);
  Value getScaleAddress(int64_t row, Value column);

  Code &code;
  Lowering &lowering;
  /// Of the operand's rows, from one of a warpgroup's row tiles to the next.
  int64_t rowStep;
  int64_t columnsPerScale;
  /// The lane's place among those that share a row.
  Value place;

private:
  SharedBuffer codes, scales;
  /// The lane's first row in the operand.
  Value firstRow;
  /// Bytes of a row of a panel, of a panel, and what its rows' chunks are
  /// exchanged by; no panels without swizzle.
  int64_t rowBytes, panelBytes;
  Value pattern;
};

/// Codes times their scales, as bf16.
class FoldedCodes : public RegisterCodes {
public:
  using RegisterCodes::RegisterCodes;

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
  Value loadFactor(int64_t row, int64_t block);
  Value getWord(int64_t row, int64_t group);

  /// By row (a constant behind the first one) and block.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Quarter> quarters;
};

/// Codes times 2^-6, as f8E4M3FN.
class NarrowCodes : public RegisterCodes {
public:
  using RegisterCodes::RegisterCodes;

  static constexpr double kInverse = 64;

  /// The four words of an instruction's fragment: of the warpgroup's row tile
  /// `tile`, columns k ... k + 31.
  SmallVector<Value> getWords(int64_t tile, int64_t k);
  /// The scale, f32, of these columns of the row `row` (a constant) behind the
  /// lane's first one.
  Value getFactor(int64_t row, int64_t k);

private:
  /// Four scales to a word, by row and block of 128 columns.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> scaleWords;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_REGISTERCODES_H
