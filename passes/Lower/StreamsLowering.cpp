//===- StreamsLowering.cpp - Mixing coefficients and what follows ---------===//
//
// Two launches. The first multiplies the flattened streams of `rows` tokens
// with the projection, `split` blocks sharing the sum, `depth` channels at a
// time, and leaves partial sums. The second adds them in order, makes the
// coefficients of one token, and does all that follows on its rows. Sums carry
// the errors of their additions along.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/RowEmitter.h"
#include <tuple>

using namespace mlir;
using namespace mlir::varve;

namespace {

class StreamsLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

/// Partial sums that the launches hand on, by split, token and coefficient;
/// the sum of squares is the last column.
struct Partials {
  Value memory;
  int64_t splits = 1;
  int64_t coefficients = 0;
  int64_t columns = 0;
};

} // namespace

static StrategyAttr makeStreamStrategy(MLIRContext *context, int64_t min,
                                       int64_t max, int64_t rows, int64_t split,
                                       int64_t depth, int64_t warps) {
  return StrategyAttr::get(context, min, max, rows, /*columns=*/1, depth, split,
                           /*stages=*/1, warps, Attribute());
}

/// Whether the streams are about to end: only what they are collapsed by is
/// wanted.
static bool isHead(StreamProjectOp op) { return !op.getPost(); }

SmallVector<StrategyAttr>
StreamsLowering::chooseStrategies(KernelFuncOp kernel,
                                  const ::varve::TargetModel &target) const {
  MLIRContext *context = kernel.getContext();
  if (!target.isGpu())
    return {makeStreamStrategy(context, 1, 4, 1, 2, 64, 4),
            makeStreamStrategy(context, 5, 0, 16, 1, 64, 4)};
  // Two products at a time need the registers of one twice as large.
  auto projects = kernel.getBody().front().getOps<StreamProjectOp>();
  if (!projects.empty() && isHead(*projects.begin()))
    return {makeStreamStrategy(context, 1, 64, 16, 32, 64, 4),
            makeStreamStrategy(context, 65, 0, 16, 4, 64, 4)};
  return {makeStreamStrategy(context, 1, 64, 16, 32, 128, 4),
          makeStreamStrategy(context, 65, 0, 32, 4, 64, 4)};
}

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Adds a term to a sum and what the sum's roundings have dropped so far. The
/// streams round to few bits after the coefficients are applied; coefficients
/// that depend on an order of additions would move some of those roundings, and
/// with them codes and choices of the layer.
static std::pair<Value, Value> addCompensated(TileBuilder &b, Value sum,
                                              Value rest, Value term) {
  Value next = b.addf(sum, term);
  Value added = b.subf(next, sum);
  Value error = b.addf(b.subf(sum, b.subf(next, added)), b.subf(term, added));
  return {next, b.addf(rest, error)};
}

