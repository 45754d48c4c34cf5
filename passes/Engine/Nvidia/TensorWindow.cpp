//===- TensorWindow.cpp - Tiles that the copy engine can move -------------===//

#include "passes/Engine/Nvidia/TensorWindow.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::nvidia;

/// Limits of a tensor map.
static constexpr int64_t kMaxRank = 5, kMaxBox = 256, kStrideBytes = 16;

/// Whether a tensor map can describe the view, whatever its run-time sizes.
static bool hasTensorMap(tile::ViewType view, int64_t bits) {
  if (view.getRank() > kMaxRank)
    return false;
  int64_t stride = 1;
  for (int64_t dim = view.getRank(); dim-- > 0;) {
    bool isLast = dim + 1 == view.getRank();
    if (!view.isDense())
      stride = view.getStrides()[dim];
    if (ShapedType::isDynamic(stride))
      return false;
    if (isLast ? stride != 1 : stride * bits % (8 * kStrideBytes) != 0)
      return false;
    if (view.isDense() && dim > 0) {
      if (view.isDynamicDim(dim))
        return false;
      stride *= view.getShape()[dim];
    }
  }
  return true;
}

std::optional<TensorWindow> mlir::varve::nvidia::planTensorWindow(
    tile::ViewType view, ArrayRef<int64_t> dims, tile::BufferType whole,
    ArrayRef<int64_t> offsets, ArrayRef<int64_t> shape) {
  // A dimension of size 1 behind the others changes no address.
  if (whole.getRank() > 1 && whole.getShape().back() == 1 && !whole.getLayout())
    return planTensorWindow(view, dims.drop_back(),
                            tile::BufferType::get(whole.getShape().drop_back(),
                                                  whole.getElementType()),
                            offsets.drop_back(), shape.drop_back());
  int64_t bits = view.getElementType().getIntOrFloatBitWidth();
  if ((bits < 8 && bits != 4) || !hasTensorMap(view, bits) ||
      !llvm::is_sorted(dims) || dims.back() != view.getRank() - 1)
    return std::nullopt;
  int64_t last = shape.size() - 1;
  auto getBytes = [&](int64_t elements) { return elements * bits / 8; };
  TensorWindow window;
  window.isPacked = bits < 8;
  window.swizzle = whole.getLayout() ? whole.getLayout().getSwizzle() : 0;

  // What of the last dimension one box covers.
  int64_t columns = window.swizzle ? window.swizzle * 8 / bits
                    : last == 0    ? std::min(shape[0], kMaxBox)
                                   : shape[last];
  if (columns > kMaxBox || getBytes(columns) % kStrideBytes != 0 ||
      shape[last] % columns != 0 || offsets[last] % columns != 0)
    return std::nullopt;
  // Without panels, rows follow each other without gaps.
  if (!window.swizzle && last > 0 && shape[last] != whole.getShape()[last])
    return std::nullopt;
  // Rows: the dimension before the last may be cut, those before must be whole.
  int64_t rows = 1, wholeRows = 1, firstRow = 0;
  for (int64_t dim = 0; dim < last; ++dim) {
    if (dim + 1 < last && shape[dim] != whole.getShape()[dim])
      return std::nullopt;
    if (last > 1 && shape[dim] != whole.getShape()[dim])
      return std::nullopt;
    if (dim + 1 < last && shape[dim] > kMaxBox)
      return std::nullopt;
    firstRow = firstRow * whole.getShape()[dim] + offsets[dim];
    rows *= shape[dim];
    wholeRows *= whole.getShape()[dim];
  }
  // The rows of one box along the dimension before the last.
  int64_t inner = last > 0 ? shape[last - 1] : 1;
  int64_t step = inner;
  if (inner > kMaxBox) {
    if (last != 1 || inner % kMaxBox != 0)
      return std::nullopt;
    step = kMaxBox;
  }

  window.box.assign(view.getRank(), 1);
  for (auto [i, dim] : llvm::enumerate(dims))
    window.box[dim] = static_cast<int64_t>(i) == last       ? columns
                      : static_cast<int64_t>(i) == last - 1 ? step
                                                            : shape[i];
  int64_t boxRows = rows / inner * step;
  window.pieceBytes = getBytes(boxRows * columns);
  for (int64_t column = 0; column < shape[last]; column += columns)
    for (int64_t row = 0; row < inner; row += step) {
      TensorWindow::Piece piece;
      piece.offsets.assign(view.getRank(), 0);
      piece.offsets[dims[last]] = column;
      if (last > 0)
        piece.offsets[dims[last - 1]] = row;
      int64_t panel = (offsets[last] + column) / columns;
      piece.bytes = getBytes((panel * wholeRows + firstRow + row) * columns);
      if (piece.bytes % kTensorCopyAlignment != 0 ||
          (window.swizzle && (firstRow + row) % 8 != 0))
        return std::nullopt;
      window.pieces.push_back(std::move(piece));
    }
  return window;
}

