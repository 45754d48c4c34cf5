//===- RegisterCodes.cpp - FP4 codes as a register operand ----------------===//

#include "passes/Engine/Nvidia/RegisterCodes.h"

#include "dialects/Tile/QuadOrder.h"
#include "passes/Engine/Nvidia/MmaOperand.h"
#include "passes/Engine/Nvidia/Wgmma.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

static constexpr int64_t kChunkBytes = 16, kWordBytes = 4;
/// Columns whose codes are a chunk, and that share a scale.
static constexpr int64_t kChunkColumns = 2 * kChunkBytes;

RegisterCodes::RegisterCodes(Lowering &lowering, DotOp op, Value groupRow,
                             int64_t groupRows)
    : code(lowering.code), lowering(lowering),
      rowStep(groupRows * kWgmmaRows), codes(lowering.getBuffer(op.getA())) {
  auto scale = cast<RankedTensorType>(op.getAScale().getType());
  columnsPerScale = op.getK() / scale.getShape()[1];
  if (Value source = getSourceBuffer(op.getAScale(), op)) {
    scales = lowering.getBuffer(source);
  } else {
    scales = lowering.allocateBuffer(
        BufferType::get(scale.getShape(), scale.getElementType()));
    lowering.writeBuffer(lowering.getTile(op.getAScale()), scales);
  }
  lowering.beforeRead(codes.range);
  lowering.beforeRead(scales.range);

  const Threads &threads = lowering.threads;
  Value inWarp = code.shiftRight(threads.lane, 2);
  Value warp = code.rem(threads.warp, kGroupWarps);
  firstRow = code.add(code.add(code.mul(groupRow, kWgmmaRows),
                               code.mul(warp, kWgmmaRows / kGroupWarps)),
                      inWarp);
  place = code.bitAnd(threads.lane, 3);
  ArrayRef<int64_t> shape = codes.whole.getShape();
  SharedLayoutAttr layout = codes.whole.getLayout();
  int64_t swizzle = layout ? layout.getSwizzle() : 0;
  rowBytes = swizzle ? swizzle : shape[1] / 2;
  panelBytes = swizzle ? shape[0] * swizzle : 0;
  // Rows of a warp differ by less than 8 or by multiples of 8, which patterns
  // do not see.
  if (swizzle)
    pattern =
        code.rem(code.div(inWarp, 128 / swizzle), swizzle / kChunkBytes);
}

SmallVector<Value> RegisterCodes::loadCodes(int64_t row, int64_t column,
                                            Value chunk, Value first,
                                            int64_t count) {
  int64_t byte = (codes.offsets[1] + column) / 2;
  int64_t panel = panelBytes ? byte / rowBytes : 0;
  chunk = code.add(chunk, byte % rowBytes / kChunkBytes);
  if (pattern)
    chunk = code.bitXor(chunk, pattern);
  Value address = code.offset(codes.base, code.mul(firstRow, rowBytes));
  address = code.offset(address,
                        code.add(code.mul(chunk, kChunkBytes), first));
  address = code.offset(address, panel * panelBytes +
                                     (codes.offsets[0] + row) * rowBytes);
  return code.load(address, code.builder.getI32Type(), count);
}

Value RegisterCodes::getScaleAddress(int64_t row, Value column) {
  return lowering.getElementAddress(scales, {code.add(firstRow, row), column});
}

//===----------------------------------------------------------------------===//
// Beside bf16
//===----------------------------------------------------------------------===//

/// A pair of bf16 that are both the scale of a quarter.
Value FoldedCodes::loadFactor(int64_t row, int64_t block) {
  Value column = code.div(
      code.add(code.mul(place, kChunkColumns), block * kQuadBlock),
      columnsPerScale);
  Type i32 = code.builder.getI32Type();
  Value byte =
      code.load(getScaleAddress(row, column), code.builder.getI8Type(), 1)
          .front();
  Value bits = code.create<arith::ExtUIOp>(i32, byte);
  // The exponent's place; 2^-127 has none of its own, and 255 is no number.
  Value both = code.mul(bits, 0x00800080);
  both = code.select(code.cmp(arith::CmpIPredicate::eq, bits, 0),
                     code.i32(0x00400040), both);
  return code.select(code.cmp(arith::CmpIPredicate::eq, bits, 255),
                     code.i32(0x7FC07FC0), both);
}

