//===- ExpandNarrowFloats.cpp - Narrow conversions by integers -*- C++ -*-===//
//
// varve-expand-narrow-floats. The value in the middle is always f32; a format
// is widened to it exactly and narrowed from it with one rounding. Subnormals
// of the narrow formats are handled by one f32 addition whose unit in the last
// place is the format's smallest step: it rounds as the hardware rounds and
// never sees a subnormal f32.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/Model/TargetModel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "passes/Target/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::varve {
#define GEN_PASS_DEF_EXPANDNARROWFLOATSPASS
#include "passes/Target/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using ::varve::Feature;
using ::varve::TargetModel;

namespace {
/// The parameters of a format with subnormals, narrower than f32.
struct Format {
  int mantissaBits;
  int bias;
  /// Code, without sign, of the largest finite number.
  uint32_t maxCode;
  /// What NaN becomes.
  uint32_t nanCode;
  /// Bits of a code.
  int width;

  /// How far an f32 mantissa is shifted to become the format's.
  int shift() const { return 23 - mantissaBits; }
  /// f32 bits of the smallest normal number, 2^(1 - bias).
  uint32_t smallestNormal() const { return uint32_t(127 + 1 - bias) << 23; }
  /// f32 bits of the power of two whose unit in the last place is the smallest
  /// subnormal, 2^(1 - bias - mantissaBits).
  uint32_t rounder() const {
    return uint32_t(127 + 1 - bias - mantissaBits + 23) << 23;
  }
};

constexpr Format kE4M3{3, 7, 0x7E, 0x7F, 8};
constexpr Format kE5M2{2, 15, 0x7B, 0x7F, 8};
constexpr Format kE2M1{1, 1, 0x7, 0x7, 4};

/// Builds the same operation on a scalar or on every lane of a vector.
class Lanes {
public:
  Lanes(OpBuilder &builder, Location loc, Type like)
      : b(loc, builder), shaped(dyn_cast<ShapedType>(like)) {}

  Type type(Type element) {
    return shaped ? Type(shaped.clone(element)) : element;
  }
  Type integer(unsigned width) { return type(b.getIntegerType(width)); }
  Type f32() { return type(b.getF32Type()); }

  Value bits(uint32_t value, unsigned width = 32) {
    auto attr = b.getIntegerAttr(b.getIntegerType(width), value);
    if (!shaped)
      return arith::ConstantOp::create(b, attr);
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(cast<ShapedType>(integer(width)), attr));
  }
  Value number(uint32_t f32Bits) { return cast(f32(), bits(f32Bits)); }

  Value cast(Type to, Value v) {
    if (v.getType() == to)
      return v;
    return arith::BitcastOp::create(b, to, v);
  }
  Value extend(Value v) { return arith::ExtUIOp::create(b, integer(32), v); }
  Value shrink(Value v, unsigned width) {
    return arith::TruncIOp::create(b, integer(width), v);
  }

  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value and_(Value x, uint32_t y) {
    return arith::AndIOp::create(b, x, bits(y));
  }
  Value or_(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value shl(Value x, int n) { return arith::ShLIOp::create(b, x, bits(n)); }
  Value shr(Value x, int n) { return arith::ShRUIOp::create(b, x, bits(n)); }
  Value umin(Value x, Value y) { return arith::MinUIOp::create(b, x, y); }
  Value addf(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value subf(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value greater(Value x, uint32_t y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, x, bits(y));
  }
  Value less(Value x, uint32_t y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, x, bits(y));
  }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }

  ImplicitLocOpBuilder b;

private:
  ShapedType shaped;
};

constexpr uint32_t kMagnitude = 0x7FFFFFFF;
constexpr uint32_t kInfinity = 0x7F800000;
constexpr uint32_t kQuietNaN = 0x7FC00000;

/// f32 bits of the codes `code` (i32 lanes). `nanFrom` is the first magnitude
/// that is NaN, 0 if none is. Formats with infinities take another way.
Value widen(Lanes &l, Value code, const Format &f, uint32_t nanFrom) {
  int sign = f.width - 1;
  Value magnitude = l.and_(code, (1u << sign) - 1);
  Value shifted = l.shl(magnitude, f.shift());
  Value normal = l.add(shifted, l.bits(uint32_t(127 - f.bias) << 23));
  // 2^(1-bias) (1 + m) - 2^(1-bias) for exponent field zero.
  Value subnormal =
      l.cast(l.integer(32),
             l.subf(l.cast(l.f32(), l.or_(shifted, l.bits(f.smallestNormal()))),
                    l.number(f.smallestNormal())));
  Value result =
      l.select(l.less(magnitude, 1u << f.mantissaBits), subnormal, normal);
  if (nanFrom)
    result = l.select(l.less(magnitude, nanFrom), result, l.bits(kQuietNaN));
  return l.or_(result, l.shl(l.and_(code, 1u << sign), 31 - sign));
}

