//===- ExpertsLowering.cpp - Products with experts' weights ---------------===//
//
// For few tokens a block takes one (token, expert) and `columns` of the result.
// With `rows` above 1, pairs are sorted by expert first, and a block takes that
// many of one expert. Either adds `depth` at a time. With `stages` above 1 a
// role of its own copies codes of 4 bits that far ahead.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/ProgramKernel.h"
#include "passes/Lower/Programs/Experts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class ExpertsLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

/// The ops of a kernel.
struct ExpertsKernel {
  SmallVector<ExpertsOp, 2> products;
  SwigluOp swiglu;
  QuantizeOp quantize;
  ExpertsShape shape;
};

} // namespace

static FailureOr<ExpertsKernel> readKernel(KernelFuncOp kernel) {
  ExpertsKernel result;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (auto product = dyn_cast<ExpertsOp>(op))
      result.products.push_back(product);
    else if (auto swiglu = dyn_cast<SwigluOp>(op); swiglu && !result.swiglu)
      result.swiglu = swiglu;
    else if (auto quantize = dyn_cast<QuantizeOp>(op);
             quantize && !result.quantize)
      result.quantize = quantize;
    else
      return op.emitOpError("cannot be lowered behind experts");
  }
  bool isPair = result.products.size() == 2 && result.swiglu &&
                result.swiglu.getGate() == result.products[0].getResult() &&
                result.swiglu.getUp() == result.products[1].getResult();
  // The order of the two is the kernel's, not the activation's.
  if (result.products.size() == 2 && result.swiglu &&
      result.swiglu.getGate() == result.products[1].getResult() &&
      result.swiglu.getUp() == result.products[0].getResult()) {
    std::swap(result.products[0], result.products[1]);
    isPair = true;
  }
  if (!isPair && (result.products.size() != 1 || result.swiglu))
    return kernel.emitOpError("expected one 'varve.experts', or two and the "
                              "'varve.swiglu' of their results");
  result.shape = isPair ? ExpertsShape::of(result.products[0], result.swiglu)
                        : ExpertsShape::of(result.products[0]);
  if (result.quantize)
    result.shape.addQuantize(result.quantize);
  return result;
}

static StrategyAttr makeExpertsStrategy(MLIRContext *context, int64_t min,
                                        int64_t max, int64_t rows,
                                        int64_t columns, int64_t depth,
                                        int64_t warps = 4) {
  return StrategyAttr::get(context, min, max, rows, columns, depth, /*split=*/1,
                           /*stages=*/1, warps, Attribute());
}

/// Columns of a stage, at most.
static constexpr int64_t kStageColumns = 256;

/// How tiles of `rows` are multiplied as codes, if they are. With few rows
/// unpacking takes the time, and 8-bit numbers take the least of it; with many,
/// adding up sums of 32 columns would. Products of one stage are no loop, whose
/// registers and memory the sizes of shifted products are made for.
static std::optional<tile::Quads> keepCodes(const ExpertsShape &shape,
                                            int64_t rows) {
  if (!canKeepCodes(shape))
    return std::nullopt;
  if (rows <= 16)
    return tile::Quads::Words;
  return shape.hasShortSums && shape.K > kStageColumns
             ? std::optional(tile::Quads::Quarters)
             : std::nullopt;
}

/// Bytes of a stage of a block's ring.
static int64_t getStageBytes(const ExpertsShape &shape, int64_t rows,
                             int64_t columns, int64_t depth, int64_t parts) {
  int64_t codes = depth * shape.weight.getIntOrFloatBitWidth() / 8;
  // Numbers, or codes and their scales.
  int64_t row = keepCodes(shape, rows) ? depth + depth / 128 * 4 : depth * 2;
  return parts * columns * (codes + depth / shape.blockColumns) + rows * row;
}

static int64_t getParts(const ExpertsShape &shape, int64_t rows) {
  return shape.isGated || rows > 1 ? 2 : 1;
}

/// The rows of a tile that is not sorted: one, and the rest of an instruction.
static constexpr int64_t kLeastRows = 8;
/// Warps of programs that sort for streamed products: they do little but wait
/// for memory and each other.
static constexpr int64_t kSortingWarps = 4;
/// The rows of the largest tile of bf16 rows.
static constexpr int64_t kManyRows = 128;

