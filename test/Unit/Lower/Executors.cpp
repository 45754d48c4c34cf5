//===- Executors.cpp - One function in all executors ----------------------===//

#include "Executors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <bit>
#include <cstdlib>
#include <numeric>

using namespace varve;
using namespace varve::test;

bool test::isSample() {
  return std::getenv("VARVE_ENGINE") || std::getenv("VARVE_CASES");
}

static mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registerTestDialects(registry);
  return registry;
}

Executors::Executors(const std::string &text,
                     std::unique_ptr<WeightSource> given)
    : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED),
      weights(std::move(given)) {
  if (!weights)
    weights = std::make_unique<RandomWeights>(RandomWeightsOptions());
  source = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!source) {
    ADD_FAILURE() << "the module does not parse";
    return;
  }
  interpreter.emplace(*source, *weights);
  lowered = source->clone();
  if (mlir::failed(lower(*lowered)))
    ADD_FAILURE() << "the module does not lower";
  else
    machine = PlanMachine::create(*lowered->getOps<mlir::ModuleOp>().begin(),
                                  *weights);
}

Executors::Results
Executors::run(int64_t rows, const std::vector<Bytes> &inputs, int64_t start) {
  Results results;
  if (!machine)
    return results;
  auto function = source->lookupSymbol<mlir::func::FuncOp>("f");
  std::vector<HostTensor> arguments;
  std::map<std::string, Bytes> memories;
  for (mlir::BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    auto type = mlir::cast<mlir::RankedTensorType>(argument.getType());
    std::vector<int64_t> shape(type.getShape());
    shape[0] = rows;
    arguments.push_back(decode(inputs[i], type.getElementType(), shape));
    auto loc = mlir::dyn_cast<mlir::NameLoc>(argument.getLoc());
    memories[loc ? loc.getName().str() : "arg" + std::to_string(i)] = inputs[i];
  }
  sizes.tokens = rows;
  memories["starts"] =
      bytesOfNumbers(std::vector<int32_t>(rows, static_cast<int32_t>(start)));
  memories["ends"] = bytesOfNumbers(
      std::vector<int32_t>(rows, static_cast<int32_t>(start + rows - 1)));
  memories["page_table"] = makePageTable(sizes);
  auto tensors = interpreter->call("f", arguments);
  if (mlir::failed(tensors)) {
    ADD_FAILURE() << "the interpreter does not run the function";
    return results;
  }
  machine->run("f", sizes, memories);
  for (auto [i, tensor] : llvm::enumerate(*tensors)) {
    results.interpreted.push_back(encode(tensor));
    results.executed.push_back(memories["out" + std::to_string(i)]);
  }
  return results;
}

float test::widen(uint16_t bf16) {
  return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16);
}

void test::expectBytes(const Bytes &actual, const Bytes &expected,
                       const std::string &what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  size_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    if (actual[i] != expected[i] && ++wrong <= 3)
      ADD_FAILURE() << what << ", byte " << i << ": " << int(actual[i])
                    << " for " << int(expected[i]);
  EXPECT_EQ(wrong, 0u) << what;
}
