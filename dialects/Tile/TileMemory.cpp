//===- TileMemory.cpp - Global and shared memory --------------------------===//
//
// Verifiers, effects and folders of the ops on views and buffers.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::varve::tile;

static ArrayRef<int64_t> getShapeOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getShape();
  return cast<RankedTensorType>(type).getShape();
}

static Type getElementTypeOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getElementType();
  return cast<RankedTensorType>(type).getElementType();
}

static LogicalResult verifyOffsets(Operation *op, ViewType view,
                                   OperandRange offsets) {
  if (static_cast<int64_t>(offsets.size()) == view.getRank())
    return success();
  return op->emitOpError() << "expected one offset per dimension of the view ("
                           << view.getRank() << ", C1) but got "
                           << offsets.size();
}

static LogicalResult verifyElements(Operation *op, ViewType view, Type tile,
                                    StringRef label) {
  if (view.getElementType() == getElementTypeOf(tile))
    return success();
  return op->emitOpError() << "expected elements of the view's type "
                           << view.getElementType() << " (" << label
                           << ") but got " << getElementTypeOf(tile);
}

//===----------------------------------------------------------------------===//
// Tiles at an offset
//===----------------------------------------------------------------------===//

static SmallVector<int64_t>
getTileDims(ViewType view, Type tile,
            std::optional<ArrayRef<int64_t>> explicitDims) {
  if (explicitDims)
    return SmallVector<int64_t>(*explicitDims);
  int64_t rank = getShapeOf(tile).size();
  return llvm::to_vector(
      llvm::seq<int64_t>(view.getRank() - rank, view.getRank()));
}

/// C1 to C3 of the ops that touch a tile of a view at an offset.
static LogicalResult verifyWindow(Operation *op, ViewType view,
                                  OperandRange offsets, Type tile,
                                  std::optional<ArrayRef<int64_t>> dims) {
  if (failed(verifyOffsets(op, view, offsets)) ||
      failed(verifyElements(op, view, tile, "C2")))
    return failure();
  int64_t rank = getShapeOf(tile).size();
  if (!dims) {
    if (rank <= view.getRank())
      return success();
    return op->emitOpError() << "expected a tile of at most the view's rank "
                             << view.getRank() << " (C3) but got rank " << rank;
  }
  if (static_cast<int64_t>(dims->size()) != rank)
    return op->emitOpError() << "expected dims to have one entry per dimension "
                                "of the tile ("
                             << rank << ", C3) but got " << dims->size();
  llvm::SmallBitVector seen(view.getRank());
  for (int64_t dim : *dims) {
    if (dim < 0 || dim >= view.getRank() || seen.test(dim))
      return op->emitOpError()
             << "expected dims to be distinct dimensions of the view, 0 to "
             << view.getRank() - 1 << " (C3), but got " << dim;
    seen.set(dim);
  }
  return success();
}

SmallVector<int64_t> LoadOp::getTileDims() {
  return ::getTileDims(getView().getType(), getType(), getDims());
}

LogicalResult LoadOp::verify() {
  return verifyWindow(*this, getView().getType(), getOffsets(), getType(),
                      getDims());
}

SmallVector<int64_t> StoreOp::getTileDims() {
  return ::getTileDims(getView().getType(), getValue().getType(), getDims());
}

LogicalResult StoreOp::verify() {
  Type value = getValue().getType();
  if (failed(verifyWindow(*this, getView().getType(), getOffsets(), value,
                          getDims())))
    return failure();
  if (!getMask())
    return success();
  if (isa<BufferType>(value) || getMask().getType() != getMaskType(value))
    return emitOpError() << "expected the mask of a tile, i1 of its shape (C4),"
                            " but got "
                         << getMask().getType() << " for " << value;
  return success();
}

void StoreOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  if (isa<BufferType>(getValue().getType()))
    effects.emplace_back(MemoryEffects::Read::get(), &getValueMutable(),
                         SharedMemory::get());
  effects.emplace_back(MemoryEffects::Write::get(), &getViewMutable(),
                       GlobalMemory::get());
}

SmallVector<int64_t> CopyOp::getTileDims() {
  return ::getTileDims(getView().getType(), getBuffer().getType(), getDims());
}

LogicalResult CopyOp::verify() {
  return verifyWindow(*this, getView().getType(), getOffsets(),
                      getBuffer().getType(), getDims());
}

