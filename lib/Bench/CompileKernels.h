//===- CompileKernels.h - Benchmark kernels for a target -------*- C++ -*-===//
#ifndef VARVE_BENCH_COMPILEKERNELS_H
#define VARVE_BENCH_COMPILEKERNELS_H

#include "lib/Bench/BenchKernels.h"
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "llvm/Support/JSON.h"

namespace varve {

/// A kernel as machine code.
struct CompiledBenchKernel {
  NvidiaBinary binary;
  /// What a launch needs: function, grid (null: as many blocks as the device
  /// holds at once), threads, shared_bytes, blocks_per_multiprocessor,
  /// arguments, tensor_maps (argument, element, box, swizzle).
  llvm::json::Object launch;
};

/// Compiles through the same passes as any kernel. Errors are diagnostics of
/// `context`.
mlir::FailureOr<CompiledBenchKernel>
compileBenchKernel(const BenchKernel &kernel, const TargetModel &target,
                   const NvidiaOptions &options, mlir::MLIRContext &context);

/// The entry of a folder's kernels.json for the kernel, whose cubin is the file
/// `getFileName()` + ".cubin" and whose PTX is beside it: what a launch needs,
/// and name, kind, file, ptx, sizes, flops and bytes.
llvm::json::Object describeBenchKernel(const BenchKernel &kernel,
                                       const CompiledBenchKernel &compiled);

} // namespace varve

#endif // VARVE_BENCH_COMPILEKERNELS_H
