//===- PlanKernels.cpp - Lowered and compiled kernels ---------------------===//

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::varve::plan;
namespace tile = mlir::varve::tile;

#include "dialects/Plan/PlanInterfaces.cpp.inc"

LogicalResult
TensorMapAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t,
                      ArrayRef<int64_t> box, int64_t swizzle) {
  if (box.empty() || box.size() > 5 ||
      llvm::any_of(box, [](int64_t size) { return size < 1 || size > 256; }))
    return emitError() << "expected a box of 1 to 5 sizes from 1 to 256 (C1)";
  if (!llvm::is_contained({0, 32, 64, 128}, swizzle))
    return emitError()
           << "expected swizzle to be 0, 32, 64 or 128 (C2) but got "
           << swizzle;
  return success();
}

int64_t mlir::varve::plan::countWords(Type type) {
  auto view = dyn_cast<tile::ViewType>(type);
  return view ? 1 + view.getNumDynamicSizes() + view.getNumDynamicStrides() : 1;
}

static int64_t countAllWords(ArrayRef<Type> types) {
  int64_t words = 0;
  for (Type type : types)
    words += countWords(type);
  return words;
}

int64_t KernelOp::getNumWords() {
  return countAllWords(cast<FunctionType>(getSignature()).getInputs());
}
int64_t BinaryOp::getNumWords() {
  return countAllWords(cast<FunctionType>(getSignature()).getInputs());
}

//===----------------------------------------------------------------------===//
// C1 to C3 and C5 of both
//===----------------------------------------------------------------------===//

/// Whether a size of the grid is there: a view's dimension, an integer.
static bool isSizeOf(ArrayRef<Type> arguments, tile::SizeAttr size) {
  if (size.getKind() == tile::SizeKind::Resident)
    return true;
  int64_t index = size.getArgument();
  if (index < 0 || index >= static_cast<int64_t>(arguments.size()))
    return false;
  if (size.getKind() == tile::SizeKind::Scalar)
    return isa<IndexType, IntegerType>(arguments[index]);
  auto view = dyn_cast<tile::ViewType>(arguments[index]);
  return view && size.getDim() >= 0 && size.getDim() < view.getRank();
}

template <typename Op> static LogicalResult verifyLaunchFacts(Op op) {
  auto signature = cast<FunctionType>(op.getSignature());
  ArrayRef<Type> arguments = signature.getInputs();
  if (signature.getNumResults() != 0 || !llvm::all_of(arguments, [](Type type) {
        return isa<tile::ViewType, IntegerType, FloatType, IndexType>(type);
      }))
    return op.emitOpError()
           << "expected a signature of views and scalars (C1) but got "
           << op.getSignature();
  AffineMap grid = op.getGrid();
  if (grid.getNumDims() != 0 || grid.getNumSymbols() != op.getSizes().size() ||
      grid.getNumResults() < 1 || grid.getNumResults() > 3)
    return op.emitOpError()
           << "expected a grid of 1 to 3 results with " << op.getSizes().size()
           << " symbols and no dimensions (C1) but got " << op.getGridAttr();
  for (auto size : op.getSizes().template getAsRange<tile::SizeAttr>())
    if (!isSizeOf(arguments, size))
      return op.emitOpError()
             << "expected sizes of the arguments (C1) but got " << size;
  for (NamedAttribute attribute : op->getAttrs())
    if (auto number = dyn_cast<IntegerAttr>(attribute.getValue()))
      if (number.getInt() < 0)
        return op.emitOpError()
               << "expected " << attribute.getName().getValue()
               << " not to be negative (C2) but got " << number.getInt();
  if (op.getTensorMaps())
    for (auto map : op.getTensorMaps()->template getAsRange<TensorMapAttr>()) {
      int64_t index = map.getArgument();
      bool isThere =
          index >= 0 && index < static_cast<int64_t>(arguments.size());
      auto view = isThere ? dyn_cast<tile::ViewType>(arguments[index])
                          : tile::ViewType();
      if (!view || view.getRank() != static_cast<int64_t>(map.getBox().size()))
        return op.emitOpError()
               << "expected a view with the rank of the box (C3) for " << map;
    }
  int64_t before = -1;
  for (int64_t index : op.getWrites().value_or(ArrayRef<int64_t>())) {
    if (index <= before || index >= static_cast<int64_t>(arguments.size()) ||
        !isa<tile::ViewType>(arguments[index]))
      return op.emitOpError()
             << "expected ascending numbers of views in writes (C5) but got "
             << index;
    before = index;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// KernelOp, BinaryOp
//===----------------------------------------------------------------------===//

LogicalResult KernelOp::verify() {
  if (failed(verifyLaunchFacts(*this)))
    return failure();
  if (!llvm::hasSingleElement(getBody().front()) ||
      !isa<ModuleOp>(getBody().front().front()))
    return emitOpError() << "expected a body of one module (C4)";
  return success();
}

ModuleOp KernelOp::getModule() {
  return cast<ModuleOp>(getBody().front().front());
}

LogicalResult BinaryOp::verify() {
  if (failed(verifyLaunchFacts(*this)))
    return failure();
  auto type = dyn_cast<RankedTensorType>(getCode().getShapedType());
  if (!isa<DenseResourceElementsAttr>(getCode()) || !type ||
      type.getRank() != 1 || !type.getElementType().isInteger(8))
    return emitOpError()
           << "expected code to be a resource of type tensor<?xi8>"
              " (C4)";
  return success();
}

StringRef BinaryOp::getBytes() {
  AsmResourceBlob *blob =
      cast<DenseResourceElementsAttr>(getCode()).getRawHandle().getBlob();
  if (!blob)
    return {};
  ArrayRef<char> data = blob->getData();
  return StringRef(data.data(), data.size());
}
