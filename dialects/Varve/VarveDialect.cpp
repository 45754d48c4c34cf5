//===- VarveDialect.cpp - Registration of the model dialect ---------------===//

#include "dialects/Varve/Varve.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace mlir::varve;

#include "dialects/Varve/VarveDialect.cpp.inc"
#include "dialects/Varve/VarveInterfaces.cpp.inc"

/// `varve.model` is a model attribute of a module. Other attributes of the
/// dialect's namespace belong to those who attach them.
LogicalResult VarveDialect::verifyOperationAttribute(Operation *op,
                                                     NamedAttribute attribute) {
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
