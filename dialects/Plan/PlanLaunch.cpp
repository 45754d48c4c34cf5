//===- PlanLaunch.cpp - Launches and choices ------------------------------===//

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::varve::plan;

//===----------------------------------------------------------------------===//
// Syntax that TableGen has no words for
//===----------------------------------------------------------------------===//

/// An upper bound, `inf` for none.
static ParseResult parseHigh(OpAsmParser &parser, IntegerAttr &high) {
  if (succeeded(parser.parseOptionalKeyword("inf")))
    return success();
  int64_t value;
  if (parser.parseInteger(value))
    return failure();
  high = parser.getBuilder().getI64IntegerAttr(value);
  return success();
}

static void printHigh(OpAsmPrinter &printer, Operation *, IntegerAttr high) {
  if (high)
    printer << high.getInt();
  else
    printer << "inf";
}

// Beside its namesake, or the generated code would find only that.
namespace mlir::varve::plan {
static void printLinear(OpAsmPrinter &printer, Operation *, LinearAttr linear) {
  printLinear(printer, linear);
}
} // namespace mlir::varve::plan

#define GET_OP_CLASSES
#include "dialects/Plan/PlanOps.cpp.inc"

//===----------------------------------------------------------------------===//
// LaunchOp
//===----------------------------------------------------------------------===//

/// C3 and C4: whether a tensor can be passed for a view.
static LogicalResult verifyViewArgument(LaunchOp op, unsigned index,
                                        DeviceTensorType tensor,
                                        varve::tile::ViewType view) {
  auto fail = [&](StringRef label) -> InFlightDiagnostic {
    return op.emitOpError() << "expected argument " << index << " to fit "
                            << view << " (" << label << ") but got " << tensor;
  };
  if (tensor.getElementType() != view.getElementType() ||
      tensor.getRank() != view.getRank())
    return fail("C3");
  MLIRContext *context = op.getContext();
  for (int64_t dim = 0; dim < view.getRank(); ++dim) {
    if (!view.isDynamicDim(dim) &&
        tensor.getShape()[dim] !=
            LinearAttr::get(context, view.getShape()[dim]))
      return fail("C3") << ": size " << dim;
    LinearAttr stride = tensor.getStride(dim);
    // A dense view has the strides that follow from its sizes, which are the
    // tensor's.
    DeviceTensorType dense =
        DeviceTensorType::get(tensor.getShape(), tensor.getElementType());
    if (view.isDense()
            ? stride != dense.getStride(dim)
            : !ShapedType::isDynamic(view.getStrides()[dim]) &&
                  stride != LinearAttr::get(context, view.getStrides()[dim]))
      return fail("C3") << ": stride " << dim;
    if (!view.isDense() && !stride)
      return fail("C4") << ": stride " << dim;
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  Operation *symbol =
      symbolTable.lookupNearestSymbolFrom(*this, getKernelAttr());
  ArrayRef<Type> types;
  if (auto kernel = dyn_cast_or_null<varve::tile::FuncOp>(symbol))
    types = kernel.getArgumentTypes();
  else if (auto lowered = dyn_cast_or_null<KernelOpInterface>(symbol))
    types = lowered.getArgumentTypes();
  else
    return emitOpError() << "expected " << getKernelAttr()
                         << " to be a kernel of this module (C1)";
  if (types.size() != getArguments().size())
    return emitOpError() << "expected " << types.size()
                         << " arguments for kernel " << getKernelAttr()
                         << " (C2) but got " << getArguments().size();
  for (auto [i, type, argument] : llvm::enumerate(types, getArguments())) {
    auto view = dyn_cast<varve::tile::ViewType>(type);
    auto tensor = dyn_cast<DeviceTensorType>(argument.getType());
    if (view && tensor) {
      if (failed(verifyViewArgument(*this, i, tensor, view)))
        return failure();
    } else if (type != argument.getType()) {
      return emitOpError() << "expected argument " << i << " of type " << type
                           << " (" << (view ? "C3" : "C5") << ") but got "
                           << argument.getType();
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// WhenOp
//===----------------------------------------------------------------------===//

LogicalResult WhenOp::verify() {
  if (getHigh() &&
      static_cast<int64_t>(*getHigh()) < static_cast<int64_t>(getLow()))
    return emitOpError() << "expected high to be at least low (C1) but got ["
                         << getLow() << ", " << *getHigh() << "]";
  if (getValue().isConstant())
    return emitOpError() << "expected a value that depends on a size (C2) but "
                            "got "
                         << getValue();
  return success();
}
