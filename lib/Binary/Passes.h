//===- Passes.h - The binary phase -----------------------------*- C++ -*-===//
#ifndef VARVE_BINARY_PASSES_H
#define VARVE_BINARY_PASSES_H

#include "dialects/Plan/Plan.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#include "lib/Binary/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Binary/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_BINARY_PASSES_H