SmallVector<int64_t> AtomicOp::getTileDims() {
  return ::getTileDims(getView().getType(), getValue().getType(), getDims());
}

LogicalResult AtomicOp::verify() {
  return verifyWindow(*this, getView().getType(), getOffsets(),
                      getValue().getType(), getDims());
}

LogicalResult LoadScalarOp::verify() {
  ViewType view = getView().getType();
  if (failed(verifyOffsets(*this, view, getOffsets())))
    return failure();
  if (view.getElementType().getIntOrFloatBitWidth() < 8)
    return emitOpError() << "expected elements of at least 8 bits (C2) but got "
                         << view.getElementType();
  return success();
}

//===----------------------------------------------------------------------===//
// SubviewOp
//===----------------------------------------------------------------------===//

/// C4: the result steps through memory as the view does.
static LogicalResult verifySubviewStrides(SubviewOp op) {
  ViewType view = op.getView().getType(), result = op.getType();
  if (view.getStrides() != result.getStrides())
    return op.emitOpError()
           << "expected the strides of " << view << " (C4) but got " << result;
  if (!view.isDense())
    return success();
  for (int64_t dim = 1; dim < view.getRank(); ++dim)
    if (result.isDynamicDim(dim))
      return op.emitOpError()
             << "expected a dense view to be cut along its first dimension "
                "only "
                "(C4) but dimension "
             << dim << " of the result is dynamic; give the view strides";
  return success();
}

LogicalResult SubviewOp::verify() {
  ViewType view = getView().getType(), result = getType();
  if (failed(verifyOffsets(*this, view, getOffsets())))
    return failure();
  if (result.getRank() != view.getRank() ||
      result.getElementType() != view.getElementType())
    return emitOpError() << "expected a view of rank " << view.getRank()
                         << " of " << view.getElementType() << " (C2) but got "
                         << result;
  for (int64_t dim = 0; dim < view.getRank(); ++dim)
    if (!result.isDynamicDim(dim) &&
        result.getShape()[dim] != view.getShape()[dim])
      return emitOpError() << "expected dimension " << dim
                           << " of the result to be dynamic or equal to the "
                              "view's (C2) but got "
                           << result.getShape()[dim];
  if (static_cast<int64_t>(getSizes().size()) != result.getNumDynamicSizes())
    return emitOpError() << "expected one size per dynamic dimension of the "
                            "result ("
                         << result.getNumDynamicSizes() << ", C3) but got "
                         << getSizes().size();
  if (failed(verifySubviewStrides(*this)))
    return failure();
  if (view.getElementType().getIntOrFloatBitWidth() < 8)
    return emitOpError() << "expected elements of at least 8 bits (C5) but got "
                         << view.getElementType();
  return success();
}

//===----------------------------------------------------------------------===//
// Rows by number
//===----------------------------------------------------------------------===//

/// C4 of gather and scatter.
static LogicalResult verifyPages(Operation *op, Value table, Value sequences,
                                 std::optional<int64_t> pageSize, Value rows) {
  if (!table) {
    if (sequences || pageSize)
      return op->emitOpError()
             << "expected sequences and page_size only with a page table (C4)";
    return success();
  }
  auto type = cast<ViewType>(table.getType());
  if (type.getRank() > 2 || !type.getElementType().isInteger() ||
      type.getElementType().getIntOrFloatBitWidth() < 32)
    return op->emitOpError() << "expected a page table of rank 1 or 2 with "
                                "integers of at least 32 bits (C4) but got "
                             << type;
  if (!pageSize || *pageSize < 1)
    return op->emitOpError()
           << "expected a positive page_size with a page table (C4)";
  if ((type.getRank() == 2) != static_cast<bool>(sequences))
    return op->emitOpError()
           << "expected sequences exactly when the page table "
              "has rank 2 (C4), and it has rank "
           << type.getRank();
  if (sequences && cast<RankedTensorType>(sequences.getType()).getShape() !=
                       cast<RankedTensorType>(rows.getType()).getShape())
    return op->emitOpError()
           << "expected sequences of the shape of the rows "
              "(C4) but got "
           << sequences.getType() << " for " << rows.getType();
  return success();
}

