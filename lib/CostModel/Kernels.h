//===- Kernels.h - What ops cost that run together -------------*- C++ -*-===//
//
// Level E1: the fuse phase has said which ops of a function are one kernel. A
// kernel reads what comes from outside once, writes what is used outside, and
// is one launch; what passes between its ops stays inside.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_COSTMODEL_KERNELS_H
#define VARVE_COSTMODEL_KERNELS_H

#include "lib/CostModel/Work.h"

namespace varve {

/// Ops of a function that run as one launch.
struct KernelWork {
  std::string kind; ///< "linear", "rows", "commit", ...
  /// Numbers in FunctionWork::ops; empty for what the fuse phase added (commits
  /// of a step's rows), whose work is counted where the rows are written.
  std::vector<unsigned> ops;
};

/// The kernels of every function, by its name.
using KernelMap = llvm::StringMap<std::vector<KernelWork>>;

/// Cost of a kernel: that of its ops, with values from and to other kernels as
/// its only values.
mlir::varve::OpCost getKernelCost(const FunctionWork &function,
                                  const KernelWork &kernel,
                                  const mlir::varve::StepShape &step);

} // namespace varve

#endif // VARVE_COSTMODEL_KERNELS_H
