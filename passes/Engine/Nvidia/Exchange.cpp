//===- Exchange.cpp - Elements from other places --------------------------===//
//
// Ops whose result has elements of their operands at other coordinates. Where
// each lane has what it needs already, registers change their order and nothing
// is emitted; otherwise the tile passes through shared memory.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Tile/Layouts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

/// For a register of `to`, the register of `from` that holds the element
/// `remap` says in every thread; nothing when it differs or is elsewhere.
static std::optional<int64_t>
findRegister(const LayoutMap &from, const LayoutMap &to, int64_t reg,
             int64_t numWarps, MapFn remap,
             const llvm::DenseMap<int64_t, int64_t> &known) {
  auto it = known.find(from.linearize(remap(to.getElement(0, 0, reg))));
  if (it == known.end())
    return std::nullopt;
  for (int64_t warp = 0; warp < numWarps; ++warp)
    for (int64_t lane = 0; lane < kWarpLanes; ++lane)
      if (from.getElement(warp, lane, it->second) !=
          remap(to.getElement(warp, lane, reg)))
        return std::nullopt;
  return it->second;
}

std::optional<SmallVector<Value>>
Lowering::permuteRegisters(const RegisterTile &tile, RankedTensorType type,
                           MapFn remap) {
  const LayoutMap &from = getMap(tile.type), &to = getMap(type);
  llvm::DenseMap<int64_t, int64_t> known;
  for (int64_t reg = 0; reg < from.getNumRegisters(); ++reg)
    known.try_emplace(from.linearize(from.getElement(0, 0, reg)), reg);
  // Warps beyond those of both layouts repeat them.
  int64_t numWarps = std::max(from.getNumWarps(), to.getNumWarps());
  SmallVector<Value> registers;
  for (int64_t reg = 0; reg < to.getNumRegisters(); ++reg) {
    auto source = findRegister(from, to, reg, numWarps, remap, known);
    if (!source)
      return std::nullopt;
    registers.push_back(tile.registers[*source]);
  }
  return registers;
}

/// Words of a row that are exchanged: as many as lanes read vectors of 16 bytes
/// along a column of 128 numbers of 16 bits.
static constexpr int64_t kMostExchangedWords = 16;

/// A buffer in the exchange area in which rows are spread over the banks.
SharedBuffer Lowering::makeExchangeBuffer(ArrayRef<int64_t> shape,
                                          Type element) {
  IntegerType storage = getStorageType(element);
  SmallVector<int64_t> whole(shape);
  if (shape.size() > 1) {
    int64_t chunk = kVectorBytes * 8 / storage.getWidth();
    whole.back() = llvm::alignTo(whole.back(), chunk) + chunk;
  }
  SharedBuffer buffer;
  buffer.whole = BufferType::get(whole, storage);
  buffer.shape.assign(shape.begin(), shape.end());
  buffer.offsets.assign(shape.size(), 0);
  buffer.range = getExchange(buffer.whole.getSizeInBytes());
  buffer.base = getSharedPointer(buffer.range.begin);
  return buffer;
}

/// The tile with its elements as the integers of their storage.
RegisterTile Lowering::toStorageTile(const RegisterTile &tile) {
  RankedTensorType type = tile.type;
  Type storage = getStorageType(type.getElementType());
  RegisterTile result{type.clone(storage), {}};
  for (Value value : tile.registers)
    result.registers.push_back(code.toStorage(value));
  return result;
}

void Lowering::writeOwned(const RegisterTile &tile,
                          const SharedBuffer &buffer) {
  const LayoutMap &map = getMap(tile.type);
  SmallVector<Value> base = getBase(map);
  beforeWrite(buffer.range);
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg)
    code.ifThen(getOwnership(map, base, reg), [&] {
      code.store(tile.registers[reg],
                 getElementAddress(buffer, getCoordinates(map, base, reg)));
    });
}

RegisterTile Lowering::readMapped(const SharedBuffer &buffer,
                                  RankedTensorType type, MapValuesFn remap) {
  const LayoutMap &map = getMap(type);
  SmallVector<Value> base = getBase(map);
  Type element = type.getElementType();
  beforeRead(buffer.range);
  RegisterTile result{type, {}};
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    Value address =
        getElementAddress(buffer, remap(getCoordinates(map, base, reg)));
    result.registers.push_back(code.fromStorage(
        code.load(address, getStorageType(element), 1).front(), element));
  }
  return result;
}

RegisterTile Lowering::remapTile(const RegisterTile &tile,
                                 RankedTensorType type, MapFn remap,
                                 MapValuesFn remapValues, bool isTransposed) {
  if (auto registers = permuteRegisters(tile, type, remap))
    return {type, std::move(*registers)};
  ArrayRef<int64_t> shape = tile.type.getShape();
  SharedBuffer buffer = makeExchangeBuffer(shape, tile.type.getElementType());
  // Lanes read vectors of 16 bytes along what were columns: every eighth row,
  // which padding alone leaves in the same banks.
  int64_t bits = tile.type.getElementTypeBitWidth();
  if (isTransposed && shape.size() == 2 && bits == 16) {
    int64_t words = shape.back() * bits / 32;
    buffer.exchangedWords = std::max<int64_t>(
        1, std::min<int64_t>(words & -words, kMostExchangedWords));
  }
  writeBuffer(toStorageTile(tile), buffer);
  return readMapped(buffer, type, remapValues);
}
