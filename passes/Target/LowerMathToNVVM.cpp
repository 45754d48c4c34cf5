//===- LowerMathToNVVM.cpp - Functions without a library -------*- C++ -*-===//
//
// varve-lower-math-to-nvvm: what allows approximation becomes an approximate
// instruction, the rest a polynomial. The instructions' own errors are those
// of the PTX manual: ex2.approx 2^-22 relative, lg2.approx 2^-22 absolute near
// 1 and relative elsewhere.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Target/MathPatterns.h"
#include "passes/Target/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_LOWERMATHTONVVMPASS
#include "passes/Target/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using mlir::varve::isApproximate;
using mlir::varve::isF32;

namespace {
/// The lanes of `op`'s operand through `scalar`, which builds one result.
template <typename Op, typename Fn>
LogicalResult unrollLanes(Op op, PatternRewriter &rewriter, Fn scalar) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  if (!isF32(op))
    return rewriter.notifyMatchFailure(op, "not f32");
  auto vector = dyn_cast<VectorType>(op.getType());
  if (!vector) {
    rewriter.replaceOp(op, scalar(b, op.getOperand()));
    return success();
  }
  if (vector.getRank() != 1 || vector.isScalable())
    return rewriter.notifyMatchFailure(op, "more than one dimension");
  SmallVector<Value> lanes;
  for (int64_t i = 0; i < vector.getDimSize(0); ++i)
    lanes.push_back(
        scalar(b, vector::ExtractOp::create(b, op.getOperand(), i)));
  rewriter.replaceOpWithNewOp<vector::FromElementsOp>(op, vector, lanes);
  return success();
}

/// exp2, and log2 with `afn`, by their instruction.
template <typename Op> struct SelectIntrinsic : OpRewritePattern<Op> {
  SelectIntrinsic(MLIRContext *context, StringRef intrinsic, bool needsAfn)
      : OpRewritePattern<Op>(context), intrinsic(intrinsic),
        needsAfn(needsAfn) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (needsAfn && !isApproximate(op.getFastmath()))
      return rewriter.notifyMatchFailure(op, "must be accurate");
    return unrollLanes(
        op, rewriter, [&](ImplicitLocOpBuilder &b, Value x) -> Value {
          return LLVM::CallIntrinsicOp::create(b, Type(b.getF32Type()),
                                               b.getStringAttr(intrinsic),
                                               ValueRange(x))
              .getResult(0);
        });
  }

  StringRef intrinsic;
  bool needsAfn;
};

/// sin, cos and tanh with `afn`: LLVM selects the approximate instruction.
template <typename Op, typename LLVMOp>
struct SelectApproximate : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!isApproximate(op.getFastmath()))
      return rewriter.notifyMatchFailure(op, "must be accurate");
    return unrollLanes(op, rewriter,
                       [](ImplicitLocOpBuilder &b, Value x) -> Value {
                         return LLVMOp::create(b, x, LLVM::FastmathFlags::afn);
                       });
  }
};

/// Functions that need no lowering: LLVM selects instructions for them.
bool isSelected(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::FloorOp,
             math::TruncOp, math::RoundOp, math::RoundEvenOp, math::SqrtOp,
             math::RsqrtOp, math::FmaOp, math::CopySignOp, math::CtPopOp,
             math::CountLeadingZerosOp, math::CountTrailingZerosOp,
             math::IsFiniteOp, math::IsInfOp, math::IsNaNOp, math::IsNormalOp>(
      op);
}

struct LowerMathToNVVM
    : mlir::varve::impl::LowerMathToNVVMPassBase<LowerMathToNVVM> {
  using Base::Base;

  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet reduce(context);
    mlir::varve::populateReduceMathPatterns(reduce);

    RewritePatternSet approximate(context);
    approximate.add<SelectIntrinsic<math::Log2Op>>(
        context, "llvm.nvvm.lg2.approx.f", /*needsAfn=*/true);
    approximate.add<SelectApproximate<math::SinOp, LLVM::SinOp>,
                    SelectApproximate<math::CosOp, LLVM::CosOp>,
                    SelectApproximate<math::TanhOp, LLVM::TanhOp>>(context);

    // What is still there must be accurate.
    RewritePatternSet accurate(context);
    mlir::varve::populateAccurateLogTrigPatterns(accurate);
    accurate.add<SelectIntrinsic<math::Exp2Op>>(
        context, "llvm.nvvm.ex2.approx.f32", /*needsAfn=*/false);

    for (RewritePatternSet *set : {&reduce, &approximate, &accurate})
      if (failed(mlir::varve::rewriteGreedily(getOperation(), std::move(*set))))
        return signalPassFailure();
    if (failed(reportRemaining()))
      signalPassFailure();
  }

private:
  LogicalResult reportRemaining() {
    bool ok = true;
    getOperation()->walk([&](Operation *op) {
      if (!isa_and_present<math::MathDialect>(op->getDialect()) ||
          isSelected(op))
        return;
      ok = false;
      op->emitOpError("has no lowering for NVIDIA GPUs on ")
          << op->getResult(0).getType()
          << ": use f32, f16 or bf16, scalar or a vector of one dimension";
    });
    return success(ok);
  }
};
} // namespace
