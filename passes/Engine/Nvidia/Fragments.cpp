//===- Fragments.cpp - Words of warp-level matrix products ----------------===//

#include "passes/Engine/Nvidia/Fragments.h"

#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve::nvidia;

SmallVector<Value> mlir::varve::nvidia::loadMatrices(Code &code, Value address,
                                                     unsigned count,
                                                     bool transposed) {
  MLIRContext *context = code.builder.getContext();
  Type word = code.builder.getI32Type();
  Type type = word;
  if (count != 1)
    type = LLVM::LLVMStructType::getLiteral(context,
                                            SmallVector<Type>(count, word));
  Value loaded = code.create<NVVM::LdMatrixOp>(
      type, address, count,
      transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
      NVVM::LdStMatrixEltType::B16);
  if (count == 1)
    return {loaded};
  SmallVector<Value> words;
  for (unsigned i = 0; i < count; ++i)
    words.push_back(code.create<LLVM::ExtractValueOp>(loaded, i));
  return words;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static StringRef getPtxName(Type element) {
  if (isa<Float8E4M3FNType>(element))
    return "e4m3";
  VARVE_ASSERT(isa<Float8E5M2Type>(element), "not a type of 8-bit products");
  return "e5m2";
}

SmallVector<Value> mlir::varve::nvidia::multiplyFragments(
    Code &code, Type leftElement, Type rightElement, ValueRange left,
    ValueRange right, ValueRange accumulators) {
  MLIRContext *context = code.builder.getContext();
  std::string name = "llvm.nvvm.mma.m16n8k16.row.col.bf16";
  SmallVector<Value> operands;
  auto append = [&](ValueRange words, Type type) {
    for (Value word : words)
      operands.push_back(
          type ? code.create<LLVM::BitcastOp>(type, word).getResult() : word);
  };
  Type pair;
  if (leftElement.isF16()) {
    name = "llvm.nvvm.mma.m16n8k16.row.col.f32.f32";
    pair = VectorType::get(2, code.builder.getF16Type());
  } else if (!leftElement.isBF16()) {
    name = ("llvm.nvvm.mma.m16n8k32.row.col.f32." + getPtxName(leftElement) +
            "." + getPtxName(rightElement) + ".f32")
               .str();
  }
  append(left, pair);
  append(right, pair);
  append(accumulators, Type());
  Type f32 = code.builder.getF32Type();
  auto type =
      LLVM::LLVMStructType::getLiteral(context, SmallVector<Type>(4, f32));
  auto call = code.create<LLVM::CallIntrinsicOp>(
      type, code.builder.getStringAttr(name), operands);
  SmallVector<Value> result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(code.create<LLVM::ExtractValueOp>(call.getResult(0), i));
  return result;
}

//===----------------------------------------------------------------------===//
// Words and elements
//===----------------------------------------------------------------------===//

/// The f32 operands, if all elements were rounded from f32: pairs are rounded
/// by one instruction.
static SmallVector<Value> getRoundedFrom(ValueRange elements) {
  SmallVector<Value> sources;
  for (Value element : elements) {
    auto round = element.getDefiningOp<arith::TruncFOp>();
    if (!round || !round.getIn().getType().isF32() || round.getRoundingmode())
      return {};
    sources.push_back(round.getIn());
  }
  return sources;
}

static Value makeVector(Code &code, ValueRange elements) {
  auto type = VectorType::get(static_cast<int64_t>(elements.size()),
                              elements.front().getType());
  Value vector = code.create<LLVM::PoisonOp>(type);
  for (auto [i, element] : llvm::enumerate(elements))
    vector = code.create<LLVM::InsertElementOp>(vector, element, code.i32(i));
  return vector;
}

Value mlir::varve::nvidia::packWord(Code &code, ValueRange elements) {
  Type element = elements.front().getType();
  Type word = code.builder.getI32Type();
  if (element.getIntOrFloatBitWidth() == 16) {
    SmallVector<Value> sources = getRoundedFrom(elements);
    Value vector;
    if (!sources.empty())
      vector = code.create<arith::TruncFOp>(VectorType::get(2, element),
                                            makeVector(code, sources));
    else
      vector = makeVector(code, elements);
    return code.create<LLVM::BitcastOp>(word, vector);
  }
  SmallVector<Value> bytes;
  for (Value value : elements)
    bytes.push_back(code.toStorage(value));
  return code.create<LLVM::BitcastOp>(word, makeVector(code, bytes));
}

SmallVector<Value> mlir::varve::nvidia::unpackWord(Code &code, Value word,
                                                   Type element) {
  int64_t count = 32 / element.getIntOrFloatBitWidth();
  Type storage = getStorageType(element);
  Value vector =
      code.create<LLVM::BitcastOp>(VectorType::get(count, storage), word);
  SmallVector<Value> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(code.fromStorage(
        code.create<LLVM::ExtractElementOp>(vector, code.i32(i)), element));
  return result;
}

//===----------------------------------------------------------------------===//
// Widening
//===----------------------------------------------------------------------===//

/// Bytes of `low` (0 to 3) and `high` (4 to 7) by the nibbles of `selector`.
static Value permuteBytes(Code &code, Value low, Value high, Value selector) {
  return code
      .create<LLVM::CallIntrinsicOp>(
          code.builder.getI32Type(),
          code.builder.getStringAttr("llvm.nvvm.prmt"),
          ValueRange{low, high, selector})
      .getResult(0);
}

static Value permuteBytes(Code &code, Value low, Value high, int64_t selector) {
  return permuteBytes(code, low, high, code.i32(selector));
}

/// A word of bits as a pair of f16, times a power of two.
static Value scaleHalves(Code &code, Value word, double factor) {
  auto pair = VectorType::get(2, code.builder.getF16Type());
  Value value = code.create<LLVM::BitcastOp>(pair, word);
  Value scale = code.create<arith::ConstantOp>(DenseElementsAttr::get(
      pair,
      code.builder.getFloatAttr(code.builder.getF16Type(), factor).getValue()));
  value = code.create<LLVM::FMulOp>(value, scale);
  return code.create<LLVM::BitcastOp>(code.builder.getI32Type(), value);
}

/// Two 8-bit floats in the high bytes of the halves of `word`, as f16. The
/// exponent of f8E5M2 is that of f16; that of f8E4M3FN goes to the low bits of
/// it and is corrected by 2^8, which is exact for subnormal numbers as well.
/// NaN stays NaN: f8E4M3FN's code 0x7F would become 480.
static Value widenHighBytes(Code &code, Value word, Type element) {
  if (isa<Float8E5M2Type>(element))
    return word;
  Value sign = code.bitAnd(word, 0x80008000);
  Value magnitude = code.shiftRight(code.bitAnd(word, 0x7F007F00), 1);
  Value bits = code.bitOr(sign, magnitude);
  Value scaled = scaleHalves(code, bits, 256.0);
  // 480 is 0x5F80: adding 0x2080 to its magnitude carries into the sign of a
  // half only for it; that bit selects the exponent of NaN.
  Value carry = code.bitAnd(
      code.add(code.bitAnd(scaled, 0x7FFF7FFF), 0x20802080), 0x80008000);
  Value ones = code.sub(code.shiftRight(carry, 1), code.shiftRight(carry, 6));
  return code.bitOr(scaled, ones);
}

SmallVector<Value> mlir::varve::nvidia::widenToF16(Code &code, Value word,
                                                   Type element,
                                                   bool hasConversions) {
  if (isa<Float4E2M1FNType>(element)) {
    SmallVector<Value> result;
    for (Value codes : widenToE4M3(code, word))
      llvm::append_range(result,
                         widenToF16(code, codes,
                                    code.builder.getType<Float8E4M3FNType>(),
                                    hasConversions));
    return result;
  }
  if (hasConversions) {
    auto pair = VectorType::get(2, code.builder.getF16Type());
    auto bytes = VectorType::get(2, code.builder.getI8Type());
    SmallVector<Value> result;
    for (int64_t half = 0; half < 2; ++half) {
      Value low = code.create<arith::TruncIOp>(
          code.builder.getI16Type(), code.shiftRight(word, 16 * half));
      Value wide = code.create<NVVM::ConvertF8x2ToF16x2Op>(
          pair, code.create<LLVM::BitcastOp>(bytes, low), /*relu=*/false,
          element);
      result.push_back(
          code.create<LLVM::BitcastOp>(code.builder.getI32Type(), wide));
    }
    return result;
  }
  Value zero = code.i32(0);
  // Selector nibble 4 names a zero byte.
  return {
      widenHighBytes(code, permuteBytes(code, word, zero, 0x1404), element),
      widenHighBytes(code, permuteBytes(code, word, zero, 0x3424), element)};
}

/// The low 16 bits of `codes`, four 4-bit floats, as four f8E4M3FN codes: a
/// table of magnitudes, and one of signs.
static Value widenFour(Code &code, Value codes) {
  // 0, 0.5, 1, 1.5 and 2, 3, 4, 6.
  constexpr int64_t kLow = 0x3C383000, kHigh = 0x4C484440;
  Value magnitude = permuteBytes(code, code.i32(kLow), code.i32(kHigh),
                                 code.bitAnd(codes, 0x7777));
  Value sign = permuteBytes(code, code.i32(0x8000), code.i32(0),
                            code.bitAnd(code.shiftRight(codes, 3), 0x1111));
  return code.bitOr(magnitude, sign);
}

SmallVector<Value> mlir::varve::nvidia::widenToE4M3(Code &code, Value word) {
  return {widenFour(code, word), widenFour(code, code.shiftRight(word, 16))};
}
