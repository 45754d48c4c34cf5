//===- LinearLowering.cpp - Products with weights -------------------------===//
//
// A block makes `rows` x `columns` of the result, adding `depth` at a time, and
// does on its tile what follows the product: the gate of two products, the
// quantisation of blocks that lie within the tile. With `stages` above 1 a role
// of its own fetches operands that far ahead, and the scales of x with them.
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
  bool hasShortSums = false;
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
  product.hasShortSums = op.getShortSums();
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
  // Products of f32 numbers are no matter of matrix instructions.
  bool isF32 = bits == 32 || first.format.xType.isF32();
  bool isWide = isF32 || !first.format.isDirect();
  // What follows a product may need more columns than its size calls for; then
  // more warps hold the tiles, and steps along K are short.
  int64_t narrow = fitColumns(kernel, 32), wide = fitColumns(kernel, 64);
  bool isLarge = wide * static_cast<int64_t>(kernel.products.size()) > 64;
  bool isFollowed = isPair || kernel.columnUnit > 1;
  auto getEngine = [&](int64_t inFlight) {
    return tile::StrategyAttr::get(context, tile::DotKind::Auto, inFlight,
                                   /*blocks_per_multiprocessor=*/1,
                                   /*staged_store=*/false, first.hasShortSums);
  };
  // As many stages, of `most`, as `room` bytes of shared memory hold beside the
  // exchange of scales and of converted weights and, where something follows
  // the product, of the tile.
  auto fitStages = [&](int64_t rows, int64_t columns, int64_t depth,
                       int64_t room, int64_t most) {
    int64_t xBits = first.format.xType.getIntOrFloatBitWidth();
    int64_t weights = columns * static_cast<int64_t>(kernel.products.size());
    // Buffers of a ring begin at multiples of 1024 bytes; the last are scales.
    int64_t stage = llvm::alignTo(rows * xBits * depth / 8, 1024) +
                    llvm::alignTo(weights * bits * depth / 8, 1024) +
                    llvm::alignTo(rows * 4, 1024);
    room -= 2560 + (isFollowed ? rows * columns * 4 : 0);
    if (!first.format.isDirect())
      room -= weights * depth * xBits / 8;
    return std::clamp<int64_t>(room / stage, 1, most);
  };
  const ::varve::TargetLimits &limits = target.getLimits();
  auto perBlock = static_cast<int64_t>(limits.sharedBytesPerBlock);
  auto half = static_cast<int64_t>(limits.sharedBytesPerSM) / 2 - 1024;
  // Up to 64 tokens the weight's bytes are what takes time: as many blocks as
  // there are columns for, two on a multiprocessor where they fit, and copies
  // far ahead. Eight warps that multiply take all registers.
  auto makeFew = [&](int64_t min, int64_t max, int64_t rows, int64_t columns,
                     int64_t depth) {
    int64_t warps = isFollowed ? 8 : 4;
    depth = llvm::alignTo(std::min(depth, widest), unit);
    int64_t stages = 1;
    if (!isF32) {
      stages = fitStages(rows, columns, depth, half, 8);
      if (stages < 3 || warps == 8)
        stages = fitStages(rows, columns, depth, perBlock, 8);
    }
    return make(min, max, rows, columns, depth, stages, warps,
                first.hasShortSums ? getEngine(0) : Attribute());
  };
  // Codes that no instruction multiplies are converted, in registers.
  bool isConverted =
      isWide || (bits == 8 && !target.supports(::varve::Feature::MmaSyncFp8));
  // Loops over so few f32 numbers are unrolled, which takes registers, and so
  // are those over codes that are converted.
  int64_t deep = isF32 ? 64 : isFollowed || isWide ? 128 : 4096 / bits;
  int64_t lessDeep = isF32 ? 64 : std::min(deep / 2, isConverted ? 128 : deep);
  StrategyAttr few = makeFew(1, 16, 16, narrow, deep);
  StrategyAttr some =
      makeFew(17, 64, isPair ? 32 : 64, isFollowed ? wide : narrow, lessDeep);
  if (isF32)
    return {few, some, make(65, 0, 64, 64, 64, 1, isLarge ? 8 : 4)};
  int64_t rows = isPair ? (wide > 64 ? 32 : 64) : isConverted ? 64 : 128;
  int64_t columns = fitColumns(kernel, isPair ? 64 : 128);
  int64_t depth =
      llvm::alignTo(std::min<int64_t>(bits == 8 ? 128 : 64, widest), unit);
  int64_t stages = fitStages(rows, columns, depth, perBlock, 4);
  return {few, some,
          make(65, 0, rows, columns, depth, stages, 8, getEngine(1))};
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
  /// How the scales of x reach the product.
  enum class ScaleWay {
    Loaded, ///< by who multiplies
    Staged, ///< in the ring, as they are stored
    Words,  ///< in the ring, with the others of a word of four
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
  ScaleWay chooseScaleWay() const;
  Value getScaleWords(Value scales);
  Value loadX(const Product &product, const Views &views, Value k);
  Value loadXScale(const Product &product, const Views &views, Value k);
  Value readXScale(Value buffer, Value k);
  Value loadWeightScale(const Product &product, const Views &views, Value k);
  SmallVector<Value> emitLoop(ArrayRef<Views> views);
  SmallVector<Value> emitPipeline(ArrayRef<Views> views);
  SmallVector<Value> loadWeightScales(ArrayRef<Views> views, Value k);
  SmallVector<Value> multiplyAll(ArrayRef<Value> operands, Value xScale,
                                 ArrayRef<Value> weightScales, ValueRange sums);
  tile::BufferType makeScaleBuffer() const;
  void emitCopies(Value ring, ArrayRef<Views> views, Value k);
  LogicalResult emitEpilogue(ArrayRef<Value> sums);

  KernelBuilder &builder;
  const LinearKernel &source;
  StrategyAttr strategy;
  bool isPipelined;
  TileKernel kernel;
  TileBuilder &b;
  int64_t rows, columns, depth;
  ScaleWay scaleWay = ScaleWay::Loaded;
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
  if (product.xScale) {
    Value scales = builder.getMemory(product.xScale);
    if (scaleWay == ScaleWay::Words)
      scales = getScaleWords(scales);
    views.xScale = viewByGroup(scales, product.groups);
  }
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
  return mlir::varve::loadWeightScales(b, product.format, views.weightScale,
                                       first, k, columns, depth, aligned);
}

