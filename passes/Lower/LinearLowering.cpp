//===- LinearLowering.cpp - Products with weights -------------------------===//
//
// A block makes `rows` x `columns` of the result, adding `depth` at a time, and
// does on its tile what follows the product: the gate of two products, the
// quantisation of blocks that lie within the tile. With `stages` above 1 a role
// of its own fetches operands that far ahead.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lower/KernelLowering.h"
#include "passes/Lower/MatrixProduct.h"
#include "passes/Lower/RowEmitter.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

/// A product of the kernel. Matrices are seen by group: x [T, G, K], weight
/// [G, N, K], result [T, G, N], without the dimension of the groups where there
/// is one only.
struct Product {
  Operation *op;
  Value x, xScale, weight, weightScale;
  ProductFormat format;
  int64_t groups = 1;
  /// Of one group.
  int64_t N = 0, K = 0;
};

/// The kernel's products, one or two with the same x.
struct LinearKernel {
  SmallVector<Product, 2> products;
  /// Elements along N that what follows needs together.
  int64_t columnUnit = 1;
};

class LinearLowering final : public KernelLowering {
public:
  SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const override;
  LogicalResult lower(KernelBuilder &builder) const override;
};

} // namespace

//===----------------------------------------------------------------------===//
// Reading the kernel
//===----------------------------------------------------------------------===//

template <typename OpT> static Product readProduct(OpT op, int64_t groups) {
  Product product;
  product.op = op;
  product.x = op.getX();
  product.xScale = op.getXScale();
  product.weight = op.getWeight();
  product.weightScale = op.getWeightScale();
  product.format = ProductFormat::of(op);
  product.groups = groups;
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(op.getWeight().getType()).getShape();
  product.N = shape[0] / groups;
  product.K = shape[1];
  return product;
}

static LinearKernel readKernel(KernelFuncOp kernel) {
  LinearKernel result;
  for (Operation &op : kernel.getBody().front().without_terminator())
    llvm::TypeSwitch<Operation *>(&op)
        .Case(
            [&](LinearOp op) { result.products.push_back(readProduct(op, 1)); })
        .Case([&](GroupedLinearOp op) {
          result.products.push_back(
              readProduct(op, static_cast<int64_t>(op.getGroups())));
        })
        .Case([&](QuantizeOp op) {
          result.columnUnit = static_cast<int64_t>(op.getBlock());
        });
  return result;
}

/// The columns nearest to `wanted` that what follows allows: whole blocks, and
/// whole tiles in a group.
static int64_t fitColumns(const LinearKernel &kernel, int64_t wanted) {
  int64_t columns = llvm::alignTo(wanted, kernel.columnUnit);
  const Product &first = kernel.products.front();
  if (first.groups > 1 && first.N % columns != 0) {
    // A tile must not reach into the next group.
    columns = kernel.columnUnit;
    while (columns * 2 <= wanted && first.N % (columns * 2) == 0)
      columns *= 2;
    if (first.N % columns != 0)
      columns = first.N;
  }
  return columns;
}

//===----------------------------------------------------------------------===//
// Strategies
//===----------------------------------------------------------------------===//

