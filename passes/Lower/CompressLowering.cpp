//===- CompressLowering.cpp - Compressors and commits ---------------------===//
//
// Compressors: a block takes one token and reads `rows` tokens of its window at
// a time; with followers it has all channels, else `columns` of them. What
// follows (norm, rotation, storage of the entry) is done on the block's row.
//
// Commits: a block takes `rows` tokens and, of states, `columns` columns.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/ProgramKernel.h"
#include "passes/Lower/Programs/Append.h"
#include "passes/Lower/Programs/Compress.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class CompressLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

class CommitLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override {
    return {makeStrategy(kernel.getContext(), 8, 256, 4)};
  }
  LogicalResult lower(KernelBuilder &builder) const override;
};

} // namespace

SmallVector<StrategyAttr>
CompressLowering::chooseStrategies(KernelFuncOp kernel,
                                   const ::varve::TargetModel &target) const {
  auto ops = kernel.getBody().front().getOps<CompressOp>();
  int64_t channels = 128;
  if (!ops.empty())
    channels = cast<RankedTensorType>((*ops.begin()).getEntries().getType())
                   .getDimSize(1);
  // Values and scores of a piece stay in registers.
  int64_t elements = target.isGpu() ? 2048 : 8192;
  int64_t rows = std::clamp<int64_t>(elements / channels, 1, 16);
  return {makeStrategy(kernel.getContext(), llvm::bit_floor<uint64_t>(rows),
                       channels, 4)};
}

LogicalResult CompressLowering::lower(KernelBuilder &builder) const {
  auto op = builder.getOnly<CompressOp>();
  if (!op)
    return builder.getKernel().emitOpError("expected one 'varve.compress'");
  CompressShape shape = CompressShape::of(op);
  CompressStrategy strategy;
  strategy.tokens = builder.getStrategy().getRows();
  strategy.channels = builder.getStrategy().getColumns();
  strategy.warps = builder.getStrategy().getWarps();
  SmallVector<Value> operands = {builder.getMemory(op.getKv()),
                                 builder.getMemory(op.getGate()),
                                 builder.getMemory(op.getBias()),
                                 builder.getMemory(op.getPositions()),
                                 builder.getMemory(op.getSlots()),
                                 builder.getStepInput(StepInput::Starts)};
  llvm::append_range(operands, getPoolMemory(builder, op.getStateAttr()));

  ProgramKernel kernel(builder, "", strategy.warps, operands);
  LogicalResult status = success();
  auto follow = [&](Value token, Value entry, Value start, Value slot) {
    RowWindow window;
    window.rows = 1;
    window.firstRow = token;
    window.width = window.columns = shape.channels;
    RowEmitter emitter(kernel.kernel, window);
    emitter.setWide(op.getEntries(), {entry});
    emitter.setNarrow(op.getStarts(), {start});
    emitter.setNarrow(op.getEntrySlots(), {slot});
    for (Operation &each : builder.getOps()) {
      if (&each != op && failed(emitter.emit(&each))) {
        status = failure();
        return;
      }
      emitter.store(&each);
    }
  };
  bool onlyEntries = builder.getKernel().getResultTypes().empty();
  buildCompress(kernel.program, shape, strategy, follow, onlyEntries);
  return status;
}

LogicalResult CommitLowering::lower(KernelBuilder &builder) const {
  StrategyAttr chosen = builder.getStrategy();
  for (Operation &each : builder.getOps()) {
    auto op = dyn_cast<CommitOp>(each);
    if (!op)
      return each.emitOpError("cannot be lowered among commits");
    PoolOp pool = builder.lookupPool(op.getPoolAttr());
    Value positions = builder.getMemory(op.getPositions());
    Value slots = builder.getMemory(op.getSlots());
    Value ends = builder.getStepInput(StepInput::Ends);
    if (pool.getKind() == PoolKind::Window) {
      AppendStrategy strategy = {chosen.getRows(), chosen.getWarps()};
      ProgramKernel kernel(builder, "", strategy.warps,
                           {positions, slots, ends,
                            getRawPoolMemory(builder, op.getPoolAttr()),
                            getStagingRow(builder, op.getPoolAttr())});
      buildCommitWindow(kernel.program, PoolShape::of(pool), strategy);
      continue;
    }
    auto bias = cast<RankedTensorType>(op.getValues()[2].getType());
    // The width is that of both halves, whatever they are for.
    CompressShape shape;
    shape.ratio = bias.getDimSize(0);
    shape.channels = bias.getDimSize(1);
    shape.bias = bias.getElementType();
    shape.stateRows = *pool.getSize();
    CompressStrategy strategy;
    strategy.tokens = chosen.getRows();
    strategy.channels = chosen.getColumns();
    strategy.warps = chosen.getWarps();
    SmallVector<Value> operands = llvm::map_to_vector(
        op.getValues(), [&](Value value) { return builder.getMemory(value); });
    llvm::append_values(operands, positions, slots, ends);
    llvm::append_range(operands, getPoolMemory(builder, op.getPoolAttr()));
    ProgramKernel kernel(builder, "", strategy.warps, operands);
    buildCommitState(kernel.program, shape, strategy);
  }
  return success();
}

const KernelLowering &mlir::varve::getCompressLowering() {
  static const CompressLowering lowering;
  return lowering;
}

const KernelLowering &mlir::varve::getCommitLowering() {
  static const CommitLowering lowering;
  return lowering;
}
