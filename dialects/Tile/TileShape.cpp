//===- TileShape.cpp - Making and reshaping tiles -------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::varve::tile;

/// The constant of `type` whose elements all equal the splat `attr`; null when
/// it is no splat.
static Attribute resplat(Attribute attr, RankedTensorType type) {
  auto elements = dyn_cast_or_null<SplatElementsAttr>(attr);
  if (!elements)
    return {};
  return SplatElementsAttr::get(type, elements.getSplatValue<Attribute>());
}

LogicalResult IotaOp::verify() {
  if (static_cast<int64_t>(getDim()) >= getType().getRank())
    return emitOpError()
           << "expected dim to be a dimension of the result, 0 to "
           << getType().getRank() - 1 << " (C1), but got " << getDim();
  return success();
}

OpFoldResult SplatOp::fold(FoldAdaptor adaptor) {
  if (!adaptor.getValue())
    return {};
  return SplatElementsAttr::get(getType(), adaptor.getValue());
}

//===----------------------------------------------------------------------===//
// ExtractOp
//===----------------------------------------------------------------------===//

LogicalResult ExtractOp::verify() {
  RankedTensorType source = getSource().getType();
  if (static_cast<int64_t>(getPosition().size()) != source.getRank())
    return emitOpError() << "expected one position per dimension ("
                         << source.getRank() << ", C1) but got "
                         << getPosition().size();
  for (auto [dim, position, size] :
       llvm::enumerate(getPosition(), source.getShape()))
    if (position < 0 || position >= size)
      return emitOpError() << "expected position " << dim
                           << " to be within the tile, 0 to " << size - 1
                           << " (C1), but got " << position;
  return success();
}

OpFoldResult ExtractOp::fold(FoldAdaptor adaptor) {
  if (auto splat = getSource().getDefiningOp<SplatOp>())
    return splat.getValue();
  auto elements = dyn_cast_or_null<DenseElementsAttr>(adaptor.getSource());
  if (!elements)
    return {};
  SmallVector<uint64_t> position(getPosition());
  return elements.getValues<Attribute>()[position];
}

//===----------------------------------------------------------------------===//
// BroadcastOp
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  RankedTensorType source = getSource().getType();
  if (static_cast<int64_t>(getDims().size()) != source.getRank())
    return emitOpError() << "expected dims to have one entry per dimension of "
                            "the source ("
                         << source.getRank() << ", C1) but got "
                         << getDims().size();
  int64_t last = -1;
  for (auto [i, dim] : llvm::enumerate(getDims())) {
    if (dim <= last || dim >= getType().getRank())
      return emitOpError() << "expected dims to be ascending dimensions of the "
                              "result, up to "
                           << getType().getRank() - 1 << " (C1), but got "
                           << dim;
    if (getType().getShape()[dim] != source.getShape()[i])
      return emitOpError() << "expected size " << source.getShape()[i]
                           << " in dimension " << dim
                           << " of the result (C1) but got "
                           << getType().getShape()[dim];
    last = dim;
  }
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getType() == getSource().getType())
    return getSource();
  return resplat(adaptor.getSource(), getType());
}

//===----------------------------------------------------------------------===//
// ReshapeOp
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  int64_t from = getSource().getType().getNumElements();
  int64_t to = getType().getNumElements();
  if (from != to)
    return emitOpError() << "expected " << from
                         << " elements, as in the source (C1), but got " << to;
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getType() == getSource().getType())
    return getSource();
  // reshape(reshape(x)) -> reshape(x)
  if (auto inner = getSource().getDefiningOp<ReshapeOp>()) {
    if (inner.getSource().getType() == getType())
      return inner.getSource();
    setOperand(inner.getSource());
    return getResult();
  }
  return resplat(adaptor.getSource(), getType());
}

