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
    : code(lowering.code), lowering(lowering), rowStep(groupRows * kWgmmaRows),
      codes(lowering.getBuffer(op.getA())) {
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
    pattern = code.rem(code.div(inWarp, 128 / swizzle), swizzle / kChunkBytes);
}

Value RegisterCodes::getChunk(int64_t row, int64_t column, Value chunk) {
  int64_t byte = (codes.offsets[1] + column) / 2;
  int64_t panel = panelBytes ? byte / rowBytes : 0;
  chunk = code.add(chunk, byte % rowBytes / kChunkBytes);
  if (pattern)
    chunk = code.bitXor(chunk, pattern);
  Value address = code.offset(codes.base, code.mul(firstRow, rowBytes));
  address = code.offset(address, code.mul(chunk, kChunkBytes));
  return code.offset(address,
                     panel * panelBytes + (codes.offsets[0] + row) * rowBytes);
}

Value RegisterCodes::getScaleAddress(int64_t row, Value scale) {
  return lowering.getElementAddress(scales, {code.add(firstRow, row), scale});
}

Value RegisterCodes::loadScale(int64_t row, Value column) {
  Value address = getScaleAddress(row, code.div(column, columnsPerScale));
  return code.create<arith::ExtUIOp>(
      code.builder.getI32Type(),
      code.load(address, code.builder.getI8Type(), 1).front());
}

/// An f8E8M0FNU at the exponent's place. 2^-127 has none of its own: it is the
/// least number that is not below 0x400000.
static Value makeFactor(Code &code, Value bits) {
  return code.create<LLVM::BitcastOp>(code.builder.getF32Type(),
                                      code.max(bits, code.i32(0x00400000)));
}

Value RegisterCodes::loadFactor(int64_t row, Value column) {
  return makeFactor(code, code.shiftLeft(loadScale(row, column), 23));
}

SmallVector<Value> RegisterCodes::loadQuarter(int64_t row, int64_t block) {
  return code.load(getChunk(row, block * kQuadBlock, place),
                   code.builder.getI32Type(), kChunkBytes / kWordBytes);
}

Value RegisterCodes::loadQuarterScale(int64_t row, int64_t block) {
  return loadScale(
      row, code.add(code.mul(place, kChunkColumns), block * kQuadBlock));
}

//===----------------------------------------------------------------------===//
// Folded
//===----------------------------------------------------------------------===//

FoldedCodes::Quarter &FoldedCodes::getQuarter(int64_t row, int64_t block) {
  Quarter &result = quarters[{row, block}];
  if (result.factor)
    return result;
  result.codes = loadQuarter(row, block);
  // A pair of bf16. The exponent's place; 2^-127 has none of its own, and 255
  // is no number.
  Value scale = loadQuarterScale(row, block);
  Value both = code.mul(scale, 0x00800080);
  both = code.select(code.cmp(arith::CmpIPredicate::eq, scale, 0),
                     code.i32(0x00400040), both);
  result.factor = code.select(code.cmp(arith::CmpIPredicate::eq, scale, 255),
                              code.i32(0x7FC07FC0), both);
  return result;
}

