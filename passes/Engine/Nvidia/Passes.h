//===- Passes.h - The NVIDIA engine ----------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_PASSES_H
#define VARVE_PASSES_ENGINE_NVIDIA_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace varve {
class TargetModel;
} // namespace varve

namespace mlir::varve {

#define GEN_PASS_DECL
#include "passes/Engine/Nvidia/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Engine/Nvidia/Passes.h.inc"

/// Whether roles of pipelines become warps of their own, and their texts are
/// split; elsewhere they are merged.
bool hasWarpSpecialisation(const ::varve::TargetModel &target);

/// Adds the passes that make kernels of tile functions: checks, roles, layouts,
/// and `tile-to-nvidia`.
void buildTileToNvidiaPipeline(OpPassManager &pm,
                               const ::varve::TargetModel &target);

} // namespace mlir::varve

#endif // VARVE_PASSES_ENGINE_NVIDIA_PASSES_H
