//===- TileKernel.cpp - One tile function and its launch ------------------===//

#include "passes/Lower/TileKernel.h"
#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve;
using plan::DeviceTensorType;
using plan::LinearAttr;

TileKernel::TileKernel(KernelBuilder &kernel, StringRef suffix, int64_t warps)
    : b(kernel.getKernel().getLoc(), kernel.getContext()), kernel(kernel) {
  b.setInsertionPointAfter(kernel.getKernel());
  function = tile::FuncOp::create(
      b, b.getStringAttr(kernel.getFunctionName(suffix)),
      TypeAttr::get(b.getFunctionType({}, {})),
      AffineMapAttr::get(AffineMap::getConstantMap(1, b.getContext())),
      b.getArrayAttr({}), b.getI64IntegerAttr(warps), tile::StrategyAttr(),
      StringAttr(), ArrayAttr(), ArrayAttr());
  b.setInsertionPointToStart(&function.getBody().emplaceBlock());
}

/// The view of a tensor: constant sizes, `?` for the others.
static tile::ViewType getViewType(DeviceTensorType type) {
  SmallVector<int64_t> shape, strides(type.getStrides());
  for (LinearAttr size : type.getShape())
    shape.push_back(size.isConstant() ? size.getConstant()
                                      : ShapedType::kDynamic);
  return tile::ViewType::get(shape, type.getElementType(), strides);
}

Value TileKernel::view(Value tensor) {
  Value &argument = arguments[tensor];
  if (!argument) {
    auto type = cast<DeviceTensorType>(tensor.getType());
    argument =
        function.getBody().front().addArgument(getViewType(type), b.getLoc());
    operands.push_back(tensor);
  }
  return argument;
}

Value TileKernel::scalar(Value planScalar) {
  Value &argument = arguments[planScalar];
  if (!argument) {
    argument = function.getBody().front().addArgument(planScalar.getType(),
                                                      b.getLoc());
    operands.push_back(planScalar);
  }
  return argument;
}

AffineExpr TileKernel::size(Value view, int64_t dim) {
  int64_t fixed = cast<tile::ViewType>(view.getType()).getShape()[dim];
  if (!ShapedType::isDynamic(fixed))
    return constant(fixed);
  auto size =
      tile::SizeAttr::get(b.getContext(), tile::SizeKind::Dim,
                          cast<BlockArgument>(view).getArgNumber(), dim);
  auto *it = llvm::find(sizes, Attribute(size));
  unsigned symbol = it - sizes.begin();
  if (it == sizes.end())
    sizes.push_back(size);
  return getAffineSymbolExpr(symbol, b.getContext());
}

void TileKernel::setGrid(ArrayRef<AffineExpr> grid) {
  function.setGridAttr(AffineMapAttr::get(
      AffineMap::get(0, sizes.size(), grid, b.getContext())));
}

void TileKernel::launch() {
  Block &body = function.getBody().front();
  b.setInsertionPointToEnd(&body);
  tile::ReturnOp::create(b);
  function.setSizesAttr(b.getArrayAttr(sizes));
  function.setFunctionType(b.getFunctionType(body.getArgumentTypes(), {}));
  kernel.launch(function, operands);
}
