//===- Code.h - Pieces of vector code --------------------------*- C++ -*-===//
//
// A builder for the ops that the x86 engine emits: index arithmetic, loops,
// and typed accesses to arrays. Floats of fewer than 32 bits are integers in
// arrays and wherever they are only moved: processors without such types would
// otherwise widen and narrow them around every move. i1 takes a byte, index 64
// bits.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_X86_CODE_H
#define VARVE_PASSES_ENGINE_X86_CODE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"

namespace mlir::varve::x86 {

/// Elements that one step of an element-wise loop handles. Fixed, since sums
/// depend on it.
inline constexpr int64_t kLanes = 16;

/// The widths into which a row of `count` elements beyond whole vectors falls:
/// 8, 4, 2, 1, with their positions.
SmallVector<std::pair<int64_t, int64_t>> getTailPieces(int64_t begin,
                                                       int64_t count);

/// The type in which an array keeps elements of `type`.
Type getStorageType(Type type);
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
  // Index arithmetic, folded where constant
  //===--------------------------------------------------------------------===//
  Value index(int64_t value);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  /// Floor division and remainder of numbers that are not negative.
  Value div(Value a, Value b);
  Value rem(Value a, Value b);
  Value cmp(arith::CmpIPredicate predicate, Value a, Value b);
  Value both(Value a, Value b);
  /// 0 <= a < b.
  Value isWithin(Value a, Value b);
  /// A signed integer of any width as index.
  Value toIndex(Value integer);
  Value toI64(Value index);

  //===--------------------------------------------------------------------===//
  // Structure
  //===--------------------------------------------------------------------===//
  void loop(Value begin, Value end, Value step, function_ref<void(Value)> body);
  void loop(int64_t count, function_ref<void(Value)> body) {
    if (count == 1)
      return body(index(0));
    loop(index(0), index(count), index(1), body);
  }
  /// A loop that carries values; `body` returns those of the next iteration.
  SmallVector<Value>
  loop(Value begin, Value end, Value step, ValueRange carried,
       function_ref<SmallVector<Value>(Value, ValueRange)> body);
  void ifThen(Value condition, function_ref<void()> then);
  void ifThenElse(Value condition, function_ref<void()> then,
                  function_ref<void()> otherwise);
  Value select(Value condition, Type type, function_ref<Value()> then,
               function_ref<Value()> otherwise);
  /// Calls `body` with the position and width of each vector of a row.
  void forVectors(int64_t count, function_ref<void(Value, int64_t)> body);
  /// Calls `body` for every position of an array of this shape.
  void forEach(ArrayRef<int64_t> shape, function_ref<void(ValueRange)> body);

  //===--------------------------------------------------------------------===//
  // Vectors
  //===--------------------------------------------------------------------===//
  Value splat(Value scalar, int64_t width);
  Value first(Value vector);
  Value constant(Type type, double value);
  /// A scalar of zero bits.
  Value zero(Type type);
  /// Reads or writes `width` elements of `type` from element `position` of the
  /// array at `base`.
  Value load(Value base, Value position, Type type, int64_t width);
  void store(Value vector, Value base, Value position);
  void maskedStore(Value vector, Value mask, Value base, Value position);
  /// The same without conversion: vectors of the storage type.
  Value loadRaw(Value base, Value position, Type storage, int64_t width);
  void storeRaw(Value vector, Value base, Value position);
  /// Narrow floats as the integers of their bits, and back; other values as
  /// they are.
  Value asBits(Value value);
  Value fromBits(Value value, Type element);
  /// Converts between a vector of elements and a vector of its storage.
  Value toStorage(Value vector);
  Value fromStorage(Value vector, Type type);
  Value offsetPointer(Value base, Value position, Type storage);

private:
  template <typename OpTy> Value fold(Value a, Value b) {
    return builder.createOrFold<OpTy>(loc, a, b);
  }
};

} // namespace mlir::varve::x86

#endif // VARVE_PASSES_ENGINE_X86_CODE_H
