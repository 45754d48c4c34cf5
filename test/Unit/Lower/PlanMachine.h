//===- PlanMachine.h - Plans executed on this processor --------*- C++ -*-===//
//
// Runs the `plan.func`s of a lowered module in order, launching its tile
// functions through the x86 engine. Memory is as it comes: scratch and pools
// begin as garbage, every allocation is its own.
//
// With VARVE_ENGINE or VARVE_CASES in the environment tile functions run as
// those of the engine's tests do (test/Unit/Engine/KernelHarness.h): through
// the engine of an NVIDIA target, simulated, or leaving cases for a GPU.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_LOWER_PLANMACHINE_H
#define VARVE_TEST_UNIT_LOWER_PLANMACHINE_H

#include "dialects/Plan/Plan.h"
#include "lib/Checkpoint/WeightSource.h"
#include "lib/Interpret/HostTensor.h"
#include "lib/Target/X86/JitModule.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "test/Unit/Engine/KernelHarness.h"
#include <map>
#include <string>
#include <vector>

namespace varve::test {

using Bytes = std::vector<uint8_t>;

/// A tensor as memory holds it: packed, row-major.
Bytes encode(const HostTensor &tensor);
HostTensor decode(const Bytes &bytes, mlir::Type element,
                  llvm::ArrayRef<int64_t> shape);

/// The values of the symbols of sizes.
struct PlanSizes {
  int64_t tokens = 0, rows = 0, slots = 4, pages = 16, sequencePages = 4,
          maxTokens = 512;
  std::vector<int64_t> values() const {
    return {tokens, rows, slots, pages, sequencePages, maxTokens};
  }
};

class PlanMachine {
public:
  /// Compiles the tile functions of `module`, the nested module of a target
  /// behind the lower phase. `weights` outlives the machine. Null, with
  /// a test failure, when that fails.
  static std::unique_ptr<PlanMachine> create(mlir::ModuleOp module,
                                             const WeightSource &weights);

  /// Runs a public function. `arguments` are memories by `plan.name`; outputs
  /// are made by the call and added to it.
  void run(llvm::StringRef function, const PlanSizes &sizes,
           std::map<std::string, Bytes> &memories);

  /// The argument's type, for decoding.
  mlir::varve::plan::DeviceTensorType getType(llvm::StringRef function,
                                              llvm::StringRef name);

  /// The memory of a pool that was used.
  Bytes &getPoolBytes(llvm::StringRef name) { return pools.at(name.str()); }

  /// Launches so far.
  int64_t getNumLaunches() const { return numLaunches; }

private:
  PlanMachine() = default;

  using Values = llvm::DenseMap<mlir::Value, uint64_t>;
  using Scratch = std::vector<std::unique_ptr<Bytes>>;
  void runBlock(mlir::Block &block, Values &values, Scratch &scratch);
  void launch(mlir::varve::plan::LaunchOp op, Values &values);
  void launchKernel(mlir::varve::plan::LaunchOp op, const Values &values,
                    const Scratch &scratch);
  Argument getArgument(mlir::varve::plan::LaunchOp op, unsigned number,
                       const Values &values, const Scratch &scratch);
  uint64_t getWeight(mlir::varve::plan::WeightOp op);
  uint64_t getPool(mlir::FlatSymbolRefAttr name);

  mlir::ModuleOp module;
  mlir::OwningOpRef<mlir::ModuleOp> kernels;
  const WeightSource *weights = nullptr;
  std::unique_ptr<JitModule> jit;
  /// Instead of `jit`, where the environment asks for it.
  std::map<std::string, std::unique_ptr<Kernel>> harnessed;
  llvm::StringMap<int64_t> scratchBytes;
  /// The memory of the running function's arguments.
  std::map<std::string, Bytes> *arguments = nullptr;
  std::map<std::string, Bytes> openWeights, pools;
  std::vector<int64_t> sizes;
  int64_t numLaunches = 0;
};

} // namespace varve::test

#endif // VARVE_TEST_UNIT_LOWER_PLANMACHINE_H
