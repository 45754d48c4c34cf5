//===- NvidiaCompiler.h - Kernels to PTX and cubin -------------*- C++ -*-===//
//
// In process up to PTX; then the assembler, if one is given.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_NVPTX_NVIDIACOMPILER_H
#define VARVE_TARGET_NVPTX_NVIDIACOMPILER_H

#include "lib/Cache/KernelCache.h"
#include "lib/Target/NVPTX/Ptxas.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace varve {

/// Kernel attribute (integer): bytes of spill stores and loads, together, that
/// the kernel may have. Without it none.
inline constexpr llvm::StringLiteral kAllowedSpillBytesAttrName =
    "varve.allowed_spill_bytes";

struct NvidiaOptions {
  /// Makes the cubin; without it the result is PTX alone, and a remark says
  /// so. PtxasTool::find() once, for all kernels.
  std::optional<PtxasTool> assembler;
  ToolLimits limits = {/*seconds=*/300, /*memoryMiB=*/0};
  /// Report what slows a kernel down (spills, serialised products) as errors;
  /// otherwise as warnings.
  bool strict = true;
  /// Names of locations become line directives, and part of the cache's key.
  /// Without them, kernels that differ in names alone share an entry.
  bool lineDirectives = true;
  /// Where results are looked up and stored; may be null.
  KernelCache *cache = nullptr;
};

struct NvidiaBinary {
  std::string ptx;
  /// Empty without an assembler.
  std::string cubin;
  /// One report for each kernel; empty without an assembler.
  std::vector<KernelReport> kernels;
  /// "ptxas 13.0.88"; empty without an assembler.
  std::string assembler;

  /// The parts as the cache keeps them, and back; nothing if `entry` is not
  /// such a result.
  CacheEntry toCacheEntry() const;
  static std::optional<NvidiaBinary> fromCacheEntry(const CacheEntry &entry);
};

/// Compiles the kernels of `module` (functions with `nvvm.kernel`, in `llvm`,
/// `nvvm`, `scf`, `cf`, `arith`, `math` and `vector` ops) for `target`. The
/// module itself stays as it is. The result depends on the module, the target
/// and the assembler alone, byte for byte. Errors are diagnostics at the op or
/// kernel at fault; an op that the architecture lacks never reaches LLVM.
mlir::FailureOr<NvidiaBinary> compileForNvidia(mlir::ModuleOp module,
                                               const TargetModel &target,
                                               const NvidiaOptions &options);

} // namespace varve

#endif // VARVE_TARGET_NVPTX_NVIDIACOMPILER_H