/// The first launch.
static void lowerProject(KernelBuilder &builder, StreamProjectOp op,
                         const Partials &partials) {
  StrategyAttr strategy = builder.getStrategy();
  int64_t rows = strategy.getRows(), depth = strategy.getDepth();
  TileKernel kernel(builder, "project", strategy.getWarps());
  TileBuilder &b = kernel.b;
  b.setLoc(op.getLoc());
  Value x = kernel.view(builder.flatten(builder.getMemory(op.getStreams())));
  Value fn = kernel.view(builder.getMemory(op.getFn()));
  Value sums = kernel.view(partials.memory);
  int64_t K = typeOf(op.getFn()).getDimSize(1);
  int64_t chunk =
      llvm::divideCeil(llvm::divideCeil(K, partials.splits), depth) * depth;
  kernel.setGrid(
      {kernel.size(x, 0).ceilDiv(rows), kernel.constant(partials.splits)});

  Value row = b.mul(b.programId(0), rows);
  Value split = b.programId(1);
  Value begin = b.mul(split, chunk);
  Value end = arith::MinUIOp::create(b, b.add(begin, chunk), b.index(K));
  Type f32 = b.getF32Type();
  Value zero = b.zeros({rows, partials.columns}, f32);
  Value zeroSquare = b.zeros({rows}, f32);
  SmallVector<Value> initial = {zero, zero, zeroSquare, zeroSquare};
  // Products of 16-bit streams with the upper half of a weight are exact in
  // f32, and so, nearly, are their sums; the lower half is 256 times smaller.
  // Where the matrix product costs little beside the others, it is worth doing
  // twice: on CPUs, and in front of the head, which has few rows.
  bool isSplit = (!builder.getTarget().isGpu() || isHead(op)) &&
                 typeOf(op.getStreams()).getElementTypeBitWidth() == 16;
  auto loop = scf::ForOp::create(b, begin, end, b.index(depth), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value k = loop.getInductionVar();
    Value u = b.toF32(b.load(x, {row, k}, {rows, depth}));
    Value w = b.toF32(b.load(fn, {b.index(0), k}, {partials.columns, depth}));
    auto multiply = [&](Value weights) -> Value {
      return tile::DotOp::create(b, u, weights, zero, /*a_scale=*/Value(),
                                 /*b_scale=*/Value(), /*a_transposed=*/false,
                                 /*b_transposed=*/true, tile::QuadsAttr());
    };
    Value low;
    if (isSplit) {
      Value high = b.roundTrip(w, b.getBF16Type());
      low = multiply(b.subf(w, high));
      w = high;
    }
    auto [sum, rest] = addCompensated(b, loop.getRegionIterArg(0),
                                      loop.getRegionIterArg(1), multiply(w));
    if (low)
      rest = b.addf(rest, low);
    Value squares = b.reduce(tile::ReduceKind::Sum, b.mulf(u, u), 1);
    auto [squareSum, squareRest] = addCompensated(
        b, loop.getRegionIterArg(2), loop.getRegionIterArg(3), squares);
    scf::YieldOp::create(b, ValueRange{sum, rest, squareSum, squareRest});
  }
  Value products = b.addf(loop.getResult(0), loop.getResult(1));
  Value square = b.acrossColumns(b.addf(loop.getResult(2), loop.getResult(3)),
                                 partials.columns);
  Value column = b.iota({rows, partials.columns}, 1);
  Value isLast = b.compare(arith::CmpIPredicate::eq, column,
                           b.likeInt(column, partials.columns - 1));
  b.store(b.select(isLast, square, products), sums, {split, row, b.index(0)},
          /*dims=*/{1, 2});
  kernel.launch();
}

/// A vector of the coefficients' columns, [columns]: entry i is weight[i], or
/// weight[kind of i] where there is one weight for each kind.
static Value getCoefficientWeight(RowEmitter &emitter, Value weight,
                                  int64_t columns) {
  Value view =
      emitter.kernel.view(emitter.kernel.getKernel().getMemory(weight));
  return emitter.b.toF32(emitter.b.load(view, {emitter.b.index(0)}, {columns}));
}

