//===- FusionRules.h - Which kernels are joined ----------------*- C++ -*-===//
#ifndef VARVE_PASSES_FUSION_FUSIONRULES_H
#define VARVE_PASSES_FUSION_FUSIONRULES_H

#include "passes/Fusion/KernelGroups.h"

namespace mlir::varve {

/// Joins the kernels of a block by the rules that FormKernelsPass documents.
/// With `remarks`, reports what it did and what it could not do.
void applyFusionRules(KernelGroups &groups, bool remarks);

} // namespace mlir::varve

#endif // VARVE_PASSES_FUSION_FUSIONRULES_H