/// Codes (i32 lanes) of the f32 numbers whose bits are `bits`.
Value narrow(Lanes &l, Value bits, const Format &f) {
  Value magnitude = l.and_(bits, kMagnitude);
  // Round to nearest even: add half a step less one, plus the last kept bit.
  Value odd = l.and_(l.shr(magnitude, f.shift()), 1);
  Value rounded =
      l.shr(l.add(l.add(magnitude, odd), l.bits((1u << (f.shift() - 1)) - 1)),
            f.shift());
  Value normal =
      l.sub(rounded, l.bits(uint32_t(127 - f.bias) << f.mantissaBits));
  Value subnormal =
      l.sub(l.cast(l.integer(32),
                   l.addf(l.cast(l.f32(), magnitude), l.number(f.rounder()))),
            l.bits(f.rounder()));
  Value code =
      l.select(l.less(magnitude, f.smallestNormal()), subnormal, normal);
  code = l.umin(code, l.bits(f.maxCode));
  int sign = f.width - 1;
  code = l.or_(code, l.and_(l.shr(bits, 31 - sign), 1u << sign));
  return l.select(l.greater(magnitude, kInfinity), l.bits(f.nanCode), code);
}

/// Narrowing to bf16: a NaN keeps its sign and leading payload.
Value narrowBF16(Lanes &l, Value bits) {
  Value odd = l.and_(l.shr(bits, 16), 1);
  Value rounded = l.add(l.add(bits, odd), l.bits(0x7FFF));
  Value nan = l.or_(bits, l.bits(0x00400000));
  return l.shr(
      l.select(l.greater(l.and_(bits, kMagnitude), kInfinity), nan, rounded),
      16);
}

Value widenE8M0(Lanes &l, Value code) {
  Value one = l.less(code, 1);
  Value nan = l.greater(code, 0xFE);
  // 2^-127 is a subnormal f32, code 0.
  Value result = l.select(one, l.bits(0x00400000), l.shl(code, 23));
  return l.select(nan, l.bits(kQuietNaN), result);
}

Value narrowE8M0(Lanes &l, Value bits) {
  // Ties go up: the only significand is odd. Below 2^-126 the step is 2^-127.
  Value rounded = l.shr(l.add(bits, l.bits(0x00400000)), 23);
  Value code = l.select(l.less(bits, 0x00600000), l.bits(0), rounded);
  // Infinity, NaN and what rounds past 2^127 give 255; so do the negative
  // numbers, which are the larger unsigned bits, except -0.
  code = l.select(l.greater(bits, kInfinity), l.bits(0xFF), code);
  return l.select(arith::CmpIOp::create(l.b, arith::CmpIPredicate::eq, bits,
                                        l.bits(0x80000000)),
                  l.bits(0), code);
}

bool isNarrow(Type element) {
  return isa<BFloat16Type, Float8E4M3FNType, Float8E5M2Type, Float4E2M1FNType,
             Float8E8M0FNUType>(element);
}

/// Widens lanes of the narrow type `from` to f32.
Value widenToF32(Lanes &l, Value in, Type from) {
  unsigned width = from.getIntOrFloatBitWidth();
  if (isa<Float8E5M2Type>(from)) {
    // The upper half of an f16.
    Value half = l.shl(l.extend(l.cast(l.integer(8), in)), 8);
    return arith::ExtFOp::create(
        l.b, l.f32(), l.cast(l.type(l.b.getF16Type()), l.shrink(half, 16)));
  }
  Value code = l.extend(l.cast(l.integer(width), in));
  Value bits;
  if (isa<BFloat16Type>(from))
    bits = l.shl(code, 16);
  else if (isa<Float8E4M3FNType>(from))
    bits = widen(l, code, kE4M3, /*nanFrom=*/0x7F);
  else if (isa<Float4E2M1FNType>(from))
    bits = widen(l, code, kE2M1, /*nanFrom=*/0);
  else
    bits = widenE8M0(l, code);
  return l.cast(l.f32(), bits);
}

