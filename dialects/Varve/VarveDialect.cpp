//===- VarveDialect.cpp - Registration of the model dialect ---------------===//

#include "dialects/Varve/Varve.h"

using namespace mlir;
using namespace mlir::varve;

#include "dialects/Varve/VarveDialect.cpp.inc"
#include "dialects/Varve/VarveInterfaces.cpp.inc"

void VarveDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Varve/VarveOps.cpp.inc"
      >();
}
