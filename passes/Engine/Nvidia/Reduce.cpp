//===- Reduce.cpp - Reductions and scans ----------------------------------===//
//
// A reduction combines the registers of a lane pairwise, then lanes with their
// partners at distance 1, 2, 4, ..., then warps in ascending order through
// shared memory. Places that wrap around count as neutral elements, so each
// element counts once.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Tile/Layouts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

/// What leaves the other operand as it is. Of floats `max` and `min` ignore
/// NaN.
Value Lowering::getNeutral(ReduceKind kind, Type type) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    if (kind == ReduceKind::Sum)
      return code.zero(type);
    return code.create<arith::ConstantOp>(code.builder.getFloatAttr(
        type, APFloat::getNaN(floatType.getFloatSemantics())));
  }
  if (kind == ReduceKind::Sum)
    return code.constant(type, 0);
  unsigned bits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  APInt extreme = kind == ReduceKind::Max ? APInt::getSignedMinValue(bits)
                                          : APInt::getSignedMaxValue(bits);
  return code.constant(type, extreme.getSExtValue());
}

/// Combines neighbours until one is left.
Value Lowering::combineAll(ReduceKind kind, SmallVector<Value> values) {
  while (values.size() > 1) {
    SmallVector<Value> next;
    for (size_t i = 0; i + 1 < values.size(); i += 2)
      next.push_back(combine(kind, values[i], values[i + 1]));
    if (values.size() % 2 == 1)
      next.push_back(values.back());
    values = std::move(next);
  }
  return values.front();
}

/// Bits whose weight along a dimension is not zero.
static SmallVector<int64_t> getBitsAlong(ArrayRef<Coordinates> weights,
                                         int64_t dim) {
  SmallVector<int64_t> bits;
  for (auto [bit, weight] : llvm::enumerate(weights))
    if (weight[dim] != 0)
      bits.push_back(bit);
  return bits;
}

RegisterTile Lowering::reduceTile(const RegisterTile &tile, ReduceKind kind,
                                  int64_t dim) {
  const LayoutMap &map = getMap(tile.type);
  Type element = tile.type.getElementType();
  SmallVector<Value> base = getBase(map);
  int64_t size = map.getShape()[dim];
  Value neutral = getNeutral(kind, element);

  // Registers that differ along the dimension alone.
  std::map<Coordinates, SmallVector<Value>> groups;
  SmallVector<Coordinates> order;
  llvm::DenseMap<int64_t, Value> isReal;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    Coordinates key(map.getOffset(reg));
    int64_t along = key[dim];
    key.erase(key.begin() + dim);
    SmallVector<Value> &group = groups[key];
    if (group.empty())
      order.push_back(key);
    if (along >= size)
      continue;
    Value value = tile.registers[reg];
    if (map.wraps(dim)) {
      Value &real = isReal[along];
      if (!real)
        real = code.cmp(arith::CmpIPredicate::ult, code.add(base[dim], along),
                        size);
      value = code.select(real, value, neutral);
    }
    group.push_back(value);
  }
  SmallVector<Value> values;
  for (const Coordinates &key : order)
    values.push_back(combineAll(kind, groups[key]));

  for (int64_t bit : getBitsAlong(map.getLaneWeights(), dim))
    for (Value &value : values)
      value = combine(kind, value, code.shuffleXor(value, int64_t(1) << bit));

  RankedTensorType resultType;
  if (map.getRank() > 1) {
    SmallVector<int64_t> shape(map.getShape());
    shape.erase(shape.begin() + dim);
    resultType =
        RankedTensorType::get(shape, element,
                              SliceLayoutAttr::get(tile.type.getContext(), dim,
                                                   tile.type.getEncoding()));
  }
  RegisterTile result{resultType, std::move(values)};
  SmallVector<int64_t> warpBits = getBitsAlong(map.getWarpWeights(), dim);
  if (!warpBits.empty())
    combineWarps(result, kind, warpBits);
  return result;
}

/// Combines what warps that differ in the bits of `warpBits` hold. A result of
/// no type is one scalar.
void Lowering::combineWarps(RegisterTile &tile, ReduceKind kind,
                            ArrayRef<int64_t> warpBits) {
  int64_t parts = int64_t(1) << warpBits.size();
  Value part = code.i32(0);
  for (auto [i, bit] : llvm::enumerate(warpBits))
    part = code.bitOr(
        part,
        code.shiftLeft(code.bitAnd(code.shiftRight(threads.warp, bit), 1), i));
  Type element = tile.registers.front().getType();
  // [element, part]: what a lane combines lies side by side.
  SmallVector<int64_t> shape = {parts};
  if (tile.type)
    shape.insert(shape.begin(), tile.type.getNumElements());
  SharedBuffer buffer = makeExchangeBuffer(shape, element);
  std::optional<SmallVector<Value>> base;
  if (tile.type)
    base = getBase(getMap(tile.type));
  auto getCoordinatesOf = [&](int64_t reg, Value part) {
    SmallVector<Value> coordinates;
    if (tile.type) {
      const LayoutMap &map = getMap(tile.type);
      Value number = code.i32(0);
      for (int64_t dim = 0; dim < map.getRank(); ++dim)
        number = code.add(code.mul(number, map.getShape()[dim]),
                          getCoordinate(map, *base, reg, dim));
      coordinates.push_back(number);
    }
    coordinates.push_back(part);
    return coordinates;
  };
  beforeWrite(buffer.range);
  for (auto [reg, value] : llvm::enumerate(tile.registers))
    code.store(code.toStorage(value),
               getElementAddress(buffer, getCoordinatesOf(reg, part)));
  beforeRead(buffer.range);
  int64_t width = std::min(parts, getContiguousElements(buffer));
  for (auto [reg, value] : llvm::enumerate(tile.registers)) {
    Value total;
    for (int64_t i = 0; i < parts; i += width) {
      Value address =
          getElementAddress(buffer, getCoordinatesOf(reg, code.i32(i)));
      for (Value loaded : code.load(address, getStorageType(element), width)) {
        Value next = code.fromStorage(loaded, element);
        total = total ? combine(kind, total, next) : next;
      }
    }
    value = total;
  }
}

