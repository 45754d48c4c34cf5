//===- AttentionLowering.cpp - Attention and what follows its heads -------===//
//
// A block takes one token and `rows` heads, and reads tiles of `columns` keys,
// at most `depth` of their columns in one piece. `split` blocks share a token's
// keys; a second launch then combines what they found.
//
// Rotations of the result are done by the blocks that have it, where their rows
// are the heads of one key head; otherwise by a launch of its own.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/ProgramKernel.h"
#include "passes/Lower/Programs/Attention.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class AttentionLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

/// The kernel being lowered.
struct Attention {
  KernelBuilder &builder;
  SparseAttentionOp op;
  AttentionShape shape;
  AttentionStrategy strategy;
  bool hasFollowers;
  /// Whether what follows is a launch of its own.
  bool readsResult = false;

  SmallVector<Value> getInputs();
  void emitFollowers(TileKernel &kernel, RowWindow window, Value tile);
  LogicalResult follow(TileKernel &kernel, RowWindow window, Value tile);
};

} // namespace

static StrategyAttr makeAttentionStrategy(MLIRContext *context, int64_t min,
                                          int64_t max, int64_t rows,
                                          int64_t columns, int64_t depth,
                                          int64_t split, int64_t warps = 4) {
  return StrategyAttr::get(context, min, max, rows, columns, depth, split,
                           /*stages=*/1, warps, Attribute());
}

SmallVector<StrategyAttr>
AttentionLowering::chooseStrategies(KernelFuncOp kernel,
                                    const ::varve::TargetModel &target) const {
  MLIRContext *context = kernel.getContext();
  auto ops = kernel.getBody().front().getOps<SparseAttentionOp>();
  if (ops.empty())
    return {makeAttentionStrategy(context, 1, 0, 16, 64, 64, 1)};
  AttentionShape shape = AttentionShape::of(*ops.begin());
  int64_t headsPerKey = shape.heads / shape.kvHeads;
  int64_t keys = shape.block ? shape.block : 64;
  if (!shape.block && target.isGpu()) {
    // A tile of keys is an operand of two products, each of which may keep it
    // in shared memory.
    int64_t keyBytes = 2 * std::max(shape.size, shape.valueSize) *
                       shape.query.getIntOrFloatBitWidth() / 8;
    while (keys > 16 &&
           keys * keyBytes >
               static_cast<int64_t>(target.getLimits().sharedBytesPerBlock))
      keys /= 2;
  }
  if (!target.isGpu()) {
    // All heads that share a key, so that it is read once.
    int64_t rows = std::min<int64_t>(headsPerKey, 64);
    while (headsPerKey % rows != 0)
      --rows;
    return {makeAttentionStrategy(context, 1, 0, rows, keys, 1024, 1)};
  }
  // Sums over all columns of the values and what follows them spill from four
  // warps' registers before sm_90.
  int64_t warps = target.supports(::varve::Feature::Wgmma) ? 4 : 8;
  return {makeAttentionStrategy(context, 1, 8, 16, keys, 64, 16, warps),
          makeAttentionStrategy(context, 9, 32, 16, keys, 64, 4, warps),
          makeAttentionStrategy(context, 33, 0, 16, keys, 64, 1, warps)};
}

SmallVector<Value> Attention::getInputs() {
  SmallVector<Value> inputs = {builder.getMemory(op.getQ()),
                               builder.getMemory(op.getPositions()),
                               builder.getMemory(op.getSlots()),
                               builder.getStepInput(StepInput::Starts)};
  if (op.getIndices())
    inputs.push_back(builder.getMemory(op.getIndices()));
  if (op.getSink())
    inputs.push_back(builder.getMemory(op.getSink()));
  auto add = [&](FlatSymbolRefAttr pool) {
    if (pool)
      llvm::append_range(inputs, getPoolMemory(builder, pool));
  };
  add(op.getWindowAttr());
  add(op.getWindowValuesAttr());
  if (op.getWindowAttr())
    inputs.push_back(getStagingRow(builder, op.getWindowAttr()));
  add(op.getEntriesAttr());
  add(op.getEntryValuesAttr());
  if (op.getEntriesAttr())
    inputs.push_back(builder.getStepInput(StepInput::PageTable));
  return inputs;
}

/// Emits the ops behind the attention on rows of heads, and the stores.
LogicalResult Attention::follow(TileKernel &kernel, RowWindow window,
                                Value tile) {
  window.form = RowForm::Heads;
  window.heads = shape.heads;
  window.width = window.columns = shape.valueSize;
  RowEmitter emitter(kernel, window);
  emitter.setWide(op.getResult(), {tile});
  for (Operation &each : builder.getOps()) {
    if (&each != op && failed(emitter.emit(&each)))
      return failure();
    // Where these rows were read from memory, they are there already.
    if (&each != op ||
        (!readsResult && (hasFollowers || builder.isYielded(op.getResult()))))
      emitter.store(&each);
  }
  return success();
}

