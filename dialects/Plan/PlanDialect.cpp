//===- PlanDialect.cpp - Registration of the plan dialect -----------------===//

#include "dialects/Plan/Plan.h"

using namespace mlir;
using namespace mlir::varve::plan;

#include "dialects/Plan/PlanDialect.cpp.inc"

void PlanDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Plan/PlanOps.cpp.inc"
      >();
}
