//===- InterpreterTesting.h - Running small modules ------------*- C++ -*-===//
//
// What the tests of whole ops share: weights in memory, a module from text, and
// the messages that it causes. Expected numbers are computed in the tests by
// plain loops in double.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_INTERPRET_INTERPRETERTESTING_H
#define VARVE_TEST_UNIT_INTERPRET_INTERPRETERTESTING_H

#include "dialects/Varve/Varve.h"
#include "lib/Interpret/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <random>

namespace varve::test {

/// Tensors by name, as numbers.
class MemoryWeights final : public WeightSource {
public:
  void add(llvm::StringRef name, std::vector<float> elements) {
    floats[name] = std::move(elements);
  }
  void addNumbers(llvm::StringRef name, std::vector<int64_t> elements) {
    numbers[name] = std::move(elements);
  }

  llvm::Expected<std::unique_ptr<WeightTensor>>
  open(llvm::StringRef name, WeightType type,
       llvm::ArrayRef<int64_t> shape) const override {
    if (!floats.contains(name) && !numbers.contains(name))
      return llvm::createStringError("no tensor '" + name + "'");
    auto tensor = std::make_unique<Tensor>();
    tensor->type = type;
    tensor->shape.assign(shape.begin(), shape.end());
    tensor->floats = floats.lookup(name);
    tensor->numbers = numbers.lookup(name);
    return tensor;
  }

private:
  struct Tensor final : WeightTensor {
    WeightType getType() const override { return type; }
    llvm::ArrayRef<int64_t> getShape() const override { return shape; }
    void readRow(int64_t row, llvm::MutableArrayRef<float> out) const override {
      llvm::copy(llvm::ArrayRef(floats).slice(row * out.size(), out.size()),
                 out.begin());
    }
    void readRow(int64_t row,
                 llvm::MutableArrayRef<int64_t> out) const override {
      llvm::copy(llvm::ArrayRef(numbers).slice(row * out.size(), out.size()),
                 out.begin());
    }
    WeightType type;
    llvm::SmallVector<int64_t, 3> shape;
    std::vector<float> floats;
    std::vector<int64_t> numbers;
  };
  llvm::StringMap<std::vector<float>> floats;
  llvm::StringMap<std::vector<int64_t>> numbers;
};

/// A module from text, its interpreter, and what it says.
class Program {
public:
  explicit Program(const std::string &text) : context(registry()) {
    context.printOpOnDiagnostic(false);
    handler.emplace(&context, [this](mlir::Diagnostic &diagnostic) {
      messages += diagnostic.str() + "\n";
      return mlir::success();
    });
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (module)
      interpreter.emplace(*module, weights);
    else
      ADD_FAILURE() << messages;
  }

  HostTensor floats(llvm::ArrayRef<int64_t> shape,
                    std::vector<float> elements) {
    return HostTensor::ofFloats(mlir::Float32Type::get(&context), shape,
                                std::move(elements));
  }
  HostTensor numbers(std::vector<int32_t> elements) {
    int64_t count = elements.size();
    return numbers({count}, std::move(elements));
  }
  HostTensor numbers(llvm::ArrayRef<int64_t> shape,
                     std::vector<int32_t> elements) {
    return HostTensor::ofNumbers(mlir::IntegerType::get(&context, 32), shape,
                                 std::move(elements));
  }

  /// The results of a call that succeeds.
  std::vector<HostTensor> call(llvm::StringRef function,
                               llvm::ArrayRef<HostTensor> arguments) {
    auto results = interpreter->call(function, arguments);
    EXPECT_TRUE(mlir::succeeded(results)) << messages;
    return mlir::succeeded(results) ? *results : std::vector<HostTensor>();
  }

  /// The messages of a call that fails.
  std::string errorOf(llvm::StringRef function,
                      llvm::ArrayRef<HostTensor> arguments) {
    messages.clear();
    EXPECT_TRUE(mlir::failed(interpreter->call(function, arguments)));
    return messages;
  }

  MemoryWeights weights;
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<Interpreter> interpreter;
  std::string messages;

private:
  static mlir::DialectRegistry registry() {
    mlir::DialectRegistry registry;
    registry.insert<mlir::varve::VarveDialect, mlir::func::FuncDialect>();
    registerInterpretModels(registry);
    return registry;
  }
  std::optional<mlir::ScopedDiagnosticHandler> handler;
};

/// `n` numbers in [-1, 1) with eight significant bits, so that products of few
/// of them are exact.
inline std::vector<float> randomFloats(size_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(n);
  for (float &value : values)
    value = static_cast<int>(generator() % 256 - 128) / 128.0f;
  return values;
}

inline std::vector<float> slice(const std::vector<float> &values, size_t begin,
                                size_t count) {
  return {values.begin() + begin, values.begin() + begin + count};
}

inline std::vector<float> floatsOf(const HostTensor &tensor) {
  return {tensor.floats().begin(), tensor.floats().end()};
}
inline std::vector<int32_t> numbersIn(const HostTensor &tensor) {
  return {tensor.numbers().begin(), tensor.numbers().end()};
}

/// Fails where an element differs by more than `tolerance`.
inline void expectNear(llvm::ArrayRef<float> actual,
                       llvm::ArrayRef<double> expected,
                       double tolerance = 1e-6) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
}

} // namespace varve::test

#endif // VARVE_TEST_UNIT_INTERPRET_INTERPRETERTESTING_H
