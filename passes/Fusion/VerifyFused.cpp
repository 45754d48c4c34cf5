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
    DenseMap<std::pair<Operation *, Attribute>, unsigned> commits;
    auto keyOf = [](Operation *op, FlatSymbolRefAttr pool) {
      Operation *function = op->getParentOfType<func::FuncOp>();
      return std::pair<Operation *, Attribute>(function, pool);
    };
    getOperation().walk([&](CommitOp commit) {
      ++commits[keyOf(commit, commit.getPoolAttr())];
    });
    auto expectCommit = [&](Operation *op, FlatSymbolRefAttr pool) {
      unsigned count = commits.lookup(keyOf(op, pool));
      if (count == 1)
        return;
      op->emitOpError() << "expected one 'varve.commit' of " << pool
                        << " (F2) but got " << count;
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
