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

static RowShape getRowShape(ArrayRef<Operation *> ops) {
  RowShape shape;
  for (Operation *op : ops) {
    shape.splits &= isa<EmbedOp, StreamExpandOp, StreamCollapseOp, StreamMixOp,
                        CombineOp, SwigluOp>(op);
    bool byHead =
        isa<RmsNormOp, RopeOp, HadamardOp, QuantizeOp, DequantizeOp, SwigluOp>(
            op);
    for (Type each : op->getOperandTypes()) {
      auto type = cast<RankedTensorType>(each);
      if (type.getRank() < 2 || type.hasStaticShape())
        continue;
      shape.width = std::max(shape.width, type.getShape().back());
      if (byHead && type.getRank() == 3) {
        shape.form = RowForm::Heads;
        shape.heads = type.getDimSize(1);
      }
    }
    for (Type each : op->getResultTypes())
      shape.width =
          std::max(shape.width, cast<RankedTensorType>(each).getShape().back());
  }
  return shape;
}

static SmallVector<Operation *> getOps(KernelFuncOp kernel) {
  SmallVector<Operation *> ops;
  for (Operation &op : kernel.getBody().front().without_terminator())
    ops.push_back(&op);
  return ops;
}

SmallVector<StrategyAttr>
RowsLowering::chooseStrategies(KernelFuncOp kernel,
                               const ::varve::TargetModel &target) const {
  RowShape shape = getRowShape(getOps(kernel));
  int64_t whole = roundUpToPowerOfTwo(shape.width);
  // Narrow windows give many blocks for a few tokens; on a CPU long rows are
  // what vectors and prefetchers like.
  int64_t columns =
      shape.splits && target.isGpu() ? std::min<int64_t>(whole, 512) : whole;
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

/// A value among the ops' with a row for each of theirs.
static Value getRowValue(KernelBuilder &builder, ArrayRef<Operation *> ops) {
  for (Operation *op : ops)
    for (Value operand : op->getOperands())
      if (builder.hasMemory(operand) &&
          cast<RankedTensorType>(operand.getType()).isDynamicDim(0))
        return operand;
  return {};
}

LogicalResult mlir::varve::lowerRows(KernelBuilder &builder,
                                     ArrayRef<Operation *> ops,
                                     StringRef suffix, int64_t rows,
                                     int64_t columns, int64_t warps) {
  auto isInside = [&](Operation *op) { return llvm::is_contained(ops, op); };
  for (Operation *op : ops)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            return !isInside(user) && !isa<YieldOp>(user);
          }))
        builder.materialize(result);

  RowShape shape = getRowShape(ops);
  TileKernel kernel(builder, suffix, warps);
  TileBuilder &b = kernel.b;
  Value counted = kernel.view(builder.getMemory(getRowValue(builder, ops)));
  RowWindow window;
  window.form = shape.form;
  window.heads = shape.heads;
  window.rows = rows;
  window.width = shape.width;
  window.columns = shape.splits ? columns : roundUpToPowerOfTwo(shape.width);
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
  for (Operation *op : ops) {
    if (failed(emitter.emit(op)))
      return failure();
    emitter.store(op);
  }
  kernel.launch();
  return success();
}

LogicalResult RowsLowering::lower(KernelBuilder &builder) const {
  StrategyAttr strategy = builder.getStrategy();
  return lowerRows(builder, getOps(builder.getKernel()), "", strategy.getRows(),
                   strategy.getColumns(), strategy.getWarps());
}

const KernelLowering &mlir::varve::getRowsLowering() {
  static const RowsLowering lowering;
  return lowering;
}
