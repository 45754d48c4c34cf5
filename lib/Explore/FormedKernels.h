//===- FormedKernels.h - Kernels, as the fuse phase forms them -*- C++ -*-===//
#ifndef VARVE_EXPLORE_FORMEDKERNELS_H
#define VARVE_EXPLORE_FORMEDKERNELS_H

#include "lib/CostModel/Kernels.h"

namespace varve {

/// Which ops of `functions`, which were collected from `module`, run together:
/// what the passes of the fuse phase make of a copy. Ops are found again by
/// their names. Fails, after diagnostics, where the phase refuses the module.
llvm::FailureOr<KernelMap> formKernels(mlir::ModuleOp module,
                                       llvm::ArrayRef<FunctionWork> functions);

} // namespace varve

#endif // VARVE_EXPLORE_FORMEDKERNELS_H
