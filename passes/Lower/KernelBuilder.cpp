//===- KernelBuilder.cpp - A kernel as plan and tile functions ------------===//

#include "passes/Lower/KernelBuilder.h"
#include "passes/Lower/KernelLowering.h"
#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve;
using plan::DeviceTensorType;
using plan::LinearAttr;
using plan::Symbol;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

StringRef mlir::varve::getStepInputName(StepInput input) {
  switch (input) {
  case StepInput::Starts:
    return "starts";
  case StepInput::Ends:
    return "ends";
  case StepInput::PageTable:
    return "page_table";
  }
  return "";
}

DeviceTensorType mlir::varve::getStepInputType(MLIRContext *context,
                                               StepInput input) {
  Type i32 = IntegerType::get(context, 32);
  if (input == StepInput::PageTable)
    return DeviceTensorType::get(
        {LinearAttr::get(context, Symbol::Slots),
         LinearAttr::get(context, Symbol::SequencePages)},
        i32);
  return DeviceTensorType::get({LinearAttr::get(context, Symbol::Tokens)}, i32);
}

DeviceTensorType mlir::varve::getPlanType(RankedTensorType type,
                                          bool logitRows) {
  MLIRContext *context = type.getContext();
  SmallVector<LinearAttr> shape;
  for (int64_t size : type.getShape())
    shape.push_back(ShapedType::isDynamic(size)
                        ? LinearAttr::get(context, logitRows ? Symbol::Rows
                                                             : Symbol::Tokens)
                        : LinearAttr::get(context, size));
  return DeviceTensorType::get(shape, type.getElementType());
}

LinearAttr mlir::varve::getPoolRows(PoolOp pool) {
  MLIRContext *context = pool.getContext();
  if (pool.getKind() == PoolKind::Entries)
    return LinearAttr::get(context, Symbol::Pages,
                           *pool.getPage() / *pool.getRatio());
  auto rings = LinearAttr::get(context, Symbol::Slots,
                               static_cast<int64_t>(*pool.getSize()));
  if (pool.getKind() == PoolKind::State)
    return rings;
  return rings.plus(LinearAttr::get(context, Symbol::MaxTokens));
}

static bool isPlain(FormatAttr format) {
  return format.getSegments().size() == 1 &&
         !format.getSegments().front().getBlock();
}

DeviceTensorType mlir::varve::getPoolType(PoolOp pool) {
  MLIRContext *context = pool.getContext();
  FormatAttr format = pool.getFormat();
  if (isPlain(format))
    return DeviceTensorType::get(
        {getPoolRows(pool), LinearAttr::get(context, format.getWidth())},
        format.getSegments().front().getElementType());
  return DeviceTensorType::get(
      {getPoolRows(pool), LinearAttr::get(context, format.getRowBytes())},
      IntegerType::get(context, 8));
}

//===----------------------------------------------------------------------===//
// The kernel's function
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(KernelFuncOp kernel,
                             const ::varve::TargetModel &target,
                             SymbolTable &symbols)
    : kernel(kernel), target(target), symbols(symbols),
      builder(kernel.getContext()) {}