/// Narrows f32 lanes to the narrow type `to`.
Value narrowFromF32(Lanes &l, Value in, Type to) {
  Value bits = l.cast(l.integer(32), in);
  Value code;
  if (isa<BFloat16Type>(to))
    code = narrowBF16(l, bits);
  else if (isa<Float8E4M3FNType>(to))
    code = narrow(l, bits, kE4M3);
  else if (isa<Float8E5M2Type>(to))
    code = narrow(l, bits, kE5M2);
  else if (isa<Float4E2M1FNType>(to))
    code = narrow(l, bits, kE2M1);
  else
    code = narrowE8M0(l, bits);
  unsigned width = to.getIntOrFloatBitWidth();
  return l.cast(l.type(to), l.shrink(code, width));
}

//===----------------------------------------------------------------------===//
// Conversion instructions
//===----------------------------------------------------------------------===//

/// Applies `convert` to the scalars of `in`, two at a time, and returns the
/// results in order. A last odd lane is paired with itself.
SmallVector<Value> convertPairs(Lanes &l, Value in,
                                function_ref<Value(Value, Value)> convert) {
  auto vector = dyn_cast<VectorType>(in.getType());
  if (!vector)
    return {convert(in, in)};
  int64_t lanes = vector.getNumElements();
  auto lane = [&](int64_t i) -> Value {
    Value index =
        LLVM::ConstantOp::create(l.b, l.b.getI32Type(), std::min(i, lanes - 1));
    return LLVM::ExtractElementOp::create(l.b, in, index);
  };
  SmallVector<Value> results;
  for (int64_t i = 0; i < lanes; i += 2)
    results.push_back(convert(lane(i), lane(i + 1)));
  return results;
}

/// f32 lanes to 8-bit floats by cvt.rn.satfinite.
Value narrowByInstruction(Lanes &l, Value in, Type to) {
  SmallVector<Value> pairs = convertPairs(l, in, [&](Value low, Value high) {
    return NVVM::ConvertF32x2ToF8x2Op::create(
               l.b, l.b.getI16Type(), high, low, NVVM::FPRoundingMode::RN,
               NVVM::SaturationMode::SATFINITE, /*relu=*/false, to)
        .getDst();
  });
  auto vector = dyn_cast<VectorType>(in.getType());
  if (!vector)
    return l.cast(to, arith::TruncIOp::create(l.b, l.b.getI8Type(), pairs[0]));
  auto words = VectorType::get(pairs.size(), l.b.getI16Type());
  Value packed = LLVM::PoisonOp::create(l.b, words);
  for (auto [i, pair] : llvm::enumerate(pairs)) {
    Value index = LLVM::ConstantOp::create(l.b, l.b.getI32Type(), i);
    packed = LLVM::InsertElementOp::create(l.b, packed, pair, index);
  }
  Value bytes = LLVM::BitcastOp::create(
      l.b, VectorType::get(2 * pairs.size(), l.b.getI8Type()), packed);
  return l.cast(l.type(to), bytes);
}

/// 8-bit float lanes to f16 by cvt.rn.f16x2, then to f32.
Value widenByInstruction(Lanes &l, Value in, Type from) {
  Value bytes = l.cast(l.integer(8), in);
  Type half2 = VectorType::get(2, l.b.getF16Type());
  Type byte2 = VectorType::get(2, l.b.getI8Type());
  SmallVector<Value> pairs = convertPairs(l, bytes, [&](Value low, Value high) {
    Value pair = LLVM::PoisonOp::create(l.b, byte2);
    for (auto [i, v] : llvm::enumerate(ValueRange{low, high}))
      pair = LLVM::InsertElementOp::create(
          l.b, pair, v, LLVM::ConstantOp::create(l.b, l.b.getI32Type(), i));
    return NVVM::ConvertF8x2ToF16x2Op::create(l.b, half2, pair, /*relu=*/false,
                                              from)
        .getDst();
  });
  auto half = [&](int64_t i) -> Value {
    return LLVM::ExtractElementOp::create(
        l.b, pairs[i / 2],
        LLVM::ConstantOp::create(l.b, l.b.getI32Type(), i % 2));
  };
  auto vector = dyn_cast<VectorType>(in.getType());
  if (!vector)
    return arith::ExtFOp::create(l.b, l.b.getF32Type(), half(0));
  Value halves = LLVM::PoisonOp::create(l.b, l.type(l.b.getF16Type()));
  for (int64_t i = 0; i < vector.getNumElements(); ++i)
    halves = LLVM::InsertElementOp::create(
        l.b, halves, half(i),
        LLVM::ConstantOp::create(l.b, l.b.getI32Type(), i));
  return arith::ExtFOp::create(l.b, l.f32(), halves);
}

/// True if the conversion instructions apply to `type`: a scalar, or a vector
/// of one dimension with whole pairs.
bool fitsInstructions(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return !isa<ShapedType>(type) ||
         (vector && vector.getRank() == 1 && !vector.isScalable() &&
          vector.getNumElements() % 2 == 0);
}

