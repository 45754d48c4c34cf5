//===- PlanEncoder.h - A module of plan ops as a FlatBuffer ----*- C++ -*-===//
#ifndef VARVE_PACKAGE_PLANENCODER_H
#define VARVE_PACKAGE_PLANENCODER_H

#include "dialects/Plan/Plan.h"
#include "dialects/Varve/Varve.h"
#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace varve {

/// A kernel file of a package.
struct KernelMember {
  /// Behind `<target>/`.
  std::string name;
  std::string bytes;
};

/// What the plan says about the model.
struct ModelFacts {
  mlir::varve::ModelAttr model;
  std::string precision;
};

/// The kernel files of a target's module: one per NVIDIA kernel, one for all
/// x86 kernels. Errors are diagnostics.
mlir::FailureOr<std::vector<KernelMember>>
collectKernelMembers(mlir::ModuleOp module, const TargetModel &target);

/// The plan of a target's module, whose files are `members` in that order.
/// Errors are diagnostics.
mlir::FailureOr<std::string> encodePlan(mlir::ModuleOp module,
                                        const TargetModel &target,
                                        const ModelFacts &facts,
                                        llvm::ArrayRef<KernelMember> members);

} // namespace varve

#endif // VARVE_PACKAGE_PLANENCODER_H
