//===- LaunchEncoder.cpp - Functions of a plan as programs ----------------===//

#include "lib/Package/LaunchEncoder.h"
#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Plan/MemoryRange.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>

using namespace mlir;
using namespace ::varve::package;
namespace plan = mlir::varve::plan;
namespace tile = mlir::varve::tile;
using flatbuffers::Offset;
using ::varve::LaunchEncoder;
using ::varve::PlanTables;

uint32_t PlanTables::getSize(plan::LinearAttr size) {
  auto [entry, isNew] = sizeNumbers.try_emplace(size, sizes.size());
  if (isNew)
    sizes.push_back(size);
  return entry->second;
}

namespace varve {
ElementType encodeElementType(Type type) {
  return llvm::TypeSwitch<Type, ElementType>(type)
      .Case<BFloat16Type>([](Type) { return ElementType::BF16; })
      .Case<Float16Type>([](Type) { return ElementType::F16; })
      .Case<Float32Type>([](Type) { return ElementType::F32; })
      .Case<Float64Type>([](Type) { return ElementType::F64; })
      .Case<Float8E4M3FNType>([](Type) { return ElementType::F8E4M3FN; })
      .Case<Float8E5M2Type>([](Type) { return ElementType::F8E5M2; })
      .Case<Float8E8M0FNUType>([](Type) { return ElementType::F8E8M0FNU; })
      .Case<Float4E2M1FNType>([](Type) { return ElementType::F4E2M1FN; })
      .Default([](Type integer) {
        switch (integer.getIntOrFloatBitWidth()) {
        case 8:
          return ElementType::I8;
        case 16:
          return ElementType::I16;
        case 32:
          return ElementType::I32;
        default:
          return ElementType::I64;
        }
      });
}
} // namespace varve

//===----------------------------------------------------------------------===//
// Names of layers
//===----------------------------------------------------------------------===//

/// Adds the names in a location, those of callers first.
static void collectNames(Location loc, SmallVectorImpl<StringRef> &names) {
  if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    collectNames(call.getCaller(), names);
    collectNames(call.getCallee(), names);
  } else if (auto name = dyn_cast<NameLoc>(loc)) {
    names.push_back(name.getName());
  } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
    if (!fused.getLocations().empty())
      collectNames(fused.getLocations().front(), names);
  }
}

/// The name of what a launch computes. A function that layers share has the
/// names of one of them: a name counts as long as it goes on where the caller's
/// ends ("layers.17", "layers.17.attn.norm", not "layers.0.attn.norm").
static StringRef getLayerName(Location loc) {
  SmallVector<StringRef> names;
  collectNames(loc, names);
  StringRef best;
  for (StringRef name : names)
    if (name.starts_with(best))
      best = name;
  return best;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

Word LaunchEncoder::encodeSize(plan::LinearAttr size) {
  if (size.isConstant())
    return Word(size.getConstant(), 0, WordKind::Constant);
  return Word(tables.getSize(size), 0, WordKind::Size);
}

Word LaunchEncoder::encodeAddress(Value tensor) {
  plan::MemoryRange range = plan::getMemoryRange(tensor);
  VARVE_ASSERT(range.offset, "verifiers refuse offsets that are not linear");
  int64_t offset = tables.getSize(range.offset);
  if (auto memory = dyn_cast<Value>(range.memory)) {
    if (auto argument = dyn_cast<BlockArgument>(memory))
      return Word(offset, argument.getArgNumber(), WordKind::Port);
    auto alloc = cast<plan::AllocOp>(memory.getDefiningOp());
    return Word(offset, pieces.lookup(alloc), WordKind::Scratch);
  }
  auto name = cast<Attribute>(range.memory);
  if (auto pool = dyn_cast<FlatSymbolRefAttr>(name))
    return Word(offset, tables.pools.lookup(pool.getAttr()),
                WordKind::PoolData);
  auto *weight = tables.weights.find(cast<StringAttr>(name));
  return Word(offset, weight - tables.weights.begin(), WordKind::WeightData);
}

FailureOr<Word> LaunchEncoder::encodeScalar(Value scalar) {
  Operation *source = scalar.getDefiningOp();
  if (auto size = dyn_cast_or_null<plan::SizeOp>(source))
    return encodeSize(size.getValue());
  if (auto constant = dyn_cast_or_null<arith::ConstantOp>(source)) {
    if (auto number = dyn_cast<IntegerAttr>(constant.getValue()))
      return Word(number.getType().isIndex() ? number.getInt()
                                             : number.getValue().getZExtValue(),
                  0, WordKind::Constant);
    if (auto number = dyn_cast<FloatAttr>(constant.getValue()))
      return Word(number.getValue().bitcastToAPInt().getZExtValue(), 0,
                  WordKind::Constant);
  }
  return (source ? source : func.getOperation())->emitOpError()
         << "expected scalars of launches to be constants or plan.size";
}

Offset<MappedView> LaunchEncoder::encodeMap(Value tensor) {
  auto type = cast<plan::DeviceTensorType>(tensor.getType());
  MLIRContext *context = type.getContext();
  int64_t bits = type.getElementType().getIntOrFloatBitWidth();
  std::vector<Word> sizes, strides;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    bool isLast = dim == type.getRank() - 1;
    plan::LinearAttr size = type.getShape()[dim];
    // Two elements to a byte are mapped as bytes.
    if (isLast && bits < 8)
      size = plan::LinearAttr::get(context, size.getConstant() * bits / 8);
    sizes.push_back(encodeSize(size));
    plan::LinearAttr stride = type.getStride(dim);
    VARVE_ASSERT(stride, "verifiers refuse strides that are not linear");
    if (bits >= 8) {
      stride = stride.times(bits / 8);
    } else {
      SmallVector<int64_t> bytes;
      for (int64_t coefficient : stride.getCoefficients())
        bytes.push_back(coefficient * bits / 8);
      stride = isLast ? plan::LinearAttr::get(context, 1)
                      : plan::LinearAttr::get(context, bytes);
    }
    strides.push_back(encodeSize(stride));
  }
  Word address = encodeAddress(tensor);
  auto sizeVector = builder.CreateVectorOfStructs(sizes);
  auto strideVector = builder.CreateVectorOfStructs(strides);
  return CreateMappedView(builder, &address, sizeVector, strideVector);
}

