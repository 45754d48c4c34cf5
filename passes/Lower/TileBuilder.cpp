//===- TileBuilder.cpp - Writing tile programs in C++ ---------------------===//

#include "passes/Lower/TileBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::varve;

static RankedTensorType tileOf(ArrayRef<int64_t> shape, Type element) {
  return RankedTensorType::get(shape, element);
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value TileBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(*this, value);
}
Value TileBuilder::add(Value a, Value b) {
  return createOrFold<arith::AddIOp>(a, b);
}
Value TileBuilder::sub(Value a, Value b) {
  return createOrFold<arith::SubIOp>(a, b);
}
Value TileBuilder::mul(Value a, Value b) {
  return createOrFold<arith::MulIOp>(a, b);
}
Value TileBuilder::mul(Value a, int64_t b) { return mul(a, index(b)); }
Value TileBuilder::div(Value a, int64_t b) {
  return b == 1 ? a : createOrFold<arith::DivUIOp>(a, index(b));
}
Value TileBuilder::rem(Value a, int64_t b) {
  return createOrFold<arith::RemUIOp>(a, index(b));
}
Value TileBuilder::programId(int64_t axis) {
  return tile::ProgramIdOp::create(*this, axis);
}
Value TileBuilder::dim(Value view, int64_t dim) {
  return createOrFold<tile::DimOp>(view, dim);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

ArrayRef<int64_t> TileBuilder::getShape(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape();
}
Type TileBuilder::getElement(Value tile) {
  return getElementTypeOrSelf(tile.getType());
}

static TypedAttr scalarAttr(Type element, double value) {
  if (auto type = dyn_cast<FloatType>(element)) {
    APFloat number(value);
    bool lost;
    number.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                   &lost);
    return FloatAttr::get(type, number);
  }
  return IntegerAttr::get(element, static_cast<int64_t>(value));
}

Value TileBuilder::constant(ArrayRef<int64_t> shape, Type element,
                            double value) {
  return arith::ConstantOp::create(
      *this, DenseElementsAttr::get(tileOf(shape, element),
                                    Attribute(scalarAttr(element, value))));
}
Value TileBuilder::zeros(ArrayRef<int64_t> shape, Type element) {
  return constant(shape, element, 0.0);
}
Value TileBuilder::splat(Value scalar, ArrayRef<int64_t> shape) {
  return tile::SplatOp::create(*this, tileOf(shape, scalar.getType()), scalar);
}
Value TileBuilder::iota(ArrayRef<int64_t> shape, int64_t dim, Type element) {
  return tile::IotaOp::create(
      *this, tileOf(shape, element ? element : getI32Type()), dim);
}
Value TileBuilder::numbersFrom(Value first, int64_t count) {
  Value start = arith::IndexCastOp::create(*this, getI32Type(), first);
  return addi(splat(start, {count}), iota({count}, 0));
}
Value TileBuilder::broadcast(Value source, ArrayRef<int64_t> shape,
                             ArrayRef<int64_t> dims) {
  return tile::BroadcastOp::create(*this, tileOf(shape, getElement(source)),
                                   source, dims);
}
Value TileBuilder::acrossColumns(Value column, int64_t columns) {
  return broadcast(column, {getShape(column)[0], columns}, {0});
}
Value TileBuilder::acrossRows(Value row, int64_t rows) {
  return broadcast(row, {rows, getShape(row)[0]}, {1});
}
Value TileBuilder::column(Value tile, int64_t i) {
  Value number = iota(getShape(tile), 1);
  Value isHere = compare(arith::CmpIPredicate::eq, number, likeInt(number, i));
  return reduce(tile::ReduceKind::Sum, select(isHere, tile, like(tile, 0.0)),
                1);
}

