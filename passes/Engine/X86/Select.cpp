//===- Select.cpp - The k best of a row -----------------------------------===//
//
// Scores become 32-bit keys whose unsigned order is the descending order of the
// scores, NaN last. Four steps of a radix sort by 8 bits order (key, position)
// pairs; every step keeps the order of equal digits, so equal scores stay in
// ascending order of position.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/X86/Lowering.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

static constexpr int64_t kDigits = 256;

Value Lowering::getSortKeys(Value scores) {
  auto type = cast<VectorType>(scores.getType());
  VectorType floats = type.clone(code.builder.getF32Type());
  VectorType integers = type.clone(code.builder.getI32Type());
  auto constant = [&](int64_t value) {
    return code.splat(
        code.create<arith::ConstantOp>(code.builder.getI32IntegerAttr(value)),
        type.getNumElements());
  };
  if (type != floats)
    scores = code.create<arith::ExtFOp>(floats, scores);
  // -0 + 0 is 0.
  Value zero =
      code.splat(code.zero(code.builder.getF32Type()), type.getNumElements());
  Value sum = code.create<arith::AddFOp>(scores, zero);
  Value bits = code.create<arith::BitcastOp>(integers, sum);
  Value isNegative =
      code.create<arith::CmpIOp>(arith::CmpIPredicate::slt, bits, constant(0));
  // Ascending keys of descending scores: flip what positive numbers compare by.
  Value flipped = code.create<arith::XOrIOp>(bits, constant(0x7fffffff));
  Value keys = code.create<arith::SelectOp>(isNegative, bits, flipped);
  Value isNan =
      code.create<arith::CmpFOp>(arith::CmpFPredicate::UNO, scores, scores);
  return code.create<arith::SelectOp>(isNan, constant(-1), keys);
}

/// One step: distributes pairs by the digit at `shift`.
void Lowering::sortStep(ArrayRef<Value> from, ArrayRef<Value> to, Value counts,
                        int64_t count, int64_t shift) {
  Type i32 = code.builder.getI32Type();
  auto readScalar = [&](Value base, Value i) {
    return code.first(code.load(base, i, i32, 1));
  };
  auto writeScalar = [&](Value value, Value base, Value i) {
    code.store(code.splat(value, 1), base, i);
  };
  auto constant = [&](int64_t value) -> Value {
    return code.create<arith::ConstantOp>(
        code.builder.getI32IntegerAttr(value));
  };
  auto getDigit = [&](Value key) -> Value {
    Value digit = code.create<arith::AndIOp>(
        code.create<arith::ShRUIOp>(key, constant(shift)),
        constant(kDigits - 1));
    return code.create<arith::IndexCastUIOp>(code.builder.getIndexType(),
                                             digit);
  };
  code.forVectors(kDigits, [&](Value i, int64_t width) {
    code.store(code.splat(constant(0), width), counts, i);
  });
  code.loop(count, [&](Value i) {
    Value digit = getDigit(readScalar(from[0], i));
    Value number = readScalar(counts, digit);
    writeScalar(code.create<arith::AddIOp>(number, constant(1)), counts, digit);
  });
  // Where the pairs of each digit begin.
  code.loop(code.index(0), code.index(kDigits), code.index(1), constant(0),
            [&](Value digit, ValueRange begin) {
              Value number = readScalar(counts, digit);
              writeScalar(begin[0], counts, digit);
              return SmallVector<Value>{
                  code.create<arith::AddIOp>(begin[0], number).getResult()};
            });
  code.loop(count, [&](Value i) {
    Value key = readScalar(from[0], i);
    Value digit = getDigit(key);
    Value place = readScalar(counts, digit);
    writeScalar(code.create<arith::AddIOp>(place, constant(1)), counts, digit);
    Value at = code.toIndex(place);
    writeScalar(key, to[0], at);
    writeScalar(readScalar(from[1], i), to[1], at);
  });
}

void Lowering::lowerSelectTopk(SelectTopkOp op) {
  ArrayRef<int64_t> shape = getShape(op.getSource());
  RankedTensorType type = op.getValues().getType();
  Type i32 = code.builder.getI32Type();
  int64_t count = shape.back(), best = type.getShape().back();
  Array source = store(op.getSource());
  std::optional<Array> ids;
  if (op.getIds())
    ids = store(op.getIds());
  Array values = allocate(type.getShape(), type.getElementType());
  Array indices = allocate(type.getShape(), i32);
  arrays[op.getValues()] = values;
  arrays[op.getIndices()] = indices;

  Scope scope(*this);
  Value counts = allocateBytes(4 * kDigits);
  SmallVector<Value> pairs[2];
  for (SmallVector<Value> &side : pairs)
    side = {allocateBytes(4 * count), allocateBytes(4 * count)};
  code.forEach(shape.drop_back(), [&](ValueRange outer) {
    auto at = [&](Value i, int64_t width) {
      Point point{SmallVector<Value>(outer), width};
      point.position.push_back(i);
      return point;
    };
    code.forVectors(count, [&](Value i, int64_t width) {
      Value scores = evaluateArray(source, shape, at(i, width));
      code.store(getSortKeys(scores), pairs[0][0], i);
    });
    code.loop(count, [&](Value i) {
      Value position = code.create<arith::IndexCastOp>(i32, i);
      code.store(code.splat(position, 1), pairs[0][1], i);
    });
    for (int64_t step = 0; step < 4; ++step)
      sortStep(pairs[step % 2], pairs[(step + 1) % 2], counts, count, 8 * step);
    Value row =
        outer.empty() ? code.index(0) : code.mul(outer[0], code.index(best));
    code.loop(best, [&](Value i) {
      Value found = code.load(pairs[0][1], i, i32, 1);
      Value position = code.toIndex(code.first(found));
      Value to = code.add(row, i);
      code.store(evaluateArray(source, shape, at(position, 1)), values.base,
                 to);
      code.store(ids ? evaluateArray(*ids, shape, at(position, 1)) : found,
                 indices.base, to);
    });
  });
}
