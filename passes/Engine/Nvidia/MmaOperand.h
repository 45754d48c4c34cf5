//===- MmaOperand.h - Operands of warp-level products ----------*- C++ -*-===//
//
// Where the fragments of one operand of a `tile.dot` come from: a shared buffer
// through matrix loads, registers that have the operand's layout already, or
// registers of any other layout through shared memory.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_MMAOPERAND_H
#define VARVE_PASSES_ENGINE_NVIDIA_MMAOPERAND_H

#include "passes/Engine/Nvidia/Lowering.h"

namespace mlir::varve::nvidia {

/// The warps of a `#tile.mma` layout, and this lane in it.
struct MmaGrid {
  MmaGrid(Lowering &lowering, tile::MmaLayoutAttr layout,
          ArrayRef<int64_t> shape);

  tile::MmaLayoutAttr layout;
  /// Warps side by side, and instruction tiles of a warp, per dimension.
  int64_t warps[2], tiles[2];
  /// i32: this warp's place per dimension, and this lane's number.
  Value warp[2], lane;
};

/// The buffer that a tile was read from, if it still holds the tile at `op`;
/// null otherwise.
Value getSourceBuffer(Value tile, Operation *op);

class MmaOperand {
public:
  /// `isLeft`: [M, K], otherwise [K, N]; `isTransposed` as in `tile.dot`.
  /// Fragments have elements of `fragmentBits` bits; 4-bit floats become
  /// f8E4M3FN. `k` is a multiple of a fragment's.
  MmaOperand(Lowering &lowering, const MmaGrid &grid, Value source, bool isLeft,
             bool isTransposed, int64_t outer, int64_t k);

  /// Writes registers that do not have the operand's layout to shared memory,
  /// allocated in the caller's scope.
  LogicalResult prepare(tile::DotOp op);
  /// Emits the barrier that reads may need; after `prepare` of both operands.
  void beginReads();
  /// The words of all instruction tiles at step `step` along K, tile by tile.
  SmallVector<SmallVector<Value>> load(int64_t step);

  int64_t getFragmentBits() const { return bits; }

private:
  void stage(const RegisterTile &tile);
  bool canLoadMatrices() const;
  SmallVector<Value> loadFromTile(int64_t tile, int64_t step);
  SmallVector<Value> loadElements(int64_t tile, int64_t step);
  SmallVector<Value> loadNibbles(int64_t tile, int64_t step);
  SmallVector<Value> loadRows(int64_t tile, int64_t step, int64_t count);
  Value getChunkAddress(Value laneRow, int64_t row, Value laneChunk,
                        int64_t laneChunks, int64_t chunk);
  int64_t getTileSize() const { return isLeft ? 16 : 8; }
  int64_t getStepSize() const { return 256 / bits; }
  int64_t getNumWords() const { return isLeft ? 4 : 2; }

  Lowering &lowering;
  Code &code;
  const MmaGrid &grid;
  Value source;
  bool isLeft, isTransposed;
  /// M or N, and K.
  int64_t outer, k;
  Type element;
  int64_t bits;
  tile::OperandLayoutAttr layout;
  /// One of the two.
  std::optional<SharedBuffer> buffer;
  const RegisterTile *registers = nullptr;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_MMAOPERAND_H