SmallVector<StrategyAttr>
LinearLowering::chooseStrategies(KernelFuncOp function,
                                 const ::varve::TargetModel &target) const {
  MLIRContext *context = function.getContext();
  LinearKernel kernel = readKernel(function);
  const Product &first = kernel.products.front();
  int64_t unit = first.format.getDepthUnit();
  int64_t widest = roundUpToPowerOfTwo(first.K);
  auto make = [&](int64_t min, int64_t max, int64_t rows, int64_t columns,
                  int64_t depth, int64_t stages, int64_t warps,
                  Attribute engine = {}) {
    depth = llvm::alignTo(std::min(depth, widest), unit);
    return StrategyAttr::get(context, min, max, rows,
                             fitColumns(kernel, columns), depth, /*split=*/1,
                             stages, warps, engine);
  };
  if (!target.isGpu())
    return {make(1, 1, 1, 32, 512, 1, 4), make(2, 16, 16, 32, 256, 1, 4),
            make(17, 0, 64, 64, 256, 1, 4)};
  bool isPair = kernel.products.size() > 1;
  int64_t bits = first.format.weightType.getIntOrFloatBitWidth();
  bool isWide = bits == 32 || !first.format.isDirect();
  // What follows a product may need more columns than its size calls for; then
  // more warps hold the tiles, and steps along K are short.
  int64_t narrow = fitColumns(kernel, 16), wide = fitColumns(kernel, 64);
  bool isLarge = wide * static_cast<int64_t>(kernel.products.size()) > 64;
  // A few tokens: one matrix instruction high, and as many blocks as there are
  // columns for, since the weight's bytes are what takes time.
  StrategyAttr few =
      make(1, 16, 16, first.N >= 8192 ? 32 : 16,
           isWide || narrow >= 64 ? 128 : 256, 1, narrow >= 64 ? 8 : 4);
  StrategyAttr some = make(17, 64, isPair ? 32 : 64, 64, isWide ? 64 : 128, 1,
                           isLarge || bits == 8 ? 8 : 4);
  if (isWide)
    return {few, some, make(65, 0, 64, 64, 64, 1, isLarge ? 8 : 4)};
  auto engine = tile::StrategyAttr::get(context, tile::DotKind::Auto,
                                        /*in_flight=*/1,
                                        /*blocks_per_multiprocessor=*/1,
                                        /*staged_store=*/false);
  int64_t rows = isPair ? (wide > 64 ? 32 : 64) : 128;
  int64_t columns = fitColumns(kernel, isPair ? 64 : 128);
  int64_t depth = bits == 8 ? 128 : 64;
  // As many stages as shared memory has room for, beside the exchange of scales
  // and, where something follows the product, of the whole tile.
  int64_t stageBytes =
      (rows * first.format.xType.getIntOrFloatBitWidth() +
       columns * bits * static_cast<int64_t>(kernel.products.size())) *
      depth / 8;
  bool isFollowed = isPair || kernel.columnUnit > 1;
  int64_t room = static_cast<int64_t>(target.getLimits().sharedBytesPerBlock) -
                 2560 - (isFollowed ? rows * columns * 4 : 0);
  int64_t stages = std::clamp<int64_t>(room / stageBytes, 1, 4);
  return {few, some, make(65, 0, rows, columns, depth, stages, 8, engine)};
}

//===----------------------------------------------------------------------===//
// The tile function
//===----------------------------------------------------------------------===//

namespace {

class LinearEmitter {
public:
  LinearEmitter(KernelBuilder &builder, const LinearKernel &source)
      : builder(builder), source(source), strategy(builder.getStrategy()),
        isPipelined(strategy.getStages() > 1),
        kernel(builder, getSuffix(),
               strategy.getWarps() + (isPipelined ? kLoadWarps : 0)),
        b(kernel.b), rows(strategy.getRows()), columns(strategy.getColumns()),
        depth(strategy.getDepth()) {}

  LogicalResult run();

private:
  static constexpr int64_t kLoadWarps = 4;

  /// Views of a product's memory by group.
  struct Views {
    Value x, xScale, weight, weightScale;
  };

  std::string getSuffix() {
    if (builder.getKernel().getStrategies()->size() == 1)
      return "";
    return "t" + std::to_string(strategy.getMin());
  }
  LogicalResult check();
  Value viewByGroup(Value memory, int64_t groups);
  Views getViews(const Product &product);
  SmallVector<Value> inGroup(Value first, Value second, bool groupFirst);
  Value loadX(const Product &product, const Views &views, Value k);
  Value loadXScale(const Product &product, const Views &views, Value k);
  Value loadWeightScale(const Product &product, const Views &views, Value k);
  SmallVector<Value> emitLoop(ArrayRef<Views> views);
  SmallVector<Value> emitPipeline(ArrayRef<Views> views);
  SmallVector<Value> multiplyAll(ArrayRef<Views> views, Value k,
                                 ArrayRef<Value> operands, ValueRange sums);
  LogicalResult emitEpilogue(ArrayRef<Value> sums);

  KernelBuilder &builder;
  const LinearKernel &source;
  StrategyAttr strategy;
  bool isPipelined;
  TileKernel kernel;
  TileBuilder &b;
  int64_t rows, columns, depth;
  /// First row, first column in the group, and the group.
  Value row, column, group;
};

} // namespace

LogicalResult LinearEmitter::check() {
  const Product &first = source.products.front();
  auto fail = [&]() {
    return builder.getKernel().emitOpError()
           << "cannot be lowered by " << strategy << ": ";
  };
  if (depth % first.format.getDepthUnit() != 0)
    return fail() << "depth must be a multiple of "
                  << first.format.getDepthUnit()
                  << ", the columns that share scales";
  if (columns % source.columnUnit != 0)
    return fail() << "columns must be a multiple of " << source.columnUnit
                  << ", the block of the quantisation that follows";
  if (first.groups > 1 && first.N % columns != 0)
    return fail() << "columns must divide the " << first.N
                  << " columns of a group";
  return success();
}

