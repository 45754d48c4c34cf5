//===- Code.cpp - Pieces of vector code -----------------------------------===//

#include "passes/Engine/X86/Code.h"

using namespace mlir;
using namespace mlir::varve::x86;

SmallVector<std::pair<int64_t, int64_t>>
mlir::varve::x86::getTailPieces(int64_t begin, int64_t count) {
  SmallVector<std::pair<int64_t, int64_t>> pieces;
  for (int64_t width = kLanes / 2; width >= 1; width /= 2)
    if (count >= width) {
      pieces.push_back({begin, width});
      begin += width;
      count -= width;
    }
  return pieces;
}

Type mlir::varve::x86::getStorageType(Type type) {
  MLIRContext *context = type.getContext();
  if (type.isIndex())
    return IntegerType::get(context, 64);
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits < 16)
    return IntegerType::get(context, 8);
  return bits < 32 ? IntegerType::get(context, bits) : type;
}

int64_t mlir::varve::x86::getStorageBytes(Type type) {
  return getStorageType(type).getIntOrFloatBitWidth() / 8;
}

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

Value Code::index(int64_t value) {
  return create<arith::ConstantIndexOp>(value);
}

Value Code::add(Value a, Value b) { return fold<arith::AddIOp>(a, b); }
Value Code::sub(Value a, Value b) { return fold<arith::SubIOp>(a, b); }
Value Code::mul(Value a, Value b) { return fold<arith::MulIOp>(a, b); }
Value Code::min(Value a, Value b) { return fold<arith::MinSIOp>(a, b); }
Value Code::max(Value a, Value b) { return fold<arith::MaxSIOp>(a, b); }
Value Code::div(Value a, Value b) { return fold<arith::DivUIOp>(a, b); }
Value Code::rem(Value a, Value b) { return fold<arith::RemUIOp>(a, b); }
Value Code::both(Value a, Value b) { return fold<arith::AndIOp>(a, b); }

Value Code::cmp(arith::CmpIPredicate predicate, Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(loc, predicate, a, b);
}

Value Code::isWithin(Value a, Value b) {
  // One unsigned comparison: a negative number is a large one.
  return cmp(arith::CmpIPredicate::ult, a, max(b, index(0)));
}

Value Code::toIndex(Value integer) {
  if (integer.getType().isIndex())
    return integer;
  return builder.createOrFold<arith::IndexCastOp>(loc, builder.getIndexType(),
                                                  integer);
}

