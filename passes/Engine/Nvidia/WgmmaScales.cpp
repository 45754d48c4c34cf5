//===- WgmmaScales.cpp - Block scales of warpgroup products ---------------===//

#include "passes/Engine/Nvidia/WgmmaScales.h"

#include "passes/Engine/Nvidia/MmaOperand.h"
#include "passes/Engine/Nvidia/Wgmma.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

Value mlir::varve::nvidia::getScaleBuffer(Value scale, DotOp op) {
  auto reshape = scale.getDefiningOp<ReshapeOp>();
  if (reshape && reshape.getSource().getType().getRank() == 1 &&
      reshape.getType().getShape().back() == 1)
    return getSourceBuffer(reshape.getSource(), op);
  return getSourceBuffer(scale, op);
}

WgmmaScales::WgmmaScales(Lowering &lowering, DotOp op, Value scale,
                         unsigned dim)
    : lowering(lowering), source(scale), dim(dim),
      map(lowering.getMap(op.getType())) {
  if (!scale)
    return;
  RankedTensorType accumulator = op.getType();
  int64_t k = op.getK();
  tile = lowering.getTile(scale);
  ArrayRef<int64_t> shape = tile->type.getShape();
  perScale = accumulator.getShape()[dim] / shape[0];
  perBlock = k / shape[1];
  isUniform = shape[0] == 1 && shape[1] == 1;
  isAligned = dim == 0 && perScale == 1 && shape[1] == 1 &&
              tile->type.getEncoding() == accumulator.getEncoding();
  if (isUniform || isAligned)
    return;
  if (Value memory = getScaleBuffer(scale, op)) {
    buffer = lowering.getBuffer(memory);
  } else {
    buffer = lowering.allocateBuffer(
        BufferType::get(shape, tile->type.getElementType()));
    lowering.writeBuffer(*tile, *buffer);
  }
  lowering.beforeRead(buffer->range);
  base = lowering.getBase(map);
  // Lanes have columns in pairs, whose scales are then neighbours.
  ArrayRef<int64_t> whole = buffer->whole.getShape();
  isPaired = dim == 1 && perScale == 1 &&
             (whole.size() == 1 || whole[1] == 1) &&
             buffer->offsets[0] % 2 == 0 &&
             (tile->type.getElementType().isF32() ||
              tile->type.getElementType().isBF16());
}

Value WgmmaScales::getAddress(Value row, int64_t k) {
  SmallVector<Value> coordinates = {row};
  if (buffer->whole.getRank() > 1)
    coordinates.push_back(lowering.code.i32(k / perBlock));
  return lowering.getElementAddress(*buffer, coordinates);
}

Value WgmmaScales::get(int64_t reg, int64_t k) {
  if (!tile)
    return {};
  int64_t offset = map.getOffset(reg)[dim];
  Value &value = known[{isUniform ? 0 : offset, k / perBlock}];
  if (!value && isPaired && offset % 2 == 0)
    return loadPair(reg, offset, k);
  if (!value)
    value = make(reg, offset, k);
  return value;
}

Value WgmmaScales::load(Value row, int64_t k) {
  Value address = getAddress(row, k);
  Type element = tile->type.getElementType();
  Value scale = lowering.code.fromStorage(
      lowering.code
          .load(address, getStorageType(element), 1, /*isVolatile=*/true)
          .front(),
      element);
  return scale.getType().isF32()
             ? scale
             : lowering.code.create<arith::ExtFOp>(
                   lowering.code.builder.getF32Type(), scale);
}

Value WgmmaScales::loadPair(int64_t reg, int64_t offset, int64_t k) {
  Code &code = lowering.code;
  auto getRow = [&] { return lowering.getCoordinate(map, base, reg, dim); };
  Type f32 = code.builder.getF32Type(), i32 = code.builder.getI32Type();
  SmallVector<Value> bits;
  if (tile->type.getElementType().isF32()) {
    bits = code.load(getAddress(getRow(), k), i32, 2);
  } else {
    // A word holds a pair. What products of one block share is loaded once: a
    // warp's load of a word takes as long as one of 128 bytes.
    Value &word = lowering.scaleWords[{source, &map, offset}];
    if (!word || word.getParentBlock() != code.builder.getInsertionBlock())
      word = code.load(getAddress(getRow(), k), i32, 1).front();
    // As halves, they would fill twice the registers until the last product.
    Value own = makeOpaque(code.builder, code.loc, word);
    bits = {code.shiftLeft(own, 16),
            code.bitAnd(own, static_cast<int64_t>(0xFFFF0000))};
  }
  for (auto [i, value] : llvm::enumerate(bits))
    known[{offset + static_cast<int64_t>(i), k / perBlock}] =
        code.create<LLVM::BitcastOp>(f32, value);
  return known[{offset, k / perBlock}];
}

Value WgmmaScales::make(int64_t reg, int64_t offset, int64_t k) {
  Code &code = lowering.code;
  Value scale;
  if (isUniform) {
    scale = tile->registers.front();
  } else if (isAligned) {
    const LayoutMap &own = lowering.getMap(tile->type);
    int64_t found = 0;
    while (own.getOffset(found)[0] != offset)
      ++found;
    scale = tile->registers[found];
  } else {
    Value row = code.div(lowering.getCoordinate(map, base, reg, dim), perScale);
    Value address = getAddress(row, k);
    Type element = tile->type.getElementType();
    scale = code.fromStorage(
        code.load(address, getStorageType(element), 1).front(), element);
  }
  if (!scale.getType().isF32())
    scale = code.create<arith::ExtFOp>(code.builder.getF32Type(), scale);
  return scale;
}
