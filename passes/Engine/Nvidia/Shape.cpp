//===- Shape.cpp - Making and reshaping tiles -----------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

void Lowering::lowerIota(IotaOp op) {
  RankedTensorType type = op.getType();
  const LayoutMap &map = getMap(type);
  SmallVector<Value> base = getBase(map), registers;
  llvm::DenseMap<int64_t, Value> known;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    Value &value = known[map.getOffset(reg)[op.getDim()]];
    if (!value) {
      value = getCoordinate(map, base, reg, op.getDim());
      Type element = type.getElementType();
      if (!element.isInteger(32))
        value = code.extendToI64(value);
      if (element.isIndex())
        value = code.toIndex(value);
    }
    registers.push_back(value);
  }
  setTile(op.getResult(), std::move(registers));
}

/// The source has the layout that is left of the result's when the dimensions
/// along which it repeats are dropped, or gets it.
void Lowering::lowerBroadcast(BroadcastOp op) {
  RankedTensorType type = op.getType();
  Attribute layout = type.getEncoding();
  ArrayRef<int64_t> dims = op.getDims();
  for (int64_t dim = type.getRank(); dim-- > 0;)
    if (!llvm::is_contained(dims, dim))
      layout = SliceLayoutAttr::get(type.getContext(), dim, layout);
  auto sourceType = op.getSource().getType();
  RegisterTile source =
      convert(getTile(op.getSource()), sourceType.cloneWithEncoding(layout));
  const LayoutMap &from = getMap(source.type), &to = getMap(type);
  std::map<Coordinates, Value> known;
  for (int64_t reg = 0; reg < from.getNumRegisters(); ++reg)
    known[Coordinates(from.getOffset(reg))] = source.registers[reg];
  SmallVector<Value> registers;
  for (int64_t reg = 0; reg < to.getNumRegisters(); ++reg) {
    Coordinates offset;
    for (int64_t dim : dims)
      offset.push_back(to.getOffset(reg)[dim]);
    registers.push_back(known.at(offset));
  }
  setTile(op.getResult(), std::move(registers));
}

/// The element, from the thread that owns it to all.
void Lowering::lowerExtract(ExtractOp op) {
  const RegisterTile &tile = getTile(op.getSource());
  const LayoutMap &map = getMap(tile.type);
  Coordinates position(op.getPosition());
  if (llvm::all_equal(tile.registers)) {
    // A splat.
    scalars.map(op.getResult(), tile.registers.front());
    return;
  }
  SmallVector<Value> base = getBase(map);
  Type element = op.getType();
  SharedBuffer buffer = makeExchangeBuffer({1}, element);
  beforeWrite(buffer.range);
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    // Registers whose elements cannot be the one that is wanted.
    bool isPossible = map.isInside(reg);
    Value here = getThreadOwnership(map);
    for (int64_t dim = 0; dim < map.getRank() && isPossible; ++dim) {
      int64_t rest = position[dim] - map.getOffset(reg)[dim];
      isPossible = rest >= 0;
      here =
          code.both(here, code.cmp(arith::CmpIPredicate::eq, base[dim], rest));
    }
    if (isPossible)
      code.ifThen(here, [&] {
        code.store(code.toStorage(tile.registers[reg]), buffer.base);
      });
  }
  beforeRead(buffer.range);
  scalars.map(
      op.getResult(),
      code.fromStorage(
          code.load(buffer.base, getStorageType(element), 1).front(), element));
}

void Lowering::lowerReshape(ReshapeOp op) {
  ArrayRef<int64_t> from = op.getSource().getType().getShape();
  ArrayRef<int64_t> to = op.getType().getShape();
  auto remap = [&](ArrayRef<int64_t> coordinates) {
    int64_t number = 0;
    for (auto [c, size] : llvm::zip_equal(coordinates, to))
      number = number * size + c;
    Coordinates result(from.size());
    for (size_t dim = from.size(); dim-- > 0;) {
      result[dim] = number % from[dim];
      number /= from[dim];
    }
    return result;
  };
  auto remapValues = [&](ValueRange coordinates) {
    Value number = code.i32(0);
    for (auto [c, size] : llvm::zip_equal(coordinates, to))
      number = code.add(code.mul(number, size), c);
    SmallVector<Value> result(from.size());
    for (size_t dim = from.size(); dim-- > 0;) {
      result[dim] = dim == 0 ? number : code.rem(number, from[dim]);
      number = code.div(number, from[dim]);
    }
    return result;
  };
  tiles[op.getResult()] =
      remapTile(getTile(op.getSource()), op.getType(), remap, remapValues);
}