void Lowering::lowerReduce(ReduceOp op) {
  RegisterTile result =
      reduceTile(getTile(op.getSource()), op.getKind(), op.getDim());
  auto type = dyn_cast<RankedTensorType>(op.getResult().getType());
  if (type)
    tiles[op.getResult()] = convert(result, type);
  else
    scalars.map(op.getResult(), result.registers.front());
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

/// A layout in which a line along `dim` lies in one warp, a run of neighbours
/// in each lane.
static BlockedLayoutAttr getScanLayout(RankedTensorType type, int64_t dim,
                                       int64_t numWarps) {
  int64_t rank = type.getRank(), size = type.getShape()[dim];
  SmallVector<int64_t> perLane(rank, 1), lanes(rank, 1), warps(rank, 1);
  lanes[dim] = kWarpLanes;
  perLane[dim] = llvm::PowerOf2Ceil(llvm::divideCeil(size, kWarpLanes));
  int64_t rest = llvm::PowerOf2Ceil(numWarps + 1) / 2;
  for (int64_t other = 0; other < rank; ++other) {
    if (other == dim)
      continue;
    warps[other] =
        std::min<int64_t>(rest, llvm::PowerOf2Ceil(type.getShape()[other]));
    rest /= warps[other];
  }
  warps[dim == 0 ? rank - 1 : 0] *= rest;
  SmallVector<int64_t> order(llvm::reverse(llvm::seq<int64_t>(rank)));
  return BlockedLayoutAttr::get(type.getContext(), perLane, lanes, warps,
                                order);
}

void Lowering::lowerScan(ScanOp op) {
  int64_t dim = op.getDim();
  RankedTensorType type = op.getType();
  Type element = type.getElementType();
  RankedTensorType lineType =
      type.cloneWithEncoding(getScanLayout(type, dim, threads.numWarps));
  RegisterTile tile = convert(getTile(op.getSource()), lineType);
  const LayoutMap &map = getMap(lineType);

  // Lines, by the other coordinates, each in ascending order.
  std::map<Coordinates, SmallVector<int64_t>> lines;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    Coordinates key(map.getOffset(reg));
    key.erase(key.begin() + dim);
    lines[key].push_back(reg);
  }
  auto add = [&](Value a, Value b) { return combine(ReduceKind::Sum, a, b); };
  Value zero = code.zero(element);
  for (auto &[key, registers] : lines) {
    llvm::sort(registers, [&](int64_t a, int64_t b) {
      return map.getOffset(a)[dim] < map.getOffset(b)[dim];
    });
    SmallVector<Value> sums;
    for (int64_t reg : registers)
      sums.push_back(sums.empty() ? tile.registers[reg]
                                  : add(sums.back(), tile.registers[reg]));
    // What the lanes before hold together.
    Value before = sums.back();
    for (int64_t distance = 1; distance < kWarpLanes; distance *= 2) {
      Value other = code.shuffleUp(before, distance);
      Value has = code.cmp(arith::CmpIPredicate::uge, threads.lane, distance);
      before = add(before, code.select(has, other, zero));
    }
    before = code.select(code.cmp(arith::CmpIPredicate::eq, threads.lane, 0),
                         zero, code.shuffleUp(before, 1));
    for (auto [i, reg] : llvm::enumerate(registers)) {
      bool isFirst = i == 0;
      if (op.getExclusive())
        tile.registers[reg] = isFirst ? before : add(before, sums[i - 1]);
      else
        tile.registers[reg] = add(before, sums[i]);
    }
  }
  // Beyond the end of a line stand sums of wrapped elements: not to be kept.
  RankedTensorType kept = type;
  if (!map.wraps(dim)) {
    tiles[op.getResult()] = convert(tile, kept);
    return;
  }
  SharedBuffer buffer = makeExchangeBuffer(type.getShape(), element);
  writeOwned(toStorageTile(tile), buffer);
  tiles[op.getResult()] = readMapped(
      buffer, kept, [](ValueRange c) { return SmallVector<Value>(c); });
}
