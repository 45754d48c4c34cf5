//===- RowsLowering.cpp - Kernels of ops that treat rows one by one -------===//
//
// A block takes `rows` rows (tokens, or heads of tokens) and `columns` columns
// of them: all where an op looks at whole rows.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

/// What the rows of a kernel are.
struct RowShape {
  RowForm form = RowForm::Tokens;
  int64_t heads = 1;
  int64_t width = 1;
  /// Whether columns are independent.
  bool splits = true;
};

class RowsLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

} // namespace

static RowShape getRowShape(KernelFuncOp kernel) {
  RowShape shape;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    shape.splits &= isa<EmbedOp, StreamExpandOp, StreamCollapseOp, StreamMixOp,
                        CombineOp, SwigluOp>(op);
    bool byHead = isa<RmsNormOp, RopeOp, HadamardOp, QuantizeOp, DequantizeOp,
                      SwigluOp>(op);
    for (Type each : op.getOperandTypes()) {
      auto type = cast<RankedTensorType>(each);
      if (type.getRank() < 2 || type.hasStaticShape())
        continue;
      shape.width = std::max(shape.width, type.getShape().back());
      if (byHead && type.getRank() == 3) {
        shape.form = RowForm::Heads;
        shape.heads = type.getDimSize(1);
      }
    }
    for (Type each : op.getResultTypes())
      shape.width = std::max(shape.width,
                             cast<RankedTensorType>(each).getShape().back());
  }
  return shape;
}

SmallVector<StrategyAttr>
RowsLowering::chooseStrategies(KernelFuncOp kernel,
                               const ::varve::TargetModel &target) const {
  RowShape shape = getRowShape(kernel);
  int64_t whole = roundUpToPowerOfTwo(shape.width);
  // Narrow windows give many blocks for a few tokens; on a CPU long rows are
  // what vectors and prefetchers like.
  int64_t columns = shape.splits && target.isGpu()
                        ? std::min<int64_t>(whole, 512)
                        : whole;
  // About 16 elements a lane.
  int64_t elements = target.isGpu() ? 2048 : 8192;
  int64_t rows = std::max<int64_t>(1, elements / columns);
  if (shape.splits)
    rows = std::min<int64_t>(rows, 4);
  rows = std::min<int64_t>(rows, 32);
  int64_t warps = 4;
  while (warps < 16 && rows * columns > warps * 32 * 32)
    warps *= 2;
  return {makeStrategy(kernel.getContext(), rows, columns, warps)};
}

/// A value with a row for each of the kernel's.
static Value getRowValue(KernelBuilder &builder) {
  auto hasRows = [](Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    return type.isDynamicDim(0);
  };
  for (Value result : builder.getKernel().getYield()->getOperands())
    if (hasRows(result))
      return result;
  for (Value argument : builder.getKernel().getArguments())
    if (hasRows(argument))
      return argument;
  return {};
}

LogicalResult RowsLowering::lower(KernelBuilder &builder) const {
  StrategyAttr strategy = builder.getStrategy();
  RowShape shape = getRowShape(builder.getKernel());
  TileKernel kernel(builder, "", strategy.getWarps());
  TileBuilder &b = kernel.b;
  Value counted = kernel.view(builder.getMemory(getRowValue(builder)));

  RowWindow window;
  window.form = shape.form;
  window.heads = shape.heads;
  window.rows = strategy.getRows();
  window.width = shape.width;
  window.columns =
      shape.splits ? strategy.getColumns() : roundUpToPowerOfTwo(shape.width);
  window.firstRow = b.mul(b.programId(0), window.rows);
  SmallVector<AffineExpr> grid = {
      (kernel.size(counted, 0) * window.heads).ceilDiv(window.rows)};
  if (window.columns < shape.width) {
    window.firstColumn = b.mul(b.programId(1), window.columns);
    grid.push_back(
        kernel.constant(llvm::divideCeil(shape.width, window.columns)));
  }
  kernel.setGrid(grid);

  RowEmitter emitter(kernel, window);
  for (Operation &op : builder.getOps()) {
    if (failed(emitter.emit(&op)))
      return failure();
    emitter.store(&op);
  }
  kernel.launch();
  return success();
}

const KernelLowering &mlir::varve::getRowsLowering() {
  static const RowsLowering lowering;
  return lowering;
}
