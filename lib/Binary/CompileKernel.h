//===- CompileKernel.h - One kernel to machine code ------------*- C++ -*-===//
#ifndef VARVE_BINARY_COMPILEKERNEL_H
#define VARVE_BINARY_COMPILEKERNEL_H

#include "dialects/Plan/Plan.h"
#include "lib/Cache/KernelCache.h"
#include "lib/Target/Model/TargetModel.h"
#include "lib/Target/NVPTX/Ptxas.h"
#include <string>
#include <vector>

namespace varve {

/// What the kernels of a compilation have in common.
struct CompileSettings {
  /// Assembles NVIDIA kernels; without it they stay PTX.
  std::optional<PtxasTool> assembler;
  bool strict = true;
  KernelCache *cache = nullptr;
};

/// What a compiler said. Its place is text, since it belongs to a context that
/// is gone.
struct KernelMessage {
  mlir::DiagnosticSeverity severity;
  std::string text;
};

struct CompiledKernel {
  mlir::varve::plan::CodeFormat format = mlir::varve::plan::CodeFormat::Object;
  /// Empty if compilation failed; `messages` say why.
  std::string code;
  KernelReport report;
  uint64_t matrixInstructions = 0;
  std::string assembler;
  std::vector<KernelMessage> messages;
};

/// A kernel as bytes, without its context.
struct KernelSource {
  std::string name;
  const TargetModel *target = nullptr;
  /// The kernel's module, as bytecode.
  std::string bytecode;
};

/// Compiles a kernel in a context of its own; may run on any thread.
CompiledKernel compileKernel(const KernelSource &source,
                             const CompileSettings &settings);

/// The number of matrix instructions in PTX: those of the mma, wgmma and
/// tcgen05 families.
uint64_t countMatrixInstructions(llvm::StringRef ptx);

} // namespace varve

#endif // VARVE_BINARY_COMPILEKERNEL_H
