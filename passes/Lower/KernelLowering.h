//===- KernelLowering.h - How a kind of kernel becomes launches -*- C++ -*-===//
//
// One implementation per kind of `varve.kernel_func`, each in a file of its
// own. It proposes strategies for a target and, later, emits tile functions and
// their launches for each of them.
//
// To add a kind: derive from KernelLowering, declare the `get...Lowering`
// function below, and add it to the table in KernelLowering.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_KERNELLOWERING_H
#define VARVE_PASSES_LOWER_KERNELLOWERING_H

#include "dialects/Varve/Varve.h"
#include "lib/Target/Model/TargetModel.h"

namespace mlir::varve {

class KernelBuilder;

class KernelLowering {
public:
  virtual ~KernelLowering() = default;

  /// Strategies whose ranges cover every T. What their sizes mean is this
  /// lowering's business; its file says it.
  virtual SmallVector<StrategyAttr>
  chooseStrategies(KernelFuncOp kernel,
                   const ::varve::TargetModel &target) const = 0;

  /// Emits what `builder.getStrategy()` says for the builder's kernel. Errors:
  /// a form of the kernel that is not supported, or a strategy that cannot be
  /// followed; both as diagnostics on the kernel or its ops.
  virtual LogicalResult lower(KernelBuilder &builder) const = 0;

  /// The lowering of a kind of kernels; null for an unknown one.
  static const KernelLowering *lookup(StringRef kind);

protected:
  /// A strategy for all T.
  static StrategyAttr makeStrategy(MLIRContext *context, int64_t rows,
                                   int64_t columns, int64_t warps);
};

const KernelLowering &getRowsLowering();
const KernelLowering &getLinearLowering();
const KernelLowering &getStreamsLowering();
const KernelLowering &getTakeLowering();
const KernelLowering &getAttentionLowering();
const KernelLowering &getIndexLowering();
const KernelLowering &getCompressLowering();
const KernelLowering &getCommitLowering();
const KernelLowering &getExpertsLowering();

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_KERNELLOWERING_H
