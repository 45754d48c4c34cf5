//===- Passes.h - Passes on code for one target ----------------*- C++ -*-===//
#ifndef VARVE_PASSES_TARGET_PASSES_H
#define VARVE_PASSES_TARGET_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include <memory>

namespace varve {
class TargetModel;
} // namespace varve

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Target/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Target/Passes.h.inc"

/// Reports every op of `module` that `target` cannot execute, at the op.
/// Fails if there was one.
LogicalResult verifyLegalOnTarget(ModuleOp module,
                                  const ::varve::TargetModel &target);

/// True if the legality table says what `opName` (an op of the NVVM dialect)
/// needs. Ops without an entry are rejected.
bool hasLegalityRule(StringRef opName);

} // namespace mlir::varve

#endif // VARVE_PASSES_TARGET_PASSES_H