/// [T, G K] as [T, G, K], [G N, K] as [G, N, K].
Value LinearEmitter::viewByGroup(Value memory, int64_t groups) {
  memory = builder.flatten(memory);
  if (groups == 1)
    return kernel.view(memory);
  auto type = cast<plan::DeviceTensorType>(memory.getType());
  plan::LinearAttr first = type.getShape()[0], second = type.getShape()[1];
  if (first.isConstant())
    return kernel.view(builder.reshape(
        memory, {builder.size(groups),
                 builder.size(first.getConstant() / groups), second}));
  return kernel.view(
      builder.reshape(memory, {first, builder.size(groups),
                               builder.size(second.getConstant() / groups)}));
}

LinearEmitter::Views LinearEmitter::getViews(const Product &product) {
  Views views;
  views.x = viewByGroup(builder.getMemory(product.x), product.groups);
  views.weight = viewByGroup(builder.getMemory(product.weight), product.groups);
  if (product.xScale)
    views.xScale =
        viewByGroup(builder.getMemory(product.xScale), product.groups);
  // Blocks of rows may straddle groups, so scales are not seen by group.
  if (product.weightScale)
    views.weightScale = kernel.view(builder.getMemory(product.weightScale));
  return views;
}

/// Offsets into a view by group.
SmallVector<Value> LinearEmitter::inGroup(Value first, Value second,
                                          bool groupFirst) {
  if (!group)
    return {first, second};
  if (groupFirst)
    return {group, first, second};
  return {first, group, second};
}

Value LinearEmitter::loadX(const Product &product, const Views &views,
                           Value k) {
  SmallVector<int64_t> dims;
  if (group)
    dims = {0, 2};
  return b.load(views.x, inGroup(row, k, false), {rows, depth}, dims);
}

Value LinearEmitter::loadXScale(const Product &product, const Views &views,
                                Value k) {
  if (!views.xScale)
    return {};
  SmallVector<int64_t> dims;
  if (group)
    dims = {0, 2};
  int64_t block = product.format.xBlock;
  return b.load(views.xScale, inGroup(row, b.div(k, block), false),
                {rows, depth / block}, dims);
}

Value LinearEmitter::loadWeightScale(const Product &product, const Views &views,
                                     Value k) {
  if (!views.weightScale)
    return {};
  Value first = column;
  if (group)
    first = b.add(first, b.mul(group, product.N));
  bool aligned = product.N % columns == 0 || product.groups == 1;
  return loadWeightScales(b, product.format, views.weightScale, first, k,
                          columns, depth, aligned);
}

/// One step of all products: `operands` are x and then each weight, tiles or
/// buffers.
SmallVector<Value> LinearEmitter::multiplyAll(ArrayRef<Views> views, Value k,
                                              ArrayRef<Value> operands,
                                              ValueRange sums) {
  const Product &first = source.products.front();
  ProductOperand x{operands[0], loadXScale(first, views[0], k)};
  SmallVector<Value> results;
  for (auto [i, product] : llvm::enumerate(source.products)) {
    ProductOperand weight{operands[1 + i],
                          loadWeightScale(product, views[i], k)};
    results.push_back(multiply(b, product.format, x, weight, sums[i]));
  }
  return results;
}

SmallVector<Value> LinearEmitter::emitLoop(ArrayRef<Views> views) {
  const Product &first = source.products.front();
  SmallVector<Value> zeros(source.products.size(),
                           b.zeros({rows, columns}, b.getF32Type()));
  auto loop = scf::ForOp::create(b, b.index(0), b.index(first.K),
                                 b.index(depth), zeros);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value k = loop.getInductionVar();
  SmallVector<Value> operands = {loadX(first, views[0], k)};
  for (auto [i, product] : llvm::enumerate(source.products))
    operands.push_back(
        b.load(views[i].weight, inGroup(column, k, true), {columns, depth}));
  scf::YieldOp::create(
      b, multiplyAll(views, k, operands, loop.getRegionIterArgs()));
  return SmallVector<Value>(loop.getResults());
}

/// The swizzle of a buffer whose rows have `depth` elements.
static tile::BufferType makeBuffer(int64_t rows, int64_t depth, Type element) {
  int64_t bytes = depth * element.getIntOrFloatBitWidth() / 8;
  for (int64_t swizzle : {128, 64, 32})
    if (bytes % swizzle == 0)
      return tile::BufferType::get(
          {rows, depth}, element,
          tile::SharedLayoutAttr::get(element.getContext(), swizzle));
  return tile::BufferType::get({rows, depth}, element);
}