/// Two codes times their scale: those of the pair `group` of a quarter, which
/// are at the same place of both halves of a word.
Value FoldedCodes::getWord(int64_t row, int64_t group) {
  constexpr QuadOrder order = QuadOrder::get(Quads::Quarters, 16);
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
// Sums of words
//===----------------------------------------------------------------------===//

SmallVector<Value> NarrowCodes::getWords(int64_t tile, int64_t k) {
  SmallVector<Value> even, odd;
  for (int64_t row : {0, 8}) {
    Value chunk = getChunk(tile * rowStep + row, k, code.i32(0));
    Value word = code.load(code.offset(chunk, code.mul(place, kWordBytes)),
                           code.builder.getI32Type(), 1)
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
  int64_t byte = k % kQuadBlock / columnsPerScale;
  Value bits =
      byte < 3 ? code.shiftLeft(word, 23 - 8 * byte) : code.shiftRight(word, 1);
  return makeFactor(code, code.bitAnd(bits, 0x7F800000));
}

//===----------------------------------------------------------------------===//
// Shifted
//===----------------------------------------------------------------------===//

/// f8E5M2 with the least of its normal numbers, 2^-14, for the code 0.5, and
/// with the greatest power of two, 2^15, for 4: scales from 2^-13 to 2^13.
static constexpr int64_t kReach = 13;

Value ShiftedCodes::getShift(Value scale) {
  return code.sub(scale, code.i32(middle - kReach));
}

Value ShiftedCodes::isOutside(Value shift) {
  return code.cmp(arith::CmpIPredicate::ugt, shift, 2 * kReach);
}

ShiftedCodes::Quarter &ShiftedCodes::getQuarter(int64_t row, int64_t block) {
  Quarter &result = quarters[{row, block}];
  if (result.low)
    return result;
  result.codes = loadQuarter(row, block);
  Value shift = getShift(loadQuarterScale(row, block));
  Value outside = isOutside(shift);
  isApart = isApart ? code.bitOr(isApart, outside) : outside;
  // Magnitudes 0, 0.5, 1, 1.5 and 2, 3, 4, 6, of which all but the first have
  // an exponent that the shift is added to.
  auto getBytes = [&](int64_t step, int64_t least) {
    return code.select(outside, code.i32(0),
                       code.add(code.mul(shift, step), least));
  };
  result.low = getBytes(0x04040400, 0x0A080400);
  result.high = getBytes(0x04040404, 0x12100E0C);
  return result;
}

SmallVector<Value> ShiftedCodes::getWords(int64_t tile, int64_t k) {
  auto permute = [&](Value low, Value high, Value selector) -> Value {
    return code.create<NVVM::PermuteOp>(code.builder.getI32Type(), low, high,
                                        selector, NVVM::PermuteMode::DEFAULT);
  };
  SmallVector<Value> words;
  for (int64_t half : {0, 1})
    for (int64_t row : {0, 8}) {
      Quarter &from = getQuarter(tile * rowStep + row, k / kQuadBlock);
      Value word = from.codes[k % kQuadBlock / kChunkColumns];
      // The low bits of nibbles choose magnitudes.
      Value numbers =
          permute(from.low, from.high,
                  code.shiftRight(code.bitAnd(word, 0x77777777), half * 16));
      // The sign of a nibble is the first bit of its byte, or will be.
      Value signs = permute(code.shiftLeft(word, 4), word,
                            code.i32(half == 0 ? 0x5140 : 0x7362));
      words.push_back(code.bitOr(code.bitAnd(signs, 0x80808080), numbers));
    }
  return words;
}

Value ShiftedCodes::takeApart() {
  Value here = isApart;
  isApart = {};
  return code.create<NVVM::VoteSyncOp>(code.builder.getI1Type(), code.i32(-1),
                                       here, NVVM::VoteSyncKind::any);
}

Value ShiftedCodes::loadApart(int64_t row, int64_t block, Value column) {
  Value chunk =
      getChunk(row, block * kQuadBlock, code.div(column, kChunkColumns));
  Value byte = code.create<arith::ExtUIOp>(
      code.builder.getI32Type(),
      code.load(
              code.offset(chunk, code.div(code.rem(column, kChunkColumns), 2)),
              code.builder.getI8Type(), 1)
          .front());
  Value nibble = code.create<arith::ShRUIOp>(
      byte, code.shiftLeft(code.bitAnd(column, 1), 2));
  // The sign, and the magnitude as if f32 had one bit less: 2^-126 of the
  // number, subnormal where the code is.
  Value bits = code.bitOr(code.shiftLeft(code.bitAnd(nibble, 8), 28),
                          code.shiftLeft(code.bitAnd(nibble, 7), 22));
  Type f32 = code.builder.getF32Type();
  Value number = code.create<LLVM::BitcastOp>(f32, bits);
  number = code.create<arith::MulFOp>(
      number, code.floatConstant(f32, std::ldexp(1.0, 126)));
  Value at = code.add(column, block * kQuadBlock);
  number = code.create<arith::MulFOp>(number, loadFactor(row, at));
  return code.select(isOutside(getShift(loadScale(row, at))), number,
                     code.zero(f32));
}
