//===- FoldedCodes.cpp - FP4 codes as a register operand ------------------===//

#include "passes/Engine/Nvidia/FoldedCodes.h"

#include "passes/Engine/Nvidia/Wgmma.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

static constexpr int64_t kChunkBytes = 16;

/// The buffer that a tile was read from, if it still holds the same when `user`
/// runs; else null.
static Value getSource(Value tile, Operation *user) {
  auto read = tile.getDefiningOp<ReadOp>();
  if (!read || read->getBlock() != user->getBlock())
    return {};
  for (Operation *op = read->getNextNode(); op != user; op = op->getNextNode())
    if (!isa<ReceiveOp, ReadOp, DotOp>(op) && !isMemoryEffectFree(op))
      return {};
  return read.getBuffer();
}

FoldedCodes::FoldedCodes(Lowering &lowering, DotOp op, Value groupRow,
                         int64_t groupRows)
    : lowering(lowering), code(lowering.code),
      codes(lowering.getBuffer(op.getA())), rowStep(groupRows * kWgmmaRows) {
  auto scale = cast<RankedTensorType>(op.getAScale().getType());
  columnsPerScale = op.getK() / scale.getShape()[1];
  if (Value source = getSource(op.getAScale(), op)) {
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
  firstByte = code.bitAnd(threads.lane, 3);
  ArrayRef<int64_t> shape = codes.whole.getShape();
  SharedLayoutAttr layout = codes.whole.getLayout();
  int64_t swizzle = layout ? layout.getSwizzle() : 0;
  rowBytes = swizzle ? swizzle : shape[1] / 2;
  panelBytes = swizzle ? shape[0] * swizzle : 0;
  // Rows of a warp differ by less than 8 or by multiples of 8, which patterns
  // do not see.
  if (swizzle)
    pattern = code.mul(
        code.rem(code.div(inWarp, 128 / swizzle), swizzle / kChunkBytes),
        kChunkBytes);
}

/// A pair of bf16 that are both the scale of a row's columns around `k`.
Value FoldedCodes::getFactor(int64_t row, int64_t k) {
  int64_t scale = k / columnsPerScale;
  Value &known = factors[{row, scale}];
  if (known)
    return known;
  int64_t count = lowering.getContiguousElements(scales);
  int64_t first = scale / count * count;
  Value address = lowering.getElementAddress(
      scales, {code.add(firstRow, row), code.i32(first)});
  Type i32 = code.builder.getI32Type();
  for (auto [i, byte] :
       llvm::enumerate(code.load(address, code.builder.getI8Type(), count))) {
    // The exponent's place; 2^-127 has none of its own, and 255 is no number.
    Value bits = code.create<arith::ExtUIOp>(i32, byte);
    Value both = code.mul(bits, 0x00800080);
    both = code.select(code.cmp(arith::CmpIPredicate::eq, bits, 0),
                       code.i32(0x00400040), both);
    both = code.select(code.cmp(arith::CmpIPredicate::eq, bits, 255),
                       code.i32(0x7FC07FC0), both);
    factors[{row, first + static_cast<int64_t>(i)}] = both;
  }
  return factors[{row, scale}];
}

/// The two codes at a column and the one after, times their scale.
Value FoldedCodes::getWord(int64_t row, int64_t column) {
  int64_t k = codes.offsets[1] + column, byte = k / 2;
  int64_t inRow = byte % rowBytes, panel = panelBytes ? byte / rowBytes : 0;
  Value &chunk = chunks[byte / kChunkBytes];
  if (!chunk) {
    Value place = code.i32(inRow / kChunkBytes * kChunkBytes);
    if (pattern)
      place = code.bitXor(place, pattern);
    Value start = code.add(code.mul(firstRow, rowBytes),
                           panel * panelBytes + codes.offsets[0] * rowBytes);
    chunk =
        code.offset(codes.base, code.add(code.add(start, place), firstByte));
  }
  Value address = code.offset(chunk, row * rowBytes + inRow % kChunkBytes);
  Type i32 = code.builder.getI32Type();
  Value pair = code.create<arith::ExtUIOp>(
      i32, code.load(address, code.builder.getI8Type(), 1).front());
  // Signs and magnitudes at their places in two bf16: each is then 2^-126 of
  // the number, subnormal where the code is.
  Value signs = code.bitAnd(code.mul(pair, 0x01001000), 0x80008000);
  Value rest = code.bitAnd(code.mul(pair, 0x00040040), 0x01C001C0);
  auto type = VectorType::get(2, code.builder.getBF16Type());
  auto toPair = [&](Value word) -> Value {
    return code.create<LLVM::BitcastOp>(type, word);
  };
  Value numbers = toPair(code.bitOr(signs, rest));
  // 2^126.
  numbers = code.create<arith::MulFOp>(numbers, toPair(code.i32(0x7E807E80)));
  numbers = code.create<arith::MulFOp>(numbers, toPair(getFactor(row, column)));
  return code.create<LLVM::BitcastOp>(i32, numbers);
}

SmallVector<Value> FoldedCodes::getWords(int64_t tile, int64_t k) {
  SmallVector<Value> words;
  for (int64_t column : {k, k + 8})
    for (int64_t row : {0, 8})
      words.push_back(getWord(tile * rowStep + row, column));
  return words;
}