LogicalResult AttentionLowering::lower(KernelBuilder &builder) const {
  auto op = builder.getOnly<SparseAttentionOp>();
  if (!op)
    return builder.getKernel().emitOpError(
        "expected one 'varve.sparse_attention'");
  StrategyAttr chosen = builder.getStrategy();
  Attention attention = {builder, op, AttentionShape::of(op), {}, false};
  const AttentionShape &shape = attention.shape;
  AttentionStrategy &strategy = attention.strategy;
  strategy.headRows = chosen.getRows();
  strategy.keys = chosen.getColumns();
  strategy.columns = chosen.getDepth();
  strategy.splits = chosen.getSplit();
  strategy.warps = chosen.getWarps();
  strategy.narrow = builder.getTarget().isGpu();
  if (failed(verifyAttention(shape, [&] { return op.emitOpError(); })))
    return failure();
  attention.hasFollowers = llvm::range_size(builder.getOps()) > 1;

  // What the last launch does with a block's tile.
  bool isAligned = shape.heads / shape.kvHeads % strategy.headRows == 0;
  LogicalResult status = success();
  auto makeFollower = [&](TileKernel &kernel) {
    return [&](Value tile, Value token, Value firstHead) {
      TileBuilder &b = kernel.b;
      RowWindow window;
      window.rows = strategy.headRows;
      window.firstRow = b.add(b.mul(token, shape.heads), firstHead);
      status = attention.follow(kernel, window, tile);
    };
  };
  FailureOr<Value> result = Value();
  if (!isAligned) {
    result = getResultMemory(builder, op.getResult());
    if (failed(result))
      return failure();
  }
  auto build = [&](StringRef suffix, SmallVector<Value> operands, auto write) {
    if (!isAligned && write.second)
      operands.push_back(*result);
    ProgramKernel kernel(builder, suffix, strategy.warps, operands);
    auto follower = makeFollower(kernel.kernel);
    write.first(kernel.program, isAligned && write.second
                                    ? AttentionFollower(follower)
                                    : AttentionFollower());
  };

  SmallVector<Value> inputs = attention.getInputs();
  auto attend = [&](TileProgram &p, AttentionFollower follower) {
    buildAttention(p, shape, strategy, follower);
  };
  if (strategy.splits == 1) {
    build("", inputs, std::pair(attend, true));
  } else {
    auto *context = builder.getContext();
    Type f32 = Float32Type::get(context);
    SmallVector<plan::LinearAttr> sizes = {builder.getCount(),
                                           builder.size(strategy.splits),
                                           builder.size(shape.heads)};
    SmallVector<Value> parts = {builder.allocate(sizes, f32),
                                builder.allocate(sizes, f32)};
    if (shape.probabilities) {
      Value before = builder.allocate(sizes, f32);
      inputs.push_back(before);
      ProgramKernel kernel(builder, "maxima", strategy.warps, inputs);
      buildAttentionMaxima(kernel.program, shape, strategy);
    }
    sizes.push_back(builder.size(shape.valueSize));
    parts.push_back(builder.allocate(sizes, f32));
    llvm::append_range(inputs, parts);
    build("split", inputs, std::pair(attend, false));
    if (op.getSink())
      parts.push_back(builder.getMemory(op.getSink()));
    auto combine = [&](TileProgram &p, AttentionFollower follower) {
      combineAttention(p, shape, strategy, follower);
    };
    build("combine", parts, std::pair(combine, true));
  }
  if (failed(status) || isAligned || !attention.hasFollowers)
    return status;

  attention.readsResult = true;
  TileKernel kernel(builder, "follow", strategy.warps);
  Value rows = kernel.view(joinRows(builder, *result, 2));
  RowWindow window;
  window.rows = 8;
  window.firstRow = kernel.b.mul(kernel.b.programId(0), window.rows);
  Value tile = kernel.b.load(rows, {window.firstRow, kernel.b.index(0)},
                             {window.rows, shape.valueSize});
  kernel.setGrid(kernel.size(rows, 0).ceilDiv(window.rows));
  if (failed(attention.follow(kernel, window, tile)))
    return failure();
  kernel.launch();
  return success();
}

const KernelLowering &mlir::varve::getAttentionLowering() {
  static const AttentionLowering lowering;
  return lowering;
}
