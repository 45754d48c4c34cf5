//===- VerifyTargets.cpp - What the binary phase relies on ----------------===//

#include "dialects/Tile/Tile.h"
#include "passes/Engine/Passes.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYTARGETSPASS
#include "passes/Engine/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

// L3
static LogicalResult verifyKernel(plan::KernelOp kernel) {
  ModuleOp module = kernel.getModule();
  if (!SymbolTable::lookupSymbolIn(module, kernel.getSymName()))
    return kernel.emitOpError()
           << "expected a function of the same name inside (L3)";
  WalkResult result = module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!isa_and_present<tile::TileDialect>(op->getDialect()))
      return WalkResult::advance();
    op->emitOpError() << "expected no op of the tile dialect (L3)";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

// L2
static LogicalResult verifyFunction(plan::FuncOp func) {
  if (!func.isPublic())
    return func.emitOpError() << "expected public functions only (L2)";
  WalkResult result = func.walk([&](Operation *op) {
    if (isa<plan::CallOp>(op))
      op->emitOpError() << "expected no calls (L2)";
    else if (auto alloc = dyn_cast<plan::AllocOp>(op);
             alloc && !alloc.getStorage())
      op->emitOpError() << "expected a storage (L2)";
    else
      return WalkResult::advance();
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static LogicalResult verifyTarget(ModuleOp module, bool compiled) {
  if (failed(getTargetOf(module)))
    return failure();
  for (Operation &op : *module.getBody()) {
    if (auto kernel = dyn_cast<plan::KernelOp>(op)) {
      if (compiled)
        return kernel.emitOpError() << "expected compiled kernels (L4)";
      if (failed(verifyKernel(kernel)))
        return failure();
    } else if (auto func = dyn_cast<plan::FuncOp>(op)) {
      if (failed(verifyFunction(func)))
        return failure();
    } else if (!isa<plan::PoolOp, plan::BinaryOp>(op)) {
      return op.emitOpError()
             << "expected pools, functions and kernels of a plan only (L2)";
    }
  }
  return success();
}

namespace {
struct VerifyTargets
    : public mlir::varve::impl::VerifyTargetsPassBase<VerifyTargets> {
  using VerifyTargetsPassBase::VerifyTargetsPassBase;

  void runOnOperation() override {
    llvm::StringSet<> names;
    for (auto module : getOperation().getOps<ModuleOp>()) {
      if (failed(verifyTarget(module, compiled)))
        return signalPassFailure();
      auto name = module->getAttrOfType<StringAttr>(kTargetAttrName);
      if (!name || !names.insert(name).second) {
        module.emitError() << "expected one module per target (L1)";
        return signalPassFailure();
      }
    }
    if (names.empty()) {
      getOperation().emitError() << "expected a module per target (L1)";
      signalPassFailure();
    }
  }
};
} // namespace
