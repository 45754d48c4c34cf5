//===- FormKernels.cpp - Which ops run together ---------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Fusion/FusionRules.h"
#include "passes/Fusion/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "passes/Fusion/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

struct FormKernelsPass : varve::impl::FormKernelsPassBase<FormKernelsPass> {
  using FormKernelsPassBase::FormKernelsPassBase;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      if (!function.getBody().hasOneBlock()) {
        function.emitError("expected a body of one block, without control "
                           "flow");
        return signalPassFailure();
      }
      KernelGroups groups(function.getBody().front());
      applyFusionRules(groups, remarks);
      groups.formKernels();
    }
  }
};

} // namespace