/// Sets pre, post and logits from the partial sums.
static void emitCoefficients(RowEmitter &emitter, StreamProjectOp op,
                             const Partials &partials) {
  TileBuilder &b = emitter.b;
  int64_t rows = emitter.window.rows, columns = partials.columns;
  int64_t n = typeOf(op.getStreams()).getDimSize(1);
  int64_t K = typeOf(op.getFn()).getDimSize(1);
  Value sums = emitter.kernel.view(partials.memory);
  Value M, rest = b.zeros({rows, columns}, b.getF32Type());
  for (int64_t split = 0; split < partials.splits; ++split) {
    Value part =
        b.load(sums, {b.index(split), emitter.window.firstRow, b.index(0)},
               {rows, columns}, /*dims=*/{1, 2});
    if (M)
      std::tie(M, rest) = addCompensated(b, M, rest, part);
    else
      M = part;
  }
  if (partials.splits > 1)
    M = b.addf(M, rest);
  Value mean =
      b.divf(b.column(M, columns - 1), b.constant({rows}, b.getF32Type(), K));
  auto normEps = static_cast<float>(op.getNormEps().convertToDouble());
  Value g = b.rsqrt(b.addf(mean, normEps));
  M = b.mulf(M, b.acrossColumns(g, columns));

  // scale[0] for the first n, scale[1] for the next n, scale[2] for the rest.
  SmallVector<int64_t> shape = {rows, columns};
  Value column = b.iota(shape, 1);
  auto isBelow = [&](int64_t limit) {
    return b.compare(arith::CmpIPredicate::slt, column,
                     b.likeInt(column, limit));
  };
  Value scaleView =
      emitter.kernel.view(emitter.kernel.getKernel().getMemory(op.getScale()));
  auto scale = [&](int64_t kind) {
    Value one = tile::LoadScalarOp::create(b, scaleView, b.index(kind));
    return b.splat(b.toF32(one), shape);
  };
  Value factor = scale(0);
  if (op.getPost())
    factor = b.select(isBelow(n), factor,
                      b.select(isBelow(2 * n), scale(1), scale(2)));
  Value base = getCoefficientWeight(emitter, op.getBase(), columns);
  Value z = b.addf(b.mulf(M, factor), b.acrossRows(base, rows));
  auto eps = static_cast<float>(op.getEps().convertToDouble());
  Value sigmoid = b.sigmoid(z);
  Value result = b.addf(sigmoid, eps);
  if (op.getPost())
    result = b.select(isBelow(n), result,
                      b.select(isBelow(2 * n), b.mulf(sigmoid, 2.0), z));

  auto set = [&](Value value, int64_t first, int64_t count) {
    SmallVector<Value> parts;
    for (int64_t i = 0; i < count; ++i)
      parts.push_back(b.column(result, first + i));
    emitter.setNarrow(value, parts);
  };
  set(op.getPre(), 0, n);
  if (op.getPost()) {
    set(op.getPost(), n, n);
    set(op.getLogits(), 2 * n, n * n);
  }
}

LogicalResult StreamsLowering::lower(KernelBuilder &builder) const {
  auto project = builder.getOnly<StreamProjectOp>();
  if (!project)
    return builder.getKernel().emitOpError(
        "expected one 'varve.stream_project'");
  StrategyAttr strategy = builder.getStrategy();
  Partials partials;
  partials.splits = strategy.getSplit();
  partials.coefficients = typeOf(project.getFn()).getDimSize(0);
  partials.columns = roundUpToPowerOfTwo(partials.coefficients + 1);
  partials.memory =
      builder.allocate({builder.size(partials.splits), builder.getCount(),
                        builder.size(partials.columns)},
                       Float32Type::get(builder.getContext()));
  lowerProject(builder, project, partials);

  RowWindow window;
  window.rows = 1;
  window.width = typeOf(project.getStreams()).getDimSize(2);
  window.columns = roundUpToPowerOfTwo(window.width);
  int64_t warps = 4;
  while (warps < 16 && window.columns > warps * 512)
    warps *= 2;
  TileKernel kernel(builder, "mix", warps);
  window.firstRow = kernel.b.programId(0);
  kernel.setGrid(
      {kernel.size(kernel.view(builder.getMemory(project.getStreams())), 0)});
  RowEmitter emitter(kernel, window);
  // CPUs sum so anyway; the head, behind which nothing averages roundings out,
  // does on GPUs as well.
  emitter.sumsWithCare = builder.getTarget().isGpu() && isHead(project);
  for (Operation &op : builder.getOps()) {
    if (&op == project)
      emitCoefficients(emitter, project, partials);
    else if (failed(emitter.emit(&op)))
      return failure();
    emitter.store(&op);
  }
  kernel.launch();
  return success();
}

const KernelLowering &mlir::varve::getStreamsLowering() {
  static const StreamsLowering lowering;
  return lowering;
}
