//===- MathReduction.cpp - Functions by a few others -----------*- C++ -*-===//
//
// Rewrites of math functions that hold on any machine: everything in terms of
// exp2, log2 and arithmetic, or polynomials. The passes for each kind of
// machine add what is left. Bounds are for f32 and not counting the errors of
// exp2 and log2 themselves.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Target/MathPatterns.h"
#include "llvm/ADT/StringSet.h"
#include <numbers>

using namespace mlir;
using mlir::varve::isApproximate;

namespace {
/// log2(e) in two parts: the f32 nearest to it and what is missing.
constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLog2ELow = 0x1.4ae0cp-26f;
constexpr float kLn2 = std::numbers::ln2_v<float>;

/// f32 constants and arithmetic on scalars or vectors.
class Floats {
public:
  Floats(PatternRewriter &rewriter, Operation *op, arith::FastMathFlags flags)
      : b(op->getLoc(), rewriter), type(op->getResult(0).getType()),
        flags(flags) {}

  Value constant(float value) {
    auto attr = b.getF32FloatAttr(value);
    if (auto shaped = dyn_cast<ShapedType>(type))
      return arith::ConstantOp::create(b, DenseElementsAttr::get(shaped, attr));
    return arith::ConstantOp::create(b, attr);
  }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y, flags); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y, flags); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y, flags); }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, x, y, z);
  }
  Value integer(int32_t value) {
    auto attr = b.getI32IntegerAttr(value);
    if (auto shaped = dyn_cast<ShapedType>(integerType()))
      return arith::ConstantOp::create(b, DenseElementsAttr::get(shaped, attr));
    return arith::ConstantOp::create(b, attr);
  }
  Value toInteger(Value x) {
    return arith::FPToSIOp::create(b, integerType(), x);
  }
  /// 2^n for integers n that are exponents of normal numbers.
  Value powerOfTwo(Value n) {
    Value biased = arith::AddIOp::create(b, n, integer(127));
    return fromBits(arith::ShLIOp::create(b, biased, integer(23)));
  }
  Value toBits(Value x) {
    return arith::BitcastOp::create(b, integerType(), x);
  }
  Value fromBits(Value n) { return arith::BitcastOp::create(b, type, n); }
  Value toFloat(Value n) { return arith::SIToFPOp::create(b, type, n); }
  Value negate(Value x) { return arith::NegFOp::create(b, x); }
  Value exp2(Value x) { return math::Exp2Op::create(b, x, flags); }
  Value log2(Value x) { return math::Log2Op::create(b, x, flags); }

  ImplicitLocOpBuilder b;

private:
  Type integerType() {
    if (auto shaped = dyn_cast<ShapedType>(type))
      return shaped.clone(b.getI32Type());
    return b.getI32Type();
  }

  Type type;
  arith::FastMathFlags flags;
};

/// exp(x) = 2^(x log2 e). The product's rounding error, up to |x| 2^-24 after
/// the exponential, is recovered by an fma and put back to first order.
struct ReduceExp : OpRewritePattern<math::ExpOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::ExpOp op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op))
      return rewriter.notifyMatchFailure(op, "not f32");
    // Any flag would let the optimiser undo the correction.
    bool approximate = isApproximate(op.getFastmath());
    Floats f(rewriter, op,
             approximate ? op.getFastmath() : arith::FastMathFlags::none);
    Value x = op.getOperand();
    Value scale = f.constant(kLog2E);
    Value t = f.mul(x, scale);
    Value y = f.exp2(t);
    if (approximate) {
      rewriter.replaceOp(op, y);
      return success();
    }
    Value lost = f.fma(x, scale, f.negate(t));
    lost = f.fma(x, f.constant(kLog2ELow), lost);
    Value corrected = f.fma(y, f.mul(lost, f.constant(kLn2)), y);
    // Where the power is 0, infinite or NaN there is nothing to correct and
    // the correction itself may be NaN.
    Value finite = arith::AndIOp::create(
        f.b,
        arith::CmpFOp::create(f.b, arith::CmpFPredicate::OLT, t,
                              f.constant(128.0f)),
        arith::CmpFOp::create(f.b, arith::CmpFPredicate::OGT, t,
                              f.constant(-160.0f)));
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, finite, corrected, y);
    return success();
  }
};

