//===- Registration.cpp - Dialects and passes of all tools ----------------===//

#include "lib/Tools/Registration.h"
#include "dialects/Varve/Varve.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

void varve::registerDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<mlir::varve::VarveDialect>();
}

void varve::registerPasses() { mlir::registerAllPasses(); }
