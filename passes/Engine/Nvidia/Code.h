//===- Code.h - Pieces of lane code ----------------------------*- C++ -*-===//
//
// A builder for what the NVIDIA engine emits. Numbers of lanes, warps and
// elements of a tile are i32; positions in global memory are i64; byte offsets
// in shared memory are i32. Constants fold.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_CODE_H
#define VARVE_PASSES_ENGINE_NVIDIA_CODE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

namespace mlir::varve::nvidia {

/// LLVM's address spaces.
inline constexpr unsigned kGlobalSpace = 1, kSharedSpace = 3;

/// The integer type in which memory keeps elements of `type`: bits as they are,
/// i1 in a byte, index in 64 bits, 4-bit floats in a byte each (views, which
/// pack them, are read by functions of their own).
IntegerType getStorageType(Type type);
int64_t getStorageBytes(Type type);

class Code {
public:
  explicit Code(MLIRContext *context) : builder(context) {}

  OpBuilder builder;
  Location loc = UnknownLoc::get(builder.getContext());

  template <typename OpTy, typename... Args> OpTy create(Args &&...args) {
    return OpTy::create(builder, loc, std::forward<Args>(args)...);
  }

  //===--------------------------------------------------------------------===//
  // Integers; both operands of one type
  //===--------------------------------------------------------------------===//
  Value constant(Type type, int64_t value);
  Value i32(int64_t value) { return constant(builder.getI32Type(), value); }
  Value i64(int64_t value) { return constant(builder.getI64Type(), value); }
  Value boolean(bool value) { return constant(builder.getI1Type(), value); }
  Value add(Value a, Value b) { return fold<arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return add(a, constant(a.getType(), b)); }
  Value sub(Value a, Value b) { return fold<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return fold<arith::MulIOp>(a, b); }
  Value mul(Value a, int64_t b) { return mul(a, constant(a.getType(), b)); }
  Value min(Value a, Value b) { return fold<arith::MinSIOp>(a, b); }
  Value max(Value a, Value b) { return fold<arith::MaxSIOp>(a, b); }
  /// Of numbers that are not negative.
  Value div(Value a, int64_t b);
  Value rem(Value a, int64_t b);
  Value bitAnd(Value a, Value b) { return fold<arith::AndIOp>(a, b); }
  Value bitAnd(Value a, int64_t b) {
    return bitAnd(a, constant(a.getType(), b));
  }
  Value bitOr(Value a, Value b) { return fold<arith::OrIOp>(a, b); }
  Value bitXor(Value a, Value b) { return fold<arith::XOrIOp>(a, b); }
  Value shiftLeft(Value a, int64_t bits);
  Value shiftRight(Value a, int64_t bits);
  Value cmp(arith::CmpIPredicate predicate, Value a, Value b);
  Value cmp(arith::CmpIPredicate predicate, Value a, int64_t b) {
    return cmp(predicate, a, constant(a.getType(), b));
  }
  /// Conjunction; a null operand is true.
  Value both(Value a, Value b);
  Value select(Value condition, Value a, Value b);
  /// Signed, from any integer or index.
  Value toI64(Value value);
  Value toI32(Value value);
  Value toIndex(Value value);
  /// A number that is not negative.
  Value extendToI64(Value i32);

  //===--------------------------------------------------------------------===//
  // Structure
  //===--------------------------------------------------------------------===//
  void ifThen(Value condition, function_ref<void()> then);
  /// Values of one of two branches, of the types of `otherwise`.
  SmallVector<Value> ifElse(Value condition,
                            function_ref<SmallVector<Value>()> then,
                            ValueRange otherwise);
  /// A loop over i32 numbers that carries values.
  SmallVector<Value>
  loop(Value begin, Value end, int64_t step, ValueRange carried,
       function_ref<SmallVector<Value>(Value, ValueRange)> body);

  //===--------------------------------------------------------------------===//
  // Elements and memory
  //===--------------------------------------------------------------------===//
  /// A scalar of zero bits.
  Value zero(Type type);
  Value floatConstant(Type type, double value);
  /// Between a scalar and the integer of its storage.
  Value toStorage(Value scalar);
  Value fromStorage(Value integer, Type type);
  /// The same of several elements as memory has them: 4-bit ones two to a byte,
  /// an even number of them.
  SmallVector<Value> pack(ValueRange elements);
  SmallVector<Value> unpack(ValueRange storages, Type type);
  /// A 4-bit element of a byte: the high one where `odd` is 1.
  Value unpackOne(Value byte, Value odd, Type type);
  Type getPointerType(unsigned space);
  /// `bytes` behind a pointer; i32 or i64 numbers.
  Value offset(Value pointer, Value bytes);
  Value offset(Value pointer, int64_t bytes);
  /// `count` storage integers from `pointer`, which is aligned to all of them.
  SmallVector<Value> load(Value pointer, Type storage, int64_t count,
                          bool isVolatile = false);
  void store(ValueRange storages, Value pointer);

  //===--------------------------------------------------------------------===//
  // Threads
  //===--------------------------------------------------------------------===//
  /// `value` (any scalar) of the lane that `lane` names.
  Value shuffle(Value value, Value lane);
  /// `value` of the lane whose number differs in the bits of `mask`.
  Value shuffleXor(Value value, int64_t mask);
  Value shuffleUp(Value value, int64_t distance);

private:
  Value shuffleWord(NVVM::ShflKind kind, Value word, Value offset,
                    int64_t clamp);
  Value shuffleAny(NVVM::ShflKind kind, Value value, Value offset,
                   int64_t clamp);
  template <typename OpTy> Value fold(Value a, Value b) {
    return builder.createOrFold<OpTy>(loc, a, b);
  }
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_CODE_H
