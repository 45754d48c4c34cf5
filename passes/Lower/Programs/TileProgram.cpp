//===- TileProgram.cpp - Writing a tile function --------------------------===//

#include "passes/Lower/Programs/TileProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;
using Values = TileProgram::Values;

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

TileProgram::TileProgram(OpBuilder &builder, Location loc, StringRef name,
                         int64_t warps)
    : builder(builder), loc(loc) {
  MLIRContext *context = builder.getContext();
  AffineMap none = AffineMap::get(0, 0, getConstant(1), context);
  function =
      FuncOp::create(builder, loc, name, builder.getFunctionType({}, {}), none,
                     builder.getArrayAttr({}), warps, StrategyAttr(),
                     StringAttr(), ArrayAttr(), ArrayAttr());
  builder.setInsertionPointToStart(&function.getBody().emplaceBlock());
}

Value TileProgram::addArgument(Type type) {
  if (host)
    return host->addArgument(type);
  return function.getBody().front().addArgument(type, loc);
}

Value TileProgram::addRows(ArrayRef<int64_t> rowShape, Type element,
                           std::optional<int64_t> rowStride) {
  SmallVector<int64_t> shape = {ShapedType::kDynamic};
  llvm::append_range(shape, rowShape);
  if (!rowStride || *rowStride == llvm::product_of(rowShape))
    return addView(shape, element);
  VARVE_ASSERT(rowShape.size() == 1, "a row stride needs rows of rank 1");
  return addArgument(ViewType::get(shape, element, {*rowStride, 1}));
}

Value TileProgram::addView(ArrayRef<int64_t> shape, Type element) {
  return addArgument(ViewType::get(shape, element));
}

AffineExpr TileProgram::getSize(Value view, int64_t dim) {
  if (host)
    return host->getSize(view, dim);
  unsigned argument = cast<BlockArgument>(view).getArgNumber();
  sizes.push_back(
      SizeAttr::get(builder.getContext(), SizeKind::Dim, argument, dim));
  return builder.getAffineSymbolExpr(sizes.size() - 1);
}

AffineExpr TileProgram::getConstant(int64_t value) {
  return builder.getAffineConstantExpr(value);
}

void TileProgram::finish(ArrayRef<AffineExpr> grid) {
  if (host)
    return host->finish(grid);
  ReturnOp::create(builder, loc);
  function.setFunctionType(builder.getFunctionType(
      function.getBody().front().getArgumentTypes(), {}));
  function.setGridAttr(AffineMapAttr::get(
      AffineMap::get(0, sizes.size(), grid, builder.getContext())));
  function.setSizesAttr(builder.getArrayAttr(sizes));
  builder.setInsertionPointAfter(function);
}

//===----------------------------------------------------------------------===//
// Constants and types
//===----------------------------------------------------------------------===//

RankedTensorType TileProgram::tileType(ArrayRef<int64_t> shape, Type element) {
  return RankedTensorType::get(shape, element);
}

Value TileProgram::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value TileProgram::integer(int64_t value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getI32IntegerAttr(value));
}

Value TileProgram::number(double value) {
  return arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
}