bool isFp8(Type element) {
  return isa<Float8E4M3FNType, Float8E5M2Type>(element);
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

struct Conversions {
  llvm::StringSet<> types;
  const TargetModel *target = nullptr;

  bool expands(Type element) const {
    return isNarrow(element) && types.contains(debugName(element));
  }
  bool byInstruction(Type narrow, Type shaped) const {
    return target && target->supports(Feature::CvtFp8) && isFp8(narrow) &&
           fitsInstructions(shaped);
  }
  static std::string debugName(Type type) {
    std::string name;
    llvm::raw_string_ostream(name) << type;
    return name;
  }
};

struct ExpandExtF : OpRewritePattern<arith::ExtFOp> {
  ExpandExtF(MLIRContext *context, const Conversions &conversions)
      : OpRewritePattern(context), conversions(conversions) {}

  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    Value in = op.getIn();
    Type from = getElementTypeOrSelf(in.getType());
    Type to = getElementTypeOrSelf(op.getType());
    if (!conversions.expands(from))
      return rewriter.notifyMatchFailure(op, "source type is not listed");
    Lanes l(rewriter, op.getLoc(), in.getType());
    Value wide = conversions.byInstruction(from, in.getType())
                     ? widenByInstruction(l, in, from)
                     : widenToF32(l, in, from);
    if (isa<BFloat16Type>(to)) {
      // Every format here is exact in bf16, which is the upper half.
      Value upper = l.shr(l.cast(l.integer(32), wide), 16);
      wide = l.cast(op.getType(), l.shrink(upper, 16));
    } else if (to.getIntOrFloatBitWidth() < 32) {
      wide = arith::TruncFOp::create(rewriter, op.getLoc(), op.getType(), wide);
    } else if (to.getIntOrFloatBitWidth() > 32) {
      wide = arith::ExtFOp::create(rewriter, op.getLoc(), op.getType(), wide);
    }
    rewriter.replaceOp(op, wide);
    return success();
  }

  const Conversions &conversions;
};

struct ExpandTruncF : OpRewritePattern<arith::TruncFOp> {
  ExpandTruncF(MLIRContext *context, const Conversions &conversions)
      : OpRewritePattern(context), conversions(conversions) {}

  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Value in = op.getIn();
    Type from = getElementTypeOrSelf(in.getType());
    Type to = getElementTypeOrSelf(op.getType());
    if (!conversions.expands(to))
      return rewriter.notifyMatchFailure(op, "result type is not listed");
    if (from.getIntOrFloatBitWidth() > 32)
      return rewriter.notifyMatchFailure(op, "would round twice");
    if (op.getRoundingmode().value_or(arith::RoundingMode::to_nearest_even) !=
        arith::RoundingMode::to_nearest_even)
      return rewriter.notifyMatchFailure(op, "rounds another way");
    Lanes l(rewriter, op.getLoc(), in.getType());
    if (conversions.expands(from))
      in = widenToF32(l, in, from);
    else if (!from.isF32())
      in = arith::ExtFOp::create(rewriter, op.getLoc(), l.f32(), in);
    rewriter.replaceOp(op, conversions.byInstruction(to, in.getType())
                               ? narrowByInstruction(l, in, to)
                               : narrowFromF32(l, in, to));
    return success();
  }

  const Conversions &conversions;
};

struct ExpandNarrowFloats
    : mlir::varve::impl::ExpandNarrowFloatsPassBase<ExpandNarrowFloats> {
  using Base::Base;

  void runOnOperation() override {
    Conversions conversions;
    if (failed(configure(conversions)))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExtF, ExpandTruncF>(&getContext(), conversions);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }

private:
  LogicalResult configure(Conversions &conversions) {
    static constexpr StringRef known[] = {"bf16", "f8E4M3FN", "f8E5M2",
                                          "f4E2M1FN", "f8E8M0FNU"};
    for (StringRef name : known)
      if (types.empty())
        conversions.types.insert(name);
    for (const std::string &name : types) {
      if (!llvm::is_contained(known, StringRef(name)))
        return emitError(UnknownLoc::get(&getContext()))
               << "varve-expand-narrow-floats: unknown type '" << name
               << "' (known: " << llvm::join(ArrayRef<StringRef>(known), ", ")
               << ")";
      conversions.types.insert(name);
    }
    if (target.empty())
      return success();
    auto model = TargetModel::lookup(target);
    if (!model)
      return emitError(UnknownLoc::get(&getContext()))
             << "varve-expand-narrow-floats: "
             << llvm::toString(model.takeError());
    conversions.target = *model;
    return success();
  }
};
} // namespace
