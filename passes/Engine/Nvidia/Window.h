//===- Window.h - The part of a view that a tile covers --------*- C++ -*-===//
//
// Addresses and bounds of a tile's registers in a view, for loads, stores,
// atomic updates and copies.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_WINDOW_H
#define VARVE_PASSES_ENGINE_NVIDIA_WINDOW_H

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/Ranges.h"

namespace mlir::varve::nvidia {

class Window {
public:
  /// Of a tile at `offsets` (source values), whose dimensions are `dims` of the
  /// view. `user`, if given, is the op in whose place the offsets count:
  /// conditions around it may show that the tile is inside.
  Window(Lowering &lowering, const View &view, ValueRange offsets,
         ArrayRef<int64_t> dims, RankedTensorType tile,
         Operation *user = nullptr);

  /// A row that a tile of row numbers names: its first element's number in the
  /// view, and whether it exists.
  struct Row {
    Value position, exists;
  };
  /// Of a tile whose rows are numbered: `rows` has one for each offset that
  /// registers have along dimension 0. `column` (a source value) is where the
  /// tile begins in the view's rows, null for views of rank 1.
  Window(Lowering &lowering, const View &view,
         llvm::DenseMap<int64_t, Row> rows, Value column,
         RankedTensorType tile);

  /// Neighbouring registers that one access takes: they are inside or outside
  /// the view together, and aligned to their bytes.
  int64_t width;

  /// The element number of a register in the view, i64.
  Value getPosition(int64_t reg);
  Value getAddress(Value position);
  /// Whether the vector that starts at a register is inside the view; null when
  /// it always is. Equal conditions are the same value.
  Value isInside(int64_t reg);
  /// Whether this lane is the one to write it, besides.
  Value mayStore(int64_t reg);
  /// The elements of the vector; zero bits where `condition`, if there is one,
  /// does not hold.
  SmallVector<Value> load(int64_t reg, Value condition);
  /// Writes `elements` from a register's position on.
  void store(int64_t reg, ValueRange elements);

  const LayoutMap &map;

private:
  void enter();
  bool isNumbered(int64_t i) const { return rows && i == 0; }
  int64_t chooseWidth();
  Value isWithin(Value index, int64_t dim);
  bool isAlwaysInside(int64_t i);
  Value both(Value a, Value b);
  void storeNibble(Value element, Value position);

  Lowering &lowering;
  Code &code;
  const View view;
  SmallVector<Value> base;
  SmallVector<int64_t> dims;
  std::optional<llvm::DenseMap<int64_t, Row>> rows;
  /// Of the tile in the view, i64, and what divides them.
  SmallVector<Value> starts;
  SmallVector<int64_t> divisors;
  /// What is known of them, if it is.
  SmallVector<IntegerRange> ranges;
  /// What is the same for all registers: the position without the registers'
  /// offsets, and the condition on dimensions that the tile does not have.
  Value origin, common, threadOwns;
  /// Conditions by tile dimension and offset.
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> checks, ownerships;
  llvm::DenseMap<std::pair<Value, Value>, Value> conjunctions;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_WINDOW_H
