//===- ConvertLayout.cpp - Moving elements between lanes ------------------===//
//
// In ascending order of cost: nothing to do; other registers of the same lane;
// through shared memory, in pieces where the whole tile would take too much of
// it.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Tile/Layouts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

/// Shared memory that one exchange takes at most.
static constexpr int64_t kExchangeBytes = 32768;

RankedTensorType Lowering::getMovedType(BufferType buffer) {
  auto type = RankedTensorType::get(buffer.getShape(), buffer.getElementType());
  return type.cloneWithEncoding(getMemoryLayout(type, threads.numWarps));
}

RankedTensorType Lowering::getPackableType(RankedTensorType type) {
  return type.cloneWithEncoding(getMemoryLayout(type, threads.numWarps));
}

/// For each register of `to`, the one of `from` that holds the same element in
/// every place; nothing when there is one without.
static std::optional<SmallVector<int64_t>>
findRegisters(const LayoutMap &from, const LayoutMap &to, int64_t numWarps) {
  llvm::DenseMap<int64_t, int64_t> known;
  for (int64_t reg = 0; reg < from.getNumRegisters(); ++reg)
    known.try_emplace(from.linearize(from.getElement(0, 0, reg)), reg);
  SmallVector<int64_t> result;
  for (int64_t reg = 0; reg < to.getNumRegisters(); ++reg) {
    auto it = known.find(to.linearize(to.getElement(0, 0, reg)));
    if (it == known.end())
      return std::nullopt;
    result.push_back(it->second);
  }
  // The thread's share of the coordinates is the same for all registers.
  int64_t warps = llvm::PowerOf2Ceil(numWarps);
  auto sameShare = [&](int64_t warp, int64_t lane) {
    return from.getElement(warp % from.getNumWarps(), lane, result[0]) ==
           to.getElement(warp % to.getNumWarps(), lane, 0);
  };
  for (int64_t bit = 1; bit < kWarpLanes; bit *= 2)
    if (!sameShare(0, bit))
      return std::nullopt;
  for (int64_t bit = 1; bit < warps; bit *= 2)
    if (!sameShare(bit, 0))
      return std::nullopt;
  return result;
}

RegisterTile Lowering::convert(const RegisterTile &tile,
                               RankedTensorType type) {
  const LayoutMap &from = getMap(tile.type), &to = getMap(type);
  if (auto registers = findRegisters(from, to, threads.numWarps)) {
    RegisterTile result{type, {}};
    for (int64_t reg : *registers)
      result.registers.push_back(tile.registers[reg]);
    return result;
  }
  return convertThroughShared(tile, type);
}

RegisterTile Lowering::convertThroughShared(const RegisterTile &tile,
                                            RankedTensorType type) {
  const LayoutMap &from = getMap(tile.type), &to = getMap(type);
  Type element = type.getElementType();
  int64_t bytes = getStorageBytes(element);
  // Rows of the outer dimensions, each with a gap that spreads them over banks.
  ArrayRef<int64_t> shape = type.getShape();
  int64_t columns = shape.back(), rows = llvm::product_of(shape.drop_back());
  int64_t pitch = columns + (rows > 1 ? kVectorBytes / bytes : 0);
  int64_t piece =
      std::max<int64_t>(1, std::min(rows, kExchangeBytes / (pitch * bytes)));
  SharedRange range = getExchange(piece * pitch * bytes);
  Value memory = getSharedPointer(range.begin);

  SmallVector<Value> fromBase = getBase(from), toBase = getBase(to);
  auto getRow = [&](const LayoutMap &map, ValueRange base, int64_t reg) {
    Value row = code.i32(0);
    for (int64_t dim = 0; dim + 1 < map.getRank(); ++dim)
      row = code.add(code.mul(row, shape[dim]),
                     getCoordinate(map, base, reg, dim));
    return row;
  };
  auto getAddress = [&](const LayoutMap &map, ValueRange base, int64_t reg,
                        Value row) {
    Value column = getCoordinate(map, base, reg, map.getRank() - 1);
    return code.offset(memory,
                       code.mul(code.add(code.mul(row, pitch), column), bytes));
  };
  int64_t vector = pitch % (kVectorBytes / bytes) == 0 || rows == 1
                       ? kVectorBytes / bytes
                       : 1;
  int64_t fromWidth = from.getVectorWidth(vector);
  int64_t toWidth = to.getVectorWidth(vector);
  RegisterTile result{type, SmallVector<Value>(to.getNumRegisters())};
  for (int64_t first = 0; first < rows; first += piece) {
    // Rows of this piece, counted from its first; null when all are in it.
    auto isHere = [&](Value &row) -> Value {
      if (piece >= rows)
        return {};
      row = code.add(row, -first);
      return code.cmp(arith::CmpIPredicate::ult, row,
                      std::min(piece, rows - first));
    };
    beforeWrite(range);
    for (int64_t reg = 0; reg < from.getNumRegisters(); reg += fromWidth) {
      if (!from.isInside(reg))
        continue;
      Value row = getRow(from, fromBase, reg), here = isHere(row);
      SmallVector<Value> storages = llvm::map_to_vector(
          ArrayRef<Value>(tile.registers).slice(reg, fromWidth),
          [&](Value v) { return code.toStorage(v); });
      code.ifThen(here, [&] {
        code.store(storages, getAddress(from, fromBase, reg, row));
      });
    }
    beforeRead(range);
    for (int64_t reg = 0; reg < to.getNumRegisters(); reg += toWidth) {
      Value row = getRow(to, toBase, reg), here = isHere(row);
      // Of other pieces something is read, and not kept.
      if (here)
        row = code.select(here, row, code.i32(0));
      for (auto [i, loaded] :
           llvm::enumerate(code.load(getAddress(to, toBase, reg, row),
                                     getStorageType(element), toWidth))) {
        Value value = code.fromStorage(loaded, element);
        Value &kept = result.registers[reg + i];
        kept = here && kept ? code.select(here, value, kept) : value;
      }
    }
  }
  return result;
}
