//===- Ptxas.h - NVIDIA's assembler as a separate program ------*- C++ -*-===//
//
// Finding it, running it, and reading what it says about each kernel. Optional:
// without it a package carries PTX and the driver assembles. No MLIR.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_NVPTX_PTXAS_H
#define VARVE_TARGET_NVPTX_PTXAS_H

#include "lib/Target/Codegen/ExternalTool.h"
#include "lib/Target/Model/TargetModel.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>
#include <vector>

namespace varve {

/// An installed assembler.
struct PtxasTool {
  std::string path;
  /// "13.0.88".
  std::string version;

  /// Looks at VARVE_PTXAS (a path; nothing else is then tried), PATH,
  /// CUDA_HOME/bin, CUDA_PATH/bin and /usr/local/cuda/bin, in this order. The
  /// error lists where it looked.
  static llvm::Expected<PtxasTool> find();
};

/// What the assembler reports about one kernel.
struct KernelReport {
  std::string name;
  uint32_t registers = 0;
  uint32_t barriers = 0;
  /// Statically allocated shared memory, in bytes.
  uint32_t sharedBytes = 0;
  uint32_t constantBytes = 0;
  uint32_t stackBytes = 0;
  uint32_t spillStoreBytes = 0;
  uint32_t spillLoadBytes = 0;
};

/// A note of the assembler that costs speed ("C7510").
struct PerformanceWarning {
  std::string code;
  std::string text;
  /// The kernel it is about; empty if the assembler does not say.
  std::string kernel;
};

struct PtxasLog {
  std::vector<KernelReport> kernels;
  std::vector<PerformanceWarning> warnings;
};

/// Reads the output of `ptxas -v`. Lines of unknown form are skipped; kernels
/// keep their order.
PtxasLog parsePtxasLog(llvm::StringRef text);

struct AssembledCubin {
  std::string cubin;
  PtxasLog log;
};

/// Assembles for `target`. Errors of the assembler come back with the PTX line
/// they are about and the kernel and layer it belongs to.
llvm::Expected<AssembledCubin> assemble(const PtxasTool &tool,
                                        llvm::StringRef ptx,
                                        const TargetModel &target,
                                        const ToolLimits &limits);

/// One thing that makes a kernel slower than it looks, for a diagnostic.
struct PerformanceProblem {
  std::string kernel;
  std::string message;
  std::string remedy;
};

/// Warnings of the C75xx family, and spills beyond what `allowedSpillBytes`
/// grants a kernel.
std::vector<PerformanceProblem> findPerformanceProblems(
    const PtxasLog &log,
    llvm::function_ref<uint64_t(llvm::StringRef kernel)> allowedSpillBytes);

} // namespace varve

#endif // VARVE_TARGET_NVPTX_PTXAS_H