uint32_t LaunchEncoder::encodeCondition(Operation *op) {
  plan::Condition condition = plan::getCondition(op);
  if (condition.empty())
    return 0;
  auto isSame = [](const plan::SizeInterval &a, const plan::SizeInterval &b) {
    return a.value == b.value && a.low == b.low && a.high == b.high;
  };
  for (auto [i, known] : llvm::enumerate(conditions))
    if (llvm::equal(known, condition, isSame))
      return i + 1;
  conditions.push_back(condition);
  return conditions.size();
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

LogicalResult
LaunchEncoder::encodeLaunch(plan::LaunchOp launch,
                            std::vector<Offset<Launch>> &launches) {
  auto module = func->getParentOfType<ModuleOp>();
  auto kernel = cast<plan::BinaryOp>(
      SymbolTable::lookupSymbolIn(module, launch.getKernelAttr()));
  ArrayRef<Type> types = cast<FunctionType>(kernel.getSignature()).getInputs();
  std::vector<Word> words, gridSizes;
  for (auto [type, argument] : llvm::zip(types, launch.getArguments())) {
    auto view = dyn_cast<tile::ViewType>(type);
    if (!view) {
      FailureOr<Word> word = encodeScalar(argument);
      if (failed(word))
        return failure();
      words.push_back(*word);
      continue;
    }
    auto tensor = cast<plan::DeviceTensorType>(argument.getType());
    words.push_back(encodeAddress(argument));
    for (int64_t dim = 0; dim < view.getRank(); ++dim)
      if (view.isDynamicDim(dim))
        words.push_back(encodeSize(tensor.getShape()[dim]));
    for (auto [dim, stride] : llvm::enumerate(view.getStrides()))
      if (ShapedType::isDynamic(stride))
        words.push_back(encodeSize(tensor.getStride(dim)));
  }
  for (auto size : kernel.getSizes().getAsRange<tile::SizeAttr>()) {
    if (size.getKind() == tile::SizeKind::Resident) {
      gridSizes.emplace_back(0, 0, WordKind::Resident);
      continue;
    }
    Value argument = launch.getArguments()[size.getArgument()];
    if (size.getKind() == tile::SizeKind::Dim) {
      auto tensor = cast<plan::DeviceTensorType>(argument.getType());
      gridSizes.push_back(encodeSize(tensor.getShape()[size.getDim()]));
      continue;
    }
    FailureOr<Word> word = encodeScalar(argument);
    if (failed(word))
      return failure();
    gridSizes.push_back(*word);
  }
  std::vector<Offset<MappedView>> maps;
  if (kernel.getTensorMaps())
    for (auto map : kernel.getTensorMaps()->getAsRange<plan::TensorMapAttr>())
      maps.push_back(encodeMap(launch.getArguments()[map.getArgument()]));

  StringRef name = getLayerName(launch.getLoc());
  auto wordVector = builder.CreateVectorOfStructs(words);
  auto sizeVector = builder.CreateVectorOfStructs(gridSizes);
  auto mapVector = builder.CreateVector(maps);
  // Layers' names occur many times in the programs of a plan.
  auto nameString = builder.CreateSharedString(name.data(), name.size());
  launches.push_back(CreateLaunch(
      builder, tables.kernels.lookup(launch.getKernelAttr().getAttr()),
      encodeCondition(launch), wordVector, sizeVector, mapVector, nameString));
  return success();
}

std::vector<Offset<Port>> LaunchEncoder::encodePorts() {
  std::vector<Offset<Port>> ports;
  for (auto [i, argument] : llvm::enumerate(func.getArgumentTypes())) {
    auto type = cast<plan::DeviceTensorType>(argument);
    std::vector<uint32_t> shape;
    for (plan::LinearAttr size : type.getShape())
      shape.push_back(tables.getSize(size));
    StringRef name = func.getArgumentName(i);
    auto nameString = builder.CreateString(name.data(), name.size());
    auto shapeVector = builder.CreateVector(shape);
    ports.push_back(CreatePort(
        builder, nameString, ::varve::encodeElementType(type.getElementType()),
        shapeVector, func.isOutput(i)));
  }
  return ports;
}

FailureOr<std::vector<Offset<Storage>>> LaunchEncoder::encodeStorages() {
  std::vector<Offset<Storage>> storages;
  WalkResult result = func.walk([&](plan::AllocOp alloc) {
    if (!alloc.getStorage()) {
      alloc.emitOpError() << "expected a storage";
      return WalkResult::interrupt();
    }
    std::map<plan::Symbol, int64_t> highest;
    for (const plan::SizeInterval &interval : plan::getCondition(alloc))
      if (std::optional<plan::Symbol> symbol = interval.value.getSymbol();
          symbol && interval.high != plan::SizeInterval::kNoBound)
        highest[*symbol] = interval.high;
    std::vector<Limit> limits;
    for (auto [symbol, most] : highest)
      limits.emplace_back(most, static_cast<Symbol>(symbol));
    std::vector<Offset<StorageTerm>> terms = {CreateStorageTerm(
        builder, tables.getSize(alloc.getType().getSizeInBytes()),
        builder.CreateVectorOfStructs(limits))};
    pieces[alloc] = storages.size();
    storages.push_back(
        CreateStorage(builder, builder.CreateVector(terms),
                      static_cast<int32_t>(*alloc.getStorage())));
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  return storages;
}

FailureOr<Offset<Program>> LaunchEncoder::run() {
  std::vector<Offset<Port>> ports = encodePorts();
  FailureOr<std::vector<Offset<Storage>>> storages = encodeStorages();
  if (failed(storages))
    return failure();
  std::vector<Offset<Launch>> launches;
  WalkResult result = func.walk([&](plan::LaunchOp launch) {
    return failed(encodeLaunch(launch, launches)) ? WalkResult::interrupt()
                                                  : WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  std::vector<Offset<Condition>> conditionOffsets;
  for (const plan::Condition &condition : conditions) {
    std::vector<Interval> intervals;
    for (const plan::SizeInterval &interval : condition)
      intervals.emplace_back(interval.low, interval.high,
                             tables.getSize(interval.value));
    conditionOffsets.push_back(
        CreateCondition(builder, builder.CreateVectorOfStructs(intervals)));
  }
  StringRef name = func.getSymName();
  auto nameString = builder.CreateString(name.data(), name.size());
  auto portVector = builder.CreateVector(ports);
  auto storageVector = builder.CreateVector(*storages);
  auto conditionVector = builder.CreateVector(conditionOffsets);
  auto launchVector = builder.CreateVector(launches);
  return CreateProgram(builder, nameString, portVector, storageVector,
                       conditionVector, launchVector);
}
