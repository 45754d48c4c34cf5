//===- TensorWindow.h - Tiles that the copy engine can move ----*- C++ -*-===//
//
// Decides whether tensor copies (TMA) can move a tile between a view and a
// shared buffer, and in which pieces, and emits them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_TENSORWINDOW_H
#define VARVE_PASSES_ENGINE_NVIDIA_TENSORWINDOW_H

#include "dialects/Tile/Tile.h"

#include <optional>

namespace mlir::varve::nvidia {

/// Every destination and source in shared memory is a multiple of this.
inline constexpr int64_t kTensorCopyAlignment = 128;

struct TensorWindow {
  /// Elements per dimension of the view that one copy moves.
  SmallVector<int64_t> box;
  /// Bytes, 0 without.
  int64_t swizzle = 0;
  /// Whether elements have 4 bits; the last coordinate is then even.
  bool isPacked = false;
  struct Piece {
    /// From the tile's corner, per dimension of the view.
    SmallVector<int64_t> offsets;
    /// From the start of the whole buffer.
    int64_t bytes;
  };
  SmallVector<Piece> pieces;
  int64_t pieceBytes = 0;

  int64_t getBytes() const { return pieceBytes * pieces.size(); }
};

/// The copies for the part at `offsets`, of `shape`, of a buffer of type
/// `whole`, whose dimensions run along `dims` of `view`. None when
///   - the view's last dimension is not contiguous, another stride is not known
///     to be a multiple of 16 bytes, or the rank exceeds 5;
///   - `dims`, but for those of sizes 1 at the end, do not ascend to the view's
///     last dimension;
///   - the part's place in the buffer is not whole boxes.
std::optional<TensorWindow> planTensorWindow(tile::ViewType view,
                                             ArrayRef<int64_t> dims,
                                             tile::BufferType whole,
                                             ArrayRef<int64_t> offsets,
                                             ArrayRef<int64_t> shape);

/// Starts the copies into shared memory; they count at `barrier`. `map` points
/// to the tensor map, `corner` are indices per dimension of the view. For one
/// thread.
void loadTensorWindow(OpBuilder &builder, Location loc,
                      const TensorWindow &window, Value map, ValueRange corner,
                      Value buffer, Value barrier);
/// Starts the copies to global memory, as one group.
void storeTensorWindow(OpBuilder &builder, Location loc,
                       const TensorWindow &window, Value map, ValueRange corner,
                       Value buffer);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_TENSORWINDOW_H
