//===- BenchKernelsTool.h - varve bench kernels ----------------*- C++ -*-===//
#ifndef VARVE_TOOLS_BENCHKERNELSTOOL_H
#define VARVE_TOOLS_BENCHKERNELSTOOL_H

#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace varve {

struct BenchKernelsOptions {
  std::string target = "sm_90a";
  /// Kernels whose names contain this.
  std::string only;
  /// Of programs that come from a model: a policy, and what `--set` overrides.
  std::string precision = "native";
  std::vector<std::string> overrides;
  std::string folder;
  std::string format = "md"; ///< md, csv, json
};

/// Compiles the benchmark kernels to `folder`: a cubin and PTX each, and
/// kernels.json, which says how to launch them, with the programs of several
/// launches, which compile for processors, too. Prints a table of what they
/// have to do and what the compiler made of them. Runs nothing. Returns the
/// exit code.
llvm::Expected<int> benchKernels(const BenchKernelsOptions &options);

} // namespace varve

#endif // VARVE_TOOLS_BENCHKERNELSTOOL_H
