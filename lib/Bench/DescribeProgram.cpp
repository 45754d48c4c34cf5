//===- DescribeProgram.cpp - A compiled program as JSON -------------------===//

#include "lib/Bench/DescribeProgram.h"

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Plan/Conditions.h"
#include "passes/Plan/MemoryRange.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
namespace plan = mlir::varve::plan;
namespace tile = mlir::varve::tile;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

static json::Value combine(StringRef op, json::Value left, json::Value right) {
  return json::Array{op, std::move(left), std::move(right)};
}

static json::Value describeLinear(plan::LinearAttr linear) {
  if (linear.isConstant())
    return linear.getConstant();
  std::optional<json::Value> sum;
  auto add = [&](json::Value term) {
    sum =
        sum ? combine("+", std::move(*sum), std::move(term)) : std::move(term);
  };
  for (unsigned i = 0; i < plan::LinearAttr::kNumSymbols; ++i) {
    auto symbol = static_cast<plan::Symbol>(i);
    int64_t factor = linear.getFactor(symbol);
    json::Value name = plan::stringifySymbol(symbol);
    if (factor != 0)
      add(factor == 1 ? std::move(name)
                      : combine("*", std::move(name), factor));
  }
  if (linear.getConstant() != 0)
    add(linear.getConstant());
  return std::move(*sum);
}

