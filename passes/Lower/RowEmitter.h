//===- RowEmitter.h - Ops that treat rows one by one -----------*- C++ -*-===//
//
// Emits the ops of a kernel, or of a part of it, for a window of rows that are
// at hand as tiles. There is one function per op, in the EmitRow*.cpp files; an
// op computes in f32 and rounds to its result's element type.
//
// A value is held in *parts*:
//
//   wide    tiles [rows, columns]: [T, D] is one part, [T, n, D] is n parts
//   narrow  tiles [rows]: [T] is one part, [T, n] n, [T, n, m] n m parts
//
// In the form `Heads`, the rows are those of [T, H, d] seen as [T H, d]: values
// of rank 3 are one wide part, those of rank 2 one narrow part, and those of
// rank 1 (positions) one narrow part with the token's number in each row. In
// the form `Flat`, all dimensions after the first are columns.
//
// A wide part may be a window of columns: its width is `columns` where the
// value is as wide as `width`, and proportionally less for the scales of its
// blocks. A part wider than the value holds zeros behind it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_ROWEMITTER_H
#define VARVE_PASSES_LOWER_ROWEMITTER_H

#include "passes/Lower/TileKernel.h"

namespace mlir::varve {

enum class RowForm { Tokens, Heads, Flat };

struct RowWindow {
  RowForm form = RowForm::Tokens;
  /// Rows of a tile, and the number of the first, an index.
  int64_t rows = 1;
  Value firstRow;
  /// H in the form `Heads`.
  int64_t heads = 1;
  /// The full width of the values that the window cuts, the width of the
  /// window, and its first column (null: 0).
  int64_t width = 0;
  int64_t columns = 0;
  Value firstColumn;
};

/// The least power of two that is not below `n`.
int64_t roundUpToPowerOfTwo(int64_t n);

class RowEmitter {
public:
  using Parts = SmallVector<Value, 4>;

  RowEmitter(TileKernel &kernel, RowWindow window)
      : b(kernel.b), kernel(kernel), window(window) {}

  /// Emits an op whose operands are at hand or in memory. Errors: an op that
  /// does not treat rows one by one, or in this window.
  LogicalResult emit(Operation *op);

  /// Stores the op's results that have memory.
  void store(Operation *op);

  //===--------------------------------------------------------------------===//
  // For the functions that emit ops
  //===--------------------------------------------------------------------===//
  TileBuilder &b;
  TileKernel &kernel;
  const RowWindow window;
  /// Norms take sums that do not depend on the order of their additions.
  bool sumsWithCare = false;

  /// Parts of a value, in its element type; loaded where they are not at hand.
  Parts getWide(Value value);
  Parts getNarrow(Value value);
  /// The one wide part, as f32.
  Value getF32(Value value);
  /// A weight [D] for the columns of the window, as an f32 tile [columns].
  Value getColumnWeight(Value weight);

  bool has(Value value) const {
    return wide.contains(value) || narrow.contains(value);
  }
  void setWide(Value value, ArrayRef<Value> parts) {
    wide[value] = Parts(parts);
  }
  void setNarrow(Value value, ArrayRef<Value> parts) {
    narrow[value] = Parts(parts);
  }
  /// Sets a wide value of one part from f32, rounded to its type.
  void setRounded(Value value, Value tile);

  /// Width of a wide part of a value of full width `width`.
  int64_t getColumns(int64_t width) const;
  /// The first column of a wide part of a value of full width `width`.
  Value getFirstColumn(int64_t width);
  /// The last size of a value; in the form `Flat` all but the first.
  int64_t getWidth(Value value) const;
  /// The token's number of every row, i32 [rows].
  Value getTokens();

private:
  SmallVector<Value> getStores(Value result);
  /// The memory of a value as a view of rank 2 (wide) or the value's own rank.
  Value getView(Value memory, RankedTensorType type);

  DenseMap<Value, Parts> wide, narrow;
};

/// Launches a function that runs `ops`, consecutive ones of the kernel that
/// treat the same rows. Operands that other ops of the kernel compute have
/// memory by then; results that other ops of the kernel use get some.
LogicalResult lowerRows(KernelBuilder &builder, ArrayRef<Operation *> ops,
                        StringRef suffix, int64_t rows, int64_t columns,
                        int64_t warps);

/// Emitters, by op. They fail with a diagnostic on the op where its form is not
/// supported in the window.
LogicalResult emitRow(RowEmitter &emitter, RmsNormOp op);
LogicalResult emitRow(RowEmitter &emitter, RopeOp op);
LogicalResult emitRow(RowEmitter &emitter, SwigluOp op);
LogicalResult emitRow(RowEmitter &emitter, CombineOp op);
LogicalResult emitRow(RowEmitter &emitter, RouteTopkOp op);
LogicalResult emitRow(RowEmitter &emitter, RouteHashOp op);
LogicalResult emitRow(RowEmitter &emitter, QuantizeOp op);
LogicalResult emitRow(RowEmitter &emitter, DequantizeOp op);
LogicalResult emitRow(RowEmitter &emitter, HadamardOp op);
LogicalResult emitRow(RowEmitter &emitter, AppendOp op);
LogicalResult emitRow(RowEmitter &emitter, EmbedOp op);
LogicalResult emitRow(RowEmitter &emitter, StreamExpandOp op);
LogicalResult emitRow(RowEmitter &emitter, StreamCollapseOp op);
LogicalResult emitRow(RowEmitter &emitter, StreamMixOp op);
LogicalResult emitRow(RowEmitter &emitter, SinkhornOp op);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_ROWEMITTER_H
