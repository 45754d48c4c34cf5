//===- LayoutClasses.h - Tiles that share a layout -------------*- C++ -*-===//
//
// The tiles of a function fall into classes: operands and results of
// element-wise ops, and what control flow passes on, have one layout.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TILE_LAYOUTCLASSES_H
#define VARVE_PASSES_TILE_LAYOUTCLASSES_H

#include "dialects/Tile/Tile.h"

namespace mlir::varve::tile {

/// Whether a value is a tile.
inline bool isTile(Value value) {
  return isa<RankedTensorType>(value.getType());
}

/// The warps that run an op: those of its role, or all of the function.
int64_t getWarpsOf(Operation *op);

class LayoutClasses {
public:
  /// Sorts the tiles of a function.
  explicit LayoutClasses(FuncOp function);

  int64_t size() const { return members.size(); }
  /// The number of a tile's class; classes are numbered in textual order.
  int64_t lookup(Value tile) const { return numbers.lookup(tile); }
  ArrayRef<Value> getMembers(int64_t number) const { return members[number]; }
  RankedTensorType getType(int64_t number) const {
    return cast<RankedTensorType>(members[number].front().getType());
  }
  /// The warps that hold the tiles of a class: those of the role that makes or
  /// uses one, or all.
  int64_t getNumWarps(int64_t number) const { return numWarps[number]; }

private:
  int64_t add(Value tile);
  int64_t find(int64_t i);
  void join(Value a, Value b);
  void joinAll(ValueRange as, ValueRange bs);
  void visit(Operation *op);
  void assignRoles(FuncOp function);

  SmallVector<Value> tiles;
  SmallVector<int64_t> parents;
  llvm::DenseMap<Value, int64_t> indices, numbers;
  SmallVector<SmallVector<Value>> members;
  SmallVector<int64_t> numWarps;
};

} // namespace mlir::varve::tile

#endif // VARVE_PASSES_TILE_LAYOUTCLASSES_H
