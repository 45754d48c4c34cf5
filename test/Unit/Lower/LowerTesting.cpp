//===- LowerTesting.cpp - Lowered functions beside the reference ----------===//

#include "LowerTesting.h"

#include "dialects/Tile/Tile.h"
#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Fusion/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Schedule/Passes.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace varve;
using namespace varve::test;

void test::registerTestDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::varve::VarveDialect, mlir::varve::tile::TileDialect,
                  mlir::varve::plan::PlanDialect, mlir::func::FuncDialect,
                  mlir::scf::SCFDialect, mlir::arith::ArithDialect,
                  mlir::math::MathDialect>();
  registerInterpretModels(registry);
}

mlir::LogicalResult test::lower(mlir::ModuleOp module) {
  mlir::PassManager passes(module.getContext());
  passes.addPass(mlir::varve::createInsertCommitsPass());
  passes.addPass(mlir::varve::createFormKernelsPass());
  passes.addPass(mlir::varve::createVerifyFusedPass());
  passes.addPass(mlir::varve::createOutlineKernelsPass());
  mlir::varve::SplitTargetsPassOptions targets;
  // What another engine is to run is lowered for its target.
  const char *target = std::getenv("VARVE_TARGET");
  if (!target)
    target = std::getenv("VARVE_ENGINE");
  targets.targets.push_back(target ? target : "x86-64");
  passes.addPass(mlir::varve::createSplitTargetsPass(targets));
  passes.addPass(mlir::varve::createChooseStrategiesPass());
  passes.addPass(mlir::varve::createVerifyScheduledPass());
  passes.addPass(mlir::varve::createLowerKernelsPass());
  passes.addPass(mlir::varve::createVerifyLoweredPass());
  return passes.run(module);
}

void test::expectClose(const HostTensor &actual, const HostTensor &expected,
                       Tolerance tolerance, const std::string &what) {
  ASSERT_EQ(actual.getShape(), expected.getShape()) << what;
  if (expected.holdsNumbers()) {
    for (int64_t i = 0; i < expected.getNumElements(); ++i)
      ASSERT_EQ(actual.numbers()[i], expected.numbers()[i])
          << what << ", element " << i;
    return;
  }
  double square = 0, difference = 0, largest = 0, worst = 0;
  int64_t worstAt = 0;
  for (int64_t i = 0; i < expected.getNumElements(); ++i) {
    double a = actual.floats()[i], e = expected.floats()[i];
    ASSERT_TRUE(std::isfinite(a) || !std::isfinite(e))
        << what << ", element " << i << ": " << a << " for " << e;
    if (std::isinf(e))
      ASSERT_EQ(a, e) << what << ", element " << i;
    if (!std::isfinite(e))
      continue;
    square += e * e;
    difference += (a - e) * (a - e);
    largest = std::max(largest, std::abs(e));
    if (std::abs(a - e) > worst) {
      worst = std::abs(a - e);
      worstAt = i;
    }
  }
  EXPECT_LE(std::sqrt(difference), tolerance.rms * std::sqrt(square) + 1e-30)
      << what << ": relative root mean square "
      << std::sqrt(difference / square);
  EXPECT_LE(worst, tolerance.max * largest + 1e-30)
      << what << ", element " << worstAt << ": " << actual.floats()[worstAt]
      << " for " << expected.floats()[worstAt];
}

Bytes test::bytesOfNumbers(const std::vector<int32_t> &numbers) {
  Bytes bytes(numbers.size() * 4);
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

Bytes test::makePageTable(const PlanSizes &sizes) {
  std::vector<int32_t> pages(sizes.slots * sizes.sequencePages);
  for (size_t i = 0; i < pages.size(); ++i)
    pages[i] = static_cast<int32_t>(i);
  std::mt19937 generator(7);
  std::shuffle(pages.begin(), pages.end(), generator);
  return bytesOfNumbers(pages);
}

//===----------------------------------------------------------------------===//
// Twins
//===----------------------------------------------------------------------===//

static mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registerTestDialects(registry);
  return registry;
}