//===----------------------------------------------------------------------===//
// TransposeOp
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::verify() {
  RankedTensorType source = getSource().getType();
  int64_t rank = source.getRank();
  llvm::SmallBitVector seen(rank);
  for (int64_t dim : getPermutation())
    if (dim >= 0 && dim < rank)
      seen.set(dim);
  if (static_cast<int64_t>(getPermutation().size()) != rank || !seen.all())
    return emitOpError() << "expected a permutation of the dimensions 0 to "
                         << rank - 1 << " (C1)";
  if (getType().getRank() != rank)
    return emitOpError() << "expected a result of rank " << rank
                         << " (C1) but got " << getType().getRank();
  for (auto [i, dim] : llvm::enumerate(getPermutation()))
    if (getType().getShape()[i] != source.getShape()[dim])
      return emitOpError() << "expected size " << source.getShape()[dim]
                           << " in dimension " << i
                           << " of the result (C1) but got "
                           << getType().getShape()[i];
  return success();
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  auto isIdentity = [](ArrayRef<int64_t> permutation) {
    return llvm::all_of(llvm::enumerate(permutation), [](auto entry) {
      return static_cast<int64_t>(entry.index()) == entry.value();
    });
  };
  if (getType() == getSource().getType() && isIdentity(getPermutation()))
    return getSource();
  // transpose(transpose(x)) -> x
  if (auto inner = getSource().getDefiningOp<TransposeOp>()) {
    SmallVector<int64_t> both;
    for (int64_t dim : getPermutation())
      both.push_back(inner.getPermutation()[dim]);
    if (isIdentity(both) && inner.getSource().getType() == getType())
      return inner.getSource();
  }
  return resplat(adaptor.getSource(), getType());
}

//===----------------------------------------------------------------------===//
// SliceOp, ConcatOp
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  RankedTensorType source = getSource().getType();
  int64_t rank = source.getRank();
  if (static_cast<int64_t>(getOffsets().size()) != rank ||
      getType().getRank() != rank)
    return emitOpError() << "expected " << rank
                         << " offsets and a result of rank " << rank
                         << " (C1) but got " << getOffsets().size()
                         << " and rank " << getType().getRank();
  for (int64_t dim = 0; dim < rank; ++dim) {
    int64_t begin = getOffsets()[dim], end = begin + getType().getShape()[dim];
    if (begin < 0 || end > source.getShape()[dim])
      return emitOpError() << "expected dimension " << dim
                           << " of the slice to lie within 0 to "
                           << source.getShape()[dim] << " (C2) but got "
                           << begin << " to " << end;
  }
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  if (getType() == getSource().getType())
    return getSource();
  return resplat(adaptor.getSource(), getType());
}

LogicalResult ConcatOp::verify() {
  int64_t rank = getType().getRank(), along = getDim(), total = 0;
  if (getSources().empty())
    return emitOpError() << "expected at least one source (C1)";
  if (along >= rank)
    return emitOpError()
           << "expected dim to be a dimension of the result, 0 to " << rank - 1
           << " (C1), but got " << along;
  for (auto [i, source] : llvm::enumerate(getSources())) {
    auto type = cast<RankedTensorType>(source.getType());
    if (type.getRank() != rank)
      return emitOpError() << "expected source " << i << " to have rank "
                           << rank << " (C1) but got " << type.getRank();
    for (int64_t dim = 0; dim < rank; ++dim)
      if (dim != along && type.getShape()[dim] != getType().getShape()[dim])
        return emitOpError() << "expected size " << getType().getShape()[dim]
                             << " in dimension " << dim << " of source " << i
                             << " (C1) but got " << type.getShape()[dim];
    total += type.getShape()[along];
  }
  if (total != getType().getShape()[along])
    return emitOpError() << "expected the sources to add up to "
                         << getType().getShape()[along] << " along dimension "
                         << along << " (C1) but got " << total;
  return success();
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getSources().size() == 1 && getSources()[0].getType() == getType())
    return getSources()[0];
  return {};
}

//===----------------------------------------------------------------------===//
// ConvertLayoutOp
//===----------------------------------------------------------------------===//

LogicalResult ConvertLayoutOp::verify() {
  if (!haveSameShape(getSource().getType(), getType()))
    return emitOpError() << "expected shape and element type of "
                         << getSource().getType() << " (C1) but got "
                         << getType();
  return success();
}

OpFoldResult ConvertLayoutOp::fold(FoldAdaptor adaptor) {
  if (getType() == getSource().getType())
    return getSource();
  // convert(convert(x)) -> convert(x)
  if (auto inner = getSource().getDefiningOp<ConvertLayoutOp>()) {
    if (inner.getSource().getType() == getType())
      return inner.getSource();
    setOperand(inner.getSource());
    return getResult();
  }
  return resplat(adaptor.getSource(), getType());
}
