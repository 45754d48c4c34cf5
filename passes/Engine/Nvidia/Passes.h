//===- Passes.h - The NVIDIA engine ----------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_PASSES_H
#define VARVE_PASSES_ENGINE_NVIDIA_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Engine/Nvidia/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Engine/Nvidia/Passes.h.inc"

} // namespace mlir::varve

#endif // VARVE_PASSES_ENGINE_NVIDIA_PASSES_H
