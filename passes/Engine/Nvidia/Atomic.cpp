//===- Atomic.cpp - Atomic updates of views -------------------------------===//
//
// The lane that owns an element updates it. Barriers around the updates make
// stores of the whole block part of what they release, and let the whole block
// see what they acquired.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Window.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

void Lowering::lowerAtomic(AtomicOp op) {
  const RegisterTile &tile = getTile(op.getValue());
  RankedTensorType type = tile.type;
  const RegisterTile *mask = op.getMask() ? &getTile(op.getMask()) : nullptr;
  Window window(*this, views[op.getView()], op.getOffsets(), op.getTileDims(),
                type);
  window.width = 1;
  Value zero = code.zero(type.getElementType());
  barrier();
  RegisterTile old{type, {}};
  for (int64_t reg = 0; reg < window.map.getNumRegisters(); ++reg) {
    Value condition = window.mayStore(reg);
    if (mask)
      condition = code.both(condition, mask->registers[reg]);
    auto update = [&] {
      Value result = code.create<LLVM::AtomicRMWOp>(
          engine::getAtomicOperation(op.getKind()),
          window.getAddress(window.getPosition(reg)), tile.registers[reg],
          LLVM::AtomicOrdering::acq_rel, StringRef("device"));
      return SmallVector<Value>{result};
    };
    llvm::append_range(old.registers, code.ifElse(condition, update, zero));
  }
  if (op.getOld().use_empty())
    return setTile(op.getOld(), std::move(old.registers));
  // Places that hold copies get what the owner got.
  SharedBuffer buffer =
      makeExchangeBuffer(type.getShape(), type.getElementType());
  writeOwned(old, buffer);
  tiles[op.getOld()] = readMapped(
      buffer, type, [](ValueRange c) { return SmallVector<Value>(c); });
}
