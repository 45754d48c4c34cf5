//===- LowerMathToPolynomials.cpp - Functions by arithmetic ----*- C++ -*-===//
//
// varve-lower-math-to-polynomials: for processors, where a function of a
// vector would otherwise be one call of the C library per lane.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Target/MathPatterns.h"
#include "passes/Target/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_LOWERMATHTOPOLYNOMIALSPASS
#include "passes/Target/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;

namespace {
struct LowerMathToPolynomials
    : mlir::varve::impl::LowerMathToPolynomialsPassBase<
          LowerMathToPolynomials> {
  using Base::Base;

  void runOnOperation() override {
    // Two rounds: the first must see exp before its reduction to exp2 is
    // expanded in turn.
    RewritePatternSet reduce(&getContext());
    mlir::varve::populateReduceMathPatterns(reduce);
    RewritePatternSet expand(&getContext());
    mlir::varve::populatePolynomialPatterns(expand);
    for (RewritePatternSet *set : {&reduce, &expand})
      if (failed(mlir::varve::rewriteGreedily(getOperation(), std::move(*set))))
        return signalPassFailure();
  }
};
} // namespace
