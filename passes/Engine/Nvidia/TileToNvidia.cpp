//===- TileToNvidia.cpp - Lower tile functions to NVIDIA kernels ----------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_TILETONVIDIAPASS
#include "passes/Engine/Nvidia/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

struct TileToNvidia
    : public mlir::varve::impl::TileToNvidiaPassBase<TileToNvidia> {
  using TileToNvidiaPassBase::TileToNvidiaPassBase;

  void runOnOperation() override {
    llvm::Expected<const ::varve::TargetModel *> model =
        ::varve::TargetModel::lookup(target);
    if (!model) {
      getOperation().emitError() << llvm::toString(model.takeError());
      return signalPassFailure();
    }
    if (!(*model)->isGpu()) {
      getOperation().emitError()
          << "expected the target to be an NVIDIA GPU but got " << target;
      return signalPassFailure();
    }
    for (auto function : llvm::make_early_inc_range(
             getOperation().getOps<mlir::varve::tile::FuncOp>())) {
      FailureOr<LLVM::LLVMFuncOp> lowered =
          mlir::varve::nvidia::Lowering(function, **model).run();
      if (failed(lowered))
        return signalPassFailure();
      function.erase();
    }
  }
};

} // namespace