FoldedCodes::Quarter &FoldedCodes::getQuarter(int64_t row, int64_t block) {
  Quarter &result = quarters[{row, block}];
  if (!result.factor)
    result = {loadCodes(row, block * kQuadBlock, place, code.i32(0),
                        kChunkBytes / kWordBytes),
              loadFactor(row, block)};
  return result;
}

/// Two codes times their scale: those of the pair `group` of a quarter, which
/// are at the same place of both halves of a word.
Value FoldedCodes::getWord(int64_t row, int64_t group) {
  constexpr QuadOrder order = QuadOrder::get(16);
  constexpr int64_t kPlaces = order.shape[3];
  constexpr int64_t kPairs = order.shape[1] * kPlaces;
  Quarter &from = getQuarter(row, group / kPairs);
  int64_t place = group % kPlaces;
  Value word = from.codes[group % kPairs / kPlaces];
  // Shifts to the left alone, which multipliers do as well.
  if (place >= kPlaces / 2)
    word = code.shiftRight(word, 2 * 4);
  int64_t shift = place % 2 * 4;
  // Signs and magnitudes at their places in two bf16: each is then 2^-126 of
  // the number, subnormal where the code is.
  Value signs = code.bitAnd(code.shiftLeft(word, 12 - shift), 0x80008000);
  Value rest = code.bitAnd(code.shiftLeft(word, 6 - shift), 0x01C001C0);
  auto type = VectorType::get(2, code.builder.getBF16Type());
  auto toPair = [&](Value word) -> Value {
    return code.create<LLVM::BitcastOp>(type, word);
  };
  Value numbers = toPair(code.bitOr(signs, rest));
  // 2^126.
  numbers = code.create<arith::MulFOp>(numbers, toPair(code.i32(0x7E807E80)));
  numbers = code.create<arith::MulFOp>(numbers, toPair(from.factor));
  return code.create<LLVM::BitcastOp>(code.builder.getI32Type(), numbers);
}

SmallVector<Value> FoldedCodes::getWords(int64_t tile, int64_t k) {
  SmallVector<Value> words;
  // A group is a word of each of the four lanes.
  for (int64_t group : {k / 8, k / 8 + 1})
    for (int64_t row : {0, 8})
      words.push_back(getWord(tile * rowStep + row, group));
  return words;
}

//===----------------------------------------------------------------------===//
// Beside f8E4M3FN
//===----------------------------------------------------------------------===//

SmallVector<Value> NarrowCodes::getWords(int64_t tile, int64_t k) {
  SmallVector<Value> even, odd;
  for (int64_t row : {0, 8}) {
    Value word = loadCodes(tile * rowStep + row, k, code.i32(0),
                           code.mul(place, kWordBytes), 1)
                     .front();
    // The sign to bit 7 of a byte, the magnitude to bits 4 ... 2: subnormal
    // where the code is.
    even.push_back(
        code.bitOr(code.bitAnd(code.shiftLeft(word, 4), 0x80808080),
                   code.bitAnd(code.shiftLeft(word, 2), 0x1C1C1C1C)));
    odd.push_back(
        code.bitOr(code.bitAnd(word, 0x80808080),
                   code.bitAnd(code.shiftRight(word, 2), 0x1C1C1C1C)));
  }
  llvm::append_range(even, odd);
  return even;
}

Value NarrowCodes::getFactor(int64_t row, int64_t k) {
  Type i32 = code.builder.getI32Type();
  Value &word = scaleWords[{row, k / kQuadBlock}];
  if (!word) {
    Value column = code.i32(k / kQuadBlock * kQuadBlock / columnsPerScale);
    word = code.load(getScaleAddress(row, column), i32, 1).front();
  }
  // The exponent's place. 2^-127 has none of its own: it is the least number
  // that is not below 0x400000.
  int64_t byte = k % kQuadBlock / columnsPerScale;
  Value bits = byte < 3 ? code.shiftLeft(word, 23 - 8 * byte)
                        : code.shiftRight(word, 1);
  bits = code.max(code.bitAnd(bits, 0x7F800000), code.i32(0x00400000));
  return code.create<LLVM::BitcastOp>(code.builder.getF32Type(), bits);
}
