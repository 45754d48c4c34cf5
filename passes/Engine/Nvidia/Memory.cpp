//===- Memory.cpp - Loads and stores of views -----------------------------===//
//
// A lane accesses its registers in vectors of neighbours along the view's last
// dimension, as wide as layout, sizes and alignment allow. What lies outside
// the view reads an array of zeros instead, so that loads need no branches and
// many are under way at once.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "passes/Engine/Nvidia/Window.h"
#include <numeric>

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

Value Lowering::getZeros() {
  return getConstantArray(std::string(16, '\0'), /*alignment=*/16);
}

RegisterTile Lowering::loadTile(Window &window, RankedTensorType type,
                                const RegisterTile *mask, Value fill) {
  Type element = type.getElementType();
  bool isZero = !fill || matchPattern(fill, m_PosZeroFloat()) ||
                matchPattern(fill, m_Zero());
  SmallVector<Value> registers;
  for (int64_t reg = 0; reg < window.map.getNumRegisters();
       reg += window.width) {
    Value inside = window.isInside(reg);
    // Nothing is read for a vector that is masked out as a whole.
    Value any;
    for (int64_t i = 0; mask && i < window.width; ++i)
      any = any ? code.bitOr(any, mask->registers[reg + i])
                : mask->registers[reg + i];
    Value reads = code.both(inside, any);
    for (auto [i, loaded] : llvm::enumerate(window.load(reg, reads))) {
      Value keeps = mask ? code.both(inside, mask->registers[reg + i]) : inside;
      // What is not read is zero already.
      if (keeps && (!isZero || (mask && window.width > 1)))
        loaded = code.select(keeps, loaded, fill ? fill : code.zero(element));
      registers.push_back(loaded);
    }
  }
  return {type, std::move(registers)};
}

void Lowering::lowerLoad(LoadOp op) {
  Window window(*this, views[op.getView()], op.getOffsets(), op.getTileDims(),
                op.getType());
  tiles[op.getResult()] = loadTile(
      window, op.getType(), op.getMask() ? &getTile(op.getMask()) : nullptr,
      op.getFill() ? scalar(op.getFill()) : Value());
}

void Lowering::lowerLoadScalar(LoadScalarOp op) {
  const View &view = views[op.getView()];
  Value inside, position = code.i64(0);
  for (auto [dim, offset] : llvm::enumerate(scalarRange(op.getOffsets()))) {
    Value index = code.toI64(offset);
    inside = code.both(
        inside, code.cmp(arith::CmpIPredicate::ult, index, view.sizes[dim]));
    position = code.add(position, code.mul(index, view.strides[dim]));
  }
  Value address =
      code.offset(view.base, code.mul(position, getStorageBytes(view.element)));
  address = code.select(inside, address, getZeros());
  scalars.map(op.getResult(),
              code.fromStorage(
                  code.load(address, getStorageType(view.element), 1).front(),
                  view.element));
}

void Lowering::lowerSubview(SubviewOp op) {
  View part = views[op.getView()];
  part.argument.reset();
  Value position = code.i64(0);
  Value zero = code.i64(0);
  int64_t known = 0;
  unsigned nextSize = 0;
  for (int64_t dim = 0; dim < op.getType().getRank(); ++dim) {
    if (!op.getType().isDynamicDim(dim))
      continue;
    Value size = part.sizes[dim];
    Value start = code.toI64(scalar(op.getOffsets()[dim]));
    Value offset = code.max(zero, code.min(start, size));
    Value wanted = code.toI64(scalar(op.getSizes()[nextSize++]));
    part.sizes[dim] = code.max(zero, code.min(wanted, code.sub(size, offset)));
    position = code.add(position, code.mul(offset, part.strides[dim]));
    // A clamped offset is any number; the stride still divides the way.
    known = std::gcd(known, part.strideDivisors[dim]);
  }
  int64_t bytes = part.element.getIntOrFloatBitWidth() / 8;
  part.base = code.offset(part.base, code.mul(position, bytes));
  if (known != 0)
    part.alignment = std::gcd(part.alignment, known * bytes);
  views[op.getResult()] = std::move(part);
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

void Lowering::storeTile(const RegisterTile &tile, const RegisterTile *mask,
                         Window &window) {
  int64_t width = window.width, count = window.map.getNumRegisters();
  auto getElements = [&](int64_t reg, int64_t size) {
    return ArrayRef<Value>(tile.registers).slice(reg, size);
  };
  for (int64_t reg = 0; reg < count;) {
    Value condition = window.mayStore(reg);
    if (mask) {
      auto masks = ArrayRef<Value>(mask->registers).slice(reg, width);
      if (llvm::all_equal(masks))
        code.ifThen(code.both(condition, masks.front()),
                    [&] { window.store(reg, getElements(reg, width)); });
      else
        for (int64_t i = 0; i < width; ++i)
          code.ifThen(code.both(condition, masks[i]),
                      [&] { window.store(reg + i, getElements(reg + i, 1)); });
      reg += width;
      continue;
    }
    // Neighbours under the same condition share its branch.
    int64_t end = reg + width;
    while (end < count && window.mayStore(end) == condition)
      end += width;
    code.ifThen(condition, [&] {
      for (int64_t at = reg; at < end; at += width)
        window.store(at, getElements(at, width));
    });
    reg = end;
  }
}

void Lowering::lowerStore(StoreOp op) {
  RegisterTile tile;
  if (auto buffer = dyn_cast<BufferType>(op.getValue().getType()))
    tile = readBuffer(getBuffer(op.getValue()), getMovedType(buffer));
  else
    tile = getTile(op.getValue());
  Window window(*this, views[op.getView()], op.getOffsets(), op.getTileDims(),
                tile.type);
  storeTile(tile, op.getMask() ? &getTile(op.getMask()) : nullptr, window);
}