void Lowering::lowerTranspose(TransposeOp op) {
  ArrayRef<int64_t> permutation = op.getPermutation();
  auto remap = [&](ArrayRef<int64_t> coordinates) {
    Coordinates result(coordinates.size());
    for (auto [i, dim] : llvm::enumerate(permutation))
      result[dim] = coordinates[i];
    return result;
  };
  auto remapValues = [&](ValueRange coordinates) {
    SmallVector<Value> result(coordinates.size());
    for (auto [i, dim] : llvm::enumerate(permutation))
      result[dim] = coordinates[i];
    return result;
  };
  tiles[op.getResult()] =
      remapTile(getTile(op.getSource()), op.getType(), remap, remapValues,
                /*isTransposed=*/true);
}

void Lowering::lowerSlice(SliceOp op) {
  ArrayRef<int64_t> offsets = op.getOffsets();
  auto remap = [&](ArrayRef<int64_t> coordinates) {
    Coordinates result(coordinates);
    for (auto [c, offset] : llvm::zip_equal(result, offsets))
      c += offset;
    return result;
  };
  auto remapValues = [&](ValueRange coordinates) {
    SmallVector<Value> result;
    for (auto [c, offset] : llvm::zip_equal(coordinates, offsets))
      result.push_back(code.add(c, offset));
    return result;
  };
  tiles[op.getResult()] =
      remapTile(getTile(op.getSource()), op.getType(), remap, remapValues);
}

/// All sources, one after another in one buffer.
void Lowering::lowerConcat(ConcatOp op) {
  RankedTensorType type = op.getType();
  if (auto registers = concatRegisters(op)) {
    setTile(op.getResult(), std::move(*registers));
    return;
  }
  SharedBuffer buffer =
      makeExchangeBuffer(type.getShape(), type.getElementType());
  int64_t dim = op.getDim();
  for (Value source : op.getSources()) {
    RegisterTile tile = toStorageTile(getTile(source));
    buffer.shape.assign(tile.type.getShape().begin(),
                        tile.type.getShape().end());
    // They do not overlap, so one barrier serves all.
    if (source == op.getSources().front())
      beforeWrite(buffer.range);
    writeElements(tile, buffer);
    buffer.offsets[dim] += tile.type.getShape()[dim];
  }
  buffer.offsets.assign(type.getRank(), 0);
  tiles[op.getResult()] = readMapped(
      buffer, type, [](ValueRange c) { return SmallVector<Value>(c); });
}

/// The registers of the result, when each lane has them.
std::optional<SmallVector<Value>> Lowering::concatRegisters(ConcatOp op) {
  const LayoutMap &to = getMap(op.getType());
  SmallVector<Value> result;
  int64_t dim = op.getDim();
  for (int64_t reg = 0; reg < to.getNumRegisters(); ++reg) {
    Value found;
    int64_t begin = 0;
    for (Value source : op.getSources()) {
      const RegisterTile &tile = getTile(source);
      const LayoutMap &from = getMap(tile.type);
      int64_t numWarps = std::max(from.getNumWarps(), to.getNumWarps());
      for (int64_t i = 0; i < from.getNumRegisters() && !found; ++i) {
        auto isSame = [&](int64_t warp, int64_t lane) {
          Coordinates wanted = to.getElement(warp, lane, reg);
          wanted[dim] -= begin;
          return from.getElement(warp, lane, i) == wanted;
        };
        bool isEverywhere = isSame(0, 0);
        for (int64_t warp = 0; warp < numWarps && isEverywhere; ++warp)
          for (int64_t lane = 0; lane < kWarpLanes && isEverywhere; ++lane)
            isEverywhere = isSame(warp, lane);
        if (isEverywhere)
          found = tile.registers[i];
      }
      begin += tile.type.getShape()[dim];
    }
    if (!found)
      return std::nullopt;
    result.push_back(found);
  }
  return result;
}

LogicalResult Lowering::lowerShapeOp(Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](IotaOp op) { lowerIota(op); })
      .Case([&](SplatOp op) {
        setTile(op.getResult(),
                SmallVector<Value>(getMap(op.getType()).getNumRegisters(),
                                   scalar(op.getValue())));
      })
      .Case([&](ExtractOp op) { lowerExtract(op); })
      .Case([&](BroadcastOp op) { lowerBroadcast(op); })
      .Case([&](ReshapeOp op) { lowerReshape(op); })
      .Case([&](TransposeOp op) { lowerTranspose(op); })
      .Case([&](SliceOp op) { lowerSlice(op); })
      .Case([&](ConcatOp op) { lowerConcat(op); })
      .Case([&](ConvertLayoutOp op) {
        tiles[op.getResult()] = convert(getTile(op.getSource()), op.getType());
      });
  return success();
}
