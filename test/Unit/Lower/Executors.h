//===- Executors.h - One function in all executors -------------*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_LOWER_EXECUTORS_H
#define VARVE_TEST_UNIT_LOWER_EXECUTORS_H

#include "LowerTesting.h"

#include <cstring>
#include <memory>

namespace varve::test {

/// Whether tests run slowly, or for cases that must be small: on a simulated
/// engine, or for a GPU.
bool isSample();

/// A function in the interpreter and as kernels, bit for bit.
class Executors {
public:
  /// @f of a module. Without `weights`, they are random.
  explicit Executors(const std::string &text,
                     std::unique_ptr<WeightSource> weights = nullptr);

  /// Results in their order.
  struct Results {
    std::vector<Bytes> interpreted, executed;
  };
  /// Runs @f on memories in the order of its arguments as a step of one
  /// sequence, whose first token has the position `start`.
  Results run(int64_t rows, const std::vector<Bytes> &inputs,
              int64_t start = 0);

  Interpreter &getInterpreter() { return *interpreter; }
  PlanMachine &getMachine() { return *machine; }
  const PlanSizes &getSizes() const { return sizes; }

private:
  mlir::MLIRContext context;
  std::unique_ptr<WeightSource> weights;
  mlir::OwningOpRef<mlir::ModuleOp> source, lowered;
  std::optional<Interpreter> interpreter;
  std::unique_ptr<PlanMachine> machine;
  PlanSizes sizes;
};

template <typename T> Bytes bytesOf(const std::vector<T> &numbers) {
  Bytes bytes(numbers.size() * sizeof(T));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

template <typename T> std::vector<T> numbersOf(const Bytes &bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(T));
  return numbers;
}

/// The number that bits of bf16 stand for.
float widen(uint16_t bf16);

/// Compares and says where the first few differences are.
void expectBytes(const Bytes &actual, const Bytes &expected,
                 const std::string &what);

/// Numbers for tests that must be quick: xorshift.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }

private:
  uint64_t state;
};

} // namespace varve::test

#endif // VARVE_TEST_UNIT_LOWER_EXECUTORS_H
