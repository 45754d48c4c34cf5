//===- LowerTesting.h - Lowered functions beside the reference -*- C++ -*-===//
//
// Runs functions of a module twice, through the interpreter and through fusion,
// scheduling, lowering and the x86 engine, step by step with the same inputs,
// and compares what they return. Pools live on between steps.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_LOWER_LOWERTESTING_H
#define VARVE_TEST_UNIT_LOWER_LOWERTESTING_H

#include "PlanMachine.h"
#include "lib/Checkpoint/RandomWeights.h"
#include "lib/Interpret/Interpreter.h"
#include "mlir/IR/MLIRContext.h"
#include <random>

namespace varve::test {

/// A run of tokens of one sequence. Slot -1 is padding: position 0.
struct Run {
  int32_t slot;
  int64_t count;
};

/// How far results may be from the reference's.
struct Tolerance {
  /// Of the root mean square of the difference to that of the expected.
  double rms = 1e-5;
  /// Of the largest difference to the largest expected magnitude.
  double max = 1e-4;
};

void registerTestDialects(mlir::DialectRegistry &registry);

/// Runs the phases from fusion to lowering for the target that VARVE_TARGET or
/// VARVE_ENGINE names, by default an x86 one.
mlir::LogicalResult lower(mlir::ModuleOp module);

void expectClose(const HostTensor &actual, const HostTensor &expected,
                 Tolerance tolerance, const std::string &what);

/// A module in both executors.
class Twins {
public:
  /// From a text. Arguments called "positions", "slots", "rows" and "ids" are
  /// made from the step; others are random.
  explicit Twins(const std::string &text, uint64_t seed = 1);

  /// Processes the runs as one step of `function` in both, and compares all
  /// results.
  void step(llvm::StringRef function, std::vector<Run> runs,
            Tolerance tolerance = {});

  /// The first name that a launched tile function has, for tests of fusion.
  std::string getLoweredText() const;

  mlir::MLIRContext context;
  /// Bounds of random numbers of arguments.
  float scale = 1.0f;
  /// i32 arguments of other names are below this.
  int32_t numbersBelow = 8;
  PlanSizes sizes;

private:
  HostTensor makeArgument(mlir::RankedTensorType type, llvm::StringRef name);

  RandomWeights weights;
  mlir::OwningOpRef<mlir::ModuleOp> source, lowered;
  std::optional<Interpreter> interpreter;
  std::unique_ptr<PlanMachine> machine;
  std::mt19937 generator;
  std::map<int32_t, int64_t> lengths;
  std::vector<int32_t> positions, slots, starts, ends, rows;
};

/// A page table that gives every slot pages of its own, in shuffled order.
Bytes makePageTable(const PlanSizes &sizes);

Bytes bytesOfNumbers(const std::vector<int32_t> &numbers);

} // namespace varve::test

#endif // VARVE_TEST_UNIT_LOWER_LOWERTESTING_H