SmallVector<Value> LinearEmitter::loadWeightScales(ArrayRef<Views> views,
                                                   Value k) {
  SmallVector<Value> scales;
  for (auto [i, product] : llvm::enumerate(source.products))
    scales.push_back(loadWeightScale(product, views[i], k));
  return scales;
}

/// One step of all products: `operands` are x and then each weight, tiles or
/// buffers.
SmallVector<Value> LinearEmitter::multiplyAll(ArrayRef<Value> operands,
                                              Value xScale,
                                              ArrayRef<Value> weightScales,
                                              ValueRange sums) {
  ProductOperand x{operands[0], xScale};
  SmallVector<Value> results;
  for (auto [i, product] : llvm::enumerate(source.products)) {
    ProductOperand weight{operands[1 + i], weightScales[i]};
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
  Value xScale = loadXScale(first, views[0], k);
  SmallVector<Value> weightScales = loadWeightScales(views, k);
  scf::YieldOp::create(
      b, multiplyAll(operands, xScale, weightScales, loop.getRegionIterArgs()));
  return SmallVector<Value>(loop.getResults());
}

//===----------------------------------------------------------------------===//
// Scales in the ring
//===----------------------------------------------------------------------===//

/// Copies that run ahead move words of four bytes at least: a step's scales, or
/// the four scales among which the step's is.
LinearEmitter::ScaleWay LinearEmitter::chooseScaleWay() const {
  const Product &first = source.products.front();
  if (!isPipelined || !first.xScale)
    return ScaleWay::Loaded;
  int64_t bits = first.format.xScaleType.getIntOrFloatBitWidth();
  int64_t perStep = depth / first.format.xBlock;
  int64_t perRow = llvm::divideCeil(first.K, first.format.xBlock);
  if (perRow * bits % 32 != 0)
    return ScaleWay::Loaded;
  if (perStep * bits % 32 == 0)
    return ScaleWay::Staged;
  return bits == 8 && perStep == 1 ? ScaleWay::Words : ScaleWay::Loaded;
}

/// Scales of one byte as words of four.
Value LinearEmitter::getScaleWords(Value scales) {
  scales = builder.flatten(scales);
  auto type = cast<plan::DeviceTensorType>(scales.getType());
  plan::LinearAttr bytes = type.getShape()[1];
  auto words = plan::DeviceTensorType::get(
      {type.getShape()[0], builder.size(bytes.getConstant() / 4)},
      b.getI32Type());
  return plan::ViewOp::create(builder.getPlanBuilder(),
                              builder.getKernel().getLoc(), words, scales,
                              /*offset=*/plan::LinearAttr());
}

/// What the ring holds of the scales of x; null where nothing.
tile::BufferType LinearEmitter::makeScaleBuffer() const {
  const ProductFormat &format = source.products.front().format;
  if (scaleWay == ScaleWay::Staged)
    return tile::BufferType::get({rows, depth / format.xBlock},
                                 format.xScaleType);
  if (scaleWay == ScaleWay::Words)
    return tile::BufferType::get({rows, 1}, b.getI32Type());
  return {};
}

/// The scales of a step, from a stage.
Value LinearEmitter::readXScale(Value buffer, Value k) {
  const ProductFormat &format = source.products.front().format;
  Value read = asTile(b, buffer);
  if (scaleWay == ScaleWay::Staged)
    return read;
  // The byte of the word that is this step's.
  Value place = b.mul(b.rem(b.div(k, format.xBlock), 4), 8);
  Value shift = arith::IndexCastOp::create(b, b.getI32Type(), place);
  Value byte = arith::ShRUIOp::create(b, read, b.splat(shift, {rows, 1}));
  auto typeOf = [&](Type element) {
    return RankedTensorType::get({rows, 1}, element);
  };
  byte = arith::TruncIOp::create(b, typeOf(b.getI8Type()), byte);
  return arith::BitcastOp::create(b, typeOf(format.xScaleType), byte);
}

//===----------------------------------------------------------------------===//
// The pipeline
//===----------------------------------------------------------------------===//

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

/// Fills a stage: x, the weights, the scales of x.
void LinearEmitter::emitCopies(Value ring, ArrayRef<Views> views, Value k) {
  auto stage = tile::AcquireOp::create(b, ring);
  DenseI64ArrayAttr dims =
      group ? b.getDenseI64ArrayAttr({0, 2}) : DenseI64ArrayAttr();
  size_t number = source.products.size();
  for (size_t i = 0; i < number; ++i)
    tile::CopyOp::create(b, views[i].weight, inGroup(column, k, true),
                         stage.getBuffers()[1 + i], DenseI64ArrayAttr(),
                         tile::CacheHint::Normal);
  tile::CopyOp::create(b, views[0].x, inGroup(row, k, false),
                       stage.getBuffers()[0], dims, tile::CacheHint::Normal);
  if (scaleWay != ScaleWay::Loaded) {
    int64_t perElement = source.products.front().format.xBlock *
                         (scaleWay == ScaleWay::Words ? 4 : 1);
    tile::CopyOp::create(
        b, views[0].xScale, inGroup(row, b.div(k, perElement), false),
        stage.getBuffers()[1 + number], dims, tile::CacheHint::Normal);
  }
  tile::CommitOp::create(b, ring, stage.getSlot());
}

SmallVector<Value> LinearEmitter::emitPipeline(ArrayRef<Views> views) {
  const Product &first = source.products.front();
  MLIRContext *context = b.getContext();
  SmallVector<tile::BufferType> buffers = {
      makeBuffer(rows, depth, first.format.xType)};
  for (const Product &product : source.products)
    buffers.push_back(makeBuffer(columns, depth, product.format.weightType));
  if (tile::BufferType scales = makeScaleBuffer())
    buffers.push_back(scales);
  // Indices and zeros are made outside: every role needs them.
  Value zero = b.index(0), end = b.index(first.K), step = b.index(depth);
  SmallVector<Value> zeros(source.products.size(),
                           b.zeros({rows, columns}, b.getF32Type()));
  // Twelve warps share all registers, which the eight that multiply need.
  bool movesRegisters = strategy.getWarps() == 8;
  auto pipeline = tile::PipelineOp::create(
      b,
      b.getArrayAttr({tile::RoleAttr::get(context, "load", kLoadWarps,
                                          movesRegisters ? 40 : 0),
                      tile::RoleAttr::get(context, "math", strategy.getWarps(),
                                          movesRegisters ? 232 : 0)}));
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
      emitCopies(ring, views, k);
      tile::YieldOp::create(b, ValueRange());
    }
    auto math = tile::OnOp::create(b, ValueRange(zeros).getTypes(), "math");
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(&math.getBody().emplaceBlock());
      // Loads are under way while the stage is waited for.
      SmallVector<Value> weightScales = loadWeightScales(views, k);
      Value xScale;
      if (scaleWay == ScaleWay::Loaded)
        xScale = loadXScale(first, views[0], k);
      auto stage = tile::ReceiveOp::create(b, ring);
      SmallVector<Value> operands(stage.getBuffers());
      if (scaleWay != ScaleWay::Loaded)
        xScale = readXScale(operands.pop_back_val(), k);
      SmallVector<Value> sums =
          multiplyAll(operands, xScale, weightScales, loop.getRegionIterArgs());
      tile::ReleaseOp::create(b, ring, stage.getSlot());
      tile::YieldOp::create(b, sums);
    }
    scf::YieldOp::create(b, math.getResults());
  }
  auto last = tile::OnOp::create(b, TypeRange(), "math");
  b.setInsertionPointToStart(&last.getBody().emplaceBlock());
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
  scaleWay = chooseScaleWay();
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
