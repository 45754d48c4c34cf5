//===- RegisterCodes.h - FP4 codes as a register operand -------*- C++ -*-===//
//
// A warpgroup product whose left operand is f4E2M1FN codes in shared memory
// takes them from registers, as numbers of the other operand's type. Columns
// are in quad order (QuadOrder.h).
//
// There is a class for each kind of product (`CodeProduct`).
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
  /// The address of the chunk of 16 bytes that is `chunk` (i32) behind that of
  /// column `column` (a constant), of the row `row` behind the lane's first.
  Value getChunk(int64_t row, int64_t column, Value chunk);
  /// The scale of column `column` (i32), as its byte extended to i32.
  Value loadScale(int64_t row, Value column);
  /// The same, as f32.
  Value loadFactor(int64_t row, Value column);
  /// The lane's 32 neighbours of a block of 128 columns, as four words of
  /// codes, and their scale's byte, extended to i32.
  SmallVector<Value> loadQuarter(int64_t row, int64_t block);
  Value loadQuarterScale(int64_t row, int64_t block);
  Value getScaleAddress(int64_t row, Value scale);

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

/// CodeProduct::Folded: codes times their scales, as bf16.
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
  Value getWord(int64_t row, int64_t group);

  /// By row (a constant behind the first one) and block.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Quarter> quarters;
};

/// CodeProduct::SumsOfWords: codes times 2^-6, as f8E4M3FN. An instruction's
/// sum has one scale per row.
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

/// CodeProduct::Shifted: codes times their scales and 2^exponent, as f8E5M2.
/// Scales whose products that does not hold count as zero, and are `apart`.
class ShiftedCodes : public RegisterCodes {
public:
  ShiftedCodes(Lowering &lowering, tile::DotOp op, Value groupRow,
               int64_t groupRows)
      : RegisterCodes(lowering, op, groupRow, groupRows),
        middle(127 - op.getExponent()) {}

  /// The four words of an instruction's fragment: of the warpgroup's row tile
  /// `tile`, columns k ... k + 31 of the right operand.
  SmallVector<Value> getWords(int64_t tile, int64_t k);
  /// Whether a lane of the warp has met a scale that is apart since the last
  /// call, i1.
  Value takeApart();
  /// Column `column` (i32) of a block of the row `row` behind the lane's first,
  /// times its scale but not 2^exponent, f32, if that is apart; else zero.
  Value loadApart(int64_t row, int64_t block, Value column);

private:
  /// A lane's quarter of a block of 128 columns of one of its rows.
  struct Quarter {
    SmallVector<Value> codes; ///< four words
    Value low, high;          ///< bytes of magnitudes 0 to 3, and 4 to 7
  };
  Quarter &getQuarter(int64_t row, int64_t block);
  /// The distance (i32, unsigned) of a scale's byte from the least that fits.
  Value getShift(Value scale);
  Value isOutside(Value shift);

  /// The byte of the scale in the middle of those that fit.
  int64_t middle;
  /// By row (a constant behind the first one) and block.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Quarter> quarters;
  Value isApart;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_REGISTERCODES_H