static TypedAttr getScalarAttr(OpBuilder &builder, Type type, double value) {
  auto floating = dyn_cast<FloatType>(type);
  if (!floating)
    return builder.getIntegerAttr(type, static_cast<int64_t>(value));
  APFloat exact(value);
  bool losesInfo;
  exact.convert(floating.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return FloatAttr::get(floating, exact);
}

Value TileProgram::splat(ArrayRef<int64_t> shape, Type element, double value) {
  return arith::ConstantOp::create(
      builder, loc,
      SplatElementsAttr::get(tileType(shape, element),
                             getScalarAttr(builder, element, value)));
}

Value TileProgram::splat(ArrayRef<int64_t> shape, Value scalar) {
  return builder.createOrFold<SplatOp>(loc, tileType(shape, scalar.getType()),
                                       scalar);
}

Value TileProgram::lowest(ArrayRef<int64_t> shape) {
  return splat(shape, f32(), -std::numeric_limits<double>::infinity());
}

Value TileProgram::iota(ArrayRef<int64_t> shape, int64_t dim) {
  return IotaOp::create(builder, loc, tileType(shape, i32()), dim);
}

ArrayRef<int64_t> TileProgram::getShape(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape();
}

Type TileProgram::getElement(Value value) {
  return getElementTypeOrSelf(value.getType());
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static bool isTile(Value value) {
  return isa<RankedTensorType>(value.getType());
}

void TileProgram::unify(Value &a, Value &b) {
  if (isTile(a) && !isTile(b))
    b = splat(getShape(a), b);
  else if (isTile(b) && !isTile(a))
    a = splat(getShape(b), a);
}

template <typename FloatOp, typename IntegerOp>
Value TileProgram::arithmetic(Value a, Value b) {
  unify(a, b);
  if (isa<FloatType>(getElement(a)))
    return builder.createOrFold<FloatOp>(loc, a, b);
  return builder.createOrFold<IntegerOp>(loc, a, b);
}

Value TileProgram::add(Value a, Value b) {
  return arithmetic<arith::AddFOp, arith::AddIOp>(a, b);
}
Value TileProgram::sub(Value a, Value b) {
  return arithmetic<arith::SubFOp, arith::SubIOp>(a, b);
}
Value TileProgram::mul(Value a, Value b) {
  return arithmetic<arith::MulFOp, arith::MulIOp>(a, b);
}
Value TileProgram::div(Value a, Value b) {
  return arithmetic<arith::DivFOp, arith::DivUIOp>(a, b);
}
Value TileProgram::rem(Value a, Value b) {
  return arithmetic<arith::RemFOp, arith::RemUIOp>(a, b);
}
Value TileProgram::min(Value a, Value b) {
  return arithmetic<arith::MinimumFOp, arith::MinSIOp>(a, b);
}
Value TileProgram::max(Value a, Value b) {
  return arithmetic<arith::MaximumFOp, arith::MaxSIOp>(a, b);
}
Value TileProgram::both(Value a, Value b) {
  unify(a, b);
  return builder.createOrFold<arith::AndIOp>(loc, a, b);
}
Value TileProgram::either(Value a, Value b) {
  unify(a, b);
  return builder.createOrFold<arith::OrIOp>(loc, a, b);
}

static Value like(TileProgram &p, Value value, int64_t constant) {
  return value.getType().isIndex() ? p.index(constant) : p.integer(constant);
}

Value TileProgram::ceilDiv(Value a, int64_t b) {
  return div(add(a, like(*this, a, b - 1)), like(*this, a, b));
}

Value TileProgram::compare(Order order, Value a, Value b) {
  unify(a, b);
  if (isa<FloatType>(getElement(a))) {
    arith::CmpFPredicate predicates[] = {
        arith::CmpFPredicate::OLT, arith::CmpFPredicate::OGE,
        arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE};
    return builder.createOrFold<arith::CmpFOp>(
        loc, predicates[static_cast<unsigned>(order)], a, b);
  }
  arith::CmpIPredicate predicates[] = {
      arith::CmpIPredicate::slt, arith::CmpIPredicate::sge,
      arith::CmpIPredicate::eq, arith::CmpIPredicate::ne};
  return builder.createOrFold<arith::CmpIOp>(
      loc, predicates[static_cast<unsigned>(order)], a, b);
}

Value TileProgram::less(Value a, Value b) { return compare(Order::Less, a, b); }

Value TileProgram::select(Value condition, Value a, Value b) {
  unify(a, b);
  if (isTile(condition)) {
    unify(condition, a);
    unify(condition, b);
  }
  return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
}

Value TileProgram::exp(Value x) {
  return builder.createOrFold<math::ExpOp>(loc, x);
}

Value TileProgram::silu(Value x, bool approximate) {
  auto flags =
      approximate ? arith::FastMathFlags::afn : arith::FastMathFlags::none;
  Value negated = sub(zeros(getShape(x)), x);
  Value power = math::ExpOp::create(builder, loc, negated, flags);
  return arith::DivFOp::create(builder, loc, x, add(power, number(1.0)), flags);
}

Value TileProgram::abs(Value x) {
  return builder.createOrFold<math::AbsFOp>(loc, x);
}

Value TileProgram::convert(Value value, Type element) {
  Type from = getElement(value);
  if (from == element)
    return value;
  Type to = isTile(value) ? Type(tileType(getShape(value), element)) : element;
  auto fromFloat = dyn_cast<FloatType>(from),
       toFloat = dyn_cast<FloatType>(element);
  if (fromFloat && toFloat) {
    // Between 16-bit types there is no single conversion.
    if (fromFloat.getWidth() == toFloat.getWidth())
      return convert(convert(value, f32()), element);
    if (fromFloat.getWidth() < toFloat.getWidth())
      return builder.createOrFold<arith::ExtFOp>(loc, to, value);
    return builder.createOrFold<arith::TruncFOp>(loc, to, value);
  }
  if (toFloat)
    return builder.createOrFold<arith::SIToFPOp>(loc, to, value);
  if (fromFloat)
    return builder.createOrFold<arith::FPToSIOp>(loc, to, value);
  if (from.isIndex() || element.isIndex())
    return builder.createOrFold<arith::IndexCastOp>(loc, to, value);
  if (from.isInteger(1))
    return builder.createOrFold<arith::ExtUIOp>(loc, to, value);
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return builder.createOrFold<arith::ExtSIOp>(loc, to, value);
  return builder.createOrFold<arith::TruncIOp>(loc, to, value);
}

Value TileProgram::roundTo(Value value, Type element) {
  return convert(convert(value, element), f32());
}

Value TileProgram::toIndex(Value integer) {
  return convert(integer, builder.getIndexType());
}

Value TileProgram::toInteger(Value index) { return convert(index, i32()); }

Value TileProgram::bitcast(Value value, Type element) {
  Type to = isTile(value) ? Type(tileType(getShape(value), element)) : element;
  return builder.createOrFold<arith::BitcastOp>(loc, to, value);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

Value TileProgram::broadcast(Value tile, ArrayRef<int64_t> shape,
                             ArrayRef<int64_t> dims) {
  return builder.createOrFold<BroadcastOp>(
      loc, tileType(shape, getElement(tile)), tile, dims);
}

Value TileProgram::reshape(Value tile, ArrayRef<int64_t> shape) {
  if (getShape(tile) == shape)
    return tile;
  return builder.createOrFold<ReshapeOp>(loc, tileType(shape, getElement(tile)),
                                         tile);
}

Value TileProgram::slice(Value tile, ArrayRef<int64_t> offsets,
                         ArrayRef<int64_t> shape) {
  if (getShape(tile) == shape)
    return tile;
  return builder.createOrFold<SliceOp>(loc, tileType(shape, getElement(tile)),
                                       tile, offsets);
}

Value TileProgram::concat(ArrayRef<Value> tiles, int64_t dim) {
  if (tiles.size() == 1)
    return tiles.front();
  SmallVector<int64_t> shape(getShape(tiles.front()));
  shape[dim] = 0;
  for (Value tile : tiles)
    shape[dim] += getShape(tile)[dim];
  return ConcatOp::create(
      builder, loc, tileType(shape, getElement(tiles.front())), tiles, dim);
}

Value TileProgram::transpose(Value tile, ArrayRef<int64_t> order) {
  SmallVector<int64_t> shape;
  for (int64_t dim : order)
    shape.push_back(getShape(tile)[dim]);
  return TransposeOp::create(builder, loc, tileType(shape, getElement(tile)),
                             tile, order);
}

Value TileProgram::reduce(ReduceKind kind, Value tile, int64_t dim) {
  return ReduceOp::create(builder, loc, kind, tile, dim);
}
Value TileProgram::sum(Value tile, int64_t dim) {
  return reduce(ReduceKind::Sum, tile, dim);
}
Value TileProgram::largest(Value tile, int64_t dim) {
  return reduce(ReduceKind::Max, tile, dim);
}

Value TileProgram::dot(Value a, Value b, Value accumulator, bool transposed) {
  return DotOp::create(builder, loc, a, b, accumulator, Value(), Value(),
                       /*a_transposed=*/false, transposed, QuadsAttr());
}

Value TileProgram::scaledDot(Value a, Value aScale, Value b, Value bScale,
                             Value accumulator, std::optional<Quads> quads,
                             int64_t exponent) {
  return DotOp::create(
      builder, loc, a, b, accumulator, aScale, bScale, /*a_transposed=*/false,
      /*b_transposed=*/true,
      quads ? QuadsAttr::get(builder.getContext(), *quads) : QuadsAttr(),
      exponent);
}

Value TileProgram::scan(Value tile, int64_t dim) {
  return ScanOp::create(builder, loc, tile.getType(), tile, dim,
                        /*exclusive=*/false);
}

std::pair<Value, Value> TileProgram::selectTopk(Value scores, Value ids,
                                                int64_t k) {
  SmallVector<int64_t> shape(getShape(scores));
  shape.back() = k;
  auto op =
      SelectTopkOp::create(builder, loc, tileType(shape, getElement(scores)),
                           tileType(shape, i32()), scores, ids);
  return {op.getValues(), op.getIndices()};
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static DenseI64ArrayAttr getDims(OpBuilder &builder, ArrayRef<int64_t> dims) {
  return dims.empty() ? DenseI64ArrayAttr()
                      : builder.getDenseI64ArrayAttr(dims);
}

static Type getViewElement(Value view) {
  return cast<ViewType>(view.getType()).getElementType();
}

Value TileProgram::load(Value view, ValueRange offsets, ArrayRef<int64_t> shape,
                        ArrayRef<int64_t> dims, Value mask, Value fill) {
  return LoadOp::create(builder, loc, tileType(shape, getViewElement(view)),
                        view, offsets, mask, fill, getDims(builder, dims),
                        CacheHint::Normal);
}

void TileProgram::store(Value tile, Value view, ValueRange offsets,
                        ArrayRef<int64_t> dims, Value mask) {
  StoreOp::create(builder, loc, tile, view, offsets, mask,
                  getDims(builder, dims), CacheHint::Normal);
}

Value TileProgram::loadScalar(Value view, ValueRange offsets) {
  return LoadScalarOp::create(builder, loc, getViewElement(view), view,
                              offsets);
}

Value TileProgram::dim(Value view, int64_t dim) {
  return builder.createOrFold<DimOp>(loc, view, dim);
}

static IntegerAttr getPageSize(OpBuilder &builder, int64_t pageSize) {
  return pageSize ? builder.getI64IntegerAttr(pageSize) : IntegerAttr();
}

Value TileProgram::gather(Value view, Value rows, Value column,
                          ArrayRef<int64_t> shape, Value table, Value sequences,
                          int64_t pageSize, Value fill) {
  return GatherOp::create(builder, loc, tileType(shape, getViewElement(view)),
                          view, rows, column, table, sequences, fill,
                          getPageSize(builder, pageSize), CacheHint::Normal);
}

void TileProgram::scatter(Value tile, Value view, Value rows, Value column,
                          Value table, Value sequences, int64_t pageSize) {
  ScatterOp::create(builder, loc, tile, view, rows, column, table, sequences,
                    getPageSize(builder, pageSize), CacheHint::Normal);
}

Value TileProgram::alloc(ArrayRef<int64_t> shape, Type element, int64_t run) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, swizzle = 128;
  while (swizzle >= 32 &&
         (run * bytes % swizzle != 0 || shape.back() * bytes % swizzle != 0))
    swizzle /= 2;
  auto layout = swizzle < 32
                    ? SharedLayoutAttr()
                    : SharedLayoutAttr::get(builder.getContext(), swizzle);
  return AllocOp::create(builder, loc, BufferType::get(shape, element, layout));
}

Value TileProgram::subbuffer(Value buffer, ArrayRef<int64_t> offsets,
                             ArrayRef<int64_t> shape) {
  auto type = cast<BufferType>(buffer.getType());
  return builder.createOrFold<SubbufferOp>(
      loc, BufferType::get(shape, type.getElementType(), type.getLayout()),
      buffer, offsets);
}

Value TileProgram::read(Value buffer) {
  auto type = cast<BufferType>(buffer.getType());
  return ReadOp::create(
      builder, loc, tileType(type.getShape(), type.getElementType()), buffer);
}

void TileProgram::write(Value tile, Value buffer) {
  WriteOp::create(builder, loc, tile, buffer);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

Value TileProgram::programId(int64_t axis) {
  return ProgramIdOp::create(builder, loc, axis);
}

Values TileProgram::loop(Value begin, Value end, int64_t step,
                         ValueRange carried, LoopBody body) {
  auto op = scf::ForOp::create(builder, loc, begin, end, index(step), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  Values next = body(op.getInductionVar(), op.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(builder, loc, next);
  return op.getResults();
}

void TileProgram::loop(Value begin, Value end, int64_t step,
                       function_ref<void(Value)> body) {
  loop(begin, end, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

void TileProgram::ifThen(Value condition, function_ref<void()> then) {
  auto op =
      scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
}

Values TileProgram::ifElse(Value condition, function_ref<Values()> then,
                           function_ref<Values()> otherwise) {
  // The types of the results are known when the first branch is written.
  Block *thenBlock = new Block(), *elseBlock = new Block();
  OpBuilder::InsertionGuard guard(builder);
  auto write = [&](Block *block, function_ref<Values()> branch) {
    builder.setInsertionPointToStart(block);
    Values results = branch();
    scf::YieldOp::create(builder, loc, results);
    return results;
  };
  OpBuilder::InsertPoint here = builder.saveInsertionPoint();
  SmallVector<Type> types = llvm::map_to_vector(
      write(thenBlock, then), [](Value value) { return value.getType(); });
  write(elseBlock, otherwise);
  builder.restoreInsertionPoint(here);
  auto op = scf::IfOp::create(builder, loc, types, condition,
                              /*addThenBlock=*/false, /*addElseBlock=*/false);
  op.getThenRegion().push_back(thenBlock);
  op.getElseRegion().push_back(elseBlock);
  return op.getResults();
}
