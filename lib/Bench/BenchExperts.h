//===- BenchExperts.h - One layer's experts, measured -----------*- C++ -*-===//
//
// All launches that the routed experts of a layer of V4-Flash make: sorting,
// products, activation, quantisation. They come from the model itself, through
// all phases, so that they are those of its steps.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_BENCH_BENCHEXPERTS_H
#define VARVE_BENCH_BENCHEXPERTS_H

#include "lib/Bench/BenchKernels.h"
#include "lib/Bench/ExtractExperts.h"
#include "lib/Model/ModelConfig.h"
#include "lib/Package/PlanEncoder.h"
#include "llvm/Support/JSON.h"

namespace varve {

struct ExpertsBenchmark {
  /// "experts-fp4 256x4096x2048": experts, hidden size, inner size.
  std::string name;
  ModelConfig config;
};

/// Those of V4-Flash, but for `overrides`, as `--set` takes them.
llvm::Expected<ExpertsBenchmark>
makeExpertsBenchmark(llvm::ArrayRef<std::string> overrides);

/// What a step of `tokens` launches.
struct ExpertsStep {
  int64_t tokens;
  /// The most of any kernel; of spills the sum.
  unsigned registers = 0, sharedBytes = 0, spillBytes = 0;
  /// Operations; bytes of rows, results and of the experts that as many tokens
  /// choose on average if they choose with equal probability.
  double flops = 0, bytes = 0;

  BenchFloor getFloor(const DeviceModel &device) const;
};

struct CompiledExperts {
  /// What kernels.json says: name, kind, model, precision, target, sizes
  /// (experts, active, hidden, inner, limit, expert_bytes), and all that
  /// `describeProgram` lists.
  llvm::json::Object entry;
  /// The files that the entry names.
  std::vector<KernelMember> files;
  std::vector<ExpertsStep> steps;
};

/// Compiles with the kernel cache, for any target. `precision` is a policy, as
/// `--precision` takes it. Errors may have been reported as diagnostics.
llvm::Expected<CompiledExperts>
compileExperts(mlir::MLIRContext &context, const ExpertsBenchmark &benchmark,
               const TargetModel &target, llvm::StringRef precision);

} // namespace varve

#endif // VARVE_BENCH_BENCHEXPERTS_H
