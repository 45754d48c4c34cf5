//===- VerifyScheduled.cpp - What lowering relies on ----------------------===//

#include "passes/Schedule/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYSCHEDULEDPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

struct VerifyScheduledPass
    : varve::impl::VerifyScheduledPassBase<VerifyScheduledPass> {
  void runOnOperation() override {
    bool failed = getOperation().getBody()->empty();
    if (failed)
      getOperation().emitOpError("expected a module per target (S1)");
    for (Operation &op : *getOperation().getBody())
      if (!isa<ModuleOp>(op) || !op.hasAttr(kTargetAttrName)) {
        op.emitOpError("expected to be in the module of a target (S1)");
        failed = true;
      }
    getOperation().walk([&](Operation *op) {
      if (isa<KernelOp>(op)) {
        op->emitOpError("expected a 'varve.launch' of a kernel (S2)");
        failed = true;
      }
      auto kernel = dyn_cast<KernelFuncOp>(op);
      if (kernel && !kernel.getStrategies()) {
        op->emitOpError("expected strategies (S3)");
        failed = true;
      }
    });
    if (failed)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
