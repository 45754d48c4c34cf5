//===- WgmmaScales.cpp - Block scales of warpgroup products ---------------===//

#include "passes/Engine/Nvidia/WgmmaScales.h"

#include "passes/Engine/Nvidia/MmaOperand.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

WgmmaScales::WgmmaScales(Lowering &lowering, DotOp op, Value scale,
                         unsigned dim)
    : lowering(lowering), dim(dim), map(lowering.getMap(op.getType())) {
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
  if (Value source = getSourceBuffer(scale, op)) {
    buffer = lowering.getBuffer(source);
  } else {
    buffer = lowering.allocateBuffer(
        BufferType::get(shape, tile->type.getElementType()));
    lowering.writeBuffer(*tile, *buffer);
  }
  lowering.beforeRead(buffer->range);
  base = lowering.getBase(map);
}

Value WgmmaScales::get(int64_t reg, int64_t k) {
  if (!tile)
    return {};
  int64_t offset = map.getOffset(reg)[dim];
  Value &value = known[{isUniform ? 0 : offset, k / perBlock}];
  if (!value)
    value = make(reg, offset, k);
  return value;
}

Value WgmmaScales::load(Value row, int64_t k) {
  Value address = lowering.getElementAddress(
      *buffer, {row, lowering.code.i32(k / perBlock)});
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
    Value address =
        lowering.getElementAddress(*buffer, {row, code.i32(k / perBlock)});
    Type element = tile->type.getElementType();
    scale = code.fromStorage(
        code.load(address, getStorageType(element), 1).front(), element);
  }
  if (!scale.getType().isF32())
    scale = code.create<arith::ExtFOp>(code.builder.getF32Type(), scale);
  return scale;
}
