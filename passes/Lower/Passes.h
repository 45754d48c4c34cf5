//===- Passes.h - The lower phase ------------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_LOWER_PASSES_H
#define VARVE_PASSES_LOWER_PASSES_H

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Lower/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PASSES_H
