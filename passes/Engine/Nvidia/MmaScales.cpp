//===- MmaScales.cpp - Block scales of warp-level products ----------------===//

#include "passes/Engine/Nvidia/MmaScales.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

MmaScales::MmaScales(Lowering &lowering, DotOp op)
    : lowering(lowering), code(lowering.code), op(op),
      accumulator(op.getType()) {
  if (op.getAScale())
    add(0, op.getAScale());
  if (op.getBScale())
    add(1, op.getBScale());
}

void MmaScales::add(int64_t dim, Value scale) {
  Side side;
  side.dim = dim;
  side.tile = &lowering.getTile(scale);
  ArrayRef<int64_t> shape = side.tile->type.getShape();
  side.perRow = accumulator.getShape()[dim] / shape[0];
  side.perBlock = op.getK() / shape[1] / op.getScaleBlock();
  if (Value buffer = getSourceBuffer(scale, op))
    side.buffer = lowering.getBuffer(buffer);
  sides.push_back(std::move(side));
}

/// The register of the scales' tile that holds, in every lane, the scale that
/// the lane needs for position `row` (a register's offset along the dimension);
/// none where lanes hold others'.
std::optional<int64_t> MmaScales::getHeldRegister(const Side &side, int64_t row,
                                                  int64_t block) {
  const LayoutMap &own = lowering.getMap(side.tile->type);
  const LayoutMap &sums = lowering.getMap(accumulator);
  ArrayRef<int64_t> shape = own.getShape();
  // The lane's share of the position; with scales of several rows each, none.
  auto agrees = [&](ArrayRef<Coordinates> have, ArrayRef<Coordinates> need) {
    for (size_t bit = 0; bit < std::max(have.size(), need.size()); ++bit) {
      int64_t place = bit < need.size() && side.perRow == 1
                          ? need[bit][side.dim] % shape[0]
                          : 0;
      int64_t row = bit < have.size() ? have[bit][0] % shape[0] : 0;
      int64_t column = bit < have.size() ? have[bit][1] % shape[1] : 0;
      if (row != place || column != 0)
        return false;
    }
    return true;
  };
  // All lanes' shares stay within one scale.
  if (side.perRow != 1) {
    int64_t reach = 0;
    for (ArrayRef<Coordinates> weights :
         {sums.getLaneWeights(), sums.getWarpWeights()})
      for (const Coordinates &weight : weights)
        reach += weight[side.dim];
    if (row % side.perRow + reach >= side.perRow)
      return std::nullopt;
  }
  if (!agrees(own.getLaneWeights(), sums.getLaneWeights()) ||
      !agrees(own.getWarpWeights(), sums.getWarpWeights()))
    return std::nullopt;
  for (int64_t reg = 0; reg < own.getNumRegisters(); ++reg)
    if (own.getOffset(reg)[0] % shape[0] == row / side.perRow % shape[0] &&
        own.getOffset(reg)[1] % shape[1] == block)
      return reg;
  return std::nullopt;
}

void MmaScales::prepare() {
  const LayoutMap &sums = lowering.getMap(accumulator);
  for (Side &side : sides) {
    if (side.buffer)
      continue;
    int64_t blocks = side.tile->type.getShape()[1];
    bool isHeld = true;
    for (int64_t reg = 0; isHeld && reg < sums.getNumRegisters(); ++reg)
      for (int64_t block = 0; isHeld && block < blocks; ++block)
        isHeld = getHeldRegister(side, sums.getOffset(reg)[side.dim], block)
                     .has_value();
    if (isHeld)
      continue;
    side.buffer = lowering.allocateBuffer(BufferType::get(
        side.tile->type.getShape(), side.tile->type.getElementType()));
    lowering.writeBuffer(*side.tile, *side.buffer);
  }
}

void MmaScales::beginReads() {
  for (Side &side : sides)
    if (side.buffer)
      lowering.beforeRead(side.buffer->range);
}

Value MmaScales::getOne(Side &side, int64_t reg, int64_t block) {
  const LayoutMap &sums = lowering.getMap(accumulator);
  int64_t row = sums.getOffset(reg)[side.dim];
  block /= side.perBlock;
  Value &known = side.known[{row, block}];
  if (known)
    return known;
  Type element = side.tile->type.getElementType();
  Value scale;
  if (!side.buffer) {
    scale = side.tile->registers[*getHeldRegister(side, row, block)];
  } else {
    // Neighbouring columns share a scale where they can: equal addresses are
    // read once.
    Value place =
        lowering.getCoordinate(sums, lowering.getBase(sums), reg, side.dim);
    Value coordinates[] = {code.div(place, side.perRow), code.i32(block)};
    scale = code.fromStorage(
        code.load(lowering.getElementAddress(*side.buffer, coordinates),
                  getStorageType(element), 1)
            .front(),
        element);
  }
  if (!element.isF32())
    scale = code.create<arith::ExtFOp>(code.builder.getF32Type(), scale);
  return known = scale;
}

Value MmaScales::get(int64_t reg, int64_t block) {
  Value result;
  for (Side &side : sides) {
    Value scale = getOne(side, reg, block);
    if (!result) {
      result = scale;
      continue;
    }
    Value &product = products[{result, scale}];
    if (!product)
      product = code.create<arith::MulFOp>(result, scale);
    result = product;
  }
  return result;
}
