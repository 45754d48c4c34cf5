//===- Passes.h - From tile programs to what a back end reads --*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_PASSES_H
#define VARVE_PASSES_ENGINE_PASSES_H

#include "dialects/Plan/Plan.h"
#include "dialects/Varve/Varve.h"
#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

/// The target of the module around `op`, or an error at `op`.
FailureOr<const ::varve::TargetModel *> getTargetOf(Operation *op);

#define GEN_PASS_DECL
#include "passes/Engine/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Engine/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_ENGINE_PASSES_H