/// C1 to C5 of gather and scatter; `tile` is the value, result or buffer.
template <typename OpTy> static LogicalResult verifyRows(OpTy op, Type tile) {
  ViewType view = op.getView().getType();
  ArrayRef<int64_t> shape = getShapeOf(tile);
  if (failed(verifyElements(op, view, tile, "C1")))
    return failure();
  int64_t rank = shape.size();
  if (view.getRank() != rank || rank > 2)
    return op.emitOpError()
           << "expected a view and a tile of the same rank, 1 or 2 (C1), but "
              "got ranks "
           << view.getRank() << " and " << rank;
  auto rows = cast<RankedTensorType>(op.getRows().getType());
  if (rows.getRank() != 1 || shape[0] != rows.getShape()[0])
    return op.emitOpError() << "expected one row per row number (C2) but got "
                            << shape[0] << " rows for " << rows;
  if ((rank == 2) != static_cast<bool>(op.getColumn()))
    return op.emitOpError()
           << "expected a column exactly when the rank is 2 (C3), and it is "
           << rank;
  std::optional<int64_t> pageSize;
  if (std::optional<uint64_t> size = op.getPageSize())
    pageSize = *size;
  if (failed(verifyPages(op, op.getTable(), op.getSequences(), pageSize,
                         op.getRows())))
    return failure();
  if (rank == 1 && view.getElementType().getIntOrFloatBitWidth() < 8)
    return op.emitOpError() << "expected a view of rank 2 for elements of "
                            << view.getElementType() << " (C5)";
  return success();
}

LogicalResult GatherOp::verify() { return verifyRows(*this, getType()); }

LogicalResult ScatterOp::verify() {
  return verifyRows(*this, getValue().getType());
}

LogicalResult GatherCopyOp::verify() {
  if (getView().getType().getRank() != 2)
    return emitOpError() << "expected a view of rank 2 (C6) but got "
                         << getView().getType();
  return verifyRows(*this, getBuffer().getType());
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

LogicalResult WaitOp::verify() {
  if (getTokens().empty())
    return emitOpError() << "expected at least one token";
  return success();
}

/// C4: the part begins and ends where the placement can be cut.
static LogicalResult verifyCut(SubbufferOp op) {
  BufferType buffer = op.getBuffer().getType(), part = op.getType();
  int64_t rank = buffer.getRank();
  int64_t bits = buffer.getElementType().getIntOrFloatBitWidth();
  int64_t swizzle =
      buffer.getLayout() ? buffer.getLayout().getSwizzle() : int64_t(0);
  int64_t panel = swizzle != 0 ? swizzle : 4;
  auto isCut = [&](int64_t dim, int64_t unit) {
    return part.getShape()[dim] == buffer.getShape()[dim] ||
           (op.getOffsets()[dim] % unit == 0 &&
            part.getShape()[dim] % unit == 0);
  };
  if (!isCut(rank - 1, std::max<int64_t>(1, panel * 8 / bits)))
    return op.emitOpError()
           << "expected whole " << (swizzle ? "panels" : "words") << " of "
           << panel << " bytes of the last dimension (C4)";
  if (rank > 1 && !isCut(rank - 2, 8))
    return op.emitOpError() << "expected offset and size of dimension "
                            << rank - 2 << " to be multiples of 8 (C4)";
  return success();
}

LogicalResult SubbufferOp::verify() {
  BufferType buffer = getBuffer().getType(), part = getType();
  int64_t rank = buffer.getRank();
  if (static_cast<int64_t>(getOffsets().size()) != rank ||
      llvm::any_of(getOffsets(), [](int64_t offset) { return offset < 0; }))
    return emitOpError() << "expected one offset per dimension (" << rank
                         << ", C1), none negative";
  if (part.getRank() != rank ||
      part.getElementType() != buffer.getElementType() ||
      part.getLayout() != buffer.getLayout())
    return emitOpError() << "expected a part of rank " << rank
                         << " with the buffer's element type and placement "
                            "(C2) but got "
                         << part;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (getOffsets()[dim] + part.getShape()[dim] > buffer.getShape()[dim])
      return emitOpError() << "expected dimension " << dim
                           << " of the part to end within "
                           << buffer.getShape()[dim] << " (C3) but it ends at "
                           << getOffsets()[dim] + part.getShape()[dim];
  return verifyCut(*this);
}

OpFoldResult SubbufferOp::fold(FoldAdaptor) {
  // A part that is the whole.
  if (getType() == getBuffer().getType())
    return getBuffer();
  return {};
}
