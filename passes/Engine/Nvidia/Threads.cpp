//===- Threads.cpp - Places of elements, as code --------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

Threads Lowering::makeThreads(int64_t firstWarp, int64_t numWarps,
                              int64_t barrier) {
  Threads result;
  result.thread = code.create<NVVM::ThreadIdXOp>(code.builder.getI32Type());
  if (firstWarp != 0)
    result.thread = code.add(result.thread, -firstWarp * kWarpLanes);
  result.lane = code.bitAnd(result.thread, kWarpLanes - 1);
  result.warp = code.shiftRight(result.thread, 5);
  result.numWarps = numWarps;
  result.firstWarp = firstWarp;
  result.barrier = barrier;
  return result;
}

const LayoutMap &Lowering::getMap(RankedTensorType type) {
  // The element type plays no part.
  auto key = RankedTensorType::get(type.getShape(), code.builder.getI1Type(),
                                   type.getEncoding());
  std::unique_ptr<LayoutMap> &map = maps[key];
  if (!map)
    map = std::make_unique<LayoutMap>(type);
  return *map;
}

/// Adds to `sum` what the bits of `number` contribute along a dimension: a run
/// of bits whose weights double is one shift, mask and multiplication.
Value Lowering::addBits(ArrayRef<Coordinates> weights, Value number,
                        int64_t dim, Value sum) {
  for (unsigned begin = 0, end; begin < weights.size(); begin = end) {
    end = begin + 1;
    int64_t weight = weights[begin][dim];
    if (weight == 0)
      continue;
    while (end < weights.size() && weights[end][dim] == weight << (end - begin))
      ++end;
    int64_t mask = (int64_t(1) << (end - begin)) - 1;
    Value bits = code.bitAnd(code.shiftRight(number, begin), mask);
    sum = code.add(sum, code.mul(bits, weight));
  }
  return sum;
}

SmallVector<Value> Lowering::getBase(const LayoutMap &map) {
  SmallVector<Value> base;
  for (int64_t dim = 0; dim < map.getRank(); ++dim) {
    Value sum = addBits(map.getLaneWeights(), threads.lane, dim, code.i32(0));
    base.push_back(addBits(map.getWarpWeights(), threads.warp, dim, sum));
  }
  return base;
}

Value Lowering::getCoordinate(const LayoutMap &map, ValueRange base,
                              int64_t reg, int64_t dim) {
  Value position = code.add(base[dim], map.getOffset(reg)[dim]);
  if (!map.wraps(dim))
    return position;
  return code.rem(position, map.getShape()[dim]);
}

SmallVector<Value> Lowering::getCoordinates(const LayoutMap &map,
                                            ValueRange base, int64_t reg) {
  SmallVector<Value> result;
  for (int64_t dim = 0; dim < map.getRank(); ++dim)
    result.push_back(getCoordinate(map, base, reg, dim));
  return result;
}

Value Lowering::getThreadOwnership(const LayoutMap &map) {
  Value owns;
  auto requireZeros = [&](ArrayRef<Coordinates> weights, Value number,
                          int64_t above) {
    int64_t mask = above;
    for (auto [bit, weight] : llvm::enumerate(weights))
      if (llvm::all_of(weight, [](int64_t w) { return w == 0; }))
        mask |= int64_t(1) << bit;
    if (mask == 0)
      return;
    owns = code.both(
        owns, code.cmp(arith::CmpIPredicate::eq, code.bitAnd(number, mask), 0));
  };
  requireZeros(map.getLaneWeights(), threads.lane, 0);
  // Warps beyond the layout's hold copies.
  int64_t all = llvm::NextPowerOf2(threads.numWarps - 1) - 1;
  requireZeros(map.getWarpWeights(), threads.warp,
               all & ~(map.getNumWarps() - 1));
  return owns;
}

Value Lowering::getOwnership(const LayoutMap &map, ValueRange base,
                             int64_t reg) {
  if (!map.isInside(reg))
    return code.boolean(false);
  Value owns = getThreadOwnership(map);
  for (int64_t dim = 0; dim < map.getRank(); ++dim)
    if (map.wraps(dim))
      owns =
          code.both(owns, code.cmp(arith::CmpIPredicate::ult,
                                   code.add(base[dim], map.getOffset(reg)[dim]),
                                   map.getShape()[dim]));
  return owns;
}