/// Tiles have the rows that an expert gets on average, or somewhat more: what
/// of them is empty is multiplied, and what is left over reads the weights
/// again.
static SmallVector<StrategyAttr>
chooseStreams(const ExpertsShape &shape, const ::varve::TargetModel &target) {
  MLIRContext *context = shape.x.getContext();
  auto engine =
      tile::StrategyAttr::get(context, tile::DotKind::Auto,
                              /*in_flight=*/1,
                              /*blocks_per_multiprocessor=*/1,
                              /*staged_store=*/false, shape.hasShortSums);
  int64_t columns = std::max<int64_t>(128, shape.code ? shape.codeBlock : 0);
  auto make = [&](int64_t min, int64_t max, int64_t rows) {
    int64_t tile = std::max(rows, kLeastRows), depth = kStageColumns;
    // Rows as codes take half the room.
    if (tile > 32 && !keepCodes(shape, rows))
      depth = 128;
    depth = std::max(std::min(depth, getArrangedColumns(shape)),
                     shape.blockColumns);
    // Beside the ring there is the exchange of a tile of the result.
    int64_t room =
        static_cast<int64_t>(target.getLimits().sharedBytesPerBlock) - 4096 -
        columns * (std::min(tile, kExpertsStoredRows) + 8) * 2;
    int64_t stages = room / getStageBytes(shape, tile, columns, depth,
                                          getParts(shape, rows));
    return StrategyAttr::get(context, min, max, rows, columns, depth,
                             /*split=*/1, std::clamp<int64_t>(stages, 2, 8),
                             /*warps=*/8, engine);
  };
  // Shifted codes have sums of 128 products beside those of the tile, and codes
  // of two blocks: 112 rows fill the registers.
  bool areShifted = keepCodes(shape, kManyRows) == tile::Quads::Quarters;
  int64_t most = areShifted ? 112 : kManyRows;
  // Tokens for which an expert gets one on average.
  int64_t unit = std::max<int64_t>(8, shape.experts / shape.active);
  SmallVector<StrategyAttr> result = {make(1, unit / 8, 1),
                                      make(unit / 8 + 1, unit, 8),
                                      make(unit + 1, 6 * unit, 16)};
  if (areShifted) {
    // Smaller tiles beside these (`chooseFewerRows`), others for more tokens.
    llvm::append_values(result, make(6 * unit + 1, 36 * unit, 64),
                        make(36 * unit + 1, 72 * unit, most),
                        make(72 * unit + 1, 0, most));
  } else {
    llvm::append_values(result, make(6 * unit + 1, 26 * unit, 32),
                        make(26 * unit + 1, 36 * unit, 64),
                        make(36 * unit + 1, 0, most));
  }
  return result;
}

SmallVector<StrategyAttr>
ExpertsLowering::chooseStrategies(KernelFuncOp kernel,
                                  const ::varve::TargetModel &target) const {
  MLIRContext *context = kernel.getContext();
  // What cannot be lowered is reported then.
  if (FailureOr<ExpertsKernel> read = readKernel(kernel);
      succeeded(read) && target.supports(::varve::Feature::Wgmma) &&
      canStreamExperts(read->shape))
    return chooseStreams(read->shape, target);
  // Before sm_90 two products of 64 rows spill from eight warps, too.
  int64_t rows = target.supports(::varve::Feature::Wgmma) ? 64 : 32;
  // More warps: sorted pairs and two products fill the registers of four.
  if (target.isGpu())
    return {makeExpertsStrategy(context, 1, 16, 1, 64, 128),
            makeExpertsStrategy(context, 17, 0, rows, 64, 64, /*warps=*/8)};
  return {makeExpertsStrategy(context, 1, 8, 1, 32, 256),
          makeExpertsStrategy(context, 9, 0, 32, 64, 256)};
}

namespace {

/// Emits the launches of one kernel.
class ExpertsLaunches {
public:
  ExpertsLaunches(KernelBuilder &builder, const ExpertsKernel &kernel);
  LogicalResult emit();

private:
  LogicalResult addResults(SmallVectorImpl<Value> &operands);
  template <typename Build>
  void launch(StringRef suffix, ArrayRef<Value> operands, Build build,
              int64_t warps) {
    ProgramKernel program(builder, suffix, warps, operands);
    build(program.program, kernel.shape, strategy);
  }
  SmallVector<Value> sortPairs();
  SmallVector<Value> arrangeRows(ArrayRef<Value> inputs, Value order);