SmallVector<Value> LinearEmitter::emitPipeline(ArrayRef<Views> views) {
  const Product &first = source.products.front();
  MLIRContext *context = b.getContext();
  SmallVector<tile::BufferType> buffers = {
      makeBuffer(rows, depth, first.format.xType)};
  for (const Product &product : source.products)
    buffers.push_back(makeBuffer(columns, depth, product.format.weightType));
  // Indices and zeros are made outside: every role needs them.
  Value zero = b.index(0), end = b.index(first.K), step = b.index(depth);
  SmallVector<Value> zeros(source.products.size(),
                           b.zeros({rows, columns}, b.getF32Type()));
  auto pipeline = tile::PipelineOp::create(
      b, b.getArrayAttr(
             {tile::RoleAttr::get(context, "load", kLoadWarps, 40),
              tile::RoleAttr::get(context, "math", strategy.getWarps(), 0)}));
  b.setInsertionPointToStart(&pipeline.getBody().emplaceBlock());
  Value ring = tile::RingOp::create(
      b, tile::RingType::get(context, strategy.getStages(), buffers));
  auto loop = scf::ForOp::create(b, zero, end, step, zeros);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value k = loop.getInductionVar();
    auto load = tile::OnOp::create(b, TypeRange(), "load");
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(&load.getBody().emplaceBlock());
      auto stage = tile::AcquireOp::create(b, ring);
      DenseI64ArrayAttr dims =
          group ? b.getDenseI64ArrayAttr({0, 2}) : DenseI64ArrayAttr();
      tile::CopyOp::create(b, views[0].x, inGroup(row, k, false),
                           stage.getBuffers()[0], dims,
                           tile::CacheHint::Normal);
      for (size_t i = 0; i < source.products.size(); ++i)
        tile::CopyOp::create(b, views[i].weight, inGroup(column, k, true),
                             stage.getBuffers()[1 + i], DenseI64ArrayAttr(),
                             tile::CacheHint::Normal);
      tile::CommitOp::create(b, ring, stage.getSlot());
      tile::YieldOp::create(b, ValueRange());
    }
    auto math = tile::OnOp::create(b, ValueRange(zeros).getTypes(), "math");
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(&math.getBody().emplaceBlock());
      auto stage = tile::ReceiveOp::create(b, ring);
      SmallVector<Value> operands(stage.getBuffers());
      SmallVector<Value> sums =
          multiplyAll(views, k, operands, loop.getRegionIterArgs());
      tile::ReleaseOp::create(b, ring, stage.getSlot());
      tile::YieldOp::create(b, sums);
    }
    scf::YieldOp::create(b, math.getResults());
  }
  auto end2 = tile::OnOp::create(b, TypeRange(), "math");
  Block *body = &end2.getBody().emplaceBlock();
  b.setInsertionPointToStart(body);
  return SmallVector<Value>(loop.getResults());
}

LogicalResult LinearEmitter::emitEpilogue(ArrayRef<Value> sums) {
  const Product &first = source.products.front();
  RowWindow window;
  window.form = RowForm::Flat;
  window.rows = rows;
  window.firstRow = row;
  window.width = first.N * first.groups;
  window.columns = columns;
  window.firstColumn = group ? b.add(column, b.mul(group, first.N)) : column;
  RowEmitter emitter(kernel, window);
  for (auto [product, sum] : llvm::zip_equal(source.products, sums))
    emitter.setRounded(product.op->getResult(0), sum);
  for (Operation &op : builder.getOps()) {
    if (!emitter.has(op.getResult(0)) && failed(emitter.emit(&op)))
      return failure();
    emitter.store(&op);
  }
  return success();
}

LogicalResult LinearEmitter::run() {
  if (failed(check()))
    return failure();
  const Product &first = source.products.front();
  SmallVector<Views> views;
  for (const Product &product : source.products)
    views.push_back(getViews(product));
  int64_t tiles = llvm::divideCeil(first.N, columns);
  kernel.setGrid({kernel.constant(tiles * first.groups),
                  kernel.size(views[0].x, 0).ceilDiv(rows)});
  Value place = b.programId(0);
  if (first.groups > 1) {
    group = b.div(place, tiles);
    place = b.rem(place, tiles);
  }
  column = b.mul(place, columns);
  row = b.mul(b.programId(1), rows);
  if (!isPipelined) {
    if (failed(emitEpilogue(emitLoop(views))))
      return failure();
  } else {
    SmallVector<Value> sums = emitPipeline(views);
    if (failed(emitEpilogue(sums)))
      return failure();
    tile::YieldOp::create(b, ValueRange());
  }
  kernel.launch();
  return success();
}

LogicalResult LinearLowering::lower(KernelBuilder &builder) const {
  LinearKernel kernel = readKernel(builder.getKernel());
  return LinearEmitter(builder, kernel).run();
}

const KernelLowering &mlir::varve::getLinearLowering() {
  static const LinearLowering lowering;
  return lowering;
}