/// log_b(x) = log2(x) log_b(2), and log1p, for ops that allow approximation.
template <typename Op> struct ReduceLog : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op) || !isApproximate(op.getFastmath()))
      return rewriter.notifyMatchFailure(op, "not f32 with afn");
    Floats f(rewriter, op, op.getFastmath());
    Value x = op.getOperand();
    float scale = kLn2;
    if constexpr (std::is_same_v<Op, math::Log10Op>)
      scale = static_cast<float>(std::numbers::ln2 / std::numbers::ln10);
    if constexpr (std::is_same_v<Op, math::Log1pOp>)
      x = f.add(x, f.constant(1.0f));
    rewriter.replaceOp(op, f.mul(f.log2(x), f.constant(scale)));
    return success();
  }
};

/// log10(x) = log(x) log10(e) where the polynomial for log takes over.
struct ExactLog10 : OpRewritePattern<math::Log10Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::Log10Op op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op) || isApproximate(op.getFastmath()))
      return rewriter.notifyMatchFailure(op, "approximate");
    Floats f(rewriter, op, op.getFastmath());
    Value log = math::LogOp::create(f.b, op.getOperand(), op.getFastmath());
    rewriter.replaceOp(op,
                       f.mul(log, f.constant(std::numbers::log10e_v<float>)));
    return success();
  }
};

/// expm1(x) = exp(x) - 1 for ops that allow approximation.
struct ReduceExpM1 : OpRewritePattern<math::ExpM1Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::ExpM1Op op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op) || !isApproximate(op.getFastmath()))
      return rewriter.notifyMatchFailure(op, "not f32 with afn");
    Floats f(rewriter, op, op.getFastmath());
    Value exp = math::ExpOp::create(f.b, op.getOperand(), op.getFastmath());
    rewriter.replaceOp(op, f.sub(exp, f.constant(1.0f)));
    return success();
  }
};

/// x^y = 2^(y log2 x) for positive x, for ops that allow approximation.
struct ReducePow : OpRewritePattern<math::PowFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::PowFOp op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op) || !isApproximate(op.getFastmath()))
      return rewriter.notifyMatchFailure(op, "not f32 with afn");
    Floats f(rewriter, op, op.getFastmath());
    rewriter.replaceOp(op, f.exp2(f.mul(op.getRhs(), f.log2(op.getLhs()))));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Polynomials
//===----------------------------------------------------------------------===//

/// c[0] + c[1] x + ... by Horner's rule.
Value evaluate(Floats &f, Value x, ArrayRef<float> coefficients) {
  Value sum = f.constant(coefficients.back());
  for (float c : llvm::reverse(coefficients.drop_back()))
    sum = f.fma(sum, x, f.constant(c));
  return sum;
}

/// 2^x = 2^n 2^f with n the nearest integer: Taylor's series for 2^f, whose
/// first dropped term is below 6e-9, then two factors for 2^n, since n may lie
/// beyond the exponents of normal numbers. Within 2 units in the last place.
struct Exp2Polynomial : OpRewritePattern<math::Exp2Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::Exp2Op op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op))
      return rewriter.notifyMatchFailure(op, "not f32");
    Floats f(rewriter, op, arith::FastMathFlags::none);
    // Beyond these the result is 0 or infinite anyway. NaN passes through.
    Value x =
        arith::MaximumFOp::create(f.b, op.getOperand(), f.constant(-152.0f));
    x = arith::MinimumFOp::create(f.b, x, f.constant(129.0f));
    Value n = math::RoundEvenOp::create(f.b, x);
    Value fraction = f.sub(x, n);
    static constexpr float ln2 = std::numbers::ln2_v<float>;
    static constexpr double l = std::numbers::ln2;
    Value power =
        evaluate(f, fraction,
                 {1.0f, ln2, float(l * l / 2), float(l * l * l / 6),
                  float(l * l * l * l / 24), float(l * l * l * l * l / 120),
                  float(l * l * l * l * l * l / 720),
                  float(l * l * l * l * l * l * l / 5040)});
    // NaN must not reach the conversion to integer.
    Value whole =
        f.toInteger(arith::MaxNumFOp::create(f.b, n, f.constant(-152.0f)));
    Value half = arith::ShRSIOp::create(f.b, whole, f.integer(1));
    Value rest = arith::SubIOp::create(f.b, whole, half);
    rewriter.replaceOp(
        op, f.mul(f.mul(power, f.powerOfTwo(half)), f.powerOfTwo(rest)));
    return success();
  }
};

