//===- SimtMachine.h - NVIDIA kernels on this processor --------*- C++ -*-===//
//
// Runs kernels of the NVIDIA engine without a GPU, for tests: the lowered code
// is compiled for this processor, and every thread of a block becomes a fiber
// that runs until it waits for others (barriers, shuffles). Threads run in
// ascending or descending order, block by block, so that a missing barrier
// shows as a wrong result, and threads that wait for ever are reported.
//
// What it executes is the engine's code up to and including `nvvm` ops, of
// those thread and block numbers, barriers, shuffles, integer sums over a warp,
// and dependency control. It has no matrix instructions and no asynchronous
// copies.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_ENGINE_SIMTMACHINE_H
#define VARVE_TEST_UNIT_ENGINE_SIMTMACHINE_H

#include "lib/Target/X86/JitModule.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <string>

namespace varve::test {

class SimtKernel {
public:
  /// Compiles the kernel `name` of a module that tile-to-nvidia left, which it
  /// changes. Null, with a test failure, when that fails.
  static std::unique_ptr<SimtKernel> compile(mlir::ModuleOp module,
                                             const std::string &name);

  /// Runs all blocks of a grid. `words` are the kernel's parameters.
  void run(llvm::ArrayRef<uint64_t> words, llvm::ArrayRef<int64_t> grid,
           bool inReverse);

private:
  std::unique_ptr<JitModule> jit;
  void (*entry)(const uint64_t *words) = nullptr;
  int64_t threads = 0, sharedBytes = 0;
};

} // namespace varve::test

#endif // VARVE_TEST_UNIT_ENGINE_SIMTMACHINE_H
