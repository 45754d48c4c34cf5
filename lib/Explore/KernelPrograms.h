//===- KernelPrograms.h - Kernels, as the compiler makes them --*- C++ -*-===//
//
// The explorer's levels behind the closed form ask the phases themselves: which
// ops run together (fuse), with what strategies and as what tile programs
// (schedule, lower), and with what registers (binary).
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_KERNELPROGRAMS_H
#define VARVE_EXPLORE_KERNELPROGRAMS_H

#include "dialects/Plan/Plan.h"
#include "lib/CostModel/Kernels.h"
#include "lib/CostModel/LaunchTime.h"
#include "mlir/IR/OwningOpRef.h"

namespace varve {

class KernelPrograms {
public:
  /// Lowers a copy of `module`, from which `functions` were collected, for some
  /// targets; with `compile` to machine code. Fails, after diagnostics, where a
  /// phase refuses the module.
  static mlir::FailureOr<KernelPrograms>
  make(mlir::ModuleOp module, llvm::ArrayRef<FunctionWork> functions,
       llvm::ArrayRef<const TargetModel *> targets, bool compile);

  /// The kernels of a function, in order.
  llvm::ArrayRef<KernelWork> getKernels(llvm::StringRef function) const;

  /// What a kernel launches in a step: programs of the strategy for its size.
  std::vector<LaunchWork> getLaunches(const TargetModel &target,
                                      llvm::StringRef function, size_t kernel,
                                      const mlir::varve::StepShape &step) const;

private:
  /// What the assembler said of a kernel.
  struct Resources {
    int64_t registers = 0, sharedBytes = 0, spillBytes = 0;
  };

  mlir::LogicalResult formKernels(mlir::ModuleOp module,
                                  llvm::ArrayRef<FunctionWork> functions);
  mlir::LogicalResult lower(llvm::ArrayRef<const TargetModel *> targets);
  mlir::LogicalResult compileKernels();
  mlir::ModuleOp getTargetModule(const TargetModel &target) const;

  mlir::OwningOpRef<mlir::ModuleOp> module;
  KernelMap kernels;
  /// By "target/kernel"; empty without compilation.
  llvm::StringMap<Resources> resources;
  /// Estimates, by the same names.
  mutable llvm::StringMap<int64_t> estimates;
};

} // namespace varve

#endif // VARVE_EXPLORE_KERNELPROGRAMS_H