Value Code::toI64(Value index) {
  return builder.createOrFold<arith::IndexCastOp>(loc, builder.getI64Type(),
                                                  index);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

void Code::loop(Value begin, Value end, Value step,
                function_ref<void(Value)> body) {
  auto op = create<scf::ForOp>(begin, end, step);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

SmallVector<Value>
Code::loop(Value begin, Value end, Value step, ValueRange carried,
           function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = create<scf::ForOp>(begin, end, step, carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  create<scf::YieldOp>(next);
  return op.getResults();
}

void Code::ifThen(Value condition, function_ref<void()> then) {
  auto op = create<scf::IfOp>(condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
}

void Code::ifThenElse(Value condition, function_ref<void()> then,
                      function_ref<void()> otherwise) {
  auto op = create<scf::IfOp>(condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
  builder.setInsertionPointToStart(op.elseBlock());
  otherwise();
}

Value Code::select(Value condition, Type type, function_ref<Value()> then,
                   function_ref<Value()> otherwise) {
  auto op = create<scf::IfOp>(TypeRange(type), condition,
                              /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  create<scf::YieldOp>(then());
  builder.setInsertionPointToStart(op.elseBlock());
  create<scf::YieldOp>(otherwise());
  return op.getResult(0);
}

void Code::forVectors(int64_t count, function_ref<void(Value, int64_t)> body) {
  int64_t whole = count / kLanes * kLanes;
  if (whole == kLanes)
    body(index(0), kLanes);
  else if (whole != 0)
    loop(index(0), index(whole), index(kLanes),
         [&](Value position) { body(position, kLanes); });
  for (auto [begin, width] : getTailPieces(whole, count - whole))
    body(index(begin), width);
}

void Code::forEach(ArrayRef<int64_t> shape,
                   function_ref<void(ValueRange)> body) {
  SmallVector<Value> position;
  auto nest = [&](auto &&self) -> void {
    if (position.size() == shape.size())
      return body(position);
    loop(shape[position.size()], [&](Value i) {
      position.push_back(i);
      self(self);
      position.pop_back();
    });
  };
  nest(nest);
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

static bool isNarrowFloat(Type type) {
  Type element = getElementTypeOrSelf(type);
  return isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
}

/// A scalar or vector type with its element type replaced.
static Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

Value Code::asBits(Value value) {
  Type type = value.getType();
  if (!isNarrowFloat(type))
    return value;
  Type bits = builder.getIntegerType(
      getElementTypeOrSelf(type).getIntOrFloatBitWidth());
  return builder.createOrFold<arith::BitcastOp>(loc, withElement(type, bits),
                                                value);
}

Value Code::fromBits(Value value, Type element) {
  if (!isNarrowFloat(element))
    return value;
  return create<arith::BitcastOp>(withElement(value.getType(), element), value);
}

Value Code::splat(Value scalar, int64_t width) {
  Value bits = asBits(scalar);
  Value vector =
      create<vector::BroadcastOp>(VectorType::get(width, bits.getType()), bits);
  return fromBits(vector, scalar.getType());
}

Value Code::first(Value vector) {
  Value bits = create<vector::ExtractOp>(asBits(vector), ArrayRef<int64_t>{0});
  return fromBits(bits, getElementTypeOrSelf(vector.getType()));
}

Value Code::constant(Type type, double value) {
  if (isa<FloatType>(type))
    return create<arith::ConstantOp>(builder.getFloatAttr(type, value));
  return create<arith::ConstantOp>(
      builder.getIntegerAttr(type, static_cast<int64_t>(value)));
}

Value Code::zero(Type type) {
  if (isa<Float8E8M0FNUType>(type)) {
    // The format has no zero: code 0 is 2^-127.
    Value bits = create<arith::ConstantOp>(builder.getI8IntegerAttr(0));
    return create<arith::BitcastOp>(type, bits);
  }
  return constant(type, 0);
}

Value Code::offsetPointer(Value base, Value position, Type storage) {
  if (matchPattern(position, m_Zero()))
    return base;
  return create<LLVM::GEPOp>(base.getType(), storage, base,
                             ArrayRef<LLVM::GEPArg>{toI64(position)});
}

Value Code::loadRaw(Value base, Value position, Type storage, int64_t width) {
  return create<LLVM::LoadOp>(
      VectorType::get(width, storage), offsetPointer(base, position, storage),
      /*alignment=*/storage.getIntOrFloatBitWidth() / 8);
}

void Code::storeRaw(Value vector, Value base, Value position) {
  Type storage = getElementTypeOrSelf(vector.getType());
  create<LLVM::StoreOp>(vector, offsetPointer(base, position, storage),
                        /*alignment=*/storage.getIntOrFloatBitWidth() / 8);
}

Value Code::load(Value base, Value position, Type type, int64_t width) {
  return fromStorage(loadRaw(base, position, getStorageType(type), width),
                     type);
}

void Code::store(Value vector, Value base, Value position) {
  storeRaw(toStorage(vector), base, position);
}

void Code::maskedStore(Value vector, Value mask, Value base, Value position) {
  Value stored = toStorage(vector);
  Type storage = getElementTypeOrSelf(stored.getType());
  create<LLVM::MaskedStoreOp>(
      stored, offsetPointer(base, position, storage), mask,
      builder.getI32IntegerAttr(storage.getIntOrFloatBitWidth() / 8));
}

Value Code::toStorage(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  Type storage = getStorageType(type);
  if (type == storage)
    return value;
  Type result = withElement(value.getType(), storage);
  if (type.isIndex())
    return create<arith::IndexCastOp>(result, value);
  Value bits = asBits(value);
  if (bits.getType() == result)
    return bits;
  return create<arith::ExtUIOp>(result, bits);
}

Value Code::fromStorage(Value value, Type type) {
  Type storage = getStorageType(type);
  if (type == storage)
    return value;
  if (type.isIndex())
    return create<arith::IndexCastOp>(withElement(value.getType(), type),
                                      value);
  if (type.getIntOrFloatBitWidth() != storage.getIntOrFloatBitWidth())
    value = create<arith::TruncIOp>(
        withElement(value.getType(),
                    builder.getIntegerType(type.getIntOrFloatBitWidth())),
        value);
  return fromBits(value, type);
}
