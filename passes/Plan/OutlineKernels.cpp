//===- OutlineKernels.cpp - Give every kernel a module of its own ---------===//

#include "dialects/Tile/Tile.h"
#include "passes/Plan/MemoryRange.h"
#include "passes/Plan/Passes.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::varve {
#define GEN_PASS_DEF_PLANOUTLINEKERNELSPASS
#include "passes/Plan/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

/// The arguments that `func` writes.
static SmallVector<int64_t> getWrites(tile::FuncOp func) {
  SmallVector<int64_t> writes;
  for (auto [index, access] : llvm::enumerate(plan::getAccesses(func)))
    if (access.writes)
      writes.push_back(index);
  return writes;
}

/// Moves `func` into a kernel in its place.
static void outline(tile::FuncOp func) {
  OpBuilder builder(func);
  auto kernel = plan::KernelOp::create(
      builder, func.getLoc(), func.getSymNameAttr(),
      TypeAttr::get(func.getFunctionType()), func.getGridAttr(),
      func.getSizesAttr(), /*threads=*/builder.getI64IntegerAttr(0),
      /*shared_bytes=*/builder.getI64IntegerAttr(0),
      /*blocks_per_multiprocessor=*/builder.getI64IntegerAttr(0),
      /*scratch_bytes=*/builder.getI64IntegerAttr(0),
      /*tensor_maps=*/ArrayAttr(),
      builder.getDenseI64ArrayAttr(getWrites(func)),
      /*dependent_launch=*/UnitAttr());
  builder.createBlock(&kernel.getBody());
  auto module = ModuleOp::create(builder, func.getLoc());
  func->moveBefore(module.getBody(), module.getBody()->end());
  func.setPublic();
}

namespace {
struct PlanOutlineKernels
    : public varve::impl::PlanOutlineKernelsPassBase<PlanOutlineKernels> {
  void runOnOperation() override {
    llvm::DenseSet<StringAttr> launched;
    getOperation().walk([&](plan::LaunchOp launch) {
      launched.insert(launch.getKernelAttr().getAttr());
    });
    for (auto func :
         llvm::make_early_inc_range(getOperation().getOps<tile::FuncOp>())) {
      if (launched.contains(func.getSymNameAttr()))
        outline(func);
      else
        func.erase();
    }
  }
};
} // namespace
