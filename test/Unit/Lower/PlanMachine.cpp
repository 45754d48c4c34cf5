//===- PlanMachine.cpp - Plans executed on this processor -----------------===//

#include "PlanMachine.h"

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Engine/X86/Abi.h"
#include "passes/Engine/X86/Passes.h"
#include "varve/Support/Floats.h"
#include "llvm/ADT/TypeSwitch.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <cstring>

using namespace varve;
using namespace varve::test;
namespace plan = mlir::varve::plan;
namespace tile = mlir::varve::tile;
using plan::DeviceTensorType;

//===----------------------------------------------------------------------===//
// Numbers in memory
//===----------------------------------------------------------------------===//

static void writeNumber(Bytes &bytes, size_t i, mlir::Type element,
                        float value) {
  auto put = [&](auto code) {
    std::memcpy(&bytes[i * sizeof code], &code, sizeof code);
  };
  if (element.isF32())
    put(value);
  else if (element.isBF16())
    put(floatToBf16(value));
  else if (element.isF16())
    put(floatToF16(value));
  else if (mlir::isa<mlir::Float8E4M3FNType>(element))
    put(floatToE4m3(value));
  else if (mlir::isa<mlir::Float8E8M0FNUType>(element))
    put(e8m0FromPowerOfTwo(value));
  else if (mlir::isa<mlir::Float4E2M1FNType>(element))
    bytes[i / 2] |= floatToE2m1(value) << (i % 2 * 4);
  else
    ADD_FAILURE() << "an element type that is not stored";
}

static float readNumber(const Bytes &bytes, size_t i, mlir::Type element) {
  auto get = [&](auto code) {
    std::memcpy(&code, &bytes[i * sizeof code], sizeof code);
    return code;
  };
  if (element.isF32())
    return get(0.0f);
  if (element.isBF16())
    return bf16ToFloat(get(uint16_t(0)));
  if (element.isF16())
    return f16ToFloat(get(uint16_t(0)));
  if (mlir::isa<mlir::Float8E4M3FNType>(element))
    return e4m3ToFloat(get(uint8_t(0)));
  if (mlir::isa<mlir::Float8E8M0FNUType>(element))
    return e8m0ToFloat(get(uint8_t(0)));
  return e2m1ToFloat(bytes[i / 2] >> (i % 2 * 4) & 15);
}

static int64_t count(llvm::ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  return elements;
}

static size_t bytesOf(mlir::Type element, int64_t elements) {
  return (elements * element.getIntOrFloatBitWidth() + 7) / 8;
}

Bytes test::encode(const HostTensor &tensor) {
  Bytes bytes(bytesOf(tensor.getElementType(), tensor.getNumElements()));
  if (tensor.holdsNumbers()) {
    std::memcpy(bytes.data(), tensor.numbers().data(), bytes.size());
    return bytes;
  }
  std::vector<float> values = tensor.allFloats();
  for (size_t i = 0; i < values.size(); ++i)
    writeNumber(bytes, i, tensor.getElementType(), values[i]);
  return bytes;
}

