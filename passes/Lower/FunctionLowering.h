//===- FunctionLowering.h - Model functions as plans -----------*- C++ -*-===//
#ifndef VARVE_PASSES_LOWER_FUNCTIONLOWERING_H
#define VARVE_PASSES_LOWER_FUNCTIONLOWERING_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Lower/KernelBuilder.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::varve {

/// Builds the `plan.func` of `function` in front of it, launching kernels by
/// their signatures. Errors: results that are not computed by the function.
LogicalResult lowerFunction(func::FuncOp function,
                            const llvm::StringMap<KernelSignature> &kernels);

/// Leaves one of every set of tile functions that differ in their names only.
void shareEqualFunctions(ModuleOp module);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_FUNCTIONLOWERING_H
