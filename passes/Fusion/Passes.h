//===- Passes.h - The fuse phase -------------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_FUSION_PASSES_H
#define VARVE_PASSES_FUSION_PASSES_H

#include "dialects/Varve/Varve.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Fusion/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_FUSION_PASSES_H
