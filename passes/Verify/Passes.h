//===- Passes.h - Contracts at phase boundaries ----------------*- C++ -*-===//
#ifndef VARVE_PASSES_VERIFY_PASSES_H
#define VARVE_PASSES_VERIFY_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Verify/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Verify/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_VERIFY_PASSES_H