/// A grid's extent, its symbols replaced by `sizes`.
static json::Value describeExtent(AffineExpr extent, const json::Array &sizes) {
  if (auto constant = dyn_cast<AffineConstantExpr>(extent))
    return constant.getValue();
  if (auto symbol = dyn_cast<AffineSymbolExpr>(extent))
    return sizes[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(extent);
  StringRef op = "+";
  if (binary.getKind() == AffineExprKind::Mul)
    op = "*";
  else if (binary.getKind() == AffineExprKind::FloorDiv)
    op = "//";
  else if (binary.getKind() == AffineExprKind::CeilDiv)
    op = "ceildiv";
  else if (binary.getKind() == AffineExprKind::Mod)
    op = "%";
  return combine(op, describeExtent(binary.getLHS(), sizes),
                 describeExtent(binary.getRHS(), sizes));
}

static std::string describeType(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static json::Array describeShape(plan::DeviceTensorType type) {
  json::Array shape;
  for (plan::LinearAttr size : type.getShape())
    shape.push_back(describeLinear(size));
  return shape;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

namespace {

class ProgramDescriber {
public:
  explicit ProgramDescriber(plan::FuncOp program) : program(program) {}

  FailureOr<json::Object>
  run(llvm::function_ref<std::string(plan::BinaryOp)> fileOf);

private:
  json::Object describeAddress(Value tensor, bool isWritten);
  FailureOr<json::Value> describeScalar(Value scalar);
  json::Object describeMap(Value tensor);
  FailureOr<json::Array> describeSizes(plan::LaunchOp launch,
                                       plan::BinaryOp kernel);
  FailureOr<json::Object> describeLaunch(plan::LaunchOp launch);
  json::Array describePorts();

  plan::FuncOp program;
  llvm::MapVector<Value, json::Value> scratch;
  llvm::MapVector<StringAttr, json::Value> weights;
  llvm::MapVector<Operation *, unsigned> kernels;
};

} // namespace

static json::Array getValues(auto &map) {
  json::Array values;
  for (auto &[key, value] : map)
    values.push_back(std::move(value));
  return values;
}

json::Object ProgramDescriber::describeAddress(Value tensor, bool isWritten) {
  plan::MemoryRange range = plan::getMemoryRange(tensor);
  VARVE_ASSERT(range.offset, "verifiers refuse offsets that are not linear");
  json::Object word{{"offset", describeLinear(range.offset)},
                    {"written", isWritten}};
  if (auto memory = dyn_cast<Value>(range.memory)) {
    if (auto argument = dyn_cast<BlockArgument>(memory)) {
      word["memory"] = "port";
      word["index"] = argument.getArgNumber();
      return word;
    }
    auto type = cast<plan::DeviceTensorType>(memory.getType());
    scratch.insert({memory, describeLinear(type.getSizeInBytes())});
    word["memory"] = "scratch";
    word["index"] = scratch.find(memory) - scratch.begin();
    return word;
  }
  auto name = cast<StringAttr>(cast<Attribute>(range.memory));
  word["memory"] = "weight";
  word["index"] = weights.find(name) - weights.begin();
  return word;
}

FailureOr<json::Value> ProgramDescriber::describeScalar(Value scalar) {
  Operation *source = scalar.getDefiningOp();
  if (auto size = dyn_cast_or_null<plan::SizeOp>(source))
    return describeLinear(size.getValue());
  if (auto constant = dyn_cast_or_null<arith::ConstantOp>(source)) {
    if (auto number = dyn_cast<IntegerAttr>(constant.getValue()))
      return json::Value(number.getInt());
    if (auto number = dyn_cast<FloatAttr>(constant.getValue()))
      return json::Value(static_cast<int64_t>(
          number.getValue().bitcastToAPInt().getZExtValue()));
  }
  return (source ? source : program.getOperation())->emitOpError()
         << "expected scalars of launches to be constants or plan.size";
}

json::Object ProgramDescriber::describeMap(Value tensor) {
  auto type = cast<plan::DeviceTensorType>(tensor.getType());
  int64_t bits = type.getElementType().getIntOrFloatBitWidth();
  auto toBytes = [&](plan::LinearAttr elements) -> json::Value {
    json::Value count = describeLinear(elements);
    if (bits >= 8)
      return combine("*", std::move(count), bits / 8);
    return combine("//", std::move(count), 8 / bits);
  };
  json::Array sizes, strides;
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    bool isLast = dim + 1 == static_cast<size_t>(type.getRank());
    // Two elements to a byte are mapped as bytes.
    sizes.push_back(isLast && bits < 8 ? toBytes(size) : describeLinear(size));
    plan::LinearAttr stride = type.getStride(dim);
    VARVE_ASSERT(stride, "verifiers refuse strides that are not linear");
    strides.push_back(toBytes(stride));
  }
  return json::Object{{"address", describeAddress(tensor, false)},
                      {"sizes", std::move(sizes)},
                      {"strides", std::move(strides)}};
}

/// What the symbols of the grid are.
FailureOr<json::Array> ProgramDescriber::describeSizes(plan::LaunchOp launch,
                                                       plan::BinaryOp kernel) {
  json::Array sizes;
  for (auto size : kernel.getSizes().getAsRange<tile::SizeAttr>()) {
    if (size.getKind() == tile::SizeKind::Resident) {
      sizes.push_back("resident");
      continue;
    }
    Value argument = launch.getArguments()[size.getArgument()];
    if (size.getKind() == tile::SizeKind::Dim) {
      auto type = cast<plan::DeviceTensorType>(argument.getType());
      sizes.push_back(describeLinear(type.getShape()[size.getDim()]));
      continue;
    }
    FailureOr<json::Value> value = describeScalar(argument);
    if (failed(value))
      return failure();
    sizes.push_back(std::move(*value));
  }
  return sizes;
}

FailureOr<json::Object>
ProgramDescriber::describeLaunch(plan::LaunchOp launch) {
  auto kernel = cast<plan::BinaryOp>(SymbolTable::lookupSymbolIn(
      program->getParentOfType<ModuleOp>(), launch.getKernelAttr()));
  json::Array words, grid, maps, when;
  auto addSize = [&](plan::LinearAttr size) {
    words.push_back(json::Object{{"value", describeLinear(size)}});
  };
  ArrayRef<Type> types = cast<FunctionType>(kernel.getSignature()).getInputs();
  for (auto [i, argument] : llvm::enumerate(launch.getArguments())) {
    auto view = dyn_cast<tile::ViewType>(types[i]);
    if (!view) {
      FailureOr<json::Value> value = describeScalar(argument);
      if (failed(value))
        return failure();
      words.push_back(json::Object{{"value", std::move(*value)}});
      continue;
    }
    bool isWritten =
        !kernel.getWrites() ||
        llvm::is_contained(*kernel.getWrites(), static_cast<int64_t>(i));
    words.push_back(describeAddress(argument, isWritten));
    auto tensor = cast<plan::DeviceTensorType>(argument.getType());
    for (int64_t dim = 0; dim < view.getRank(); ++dim)
      if (view.isDynamicDim(dim))
        addSize(tensor.getShape()[dim]);
    for (auto [dim, stride] : llvm::enumerate(view.getStrides()))
      if (ShapedType::isDynamic(stride))
        addSize(tensor.getStride(dim));
  }
  FailureOr<json::Array> sizes = describeSizes(launch, kernel);
  if (failed(sizes))
    return failure();
  for (AffineExpr extent : kernel.getGrid().getResults())
    grid.push_back(describeExtent(extent, *sizes));
  if (kernel.getTensorMaps())
    for (auto map : kernel.getTensorMaps()->getAsRange<plan::TensorMapAttr>())
      maps.push_back(describeMap(launch.getArguments()[map.getArgument()]));
  for (const plan::SizeInterval &interval : plan::getCondition(launch))
    when.push_back(json::Array{describeLinear(interval.value), interval.low,
                               interval.high == plan::SizeInterval::kNoBound
                                   ? json::Value(nullptr)
                                   : json::Value(interval.high)});
  unsigned number = kernels.insert({kernel, kernels.size()}).first->second;
  return json::Object{{"kernel", number},
                      {"when", std::move(when)},
                      {"grid", std::move(grid)},
                      {"words", std::move(words)},
                      {"maps", std::move(maps)}};
}

json::Array ProgramDescriber::describePorts() {
  json::Array ports;
  for (auto [i, argument] : llvm::enumerate(program.getArgumentTypes())) {
    auto type = cast<plan::DeviceTensorType>(argument);
    ports.push_back(
        json::Object{{"name", program.getArgumentName(i).str()},
                     {"element", describeType(type.getElementType())},
                     {"shape", describeShape(type)},
                     {"output", program.isOutput(i)}});
  }
  return ports;
}

static json::Object describeKernel(plan::BinaryOp kernel, std::string file) {
  json::Array maps;
  ArrayRef<Type> types = cast<FunctionType>(kernel.getSignature()).getInputs();
  if (kernel.getTensorMaps())
    for (auto map : kernel.getTensorMaps()->getAsRange<plan::TensorMapAttr>()) {
      Type element =
          cast<tile::ViewType>(types[map.getArgument()]).getElementType();
      bool isPacked = element.getIntOrFloatBitWidth() < 8;
      json::Array box;
      for (auto [dim, size] : llvm::enumerate(map.getBox()))
        box.push_back(isPacked && dim + 1 == map.getBox().size() ? size / 2
                                                                 : size);
      maps.push_back(
          json::Object{{"element", isPacked ? "i8" : describeType(element)},
                       {"box", std::move(box)},
                       {"swizzle", map.getSwizzle()}});
    }
  return json::Object{{"function", kernel.getSymName().str()},
                      {"file", std::move(file)},
                      {"threads", kernel.getThreads()},
                      {"shared_bytes", kernel.getSharedBytes()},
                      {"scratch_bytes", kernel.getScratchBytes()},
                      {"registers", kernel.getRegisters()},
                      {"spill_bytes", kernel.getSpillBytes()},
                      {"tensor_maps", std::move(maps)}};
}

FailureOr<json::Object>
ProgramDescriber::run(llvm::function_ref<std::string(plan::BinaryOp)> fileOf) {
  program.walk([&](plan::WeightOp weight) {
    weights.insert(
        {weight.getNameAttr(),
         json::Object{
             {"name", weight.getName().str()},
             {"element", describeType(weight.getType().getElementType())},
             {"shape", describeShape(weight.getType())}}});
  });
  json::Array launches, files;
  WalkResult result = program.walk([&](plan::LaunchOp launch) {
    FailureOr<json::Object> entry = describeLaunch(launch);
    if (failed(entry))
      return WalkResult::interrupt();
    launches.push_back(std::move(*entry));
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  for (auto [op, number] : kernels) {
    auto kernel = cast<plan::BinaryOp>(op);
    files.push_back(describeKernel(kernel, fileOf(kernel)));
  }
  return json::Object{{"ports", describePorts()},
                      {"scratch", getValues(scratch)},
                      {"weights", getValues(weights)},
                      {"kernels", std::move(files)},
                      {"launches", std::move(launches)}};
}

namespace varve {
FailureOr<json::Object>
describeProgram(plan::FuncOp program,
                llvm::function_ref<std::string(plan::BinaryOp)> fileOf) {
  return ProgramDescriber(program).run(fileOf);
}
} // namespace varve
