//===- SplitTargets.cpp - One module per target ---------------------------===//

#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/Builders.h"
#include "passes/Schedule/Passes.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::varve {
#define GEN_PASS_DEF_SPLITTARGETSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;

namespace {

struct SplitTargetsPass
    : mlir::varve::impl::SplitTargetsPassBase<SplitTargetsPass> {
  using SplitTargetsPassBase::SplitTargetsPassBase;

  void runOnOperation() override {
    if (failed(check()))
      return signalPassFailure();
    ModuleOp module = getOperation();
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    SmallVector<Operation *> contents;
    for (Operation &op : *module.getBody())
      contents.push_back(&op);
    for (const std::string &target : targets) {
      auto nested = ModuleOp::create(builder, module.getLoc(), target);
      nested->setAttr(mlir::varve::kTargetAttrName,
                      builder.getStringAttr(target));
      OpBuilder inner = OpBuilder::atBlockEnd(nested.getBody());
      for (Operation *op : contents)
        inner.clone(*op);
    }
    for (Operation *op : contents)
      op->erase();
  }

private:
  LogicalResult check() {
    if (targets.empty())
      return getOperation().emitError("expected a target to compile for");
    llvm::StringSet<> seen;
    for (const std::string &target : targets) {
      if (auto model = ::varve::TargetModel::lookup(target); !model)
        return getOperation().emitError() << llvm::toString(model.takeError());
      if (!seen.insert(target).second)
        return getOperation().emitError()
               << "expected different targets but got " << target << " twice";
    }
    return success();
  }
};

} // namespace