  KernelBuilder &builder;
  const ExpertsKernel &kernel;
  ExpertsOp first;
  ExpertsStrategy strategy;
  bool isStreamed;
  Value ids;
};

} // namespace

/// Those of the largest device: with fewer, blocks follow one another.
static int64_t getMultiprocessors(const ::varve::TargetModel &target) {
  int64_t most = 1;
  for (const ::varve::DeviceModel &device : target.getDevices())
    most = std::max<int64_t>(most, device.multiprocessors);
  return most;
}

/// Sizes of tiles with fewer than `rows`, of multiples of 16, in steps of at
/// least `tokens`: from what an expert gets on average. Each is code of its
/// own, and blocks that take many sizes in turn run out of the cache for it.
static SmallVector<int64_t> chooseFewerRows(const ExpertsShape &shape,
                                            int64_t rows, int64_t tokens) {
  constexpr size_t kMost = 3;
  SmallVector<int64_t> sizes;
  int64_t average = tokens * shape.active / shape.experts;
  for (int64_t size = llvm::alignTo(average + 1, 16);
       size < rows && sizes.size() < kMost; size += 16)
    sizes.push_back(size);
  return sizes;
}

ExpertsLaunches::ExpertsLaunches(KernelBuilder &builder,
                                 const ExpertsKernel &kernel)
    : builder(builder), kernel(kernel), first(kernel.products.front()) {
  StrategyAttr chosen = builder.getStrategy();
  strategy.rows = chosen.getRows();
  strategy.columns = chosen.getColumns();
  strategy.depth = chosen.getDepth();
  strategy.warps = chosen.getWarps();
  strategy.narrow = builder.getTarget().isGpu();
  strategy.laneBytes = builder.getTarget().isGpu() ? 16 : 0;
  strategy.isSorted = strategy.rows > 1;
  isStreamed = chosen.getStages() > 1;
  if (isStreamed) {
    strategy.stages = chosen.getStages();
    strategy.parts = getParts(kernel.shape, strategy.rows);
    strategy.blocks = getMultiprocessors(builder.getTarget());
    strategy.codes = keepCodes(kernel.shape, strategy.rows);
    strategy.rows = std::max(strategy.rows, kLeastRows);
    if (strategy.hasSortedRows())
      strategy.fewerRows =
          chooseFewerRows(kernel.shape, strategy.rows, chosen.getMin());
  }
  ids = joinRows(builder, builder.getMemory(first.getIds()), 1);
}

/// Where each expert's pairs are: `ends`, `tileEnds`, `tiles` for streamed
/// products, and `order`.
SmallVector<Value> ExpertsLaunches::sortPairs() {
  Type i32 = IntegerType::get(builder.getContext(), 32);
  // A chunk holds at least a token's pairs, so that there are no more chunks
  // than tokens.
  while (strategy.pairs < kernel.shape.active)
    strategy.pairs *= 2;
  plan::LinearAttr experts = builder.size(kernel.shape.experts);
  Value counts = builder.allocate({builder.getCount(), experts}, i32);
  Value ends = builder.allocate(experts, i32);
  Value tileEnds = builder.allocate(experts, i32);
  plan::LinearAttr pairs = builder.getCount().times(kernel.shape.active);
  Value order = builder.allocate(pairs, i32);
  SmallVector<Value> places = {ends, tileEnds};
  if (isStreamed)
    places.push_back(builder.allocate(pairs.plus(experts), i32));
  SmallVector<Value> operands = {ids, counts};
  llvm::append_range(operands, places);
  int64_t warps = isStreamed ? kSortingWarps : strategy.warps;
  launch("count", {ids, counts}, buildCountPairs, warps);
  launch("scan", operands, buildScanPairs, warps);
  launch("order", {ids, counts, order}, buildOrderPairs, warps);
  places.push_back(order);
  return places;
}