Value TileBuilder::reshape(Value source, ArrayRef<int64_t> shape) {
  if (getShape(source) == shape)
    return source;
  return tile::ReshapeOp::create(*this, tileOf(shape, getElement(source)),
                                 source);
}
Value TileBuilder::slice(Value source, ArrayRef<int64_t> offsets,
                         ArrayRef<int64_t> shape) {
  if (getShape(source) == shape)
    return source;
  return tile::SliceOp::create(*this, tileOf(shape, getElement(source)), source,
                               offsets);
}
Value TileBuilder::reduce(tile::ReduceKind kind, Value source, int64_t dim) {
  return tile::ReduceOp::create(*this, kind, source, dim);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value TileBuilder::addf(Value a, Value b) {
  return arith::AddFOp::create(*this, a, b);
}
Value TileBuilder::subf(Value a, Value b) {
  return arith::SubFOp::create(*this, a, b);
}
Value TileBuilder::mulf(Value a, Value b) {
  return arith::MulFOp::create(*this, a, b);
}
Value TileBuilder::divf(Value a, Value b) {
  return arith::DivFOp::create(*this, a, b);
}
Value TileBuilder::maxf(Value a, Value b) {
  return arith::MaximumFOp::create(*this, a, b);
}
Value TileBuilder::minf(Value a, Value b) {
  return arith::MinimumFOp::create(*this, a, b);
}
Value TileBuilder::like(Value a, double value) {
  Type element = getElement(a);
  if (isa<RankedTensorType>(a.getType()))
    return constant(getShape(a), element, value);
  return arith::ConstantOp::create(*this, scalarAttr(element, value));
}
Value TileBuilder::negf(Value a) { return arith::NegFOp::create(*this, a); }
Value TileBuilder::likeInt(Value a, int64_t value) {
  auto attr = IntegerAttr::get(getElement(a), value);
  if (auto type = dyn_cast<RankedTensorType>(a.getType()))
    return arith::ConstantOp::create(
        *this, DenseElementsAttr::get(type, Attribute(attr)));
  return arith::ConstantOp::create(*this, attr);
}
Value TileBuilder::addi(Value a, Value b) {
  return arith::AddIOp::create(*this, a, b);
}
Value TileBuilder::muli(Value a, Value b) {
  return arith::MulIOp::create(*this, a, b);
}
Value TileBuilder::compare(arith::CmpIPredicate predicate, Value a, Value b) {
  return arith::CmpIOp::create(*this, predicate, a, b);
}
Value TileBuilder::compare(arith::CmpFPredicate predicate, Value a, Value b) {
  return arith::CmpFOp::create(*this, predicate, a, b);
}
Value TileBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(*this, condition, a, b);
}
/// The i32 tile or scalar of the bits of an f32 one.
static Value bitsOf(TileBuilder &b, Value number) {
  Type bits = b.getI32Type();
  if (auto shaped = dyn_cast<ShapedType>(number.getType()))
    bits = shaped.clone(bits);
  return arith::BitcastOp::create(b, bits, number);
}

Value TileBuilder::sumNearlyRounded(Value tile) {
  int64_t columns = getShape(tile)[1];
  // Rounded to multiples of one power of two so large that their sum fits 24
  // bits, numbers add up exactly; what that drops is 2^-24 of the sum.
  Value largest = reduce(tile::ReduceKind::Max, tile, 1);
  Value exponent = bitsOf(*this, largest);
  exponent =
      arith::AndIOp::create(*this, exponent, likeInt(exponent, 0x7F800000));
  Value power = arith::BitcastOp::create(*this, largest.getType(), exponent);
  // No sum of what there is so many of overflows.
  constexpr double kMost = 0x1p96;
  auto count = static_cast<double>(llvm::PowerOf2Ceil(columns));
  power = acrossColumns(mulf(minf(power, kMost), 2 * count), columns);
  Value high = subf(addf(tile, power), power);
  Value low = subf(tile, high);
  return addf(reduce(tile::ReduceKind::Sum, high, 1),
              reduce(tile::ReduceKind::Sum, low, 1));
}

std::pair<Value, Value> TileBuilder::expParts(Value x) {
  auto fma = [&](Value a, Value b, Value c) -> Value {
    return math::FmaOp::create(*this, a, b, c);
  };
  // x = n ln 2 + r with |r| <= (ln 2) / 2. Added to 1.5 2^23, n is rounded to a
  // whole number and stands in the low bits. ln 2 comes in two parts, so that
  // the first product is exact; of the second the rounding error is kept.
  Value shifted = fma(x, like(x, 0x1.715476p+0), like(x, 0x1.8p23));
  Value n = subf(shifted, like(x, 0x1.8p23));
  Value high = like(x, -0x1.62e4p-1), low = like(x, -0x1.7f7d1cp-20);
  Value whole = fma(n, high, x);
  Value r = fma(n, low, whole);
  Value rest = fma(n, low, subf(whole, r));
  // e^r = 1 + r + r^2 (1/2 + ...); what is left out is below 2^-27.
  Value series = like(x, 1.0 / 5040);
  for (double factor : {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5})
    series = fma(series, r, like(x, factor));
  rest = fma(mulf(r, r), series, rest);
  Value sum = addf(r, 1.0);
  rest = addf(addf(subf(like(x, 1.0), sum), r), rest);
  // The nearest number, and what it lacks.
  Value nearest = addf(sum, rest);
  rest = addf(subf(sum, nearest), rest);
  // 2^n, by the exponent of 1.
  Value number = bitsOf(*this, shifted);
  Value exponent = arith::ShLIOp::create(*this, number, likeInt(number, 23));
  Value one = bitsOf(*this, like(x, 1.0));
  Value power =
      arith::BitcastOp::create(*this, x.getType(), addi(exponent, one));
  return {mulf(nearest, power), mulf(rest, power)};
}

