//===- TileToX86.cpp - Lower tile functions to loops over vectors ---------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Engine/X86/Lowering.h"
#include "passes/Engine/X86/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_TILETOX86PASS
#include "passes/Engine/X86/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

struct TileToX86 : public varve::impl::TileToX86PassBase<TileToX86> {
  using TileToX86PassBase::TileToX86PassBase;

  void runOnOperation() override {
    if (vectorBits != 256 && vectorBits != 512) {
      getOperation().emitError()
          << "expected vector-bits to be 256 or 512 but got "
          << vectorBits.getValue();
      return signalPassFailure();
    }
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<tile::FuncOp>())) {
      FailureOr<func::FuncOp> lowered =
          x86::Lowering(function, vectorBits).run();
      if (failed(lowered))
        return signalPassFailure();
      function.erase();
    }
  }
};

} // namespace
