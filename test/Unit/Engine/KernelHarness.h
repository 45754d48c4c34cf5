//===- KernelHarness.h - Run tile programs and compare ---------*- C++ -*-===//
//
// Compiles the text of a tile function for this machine and runs it over its
// whole grid, in several ranges of blocks. Expected values are computed by the
// tests in double precision with plain loops.
//
// With VARVE_ENGINE=TARGET in the environment, an NVIDIA target, programs are
// lowered by that target's engine and run on SimtMachine.h: the tests then say
// the same about it.
//
// With VARVE_CASES=FOLDER in the environment every run also writes a case: the
// program, its arguments before, and its results after. test/Gpu compiles and
// runs them for other machines.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_ENGINE_KERNELHARNESS_H
#define VARVE_TEST_UNIT_ENGINE_KERNELHARNESS_H

#include "lib/Target/X86/JitModule.h"
#include "varve/Support/Floats.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace varve::test {

class SimtKernel;

/// An argument of a kernel: its words, and the sizes that a grid may ask for.
struct Argument {
  std::vector<uint64_t> words;
  std::vector<int64_t> sizes;
  /// The memory behind a view; null for scalars.
  void *data = nullptr;
  size_t bytes = 0;
  /// Whether which element is where depends on the order of the blocks.
  bool isUnordered = false;
};

/// A view of an array; `dynamic` lists the run-time sizes and then the run-time
/// strides, `sizes` all sizes.
template <typename T>
Argument view(std::vector<T> &data, std::vector<int64_t> sizes,
              std::vector<int64_t> dynamic = {}) {
  Argument argument;
  argument.words.push_back(reinterpret_cast<uint64_t>(data.data()));
  for (int64_t word : dynamic)
    argument.words.push_back(static_cast<uint64_t>(word));
  argument.sizes = std::move(sizes);
  argument.data = data.data();
  argument.bytes = data.size() * sizeof(T);
  return argument;
}

Argument scalar(int64_t value);
Argument scalar(float value);

class Kernel {
public:
  /// Compiles the only tile function of `text`; null, with a test failure, when
  /// that fails. With `mergeRoles`, what tile-merge-roles makes of it.
  static std::unique_ptr<Kernel> compile(const std::string &text,
                                         int64_t vectorBits = 512,
                                         bool hostFeatures = true,
                                         bool mergeRoles = false);

  /// Runs all blocks, as one range or one block at a time from the last to the
  /// first; the scratch area holds garbage before.
  void run(const std::vector<Argument> &arguments, bool inReverse = false);

  int64_t getScratchBytes() const { return scratchBytes; }

  ~Kernel();

private:
  Kernel();

  std::string text;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> source;
  std::unique_ptr<JitModule> jit;
  /// Instead of `jit`, when another engine was asked for.
  std::unique_ptr<SimtKernel> simt;
  std::string name;
  int64_t scratchBytes = 0;
};

/// What the lowering of `text` reports as errors.
std::string getLoweringError(const std::string &text);

/// Replaces every $NAME$ in a text.
std::string substitute(
    std::string text,
    const std::vector<std::pair<std::string, std::string>> &replacements);

/// Numbers of a fixed sequence, uniform in [-scale, scale].
class Numbers {
public:
  explicit Numbers(uint32_t seed = 1) : generator(seed) {}
  float next(float scale = 1.0f);
  int64_t nextBelow(int64_t end);
  std::vector<float> floats(size_t count, float scale = 1.0f);
  std::vector<uint16_t> bf16(size_t count, float scale = 1.0f);
  std::vector<uint8_t> e4m3(size_t count, float scale = 8.0f);

private:
  std::mt19937 generator;
};

/// Expects |actual - expected| <= absolute + relative * |expected|, everywhere.
void expectNear(const std::function<double(size_t)> &actual,
                const std::function<double(size_t)> &expected, size_t count,
                double absolute, double relative);

} // namespace varve::test

#endif // VARVE_TEST_UNIT_ENGINE_KERNELHARNESS_H
