//===- Passes.h - From functions to launches and storages ------*- C++ -*-===//
#ifndef VARVE_PASSES_PLAN_PASSES_H
#define VARVE_PASSES_PLAN_PASSES_H

#include "dialects/Plan/Plan.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Plan/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Plan/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_PLAN_PASSES_H
