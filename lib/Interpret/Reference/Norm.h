//===- Norm.h - Root-mean-square normalisation -----------------*- C++ -*-===//
#ifndef VARVE_INTERPRET_REFERENCE_NORM_H
#define VARVE_INTERPRET_REFERENCE_NORM_H

#include "lib/Interpret/Reference/Rounding.h"
#include "llvm/ADT/ArrayRef.h"

namespace varve::reference {

/// FP32(mean(x^2)).
float meanSquare(llvm::ArrayRef<float> x);

/// FP32(1 / sqrt(value)).
float reciprocalRoot(float value);

/// y = weight * (x * rsqrt(mean(x^2) + eps)) in FP32 (specification 3.2);
/// without weights, which an empty `weight` says, the factor is left out.
///
/// Steps (section 4.2, the weightless norm of a query head): the squares, their
/// mean, mean + eps, the reciprocal root and the product. `y` may be `x`.
void rmsNorm(llvm::ArrayRef<float> x, llvm::ArrayRef<float> weight, float eps,
             Rounding rounding, llvm::MutableArrayRef<float> y);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_NORM_H