/// log and log2 from x = 2^e m with m between sqrt(1/2) and sqrt(2), by
/// log m = 2 artanh((m - 1) / (m + 1)), whose first dropped term is below 1e-9
/// of the result. Subnormal numbers are scaled first. Within 4 units in the
/// last place.
template <typename Op> struct LogPolynomial : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op))
      return rewriter.notifyMatchFailure(op, "not f32");
    Floats f(rewriter, op, arith::FastMathFlags::none);
    Value x = op.getOperand();
    Value zero = f.constant(0.0f), one = f.constant(1.0f);
    auto compare = [&](arith::CmpFPredicate predicate, Value y) -> Value {
      return arith::CmpFOp::create(f.b, predicate, x, y);
    };
    auto select = [&](Value c, Value y, Value z) -> Value {
      return arith::SelectOp::create(f.b, c, y, z);
    };
    Value tiny = compare(arith::CmpFPredicate::OLT,
                         f.constant(std::numeric_limits<float>::min()));
    Value scaled = select(tiny, f.mul(x, f.constant(0x1p23f)), x);
    // Subtracting the bits of sqrt(1/2) leaves e in the exponent's place.
    Value bits = f.toBits(scaled);
    Value e = arith::ShRSIOp::create(
        f.b, arith::SubIOp::create(f.b, bits, f.integer(0x3F3504F3)),
        f.integer(23));
    Value m = f.fromBits(arith::SubIOp::create(
        f.b, bits, arith::ShLIOp::create(f.b, e, f.integer(23))));
    Value exponent = f.sub(f.toFloat(e), select(tiny, f.constant(23.0f), zero));
    Value s = arith::DivFOp::create(f.b, f.sub(m, one), f.add(m, one));
    Value s2 = f.mul(s, s);
    Value twice = f.add(s, s);
    Value tail = evaluate(f, s2, {1.0f / 3, 1.0f / 5, 1.0f / 7, 1.0f / 9});
    Value log = f.fma(f.mul(twice, s2), tail, twice);
    Value result;
    if constexpr (std::is_same_v<Op, math::Log2Op>) {
      result = f.fma(log, f.constant(kLog2E), exponent);
    } else {
      // e times the upper 16 bits of ln 2 is exact.
      log = f.fma(exponent, f.constant(0x1.7f7d1cp-20f), log);
      result = f.fma(exponent, f.constant(0x1.62e4p-1f), log);
    }
    // Outside the numbers: log 0 = -inf, log inf = inf, else NaN.
    Value inf = f.constant(std::numeric_limits<float>::infinity());
    result = select(compare(arith::CmpFPredicate::OEQ, inf), inf, result);
    result =
        select(compare(arith::CmpFPredicate::OEQ, zero), f.negate(inf), result);
    rewriter.replaceOp(
        op, select(compare(arith::CmpFPredicate::OGE, zero), result,
                   f.constant(std::numeric_limits<float>::quiet_NaN())));
    return success();
  }
};

/// sin and cos for |x| up to 2^22, which covers the angles of rotary
/// embeddings; NaN beyond, where f32 arithmetic can no longer find the period.
/// x - k pi/2 is exact but for the last bit, because an fma rounds only once
/// and pi/2 comes in three parts; then Taylor's series on |r| <= pi/4, whose
/// first dropped terms are below 2e-9. Absolute error below 2e-7.
template <typename Op, int quadrant>
struct SinCosPolynomial : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!mlir::varve::isF32(op))
      return rewriter.notifyMatchFailure(op, "not f32");
    Floats f(rewriter, op, arith::FastMathFlags::none);
    Value x = op.getOperand();
    Value inRange = arith::CmpFOp::create(f.b, arith::CmpFPredicate::OLE,
                                          math::AbsFOp::create(f.b, x),
                                          f.constant(4194304.0f));
    Value nan = f.constant(std::numeric_limits<float>::quiet_NaN());
    x = arith::SelectOp::create(f.b, inRange, x, f.constant(0.0f));
    Value k = math::RoundEvenOp::create(
        f.b, f.mul(x, f.constant(2.0f * std::numbers::inv_pi_v<float>)));
    Value r = f.fma(k, f.constant(-0x1.921fb6p+0f), x);
    r = f.fma(k, f.constant(0x1.777a5cp-25f), r);
    r = f.fma(k, f.constant(0x1.ee59dap-50f), r);
    Value r2 = f.mul(r, r);
    Value cubic = f.mul(
        f.mul(r, r2),
        evaluate(f, r2, {-1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880}));
    Value sine = f.add(r, cubic);
    Value cosine = evaluate(f, r2,
                            {1.0f, -1.0f / 2, 1.0f / 24, -1.0f / 720,
                             1.0f / 40320, -1.0f / 3628800});
    Value turn =
        arith::AddIOp::create(f.b, f.toInteger(k), f.integer(quadrant));
    auto bit = [&](int mask) -> Value {
      return arith::CmpIOp::create(
          f.b, arith::CmpIPredicate::ne,
          arith::AndIOp::create(f.b, turn, f.integer(mask)), f.integer(0));
    };
    Value result = arith::SelectOp::create(f.b, bit(1), cosine, sine);
    result = arith::SelectOp::create(f.b, bit(2), f.negate(result), result);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, inRange, result, nan);
    return success();
  }
};
} // namespace

