//===- Code.cpp - Pieces of lane code -------------------------------------===//

#include "passes/Engine/Nvidia/Code.h"

#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::nvidia;

IntegerType mlir::varve::nvidia::getStorageType(Type type) {
  MLIRContext *context = type.getContext();
  if (type.isIndex())
    return IntegerType::get(context, 64);
  return IntegerType::get(context, std::max(8u, type.getIntOrFloatBitWidth()));
}

int64_t mlir::varve::nvidia::getStorageBytes(Type type) {
  return getStorageType(type).getWidth() / 8;
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Code::constant(Type type, int64_t value) {
  if (type.isIndex())
    return create<arith::ConstantIndexOp>(value);
  return create<arith::ConstantOp>(builder.getIntegerAttr(type, value));
}

Value Code::div(Value a, int64_t b) {
  return fold<arith::DivUIOp>(a, constant(a.getType(), b));
}

Value Code::rem(Value a, int64_t b) {
  if (b == 1)
    return constant(a.getType(), 0);
  if (llvm::isPowerOf2_64(b))
    return bitAnd(a, b - 1);
  return fold<arith::RemUIOp>(a, constant(a.getType(), b));
}

Value Code::shiftLeft(Value a, int64_t bits) {
  return bits == 0 ? a : fold<arith::ShLIOp>(a, constant(a.getType(), bits));
}

Value Code::shiftRight(Value a, int64_t bits) {
  return bits == 0 ? a : fold<arith::ShRUIOp>(a, constant(a.getType(), bits));
}

Value Code::cmp(arith::CmpIPredicate predicate, Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(loc, predicate, a, b);
}

Value Code::both(Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  return bitAnd(a, b);
}

Value Code::select(Value condition, Value a, Value b) {
  return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
}

/// Signed conversion between integers and index.
static Value convert(Code &code, Value value, Type type) {
  Type from = value.getType();
  if (from == type)
    return value;
  APInt known;
  if (matchPattern(value, m_ConstantInt(&known)))
    return code.constant(type, known.getSExtValue());
  if (from.isIndex() || type.isIndex())
    return code.builder.createOrFold<arith::IndexCastOp>(code.loc, type, value);
  if (from.getIntOrFloatBitWidth() < type.getIntOrFloatBitWidth())
    return code.builder.createOrFold<arith::ExtSIOp>(code.loc, type, value);
  return code.builder.createOrFold<arith::TruncIOp>(code.loc, type, value);
}

Value Code::toI64(Value value) {
  return convert(*this, value, builder.getI64Type());
}

Value Code::toI32(Value value) {
  return convert(*this, value, builder.getI32Type());
}

Value Code::toIndex(Value value) {
  return convert(*this, value, builder.getIndexType());
}

Value Code::extendToI64(Value value) {
  APInt known;
  if (matchPattern(value, m_ConstantInt(&known)))
    return i64(known.getSExtValue());
  return create<arith::ExtUIOp>(builder.getI64Type(), value);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

void Code::ifThen(Value condition, function_ref<void()> then) {
  if (!condition || matchPattern(condition, m_One()))
    return then();
  if (matchPattern(condition, m_Zero()))
    return;
  auto op = create<scf::IfOp>(condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
}

SmallVector<Value> Code::ifElse(Value condition,
                                function_ref<SmallVector<Value>()> then,
                                ValueRange otherwise) {
  if (!condition || matchPattern(condition, m_One()))
    return then();
  if (matchPattern(condition, m_Zero()))
    return otherwise;
  auto op = create<scf::IfOp>(otherwise.getTypes(), condition,
                              /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  create<scf::YieldOp>(then());
  builder.setInsertionPointToStart(op.elseBlock());
  create<scf::YieldOp>(otherwise);
  return op.getResults();
}

SmallVector<Value>
Code::loop(Value begin, Value end, int64_t step, ValueRange carried,
           function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = create<scf::ForOp>(begin, end, i32(step), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  if (!carried.empty())
    create<scf::YieldOp>(next);
  return op.getResults();
}

//===----------------------------------------------------------------------===//
// Elements and memory
//===----------------------------------------------------------------------===//

Value Code::zero(Type type) {
  if (!isa<FloatType>(type))
    return constant(type, 0);
  // Not every float has a zero (f8E8M0FNU): zero bits are meant.
  const llvm::fltSemantics &semantics =
      cast<FloatType>(type).getFloatSemantics();
  return create<arith::ConstantOp>(builder.getFloatAttr(
      type, APFloat(semantics, APInt(APFloat::getSizeInBits(semantics), 0))));
}

Value Code::floatConstant(Type type, double value) {
  return create<arith::ConstantOp>(builder.getFloatAttr(type, value));
}

Value Code::toStorage(Value scalar) {
  Type type = scalar.getType();
  IntegerType storage = getStorageType(type);
  if (type == storage)
    return scalar;
  if (type.isIndex())
    return create<arith::IndexCastOp>(storage, scalar);
  if (isa<FloatType>(type))
    scalar = create<arith::BitcastOp>(
        builder.getIntegerType(type.getIntOrFloatBitWidth()), scalar);
  if (scalar.getType() == storage)
    return scalar;
  return create<arith::ExtUIOp>(storage, scalar);
}

Value Code::fromStorage(Value integer, Type type) {
  if (integer.getType() == type)
    return integer;
  if (type.isIndex())
    return create<arith::IndexCastOp>(type, integer);
  auto bits = builder.getIntegerType(type.getIntOrFloatBitWidth());
  if (integer.getType() != bits)
    integer = create<arith::TruncIOp>(bits, integer);
  if (isa<FloatType>(type))
    integer = create<arith::BitcastOp>(type, integer);
  return integer;
}

SmallVector<Value> Code::pack(ValueRange elements) {
  SmallVector<Value> storages =
      llvm::map_to_vector(elements, [&](Value v) { return toStorage(v); });
  Type type = elements.front().getType();
  if (type.isIndex() || type.getIntOrFloatBitWidth() != 4)
    return storages;
  SmallVector<Value> bytes;
  for (size_t i = 0; i < storages.size(); i += 2)
    bytes.push_back(bitOr(storages[i], shiftLeft(storages[i + 1], 4)));
  return bytes;
}

SmallVector<Value> Code::unpack(ValueRange storages, Type type) {
  bool isPacked = !type.isIndex() && type.getIntOrFloatBitWidth() == 4;
  SmallVector<Value> elements;
  for (Value storage : storages) {
    // The conversion drops what is above the element.
    elements.push_back(fromStorage(storage, type));
    if (isPacked)
      elements.push_back(fromStorage(shiftRight(storage, 4), type));
  }
  return elements;
}

Value Code::unpackOne(Value byte, Value odd, Type type) {
  return fromStorage(select(odd, shiftRight(byte, 4), byte), type);
}

Type Code::getPointerType(unsigned space) {
  return LLVM::LLVMPointerType::get(builder.getContext(), space);
}

Value Code::offset(Value pointer, Value bytes) {
  if (matchPattern(bytes, m_Zero()))
    return pointer;
  return create<LLVM::GEPOp>(pointer.getType(), builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value Code::offset(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return create<LLVM::GEPOp>(
      pointer.getType(), builder.getI8Type(), pointer,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}

SmallVector<Value> Code::load(Value pointer, Type storage, int64_t count,
                              bool isVolatile) {
  int64_t bytes = count * storage.getIntOrFloatBitWidth() / 8;
  Type type = storage;
  if (count != 1)
    type = VectorType::get(count, storage);
  Value loaded =
      create<LLVM::LoadOp>(type, pointer, /*alignment=*/bytes, isVolatile);
  if (count == 1)
    return {loaded};
  SmallVector<Value> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(create<LLVM::ExtractElementOp>(loaded, i32(i)));
  return result;
}

void Code::store(ValueRange storages, Value pointer) {
  Type storage = storages.front().getType();
  int64_t bytes = storages.size() * storage.getIntOrFloatBitWidth() / 8;
  Value value = storages.front();
  if (storages.size() != 1) {
    value = create<LLVM::PoisonOp>(VectorType::get(storages.size(), storage));
    for (auto [i, element] : llvm::enumerate(storages))
      value = create<LLVM::InsertElementOp>(value, element, i32(i));
  }
  create<LLVM::StoreOp>(value, pointer, /*alignment=*/bytes);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value Code::shuffleWord(NVVM::ShflKind kind, Value word, Value offset,
                        int64_t clamp) {
  return create<NVVM::ShflOp>(word.getType(), i32(-1), word, offset, i32(clamp),
                              kind, UnitAttr());
}

Value Code::shuffleAny(NVVM::ShflKind kind, Value value, Value offset,
                       int64_t clamp) {
  Type type = value.getType();
  if (type.isF32() || type.isInteger(32))
    return shuffleWord(kind, value, offset, clamp);
  Value bits = toStorage(value);
  unsigned width = bits.getType().getIntOrFloatBitWidth();
  Type i32Type = builder.getI32Type();
  if (width == 64) {
    Value low = create<arith::TruncIOp>(i32Type, bits);
    Value high = create<arith::TruncIOp>(i32Type, shiftRight(bits, 32));
    low = shuffleWord(kind, low, offset, clamp);
    high = shuffleWord(kind, high, offset, clamp);
    bits = bitOr(extendToI64(low), shiftLeft(extendToI64(high), 32));
  } else {
    Value word = create<arith::ExtUIOp>(i32Type, bits);
    bits = create<arith::TruncIOp>(bits.getType(),
                                   shuffleWord(kind, word, offset, clamp));
  }
  return fromStorage(bits, type);
}

Value Code::shuffle(Value value, Value lane) {
  return shuffleAny(NVVM::ShflKind::idx, value, lane, 31);
}

Value Code::shuffleXor(Value value, int64_t mask) {
  return shuffleAny(NVVM::ShflKind::bfly, value, i32(mask), 31);
}

Value Code::shuffleUp(Value value, int64_t distance) {
  return shuffleAny(NVVM::ShflKind::up, value, i32(distance), 0);
}