/// Coordinates of a piece, innermost first.
static SmallVector<Value> getCoordinates(OpBuilder &builder, Location loc,
                                         const TensorWindow &window,
                                         const TensorWindow::Piece &piece,
                                         ValueRange corner) {
  SmallVector<Value> result;
  Type i32 = builder.getI32Type();
  for (int64_t dim = corner.size(); dim-- > 0;) {
    Value value = corner[dim];
    if (value.getType() != i32)
      value = builder.createOrFold<arith::IndexCastOp>(loc, i32, value);
    if (piece.offsets[dim] != 0)
      value = builder.createOrFold<arith::AddIOp>(
          loc, value,
          arith::ConstantOp::create(
              builder, loc, builder.getI32IntegerAttr(piece.offsets[dim])));
    // To a copy, two 4-bit elements are one.
    if (window.isPacked && result.empty())
      value = builder.createOrFold<arith::ShRSIOp>(
          loc, value,
          arith::ConstantOp::create(builder, loc,
                                    builder.getI32IntegerAttr(1)));
    result.push_back(value);
  }
  return result;
}

static Value getPieceAddress(OpBuilder &builder, Location loc, Value buffer,
                             const TensorWindow::Piece &piece) {
  if (piece.bytes == 0)
    return buffer;
  return LLVM::GEPOp::create(
      builder, loc, buffer.getType(), builder.getI8Type(), buffer,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(piece.bytes)});
}

void mlir::varve::nvidia::loadTensorWindow(OpBuilder &builder, Location loc,
                                           const TensorWindow &window,
                                           Value map, ValueRange corner,
                                           Value buffer, Value barrier) {
  for (const TensorWindow::Piece &piece : window.pieces)
    NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
        builder, loc, getPieceAddress(builder, loc, buffer, piece), map,
        getCoordinates(builder, loc, window, piece, corner), barrier,
        /*im2colOffsets=*/ValueRange(), /*multicastMask=*/Value(),
        /*l2CacheHint=*/Value(), NVVM::TMALoadMode::TILE, /*isCTAOnly=*/true,
        /*group=*/NVVM::CTAGroupKindAttr(), /*predicate=*/Value());
}

void mlir::varve::nvidia::storeTensorWindow(OpBuilder &builder, Location loc,
                                            const TensorWindow &window,
                                            Value map, ValueRange corner,
                                            Value buffer) {
  for (const TensorWindow::Piece &piece : window.pieces)
    NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(
        builder, loc, map, getPieceAddress(builder, loc, buffer, piece),
        getCoordinates(builder, loc, window, piece, corner),
        /*l2CacheHint=*/Value(), NVVM::TMAStoreMode::TILE,
        /*predicate=*/Value());
  NVVM::CpAsyncBulkCommitGroupOp::create(builder, loc);
}
