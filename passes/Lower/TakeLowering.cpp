//===- TakeLowering.cpp - Chosen rows -------------------------------------===//
//
// A block copies `columns` columns of `rows` rows.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class TakeLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &) const override {
    return {makeStrategy(kernel.getContext(), /*rows=*/1, /*columns=*/1024,
                         /*warps=*/4)};
  }
  LogicalResult lower(KernelBuilder &builder) const override;
};

} // namespace

LogicalResult TakeLowering::lower(KernelBuilder &builder) const {
  auto take = builder.getOnly<TakeOp>();
  if (!take)
    return builder.getKernel().emitOpError("expected one 'varve.take'");
  StrategyAttr strategy = builder.getStrategy();
  TileKernel kernel(builder, "", strategy.getWarps());
  TileBuilder &b = kernel.b;
  Value source = kernel.view(builder.flatten(builder.getMemory(take.getX())));
  Value target =
      kernel.view(builder.flatten(builder.getMemory(take.getResult())));
  Value numbers = kernel.view(builder.getMemory(take.getRows()));
  int64_t width = cast<tile::ViewType>(target.getType()).getRank() == 1
                      ? 0
                      : cast<tile::ViewType>(target.getType()).getShape()[1];
  int64_t rows = strategy.getRows(), columns = strategy.getColumns();
  Value first = b.mul(b.programId(0), rows);
  Value which = b.load(numbers, {first}, {rows});
  if (width == 0) {
    b.store(b.gather(source, which, 0), target, {first});
    kernel.setGrid({kernel.size(numbers, 0).ceilDiv(rows)});
  } else {
    Value column = b.mul(b.programId(1), columns);
    b.store(b.gather(source, which, columns, column), target, {first, column});
    kernel.setGrid({kernel.size(numbers, 0).ceilDiv(rows),
                    kernel.constant(llvm::divideCeil(width, columns))});
  }
  kernel.launch();
  return success();
}

const KernelLowering &mlir::varve::getTakeLowering() {
  static const TakeLowering lowering;
  return lowering;
}
