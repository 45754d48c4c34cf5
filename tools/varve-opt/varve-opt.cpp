//===- varve-opt.cpp - Run passes on textual IR ---------------------------===//

#include "lib/Tools/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  varve::registerDialects(registry);
  varve::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Varve optimizer driver\n", registry));
}
