//===- Passes.h - The quantize phase ---------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_QUANTIZE_PASSES_H
#define VARVE_PASSES_QUANTIZE_PASSES_H

#include "dialects/Varve/Varve.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Quantize/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Quantize/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_QUANTIZE_PASSES_H