HostTensor test::decode(const Bytes &bytes, mlir::Type element,
                        llvm::ArrayRef<int64_t> shape) {
  int64_t elements = count(shape);
  EXPECT_EQ(bytes.size(), bytesOf(element, elements));
  if (element.isInteger(32)) {
    std::vector<int32_t> numbers(elements);
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return HostTensor::ofNumbers(element, shape, std::move(numbers));
  }
  std::vector<float> values(elements);
  for (int64_t i = 0; i < elements; ++i)
    values[i] = readNumber(bytes, i, element);
  return HostTensor::ofFloats(element, shape, std::move(values));
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

std::unique_ptr<PlanMachine> PlanMachine::create(mlir::ModuleOp module,
                                                 const WeightSource &weights) {
  std::unique_ptr<PlanMachine> machine(new PlanMachine());
  machine->module = module;
  machine->weights = &weights;
  if (std::getenv("VARVE_ENGINE") || std::getenv("VARVE_CASES")) {
    for (auto function : module.getOps<tile::FuncOp>()) {
      auto copy = mlir::OwningOpRef<tile::FuncOp>(
          mlir::cast<tile::FuncOp>(function->clone()));
      copy->setPublic();
      std::string text;
      llvm::raw_string_ostream(text) << *copy;
      auto kernel = Kernel::compile(text);
      if (!kernel)
        return nullptr;
      machine->harnessed[function.getSymName().str()] = std::move(kernel);
    }
    return machine;
  }
  machine->kernels = mlir::ModuleOp::create(module.getLoc());
  mlir::OpBuilder builder =
      mlir::OpBuilder::atBlockEnd(machine->kernels->getBody());
  for (auto function : module.getOps<tile::FuncOp>()) {
    auto copy = mlir::cast<tile::FuncOp>(builder.clone(*function));
    copy.setPublic();
  }
  mlir::PassManager passes(module.getContext());
  passes.addPass(mlir::varve::createTileToX86Pass());
  if (mlir::failed(passes.run(*machine->kernels))) {
    ADD_FAILURE() << "the kernels do not lower";
    return nullptr;
  }
  for (auto function : machine->kernels->getOps<mlir::func::FuncOp>())
    if (auto bytes = function->getAttrOfType<mlir::IntegerAttr>(
            x86::kScratchBytesAttrName))
      machine->scratchBytes[function.getSymName()] = bytes.getInt();
  auto jit = JitModule::create(*machine->kernels);
  if (!jit) {
    ADD_FAILURE() << llvm::toString(jit.takeError());
    return nullptr;
  }
  machine->jit = std::move(*jit);
  return machine;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// The bytes of memory that holds nothing yet: as numbers they are NaN or
/// large.
static constexpr uint8_t kGarbage = 0xFF;

static std::vector<int64_t> getShape(DeviceTensorType type,
                                     llvm::ArrayRef<int64_t> sizes) {
  std::vector<int64_t> shape;
  for (plan::LinearAttr size : type.getShape())
    shape.push_back(size.evaluate(sizes));
  return shape;
}

static size_t getBytes(DeviceTensorType type, llvm::ArrayRef<int64_t> sizes) {
  return bytesOf(type.getElementType(), count(getShape(type, sizes)));
}

static WeightType getWeightType(mlir::Type element) {
  return llvm::TypeSwitch<mlir::Type, WeightType>(element)
      .Case([](mlir::BFloat16Type) { return WeightType::BF16; })
      .Case([](mlir::Float16Type) { return WeightType::F16; })
      .Case([](mlir::Float8E4M3FNType) { return WeightType::F8E4M3; })
      .Case([](mlir::Float8E8M0FNUType) { return WeightType::F8E8M0; })
      .Case([](mlir::Float4E2M1FNType) { return WeightType::F4E2M1; })
      .Case([](mlir::IntegerType type) {
        return type.getWidth() == 64 ? WeightType::I64 : WeightType::I32;
      })
      .Default([](mlir::Type) { return WeightType::F32; });
}

uint64_t PlanMachine::getWeight(plan::WeightOp op) {
  Bytes &bytes = openWeights[op.getName().str()];
  if (!bytes.empty())
    return reinterpret_cast<uint64_t>(bytes.data());
  auto type = mlir::cast<DeviceTensorType>(op.getType());
  std::vector<int64_t> shape = getShape(type, sizes);
  mlir::Type element = type.getElementType();
  auto tensor = weights->open(op.getName(), getWeightType(element), shape);
  if (!tensor) {
    ADD_FAILURE() << llvm::toString(tensor.takeError());
    return 0;
  }
  bytes.resize(getBytes(type, sizes));
  int64_t width = shape.back();
  for (int64_t row = 0, rows = count(shape) / width; row < rows; ++row) {
    if (element.isInteger()) {
      std::vector<int64_t> numbers(width);
      (*tensor)->readRow(row, numbers);
      for (int64_t i = 0; i < width; ++i)
        if (element.isInteger(64))
          std::memcpy(&bytes[(row * width + i) * 8], &numbers[i], 8);
        else
          std::memcpy(&bytes[(row * width + i) * 4], &numbers[i], 4);
      continue;
    }
    std::vector<float> values(width);
    (*tensor)->readRow(row, values);
    for (int64_t i = 0; i < width; ++i)
      writeNumber(bytes, row * width + i, element, values[i]);
  }
  return reinterpret_cast<uint64_t>(bytes.data());
}

uint64_t PlanMachine::getPool(mlir::FlatSymbolRefAttr name) {
  Bytes &bytes = pools[name.getValue().str()];
  if (bytes.empty()) {
    auto pool = module.lookupSymbol<plan::PoolOp>(name.getAttr());
    bytes.assign(getBytes(mlir::cast<DeviceTensorType>(pool.getType()), sizes),
                 kGarbage);
  }
  return reinterpret_cast<uint64_t>(bytes.data());
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// An argument of a launch as the harness of the engine's tests takes it, with
/// the whole memory that it is a part of.
Argument PlanMachine::getArgument(plan::LaunchOp op, unsigned number,
                                  const Values &values,
                                  const Scratch &scratch) {
  mlir::Value operand = op.getArguments()[number];
  auto function =
      module.lookupSymbol<tile::FuncOp>(op.getKernelAttr().getAttr());
  auto view =
      mlir::dyn_cast<tile::ViewType>(function.getArgumentTypes()[number]);
  Argument argument;
  uint64_t word = values.lookup(operand);
  argument.words = {word};
  if (!view) {
    argument.sizes = {static_cast<int64_t>(word)};
    return argument;
  }
  auto tensor = mlir::cast<DeviceTensorType>(operand.getType());
  argument.sizes = getShape(tensor, sizes);
  for (unsigned i = 0; i < argument.sizes.size(); ++i)
    if (view.isDynamicDim(i))
      argument.words.push_back(argument.sizes[i]);
  for (auto [i, stride] : llvm::enumerate(view.getStrides()))
    if (mlir::ShapedType::isDynamic(stride))
      argument.words.push_back(tensor.getStride(i).evaluate(sizes));
  auto use = [&](Bytes &bytes) {
    auto begin = reinterpret_cast<uint64_t>(bytes.data());
    if (word < begin || word >= begin + bytes.size())
      return;
    argument.data = bytes.data();
    argument.bytes = bytes.size();
  };
  for (auto *memories : {&openWeights, &pools, arguments})
    for (auto &[name, bytes] : *memories)
      use(bytes);
  for (const std::unique_ptr<Bytes> &bytes : scratch)
    use(*bytes);
  return argument;
}

void PlanMachine::launchKernel(plan::LaunchOp op, const Values &values,
                               const Scratch &scratch) {
  std::vector<Argument> passed;
  for (unsigned i = 0; i < op.getArguments().size(); ++i)
    passed.push_back(getArgument(op, i, values, scratch));
  ++numLaunches;
  harnessed.at(op.getKernel().str())->run(passed);
}

void PlanMachine::launch(plan::LaunchOp op, Values &values) {
  auto function =
      module.lookupSymbol<tile::FuncOp>(op.getKernelAttr().getAttr());
  ASSERT_TRUE(function) << op.getKernel().str();
  std::vector<uint64_t> words;
  for (auto [argument, type] :
       llvm::zip_equal(op.getArguments(), function.getArgumentTypes())) {
    words.push_back(values.lookup(argument));
    auto view = mlir::dyn_cast<tile::ViewType>(type);
    if (!view)
      continue;
    auto tensor = mlir::cast<DeviceTensorType>(argument.getType());
    std::vector<int64_t> shape = getShape(tensor, sizes);
    for (unsigned i = 0; i < shape.size(); ++i)
      if (view.isDynamicDim(i))
        words.push_back(shape[i]);
    for (auto [i, stride] : llvm::enumerate(view.getStrides()))
      if (mlir::ShapedType::isDynamic(stride))
        words.push_back(tensor.getStride(i).evaluate(sizes));
  }
  llvm::SmallVector<int64_t> gridSizes;
  for (auto size : function.getSizes().getAsRange<tile::SizeAttr>()) {
    mlir::Value argument = size.getKind() == tile::SizeKind::Resident
                               ? mlir::Value()
                               : op.getArguments()[size.getArgument()];
    if (!argument)
      gridSizes.push_back(3);
    else if (size.getKind() == tile::SizeKind::Scalar)
      gridSizes.push_back(static_cast<int64_t>(values.lookup(argument)));
    else
      gridSizes.push_back(
          getShape(mlir::cast<DeviceTensorType>(argument.getType()),
                   sizes)[size.getDim()]);
  }
  auto grid = function.evaluateGrid(gridSizes);
  ASSERT_TRUE(mlir::succeeded(grid));
  int64_t blocks = 1;
  for (int64_t extent : *grid)
    blocks *= extent;
  ++numLaunches;
  if (blocks == 0)
    return;
  int64_t alignment = x86::kScratchAlignment;
  int64_t scratchSize = scratchBytes.lookup(function.getSymName());
  size_t size = (scratchSize + alignment) / alignment * alignment;
  std::unique_ptr<void, decltype(&std::free)> scratch(
      std::aligned_alloc(alignment, size), &std::free);
  std::memset(scratch.get(), kGarbage, size);
  auto *entry =
      llvm::cantFail(jit->lookupAs<x86::KernelFn>(function.getSymName()));
  entry(words.data(), grid->data(), 0, blocks, scratch.get());
}

void PlanMachine::runBlock(mlir::Block &block, Values &values,
                           Scratch &scratch) {
  auto offsetOf = [&](plan::LinearAttr offset) {
    return offset ? offset.evaluate(sizes) : int64_t(0);
  };
  for (mlir::Operation &operation : block) {
    llvm::TypeSwitch<mlir::Operation *>(&operation)
        .Case([&](plan::WeightOp op) { values[op] = getWeight(op); })
        .Case([&](plan::AllocOp op) {
          scratch.push_back(std::make_unique<Bytes>(
              getBytes(mlir::cast<DeviceTensorType>(op.getType()), sizes) + 16,
              kGarbage));
          values[op] = reinterpret_cast<uint64_t>(scratch.back()->data());
        })
        .Case([&](plan::PoolMemoryOp op) {
          values[op] = getPool(op.getPoolAttr()) + offsetOf(op.getOffsetAttr());
        })
        .Case([&](plan::ViewOp op) {
          values[op] =
              values.lookup(op.getSource()) + offsetOf(op.getOffsetAttr());
        })
        .Case([&](plan::SizeOp op) {
          values[op] = op.getValueAttr().evaluate(sizes);
        })
        .Case([&](mlir::arith::ConstantOp op) {
          if (auto number = mlir::dyn_cast<mlir::IntegerAttr>(op.getValue()))
            values[op] = number.getInt();
          else
            values[op] = mlir::cast<mlir::FloatAttr>(op.getValue())
                             .getValue()
                             .bitcastToAPInt()
                             .getZExtValue();
        })
        .Case([&](plan::WhenOp op) {
          int64_t value = op.getValueAttr().evaluate(sizes);
          if (value >= static_cast<int64_t>(op.getLow()) &&
              (!op.getHigh() || value <= static_cast<int64_t>(*op.getHigh())))
            runBlock(op.getBody().front(), values, scratch);
        })
        .Case([&](plan::CallOp op) {
          auto callee =
              module.lookupSymbol<plan::FuncOp>(op.getCalleeAttr().getAttr());
          Values inner;
          for (auto [argument, operand] :
               llvm::zip_equal(callee.getArguments(), op.getArguments()))
            inner[argument] = values.lookup(operand);
          runBlock(callee.getBody().front(), inner, scratch);
        })
        .Case([&](plan::LaunchOp op) {
          if (harnessed.empty())
            launch(op, values);
          else
            launchKernel(op, values, scratch);
        })
        .Case([](plan::ReturnOp) {})
        .Default([](mlir::Operation *op) {
          ADD_FAILURE() << "not a plan op: "
                        << op->getName().getStringRef().str();
        });
  }
}

void PlanMachine::run(llvm::StringRef name, const PlanSizes &planSizes,
                      std::map<std::string, Bytes> &memories) {
  auto function = module.lookupSymbol<plan::FuncOp>(name);
  ASSERT_TRUE(function) << name.str();
  sizes = planSizes.values();
  Values values;
  for (mlir::BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    Bytes &bytes = memories[function.getArgumentName(i).str()];
    size_t size =
        getBytes(mlir::cast<DeviceTensorType>(argument.getType()), sizes);
    if (function.isOutput(i))
      bytes.assign(size, kGarbage);
    ASSERT_EQ(bytes.size(), size) << function.getArgumentName(i).str();
    values[argument] = reinterpret_cast<uint64_t>(bytes.data());
  }
  arguments = &memories;
  Scratch scratch;
  runBlock(function.getBody().front(), values, scratch);
}

DeviceTensorType PlanMachine::getType(llvm::StringRef name,
                                      llvm::StringRef argument) {
  auto function = module.lookupSymbol<plan::FuncOp>(name);
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (function.getArgumentName(i) == argument)
      return mlir::cast<DeviceTensorType>(function.getArgumentTypes()[i]);
  return {};
}
