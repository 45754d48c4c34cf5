//===- IndexLowering.cpp - Scores of entries and their selection ----------===//
//
// A block takes `rows` tokens and scores `columns` entries at a time, of whose
// keys it reads at most `depth` columns in one piece. `split` blocks share a
// token's entries; a second launch then merges their selections.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/ProgramKernel.h"
#include "passes/Lower/Programs/IndexTopk.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class IndexLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

} // namespace

static StrategyAttr makeIndexStrategy(MLIRContext *context, int64_t min,
                                      int64_t max, int64_t rows, int64_t depth,
                                      int64_t split) {
  return StrategyAttr::get(context, min, max, rows, /*columns=*/64, depth,
                           split, /*stages=*/1, /*warps=*/4, Attribute());
}

SmallVector<StrategyAttr>
IndexLowering::chooseStrategies(KernelFuncOp kernel,
                                const ::varve::TargetModel &target) const {
  MLIRContext *context = kernel.getContext();
  if (!target.isGpu())
    return {makeIndexStrategy(context, 1, 3, 1, 1024, 1),
            makeIndexStrategy(context, 4, 0, 4, 1024, 1)};
  return {makeIndexStrategy(context, 1, 16, 1, 64, 16),
          makeIndexStrategy(context, 17, 64, 1, 64, 4),
          makeIndexStrategy(context, 65, 0, 2, 64, 1)};
}

/// Whether the lowering knows this form of a kernel. `score` is null where
/// scores are given.
static LogicalResult verifyForm(KernelBuilder &builder, IndexScoreOp score,
                                IndexTopkOp topk) {
  auto fail = [&] {
    return builder.getKernel().emitOpError(
        "expected one 'varve.index_score' whose only user in the kernel is one "
        "'varve.index_topk', or that alone");
  };
  if (!topk || (score && topk.getScores() != score.getScores()) ||
      llvm::range_size(builder.getOps()) != (score ? 2 : 1))
    return fail();
  bool isStored = !score || !score.getScores().hasOneUse();
  auto type = cast<RankedTensorType>(topk.getScores().getType());
  if (isStored && type.isDynamicDim(1))
    return builder.getKernel().emitOpError(
        "expected scores that are stored to have a static number of columns");
  return success();
}

/// What a program reads, in the order of its arguments.
static SmallVector<Value> getInputs(KernelBuilder &builder, IndexScoreOp score,
                                    IndexTopkOp topk) {
  if (!score)
    return {builder.getMemory(topk.getScores())};
  SmallVector<Value> inputs = {builder.getMemory(score.getQ())};
  if (score.getQScale())
    inputs.push_back(builder.getMemory(score.getQScale()));
  llvm::append_values(inputs, builder.getMemory(score.getWeights()),
                      builder.getMemory(score.getPositions()),
                      builder.getMemory(score.getSlots()));
  llvm::append_range(inputs, getPoolMemory(builder, score.getKeysAttr()));
  inputs.push_back(builder.getStepInput(StepInput::PageTable));
  return inputs;
}

LogicalResult IndexLowering::lower(KernelBuilder &builder) const {
  auto score = builder.getOnly<IndexScoreOp>();
  auto topk = builder.getOnly<IndexTopkOp>();
  if (failed(verifyForm(builder, score, topk)))
    return failure();
  IndexShape shape = IndexShape::of(score, topk);
  StrategyAttr chosen = builder.getStrategy();
  bool isGpu = builder.getTarget().isGpu();
  IndexStrategy strategy;
  strategy.tokens = chosen.getRows();
  strategy.entries = chosen.getColumns();
  strategy.columns = chosen.getDepth();
  strategy.splits = chosen.getSplit();
  strategy.warps = chosen.getWarps();
  strategy.headStep = isGpu ? 8 : 1;
  strategy.narrow = isGpu;
  if (failed(verifyIndex(shape, [&] { return score.emitOpError(); })))
    return failure();
  FailureOr<Value> indices = getResultMemory(builder, topk.getIndices());
  if (failed(indices))
    return failure();

  SmallVector<Value> operands = getInputs(builder, score, topk);
  if (shape.stored == IndexShape::Stored::Result) {
    FailureOr<Value> scores = getResultMemory(builder, score.getScores());
    if (failed(scores))
      return failure();
    operands.push_back(*scores);
    ProgramKernel kernel(builder, "fill", strategy.warps, *scores);
    fillScores(kernel.program, shape);
  }
  if (strategy.splits == 1) {
    operands.push_back(*indices);
    ProgramKernel kernel(builder, "", strategy.warps, operands);
    buildIndexTopk(kernel.program, shape, strategy);
    return success();
  }
  MLIRContext *context = builder.getContext();
  SmallVector<plan::LinearAttr> sizes = {builder.getCount(),
                                         builder.size(strategy.splits),
                                         builder.size(strategy.getKept(shape))};
  SmallVector<Value> parts = {
      builder.allocate(sizes, Float32Type::get(context)),
      builder.allocate(sizes, IntegerType::get(context, 32))};
  llvm::append_range(operands, parts);
  {
    ProgramKernel kernel(builder, "split", strategy.warps, operands);
    buildIndexTopk(kernel.program, shape, strategy);
  }
  parts.push_back(*indices);
  // Few blocks, which hold many entries.
  constexpr int64_t kMergeWarps = 16;
  ProgramKernel kernel(builder, "merge", kMergeWarps, parts);
  mergeIndices(kernel.program, shape, strategy);
  return success();
}

const KernelLowering &mlir::varve::getIndexLowering() {
  static const IndexLowering lowering;
  return lowering;
}
