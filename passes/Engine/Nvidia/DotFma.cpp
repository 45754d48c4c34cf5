//===- DotFma.cpp - Matrix products by multiply-add -----------------------===//
//
// Every lane multiplies the rows and columns of its accumulators. Operands that
// are tiles go to shared memory first, as bf16 where that holds them exactly;
// buffers are read where they are. Along k, and within blocks that share
// scales, products are added in ascending order, as on the CPU.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Tile/Layouts.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace {

/// Elements of k that one step of the loop takes, at most.
constexpr int64_t kStep = 8;

/// A matrix in shared memory, seen as [outer, k].
class Operand {
public:
  /// `dim` is the accumulator's dimension that the operand's outer one is.
  Operand(Lowering &lowering, SharedBuffer buffer, bool isTransposed,
          const LayoutMap &map, int64_t dim)
      : lowering(lowering), code(lowering.code), buffer(std::move(buffer)),
        isTransposed(isTransposed) {
    SmallVector<Value> base = lowering.getBase(map);
    for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg)
      if (offsets.insert(map.getOffset(reg)[dim]))
        positions.push_back(lowering.getCoordinate(map, base, reg, dim));
    run = getRun(map, dim);
  }

  size_t size() const { return positions.size(); }
  /// The number of an accumulator's row or column among those of the lane.
  size_t find(int64_t offset) const {
    return llvm::find(offsets, offset) - offsets.begin();
  }
  Value getPosition(size_t i) const { return positions[i]; }

  /// The elements k ... k + count - 1 of all rows, as f32: row i's at i *
  /// count.
  SmallVector<Value> read(Value k, int64_t count) {
    SmallVector<Value> result(size() * count);
    int64_t contiguous = lowering.getContiguousElements(buffer);
    if (!isTransposed) {
      int64_t width = std::min(count, contiguous);
      for (size_t i = 0; i < size(); ++i)
        for (int64_t j = 0; j < count; j += width)
          for (auto [n, value] :
               llvm::enumerate(load({positions[i], code.add(k, j)}, width)))
            result[i * count + j + n] = value;
      return result;
    }
    int64_t width = std::min(run, contiguous);
    for (size_t i = 0; i < size(); i += width)
      for (int64_t j = 0; j < count; ++j)
        for (auto [n, value] :
             llvm::enumerate(load({code.add(k, j), positions[i]}, width)))
          result[(i + n) * count + j] = value;
    return result;
  }

private:
  /// Rows of the lane that are neighbours, from a multiple of their number on.
  int64_t getRun(const LayoutMap &map, int64_t dim) const {
    auto fits = [&](int64_t width) {
      if (size() % width != 0 || map.getShape()[dim] % width != 0)
        return false;
      for (ArrayRef<Coordinates> weights :
           {map.getLaneWeights(), map.getWarpWeights()})
        for (const Coordinates &weight : weights)
          if (weight[dim] % width != 0)
            return false;
      for (size_t i = 0; i < size(); ++i)
        if (offsets[i] != offsets[i - i % width] + int64_t(i % width) ||
            offsets[i - i % width] % width != 0)
          return false;
      return true;
    };
    int64_t width = 1;
    while (width < kStep && fits(2 * width))
      width *= 2;
    return width;
  }

  SmallVector<Value> load(ArrayRef<Value> coordinates, int64_t width) {
    Type element = buffer.whole.getElementType();
    IntegerType storage = getStorageType(element);
    Value address = lowering.getElementAddress(buffer, coordinates);
    SmallVector<Value> elements;
    if (element.getIntOrFloatBitWidth() != 4) {
      elements = code.unpack(code.load(address, storage, width), element);
    } else if (width > 1) {
      elements = code.unpack(code.load(address, storage, width / 2), element);
    } else {
      Value last = code.add(coordinates.back(), buffer.offsets.back());
      Value odd = code.cmp(arith::CmpIPredicate::ne, code.bitAnd(last, 1), 0);
      elements = {
          code.unpackOne(code.load(address, storage, 1).front(), odd, element)};
    }
    if (!element.isF32())
      for (Value &value : elements)
        value = code.create<arith::ExtFOp>(code.builder.getF32Type(), value);
    return elements;
  }

  Lowering &lowering;
  Code &code;
  SharedBuffer buffer;
  /// Stored as [k, outer].
  bool isTransposed;
  llvm::SetVector<int64_t> offsets;
  SmallVector<Value> positions;
  int64_t run;
};

class FmaDot : public DotLowering {
public:
  LogicalResult lower(Lowering &lowering, DotOp op) override;

private:
  /// Lays a tile into the exchange area, from `bytes` on.
  struct Placed {
    RegisterTile tile;
    SharedBuffer buffer;
  };
  Placed place(Lowering &lowering, Value operand, Type element, int64_t &bytes);
};

} // namespace

/// What a tile of `type` is kept as in shared memory.
static Type getKeptType(Type type) {
  if (type.getIntOrFloatBitWidth() >= 16)
    return type;
  return isa<Float8E8M0FNUType>(type)
             ? Type(Float32Type::get(type.getContext()))
             : Type(BFloat16Type::get(type.getContext()));
}