FailureOr<KernelSignature> KernelBuilder::run() {
  Block &source = kernel.getBody().front();
  SmallVector<Type> types;
  bool logitRows = false;
  for (BlockArgument argument : source.getArguments())
    types.push_back(getPlanType(cast<RankedTensorType>(argument.getType()),
                                kernel.hasLogitRows(argument.getArgNumber())));
  for (auto [i, type] : llvm::enumerate(kernel.getResultTypes())) {
    bool isLogits = kernel.getResultAttr(i, kLogitRowsAttrName) != nullptr;
    logitRows |= isLogits;
    types.push_back(getPlanType(cast<RankedTensorType>(type), isLogits));
  }
  count =
      LinearAttr::get(getContext(), logitRows ? Symbol::Rows : Symbol::Tokens);

  builder.setInsertionPoint(kernel);
  // Tile functions have the better right to the name: profiles show it.
  auto function = plan::FuncOp::create(
      builder, kernel.getLoc(),
      builder.getStringAttr(kernel.getSymName() + ".launches"),
      TypeAttr::get(builder.getFunctionType(types, {})),
      builder.getStringAttr("private"), ArrayAttr(), ArrayAttr());
  symbols.insert(function);
  signature.function = function;
  Block &body = function.getBody().emplaceBlock();
  for (Type type : types)
    body.addArgument(type, kernel.getLoc());
  numOwnArguments = types.size();
  for (BlockArgument argument : source.getArguments())
    memories[argument].push_back(body.getArgument(argument.getArgNumber()));
  unsigned next = source.getNumArguments();
  for (Value result : kernel.getYield()->getOperands())
    memories[result].push_back(body.getArgument(next++));

  const KernelLowering *lowering = KernelLowering::lookup(kernel.getKind());
  if (!lowering)
    return kernel.emitOpError()
           << "expected a kernel of a known kind but got " << kernel.getKind();
  VARVE_ASSERT(kernel.getStrategies(), "kernels have strategies by now");
  bool isOnly = kernel.getStrategies()->size() == 1;
  for (auto each : kernel.getStrategies()->getAsRange<StrategyAttr>()) {
    strategy = each;
    builder.setInsertionPointToEnd(&body);
    if (!isOnly) {
      auto when = plan::WhenOp::create(
          builder, kernel.getLoc(), count,
          builder.getI64IntegerAttr(each.getMin()),
          each.getMax() ? builder.getI64IntegerAttr(each.getMax())
                        : IntegerAttr());
      builder.setInsertionPointToStart(&when.getBody().emplaceBlock());
    }
    if (failed(lowering->lower(*this)))
      return failure();
    for (Value value : scratch)
      memories.erase(value);
    scratch.clear();
  }
  builder.setInsertionPointToEnd(&body);
  plan::ReturnOp::create(builder, kernel.getLoc());
  function.setFunctionType(
      builder.getFunctionType(body.getArgumentTypes(), {}));
  return signature;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelBuilder::getMemory(Value value) {
  auto it = memories.find(value);
  VARVE_ASSERT(it != memories.end(),
               "only arguments, yielded and materialized values have memory");
  return it->second.front();
}

Value KernelBuilder::materialize(Value value) {
  SmallVector<Value, 1> &memory = memories[value];
  if (memory.empty()) {
    DeviceTensorType type = getPlanType(cast<RankedTensorType>(value.getType()),
                                        count.getSymbol() == Symbol::Rows);
    memory.push_back(allocate(type.getShape(), type.getElementType()));
    scratch.push_back(value);
  }
  return memory.front();
}

SmallVector<Value> KernelBuilder::getOutputs(Value value) {
  if (isa<BlockArgument>(value))
    return {};
  return SmallVector<Value>(memories.lookup(value));
}

BlockArgument KernelBuilder::addExtra(const KernelExtra &extra) {
  Block &body = signature.function.getBody().front();
  for (auto [i, known] : llvm::enumerate(signature.extras))
    if (known.input == extra.input && known.pool == extra.pool &&
        known.offset == extra.offset && known.type == extra.type)
      return body.getArgument(numOwnArguments + i);
  signature.extras.push_back(extra);
  return body.addArgument(extra.type, kernel.getLoc());
}

Value KernelBuilder::getStepInput(StepInput input) {
  KernelExtra extra;
  extra.input = input;
  extra.type = getStepInputType(getContext(), input);
  return addExtra(extra);
}

PoolOp KernelBuilder::lookupPool(FlatSymbolRefAttr pool) {
  auto found = symbols.lookup<PoolOp>(pool.getAttr());
  VARVE_ASSERT(found, "pools were verified");
  return found;
}

Value KernelBuilder::getPool(FlatSymbolRefAttr pool, DeviceTensorType type,
                             int64_t offset) {
  ArrayRef<Attribute> pools = kernel.getPools().getValue();
  const Attribute *it = llvm::find(pools, Attribute(pool));
  VARVE_ASSERT(it != pools.end(), "a kernel lists the pools that it names");
  KernelExtra extra;
  extra.pool = it - pools.begin();
  extra.offset = offset;
  extra.type = type;
  return addExtra(extra);
}

/// Rows of `columns` elements, `rowBytes` apart.
static DeviceTensorType getStridedRows(PoolOp pool, int64_t columns,
                                       Type element) {
  int64_t bits = element.getIntOrFloatBitWidth();
  int64_t rowBits = pool.getFormat().getRowBytes() * 8;
  VARVE_ASSERT(rowBits % bits == 0, "rows are whole numbers of elements");
  auto size = LinearAttr::get(pool.getContext(), columns);
  int64_t stride = rowBits / bits;
  if (stride == columns)
    return DeviceTensorType::get({getPoolRows(pool), size}, element);
  return DeviceTensorType::get({getPoolRows(pool), size}, element, {stride, 1});
}

Value KernelBuilder::getPoolSegment(FlatSymbolRefAttr symbol,
                                    unsigned segment) {
  PoolOp pool = lookupPool(symbol);
  ArrayRef<SegmentAttr> segments = pool.getFormat().getSegments();
  int64_t bits = 0;
  for (SegmentAttr before : segments.take_front(segment))
    bits += before.getCodeBits();
  return getPool(symbol,
                 getStridedRows(pool, segments[segment].getSize(),
                                segments[segment].getElementType()),
                 bits / 8);
}

Value KernelBuilder::getPoolScales(FlatSymbolRefAttr symbol, unsigned segment) {
  PoolOp pool = lookupPool(symbol);
  ArrayRef<SegmentAttr> segments = pool.getFormat().getSegments();
  int64_t offset = pool.getFormat().getCodeBytes();
  for (SegmentAttr before : segments.take_front(segment))
    if (before.getBlock())
      offset += before.getNumScales() *
                before.getScaleType().getIntOrFloatBitWidth() / 8;
  return getPool(symbol,
                 getStridedRows(pool, segments[segment].getNumScales(),
                                segments[segment].getScaleType()),
                 offset);
}

Value KernelBuilder::allocate(ArrayRef<LinearAttr> shape, Type element) {
  return plan::AllocOp::create(builder, kernel.getLoc(),
                               DeviceTensorType::get(shape, element),
                               /*storage=*/IntegerAttr());
}

Value KernelBuilder::reinterpret(Value tensor, ArrayRef<LinearAttr> shape,
                                 Type element) {
  auto result = DeviceTensorType::get(shape, element);
  if (tensor.getType() == result)
    return tensor;
  return plan::ViewOp::create(builder, kernel.getLoc(), result, tensor,
                              /*offset=*/LinearAttr());
}

Value KernelBuilder::flatten(Value tensor) {
  auto type = cast<DeviceTensorType>(tensor.getType());
  if (type.getRank() <= 2)
    return tensor;
  int64_t columns = 1;
  for (LinearAttr each : type.getShape().drop_front())
    columns *= each.getConstant();
  return reshape(tensor, {type.getShape().front(), size(columns)});
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

OpBuilder KernelBuilder::getFunctionBuilder() {
  OpBuilder functions(kernel.getContext());
  functions.setInsertionPointAfter(kernel);
  return functions;
}

std::string KernelBuilder::getFunctionName(StringRef suffix) {
  std::string name = kernel.getSymName().str();
  if (!suffix.empty())
    name += ("_" + suffix).str();
  return name;
}

void KernelBuilder::launch(tile::FuncOp function, ValueRange operands) {
  function.setPrivate();
  if (auto engine = cast_or_null<tile::StrategyAttr>(strategy.getEngine()))
    function.setStrategyAttr(engine);
  symbols.insert(function);
  plan::LaunchOp::create(builder, function.getLoc(),
                         FlatSymbolRefAttr::get(function.getSymNameAttr()),
                         operands);
}

Value KernelBuilder::getSize(LinearAttr size, Type type) {
  return plan::SizeOp::create(builder, kernel.getLoc(), type, size);
}