/// The polynomials of the math dialect for the named ops.
static void addUpstream(RewritePatternSet &patterns,
                        std::initializer_list<StringRef> names) {
  populateMathPolynomialApproximationPatterns(
      patterns, [&](StringRef name) { return llvm::is_contained(names, name); },
      /*benefit=*/2);
}

LogicalResult mlir::varve::rewriteGreedily(Operation *op,
                                           RewritePatternSet patterns) {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Normal);
  return applyPatternsGreedily(op, std::move(patterns), config);
}

void mlir::varve::populateReduceMathPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  // Ours come first: they take what `afn` allows and all of exp.
  patterns.add<ReduceExp, ReduceLog<math::LogOp>, ReduceLog<math::Log10Op>,
               ReduceLog<math::Log1pOp>, ReduceExpM1, ReducePow, ExactLog10>(
      context, /*benefit=*/4);

  // Functions of f16 and bf16 are computed in f32.
  static const llvm::StringSet<> functions = {
      math::AcosOp::getOperationName(),  math::AcoshOp::getOperationName(),
      math::AsinOp::getOperationName(),  math::AsinhOp::getOperationName(),
      math::AtanOp::getOperationName(),  math::Atan2Op::getOperationName(),
      math::AtanhOp::getOperationName(), math::CbrtOp::getOperationName(),
      math::CosOp::getOperationName(),   math::CoshOp::getOperationName(),
      math::ErfOp::getOperationName(),   math::ErfcOp::getOperationName(),
      math::ExpOp::getOperationName(),   math::Exp2Op::getOperationName(),
      math::ExpM1Op::getOperationName(), math::LogOp::getOperationName(),
      math::Log2Op::getOperationName(),  math::Log10Op::getOperationName(),
      math::Log1pOp::getOperationName(), math::PowFOp::getOperationName(),
      math::SinOp::getOperationName(),   math::SinhOp::getOperationName(),
      math::TanOp::getOperationName(),   math::TanhOp::getOperationName()};
  populateMathF32ExpansionPatterns(
      patterns, [](StringRef name) { return functions.contains(name); },
      /*benefit=*/3);

  addUpstream(
      patterns,
      {math::AcosOp::getOperationName(), math::AsinOp::getOperationName(),
       math::AtanOp::getOperationName(), math::Atan2Op::getOperationName(),
       math::CbrtOp::getOperationName(), math::ErfOp::getOperationName(),
       math::ErfcOp::getOperationName(), math::ExpM1Op::getOperationName(),
       math::Log1pOp::getOperationName()});
  patterns.add<LogPolynomial<math::LogOp>>(context, /*benefit=*/2);
  math::populateExpansionPatterns(
      patterns,
      {"sinh", "cosh", "tan", "asinh", "acosh", "atanh", "fpowi", "powf"});
}

void mlir::varve::populateAccurateLogTrigPatterns(RewritePatternSet &patterns) {
  patterns
      .add<SinCosPolynomial<math::SinOp, 0>, SinCosPolynomial<math::CosOp, 1>>(
          patterns.getContext());
  patterns.add<LogPolynomial<math::Log2Op>>(patterns.getContext());
  addUpstream(patterns, {math::TanhOp::getOperationName()});
}

void mlir::varve::populatePolynomialPatterns(RewritePatternSet &patterns) {
  patterns.add<Exp2Polynomial>(patterns.getContext());
  populateAccurateLogTrigPatterns(patterns);
}
