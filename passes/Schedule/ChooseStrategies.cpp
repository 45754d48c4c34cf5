//===- ChooseStrategies.cpp - Decide how each kernel is lowered -----------===//

#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/Builders.h"
#include "passes/Lower/KernelLowering.h"
#include "passes/Schedule/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_CHOOSESTRATEGIESPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using ::varve::TargetModel;

static LogicalResult chooseStrategies(KernelFuncOp kernel,
                                      const TargetModel &target) {
  if (kernel.getStrategies())
    return success();
  const KernelLowering *lowering = KernelLowering::lookup(kernel.getKind());
  if (!lowering)
    return kernel.emitOpError()
           << "expected a kernel of a known kind but got " << kernel.getKind();
  SmallVector<Attribute> strategies;
  llvm::append_range(strategies, lowering->chooseStrategies(kernel, target));
  kernel.setStrategiesAttr(ArrayAttr::get(kernel.getContext(), strategies));
  return success();
}

namespace {

struct ChooseStrategiesPass
    : mlir::varve::impl::ChooseStrategiesPassBase<ChooseStrategiesPass> {
  void runOnOperation() override {
    for (auto nested : getOperation().getOps<ModuleOp>()) {
      auto name = nested->getAttrOfType<StringAttr>(kTargetAttrName);
      if (!name) {
        nested.emitOpError("expected a 'varve.target'");
        return signalPassFailure();
      }
      auto target = TargetModel::lookup(name.getValue());
      if (!target) {
        nested.emitError() << llvm::toString(target.takeError());
        return signalPassFailure();
      }
      for (auto kernel : nested.getOps<KernelFuncOp>())
        if (failed(chooseStrategies(kernel, **target)))
          return signalPassFailure();
    }
  }
};

} // namespace
