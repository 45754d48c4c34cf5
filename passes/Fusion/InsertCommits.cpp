//===- InsertCommits.cpp - When rows are kept for later steps -------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "passes/Fusion/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_INSERTCOMMITSPASS
#include "passes/Fusion/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

/// "layers.0.attn.window.append" is committed by "….append.commit".
static Location getCommitLoc(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return NameLoc::get(
        StringAttr::get(op->getContext(), name.getName().str() + ".commit"),
        name.getChildLoc());
  return op->getLoc();
}

namespace {

struct InsertCommitsPass
    : varve::impl::InsertCommitsPassBase<InsertCommitsPass> {
  void runOnOperation() override {
    bool failed = false;
    getOperation().walk([&](PoolUserOpInterface user) {
      SmallVector<FlatSymbolRefAttr> pools;
      user.getReadPools(pools);
      for (FlatSymbolRefAttr pool : pools)
        readers[pool].push_back(user);
    });
    getOperation().walk([&](AppendOp append) {
      PoolOp pool = lookupPool(append, append.getPoolAttr());
      if (pool && pool.getKind() == PoolKind::Window)
        failed |= mlir::failed(commitWindow(append));
    });
    getOperation().walk([&](CompressOp compress) {
      OpBuilder builder(compress);
      builder.setInsertionPointAfter(compress);
      CommitOp::create(
          builder, getCommitLoc(compress), compress.getStateAttr(),
          ValueRange{compress.getKv(), compress.getGate(), compress.getBias()},
          compress.getPositions(), compress.getSlots());
    });
    if (failed)
      signalPassFailure();
  }

private:
  LogicalResult commitWindow(AppendOp append) {
    Operation *last = append;
    for (Operation *reader : readers[append.getPoolAttr()]) {
      if (reader->getBlock() != append->getBlock()) {
        InFlightDiagnostic diagnostic = append.emitOpError()
                                        << "expected the readers of "
                                        << append.getPoolAttr()
                                        << " in the function of its append";
        diagnostic.attachNote(reader->getLoc()) << "this one is elsewhere";
        return failure();
      }
      if (last->isBeforeInBlock(reader))
        last = reader;
    }
    OpBuilder builder(last);
    builder.setInsertionPointAfter(last);
    CommitOp::create(builder, getCommitLoc(append), append.getPoolAttr(),
                     ValueRange(), append.getPositions(), append.getSlots());
    return success();
  }

  DenseMap<Attribute, SmallVector<Operation *>> readers;
};

} // namespace
