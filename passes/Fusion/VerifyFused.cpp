//===- VerifyFused.cpp - What the phases behind the fuse phase rely on ----===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Fusion/KernelGroups.h"
#include "passes/Fusion/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYFUSEDPASS
#include "passes/Fusion/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

struct VerifyFusedPass : varve::impl::VerifyFusedPassBase<VerifyFusedPass> {
  void runOnOperation() override {
    bool failed = false;
    DenseMap<Attribute, unsigned> commits;
    getOperation().walk(
        [&](CommitOp commit) { ++commits[commit.getPoolAttr()]; });
    auto expectCommit = [&](Operation *op, FlatSymbolRefAttr pool) {
      if (commits.lookup(pool) == 1)
        return;
      op->emitOpError() << "expected one 'varve.commit' of " << pool
                        << " (F2) but got " << commits.lookup(pool);
      failed = true;
    };
    getOperation().walk([&](Operation *op) {
      if (isComputeOp(op) && !isa<KernelOp>(op->getParentOp())) {
        op->emitOpError("expected compute ops in a 'varve.kernel' (F1)");
        failed = true;
      }
      if (auto compress = dyn_cast<CompressOp>(op))
        expectCommit(op, compress.getStateAttr());
      auto append = dyn_cast<AppendOp>(op);
      PoolOp pool =
          append ? lookupPool(append, append.getPoolAttr()) : PoolOp();
      if (pool && pool.getKind() == PoolKind::Window)
        expectCommit(op, append.getPoolAttr());
    });
    if (failed)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
