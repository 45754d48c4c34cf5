//===- VerifyLowered.cpp - What the target phase relies on ----------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Lower/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYLOWEREDPASS
#include "passes/Lower/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

struct VerifyLoweredPass
    : varve::impl::VerifyLoweredPassBase<VerifyLoweredPass> {
  void runOnOperation() override {
    bool failed = false;
    getOperation().walk([&](Operation *op) {
      if (!isa<VarveDialect, func::FuncDialect>(op->getDialect()))
        return;
      op->emitOpError("expected to be lowered (L1)");
      failed = true;
    });
    if (failed)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
