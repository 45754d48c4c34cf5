//===- VarveDialect.cpp - Registration of the model dialect ---------------===//

#include "dialects/Varve/Varve.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::varve;

#include "dialects/Varve/VarveDialect.cpp.inc"
#include "dialects/Varve/VarveInterfaces.cpp.inc"

/// `varve.model` is a model attribute of a module. Other attributes of the
/// dialect's namespace belong to those who attach them.
/// `varve.repeat`: a positive number on a function.
static LogicalResult verifyRepeat(Operation *op, Attribute value) {
  auto count = dyn_cast<IntegerAttr>(value);
  if (!count || !count.getType().isInteger(64) || count.getInt() < 1 ||
      count.getInt() > std::numeric_limits<int32_t>::max())
    return op->emitOpError()
           << "expected '" << kRepeatAttrName
           << "' to be a positive i32 number of type i64 but got " << value;
  if (!isa<FunctionOpInterface>(op))
    return op->emitOpError()
           << "expected '" << kRepeatAttrName << "' on a function";
  return success();
}

LogicalResult VarveDialect::verifyOperationAttribute(Operation *op,
                                                     NamedAttribute attribute) {
  if (attribute.getName() == kRepeatAttrName)
    return verifyRepeat(op, attribute.getValue());
  if (attribute.getName() != kModelAttrName)
    return success();
  if (!isa<ModelAttr>(attribute.getValue()))
    return op->emitOpError() << "expected '" << kModelAttrName
                             << "' to be a #varve.model attribute but got "
                             << attribute.getValue();
  if (!isa<ModuleOp>(op))
    return op->emitOpError()
           << "expected '" << kModelAttrName << "' on a module";
  return success();
}

void VarveDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Varve/VarveOps.cpp.inc"
      >();
}