Twins::Twins(const std::string &text, uint64_t seed)
    : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED),
      weights([&] {
        RandomWeightsOptions options;
        options.seed = seed;
        return options;
      }()),
      generator(seed) {
  source = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!source) {
    ADD_FAILURE() << "the module does not parse";
    return;
  }
  interpreter.emplace(*source, weights);
  lowered = source->clone();
  if (mlir::failed(lower(*lowered))) {
    ADD_FAILURE() << "the module does not lower";
    return;
  }
  machine =
      PlanMachine::create(*lowered->getOps<mlir::ModuleOp>().begin(), weights);
}

std::string Twins::getLoweredText() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  lowered.get()->print(os);
  return text;
}

HostTensor Twins::makeArgument(mlir::RankedTensorType type,
                               llvm::StringRef name) {
  std::vector<int64_t> shape(type.getShape());
  if (type.isDynamicDim(0))
    shape[0] = name == "rows" ? sizes.rows : sizes.tokens;
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  mlir::Type element = type.getElementType();
  if (element.isInteger(32)) {
    std::vector<int32_t> numbers(elements);
    for (int32_t &number : numbers)
      number = static_cast<int32_t>(generator() % numbersBelow);
    if (name == "positions")
      numbers = positions;
    else if (name == "slots")
      numbers = slots;
    else if (name == "rows")
      numbers = rows;
    return HostTensor::ofNumbers(element, shape, std::move(numbers));
  }
  std::vector<float> values(elements);
  for (float &value : values)
    value = (static_cast<float>(generator() >> 8) / (1 << 23) - 1.0f) * scale;
  HostTensor tensor = HostTensor::ofFloats(element, shape, std::move(values));
  // As memory holds it: codes, and scales that are powers of two.
  Bytes bytes;
  if (mlir::isa<mlir::Float8E8M0FNUType>(element)) {
    bytes.resize(elements);
    for (uint8_t &code : bytes)
      code = 124 + generator() % 6;
  } else {
    bytes = encode(tensor);
  }
  return decode(bytes, element, shape);
}

void Twins::step(llvm::StringRef name, std::vector<Run> runs,
                 Tolerance tolerance) {
  if (!machine)
    return;
  positions.clear(), slots.clear(), starts.clear(), ends.clear(), rows.clear();
  for (const Run &run : runs) {
    int64_t &length = lengths[run.slot];
    for (int64_t i = 0; i < run.count; ++i) {
      bool isPadding = run.slot < 0;
      positions.push_back(isPadding ? 0 : static_cast<int32_t>(length + i));
      slots.push_back(run.slot);
      starts.push_back(isPadding ? 0 : static_cast<int32_t>(length));
      ends.push_back(isPadding ? 0
                               : static_cast<int32_t>(length + run.count - 1));
    }
    rows.push_back(static_cast<int32_t>(positions.size()) - 1);
    if (run.slot >= 0)
      length += run.count;
  }
  sizes.tokens = static_cast<int64_t>(positions.size());
  sizes.rows = static_cast<int64_t>(rows.size());

  auto function = source->lookupSymbol<mlir::func::FuncOp>(name);
  ASSERT_TRUE(function) << name.str();
  std::vector<HostTensor> arguments;
  std::map<std::string, Bytes> memories;
  memories["starts"] = bytesOfNumbers(starts);
  memories["ends"] = bytesOfNumbers(ends);
  memories["page_table"] = makePageTable(sizes);
  for (mlir::BlockArgument argument : function.getArguments()) {
    auto loc = mlir::dyn_cast<mlir::NameLoc>(argument.getLoc());
    std::string called = loc ? loc.getName().str()
                             : "arg" + std::to_string(argument.getArgNumber());
    arguments.push_back(makeArgument(
        mlir::cast<mlir::RankedTensorType>(argument.getType()), called));
    memories[called] = encode(arguments.back());
  }
  auto expected = interpreter->call(name, arguments);
  ASSERT_TRUE(mlir::succeeded(expected));
  machine->run(name, sizes, memories);
  for (auto [i, tensor] : llvm::enumerate(*expected)) {
    std::string output = "out" + std::to_string(i);
    HostTensor actual =
        decode(memories[output], tensor.getElementType(), tensor.getShape());
    expectClose(actual, tensor, tolerance,
                name.str() + ", " + output +
                    ", T = " + std::to_string(sizes.tokens));
  }
}
