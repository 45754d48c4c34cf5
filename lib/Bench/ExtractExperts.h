//===- ExtractExperts.h - The experts of one layer alone -------*- C++ -*-===//
#ifndef VARVE_BENCH_EXTRACTEXPERTS_H
#define VARVE_BENCH_EXTRACTEXPERTS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace varve {

/// The function that `extractExperts` makes.
inline constexpr llvm::StringLiteral kExpertsFunctionName = "experts";

/// What the experts of a layer are.
struct ExpertsSizes {
  int64_t experts = 0, active = 0;
  /// Of a token; between the products.
  int64_t hidden = 0, inner = 0;
  /// Of the gated activation; 0 does not clamp.
  double limit = 0;
  /// Bytes of one expert's weights, and their scales.
  int64_t expertBytes = 0;
};

struct ExtractedExperts {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  ExpertsSizes sizes;
};

/// The kernels with `varve.experts` of the first layer of `model` that has
/// some, which must be at the end of the fuse phase, as a module with the one
/// public function @experts. So its kernels are those that a model's step
/// launches. Its arguments are what other kernels compute in the model: "x"
/// (rows, or their codes), "x_scale" if there are codes, "ids" (of a token's
/// experts) and "weights" (of the sum). Its one result is [T, active, hidden].
/// Fails, with a diagnostic, where no layer has a gated pair of products and a
/// third.
mlir::FailureOr<ExtractedExperts> extractExperts(mlir::ModuleOp model);

} // namespace varve

#endif // VARVE_BENCH_EXTRACTEXPERTS_H