Value TileBuilder::sigmoid(Value z) {
  constexpr double kMost = 87.0;
  auto [power, rest] = expParts(minf(maxf(negf(z), -kMost), kMost));
  // The sum and its rounding error; then one step of Newton's method, which
  // takes both that and the quotient's error back.
  Value one = like(z, 1.0);
  Value sum = addf(one, power);
  Value added = subf(sum, one);
  rest = addf(addf(subf(one, subf(sum, added)), subf(power, added)), rest);
  Value r = divf(one, sum);
  auto fma = [&](Value a, Value b, Value c) -> Value {
    return math::FmaOp::create(*this, a, b, c);
  };
  Value residual = fma(negf(r), rest, fma(negf(r), sum, one));
  Value result = fma(r, residual, r);
  // Not a number stays none.
  return select(compare(arith::CmpFPredicate::UNO, z, z), z, result);
}

Value TileBuilder::rsqrt(Value x) {
  // The root and the division round one after the other. One step of Newton's
  // method, r + r/2 (1 - x r^2) with the residual in twice the precision, takes
  // their errors back.
  Value r = divf(like(x, 1.0), math::SqrtOp::create(*this, x));
  auto fma = [&](Value a, Value b, Value c) -> Value {
    return math::FmaOp::create(*this, a, b, c);
  };
  Value product = mulf(x, r);
  Value rest = fma(x, r, negf(product));
  Value residual = fma(negf(product), r, like(x, 1.0));
  residual = fma(negf(rest), r, residual);
  return fma(mulf(r, 0.5), residual, r);
}

Value TileBuilder::toF32(Value source) {
  if (getElement(source).isF32())
    return source;
  if (isa<RankedTensorType>(source.getType()))
    return arith::ExtFOp::create(*this, tileOf(getShape(source), getF32Type()),
                                 source);
  return arith::ExtFOp::create(*this, getF32Type(), source);
}
Value TileBuilder::round(Value source, Type element) {
  if (getElement(source) == element)
    return source;
  if (isa<RankedTensorType>(source.getType()))
    return arith::TruncFOp::create(*this, tileOf(getShape(source), element),
                                   source);
  return arith::TruncFOp::create(*this, element, source);
}
Value TileBuilder::toFloat(Value numbers) {
  Type type = getF32Type();
  if (isa<RankedTensorType>(numbers.getType()))
    type = tileOf(getShape(numbers), type);
  return arith::SIToFPOp::create(*this, type, numbers);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static Type viewElement(Value view) {
  return cast<tile::ViewType>(view.getType()).getElementType();
}

/// The attribute of `dims`; none where it says nothing.
static DenseI64ArrayAttr dimsAttr(TileBuilder &b, ArrayRef<int64_t> dims) {
  return dims.empty() ? DenseI64ArrayAttr() : b.getDenseI64ArrayAttr(dims);
}

Value TileBuilder::load(Value view, ValueRange offsets, ArrayRef<int64_t> shape,
                        ArrayRef<int64_t> dims, Value mask, Value fill) {
  return tile::LoadOp::create(*this, tileOf(shape, viewElement(view)), view,
                              offsets, mask, fill, dimsAttr(*this, dims),
                              tile::CacheHint::Normal);
}

void TileBuilder::store(Value value, Value view, ValueRange offsets,
                        ArrayRef<int64_t> dims, Value mask) {
  tile::StoreOp::create(*this, value, view, offsets, mask,
                        dimsAttr(*this, dims), tile::CacheHint::Normal);
}

Value TileBuilder::gather(Value view, Value rows, int64_t columns,
                          Value column) {
  SmallVector<int64_t> shape = {getShape(rows)[0]};
  if (column)
    shape.push_back(columns);
  return tile::GatherOp::create(*this, tileOf(shape, viewElement(view)), view,
                                rows, column, /*table=*/Value(),
                                /*sequences=*/Value(), /*fill=*/Value(),
                                /*page_size=*/IntegerAttr(),
                                tile::CacheHint::Normal);
}
