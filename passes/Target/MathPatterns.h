//===- MathPatterns.h - Rewrites of math functions -------------*- C++ -*-===//
//
// Shared by the passes that lower the math dialect for one kind of machine.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TARGET_MATHPATTERNS_H
#define VARVE_PASSES_TARGET_MATHPATTERNS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

namespace mlir::varve {

/// True if the op may use an approximate instruction.
inline bool isApproximate(arith::FastMathFlags flags) {
  return arith::bitEnumContainsAll(flags, arith::FastMathFlags::afn);
}

inline bool isF32(Operation *op) {
  return getElementTypeOrSelf(op->getResult(0).getType()).isF32();
}

/// Applies patterns to a fixed point without the driver's default of merging
/// blocks that look alike: two barriers in two arms of a branch are two.
LogicalResult rewriteGreedily(Operation *op, RewritePatternSet patterns);

/// Leaves exp2, log2, sin, cos, tanh and what instruction sets have (sqrt,
/// fma, rounding, ...); functions of f16 and bf16 are computed in f32.
void populateReduceMathPatterns(RewritePatternSet &patterns);

/// Polynomials for f32 exp2, log2, sin, cos and tanh.
void populatePolynomialPatterns(RewritePatternSet &patterns);

/// The same for log2, sin, cos and tanh alone, where exp2 is an instruction.
void populateAccurateLogTrigPatterns(RewritePatternSet &patterns);

} // namespace mlir::varve

#endif // VARVE_PASSES_TARGET_MATHPATTERNS_H