FmaDot::Placed FmaDot::place(Lowering &lowering, Value operand, Type element,
                             int64_t &bytes) {
  Code &code = lowering.code;
  RegisterTile tile = lowering.getTile(operand);
  if (tile.type.getElementType() != element) {
    for (Value &value : tile.registers)
      value = code.create<arith::ExtFOp>(element, value);
    tile.type = tile.type.clone(element);
  }
  // A gap behind each row spreads rows over the banks.
  SmallVector<int64_t> shape(tile.type.getShape());
  int64_t gap = kVectorBytes * 8 / element.getIntOrFloatBitWidth();
  SharedBuffer buffer;
  buffer.shape = shape;
  shape.back() = llvm::alignTo(shape.back(), gap) + gap;
  buffer.whole = BufferType::get(shape, element);
  buffer.offsets.assign(shape.size(), 0);
  buffer.range = {bytes, bytes + buffer.whole.getSizeInBytes()};
  bytes = buffer.range.end;
  return {std::move(tile), std::move(buffer)};
}

LogicalResult FmaDot::lower(Lowering &lowering, DotOp op) {
  Code &code = lowering.code;
  RankedTensorType type = op.getType();
  const LayoutMap &map = lowering.getMap(type);

  // Operands and scales that are tiles lie side by side in the exchange area.
  int64_t bytes = 0;
  SmallVector<Placed> placed;
  auto prepare = [&](Value operand) -> std::optional<size_t> {
    if (!operand || isa<BufferType>(operand.getType()))
      return std::nullopt;
    Type element = getElementTypeOrSelf(operand.getType());
    placed.push_back(place(lowering, operand, getKeptType(element), bytes));
    return placed.size() - 1;
  };
  auto a = prepare(op.getA()), b = prepare(op.getB());
  auto aScale = prepare(op.getAScale()), bScale = prepare(op.getBScale());
  if (!placed.empty()) {
    SharedRange range = lowering.getExchange(bytes);
    // One wait for all.
    lowering.beforeWrite(range);
    for (auto &[tile, buffer] : placed) {
      buffer.base = lowering.getSharedPointer(range.begin + buffer.range.begin);
      buffer.range = {range.begin + buffer.range.begin,
                      range.begin + buffer.range.end};
      lowering.writeElements(tile, buffer);
    }
  }
  auto open = [&](Value operand, std::optional<size_t> number) {
    SharedBuffer buffer =
        number ? placed[*number].buffer : lowering.getBuffer(operand);
    lowering.beforeRead(buffer.range);
    return buffer;
  };
  Operand left(lowering, open(op.getA(), a), op.getATransposed(), map, 0);
  Operand right(lowering, open(op.getB(), b), !op.getBTransposed(), map, 1);

  int64_t k = op.getK(), block = op.getScaleBlock();
  int64_t step = std::min(kStep, block & -block);
  auto accumulate = [&](Value begin, Value end, ValueRange sums) {
    return code.loop(begin, end, step, sums, [&](Value at, ValueRange carried) {
      SmallVector<Value> next(carried);
      SmallVector<Value> rows = left.read(at, step);
      SmallVector<Value> columns = right.read(at, step);
      for (int64_t i = 0; i < step; ++i)
        for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
          ArrayRef<int64_t> offset = map.getOffset(reg);
          next[reg] = code.create<LLVM::FMAOp>(
              rows[left.find(offset[0]) * step + i],
              columns[right.find(offset[1]) * step + i], next[reg]);
        }
      return next;
    });
  };
  SmallVector<Value> sums = lowering.getTile(op.getAccumulator()).registers;
  if (!op.getAScale() && !op.getBScale()) {
    lowering.setTile(op.getResult(),
                     accumulate(code.i32(0), code.i32(k), sums));
    return success();
  }

  // The scales of the lane's rows or columns for a block of k.
  auto readScales = [&](std::optional<size_t> number, const Operand &operand,
                        int64_t size, Value blockNumber) {
    SmallVector<Value> result;
    if (!number)
      return result;
    const Placed &scales = placed[*number];
    ArrayRef<int64_t> shape = scales.tile.type.getShape();
    int64_t perRow = size / shape[0], perBlock = k / shape[1] / block;
    Value column = code.div(blockNumber, perBlock);
    for (size_t i = 0; i < operand.size(); ++i) {
      Value row = code.div(operand.getPosition(i), perRow);
      Value address = lowering.getElementAddress(scales.buffer, {row, column});
      result.push_back(code.fromStorage(
          code.load(address, code.builder.getI32Type(), 1).front(),
          code.builder.getF32Type()));
    }
    return result;
  };
  // getKeptType leaves f32 scales, and makes f32 of the others.
  if (aScale)
    lowering.beforeRead(placed[*aScale].buffer.range);
  if (bScale)
    lowering.beforeRead(placed[*bScale].buffer.range);
  Value zero = code.zero(code.builder.getF32Type());
  sums = code.loop(
      code.i32(0), code.i32(k / block), 1, sums,
      [&](Value number, ValueRange totals) {
        Value begin = code.mul(number, block);
        SmallVector<Value> partial =
            accumulate(begin, code.add(begin, block),
                       SmallVector<Value>(totals.size(), zero));
        SmallVector<Value> rows = readScales(aScale, left, op.getM(), number);
        SmallVector<Value> columns =
            readScales(bScale, right, op.getN(), number);
        SmallVector<Value> next;
        for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
          ArrayRef<int64_t> offset = map.getOffset(reg);
          Value factor;
          if (aScale)
            factor = rows[left.find(offset[0])];
          if (bScale) {
            Value column = columns[right.find(offset[1])];
            factor =
                factor ? code.create<arith::MulFOp>(factor, column) : column;
          }
          next.push_back(
              code.create<LLVM::FMAOp>(partial[reg], factor, totals[reg]));
        }
        return next;
      });
  lowering.setTile(op.getResult(), std::move(sums));
  return success();
}

std::unique_ptr<DotLowering> mlir::varve::nvidia::createFmaDot() {
  return std::make_unique<FmaDot>();
}