/// Rows, and their scales, as streamed products take them: made once for all
/// blocks.
SmallVector<Value> ExpertsLaunches::arrangeRows(ArrayRef<Value> inputs,
                                                Value order) {
  const ExpertsShape &shape = kernel.shape;
  ExpertsShape arranged = getArrangedShape(shape, strategy);
  plan::LinearAttr count =
      cast<plan::DeviceTensorType>(inputs[0].getType()).getShape()[0];
  int64_t columns = getArrangedColumns(shape);
  SmallVector<Value> operands(inputs);
  if (!strategy.hasSortedRows()) {
    SmallVector<Value> rows = {
        builder.allocate({count, builder.size(columns)}, arranged.x)};
    if (arranged.xScale)
      rows.push_back(builder.allocate(
          {count, builder.size(columns / arranged.xBlock)}, arranged.xScale));
    llvm::append_range(operands, rows);
    launch("arrange", operands, buildArrangeRows, strategy.warps);
    return rows;
  }
  Type i32 = IntegerType::get(builder.getContext(), 32);
  plan::LinearAttr pairs = builder.getCount().times(shape.active);
  Value rows = builder.allocate({pairs, builder.size(columns)}, arranged.x);
  int64_t groups = columns / arranged.xBlock;
  Value scales =
      builder.allocate({builder.size(groups), pairs}, arranged.xScale);
  operands[0] =
      builder.reinterpret(inputs[0], {count, builder.size(shape.K / 4)}, i32);
  operands.append(
      {order,
       builder.reinterpret(rows, {pairs, builder.size(columns / 4)}, i32),
       scales});
  launch("arrange", operands, buildSortRows, kSortingWarps);
  return {rows, builder.reshape(scales, pairs.times(groups))};
}

/// The memory of the results.
LogicalResult ExpertsLaunches::addResults(SmallVectorImpl<Value> &operands) {
  SmallVector<Value> results = {
      kernel.swiglu ? SwigluOp(kernel.swiglu).getResult() : first.getResult()};
  if (QuantizeOp quantize = kernel.quantize)
    results = {quantize.getCodes(), quantize.getScales()};
  for (Value result : results) {
    FailureOr<Value> memory = getResultMemory(builder, result);
    if (failed(memory))
      return failure();
    operands.push_back(joinRows(builder, *memory, 2));
  }
  for (Operation &op : builder.getOps())
    for (Value result : op.getResults())
      if (builder.isYielded(result) && !llvm::is_contained(results, result))
        return op.emitOpError("cannot be lowered with a result that is needed "
                              "outside of its kernel");
  return success();
}

LogicalResult ExpertsLaunches::emit() {
  const ExpertsShape &shape = kernel.shape;
  // Rows are pairs of a token and an expert: [T, A, n] is [T A, n].
  SmallVector<Value> operands = {
      joinRows(builder, builder.getMemory(first.getX()), 2)};
  if (first.getXScale())
    operands.push_back(
        joinRows(builder, builder.getMemory(first.getXScale()), 2));
  SmallVector<Value> rest;
  for (ExpertsOp product : kernel.products) {
    rest.push_back(builder.getMemory(product.getWeight()));
    if (product.getWeightScale())
      rest.push_back(builder.getMemory(product.getWeightScale()));
  }
  if (shape.isWeighted)
    rest.push_back(joinRows(
        builder, builder.getMemory(SwigluOp(kernel.swiglu).getWeights()), 1));
  if (failed(addResults(rest)))
    return failure();
  SmallVector<Value> places = {ids};
  if (strategy.isSorted)
    places = sortPairs();
  if (isStreamed)
    operands = arrangeRows(operands, places.back());
  llvm::append_range(operands, places);
  llvm::append_range(operands, rest);
  if (isStreamed) {
    ProgramKernel program(builder, "stream", strategy.warps + kExpertsLoadWarps,
                          operands);
    buildStreamedExperts(program.program, getArrangedShape(shape, strategy),
                         strategy);
  } else if (strategy.isSorted) {
    launch("grouped", operands, buildGroupedExperts, strategy.warps);
  } else {
    launch("", operands, buildExperts, strategy.warps);
  }
  return success();
}

LogicalResult ExpertsLowering::lower(KernelBuilder &builder) const {
  FailureOr<ExpertsKernel> kernel = readKernel(builder.getKernel());
  if (failed(kernel))
    return failure();
  ExpertsOp first = kernel->products.front();
  if (failed(verifyExperts(kernel->shape, [&] { return first.emitOpError(); })))
    return failure();
  return ExpertsLaunches(builder, *kernel).emit();
}

const KernelLowering &mlir::varve::getExpertsLowering() {
  static const ExpertsLowering lowering;
  return lowering;
}
