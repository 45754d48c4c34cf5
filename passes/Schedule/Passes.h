//===- Passes.h - The schedule phase ---------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_SCHEDULE_PASSES_H
#define VARVE_PASSES_SCHEDULE_PASSES_H

#include "dialects/Tile/Tile.h"
#include "dialects/Varve/Varve.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Schedule/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_SCHEDULE_PASSES_H
