//===- MmaOperand.cpp - Operands of warp-level products -------------------===//

#include "passes/Engine/Nvidia/MmaOperand.h"

#include "passes/Engine/Nvidia/Fragments.h"
#include "varve/Support/Assert.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

static constexpr int64_t kChunkBytes = 16;

MmaGrid::MmaGrid(Lowering &lowering, MmaLayoutAttr layout,
                 ArrayRef<int64_t> shape)
    : layout(layout) {
  Code &code = lowering.code;
  constexpr int64_t sizes[] = {16, 8};
  for (int dim : {0, 1}) {
    warps[dim] = layout.getWarps()[dim];
    tiles[dim] = llvm::divideCeil(shape[dim], sizes[dim] * warps[dim]);
  }
  lane = lowering.threads.lane;
  warp[1] = code.bitAnd(lowering.threads.warp, warps[1] - 1);
  warp[0] = code.bitAnd(
      code.shiftRight(lowering.threads.warp, llvm::Log2_64(warps[1])),
      warps[0] - 1);
}

MmaOperand::MmaOperand(Lowering &lowering, const MmaGrid &grid, Value source,
                       bool isLeft, bool isTransposed, int64_t outer, int64_t k)
    : lowering(lowering), code(lowering.code), grid(grid), source(source),
      isLeft(isLeft), isTransposed(isTransposed), outer(outer), k(k) {
  if (auto type = dyn_cast<BufferType>(source.getType()))
    element = type.getElementType();
  else
    element = getElementTypeOrSelf(source.getType());
  bits = element.getIntOrFloatBitWidth() == 16 ? 16 : 8;
  layout = OperandLayoutAttr::get(source.getContext(), isLeft ? 0 : 1,
                                  grid.layout, bits);
}

Value mlir::varve::nvidia::getSourceBuffer(Value tile, Operation *op) {
  auto read = tile.getDefiningOp<ReadOp>();
  if (!read || read->getBlock() != op->getBlock())
    return {};
  for (Operation *at = read->getNextNode(); at != op; at = at->getNextNode())
    if (at->getNumRegions() != 0 ||
        isa<WriteOp, CopyOp, GatherCopyOp, ReleaseOp>(at))
      return {};
  return read.getBuffer();
}

LogicalResult MmaOperand::prepare(DotOp op) {
  Value stored =
      isa<BufferType>(source.getType()) ? source : getSourceBuffer(source, op);
  if (stored) {
    buffer = lowering.getBuffer(stored);
  } else {
    const RegisterTile &tile = lowering.getTile(source);
    if (tile.type.getEncoding() == layout && !isTransposed &&
        element.getIntOrFloatBitWidth() >= 8)
      registers = &tile;
    else
      stage(tile);
  }
  bool isRowOfK = isLeft != isTransposed;
  if (element.getIntOrFloatBitWidth() < 8 && (!isRowOfK || !canLoadMatrices()))
    return lowering.refuse(op, "a 4-bit operand has to be stored along K, in "
                               "whole rows of 16 bytes");
  return success();
}

/// Writes registers to shared memory, swizzled, so that matrix loads read them.
void MmaOperand::stage(const RegisterTile &tile) {
  MLIRContext *context = code.builder.getContext();
  ArrayRef<int64_t> shape = tile.type.getShape();
  int64_t rowBits = shape.back() * element.getIntOrFloatBitWidth();
  SharedLayoutAttr placement;
  for (int64_t swizzle : {128, 64, 32})
    if (!placement && rowBits % (8 * swizzle) == 0)
      placement = SharedLayoutAttr::get(context, swizzle);
  auto type = BufferType::get(context, shape, element, placement);
  buffer = lowering.allocateBuffer(type);
  lowering.writeBuffer(tile, *buffer);
}

void MmaOperand::beginReads() {
  if (buffer)
    lowering.beforeRead(buffer->range);
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

static int64_t getSwizzle(const SharedBuffer &buffer) {
  SharedLayoutAttr layout = buffer.whole.getLayout();
  return layout ? layout.getSwizzle() : 0;
}

static int64_t getBytes(const SharedBuffer &buffer, int64_t elements) {
  return elements * buffer.whole.getElementType().getIntOrFloatBitWidth() / 8;
}

/// Whether every row is made of aligned chunks, and K lies along rows or
/// elements have the 16 bits that transposing loads exchange.
bool MmaOperand::canLoadMatrices() const {
  ArrayRef<int64_t> shape = buffer->whole.getShape();
  if (getBytes(*buffer, shape.back()) % kChunkBytes != 0 ||
      getBytes(*buffer, buffer->offsets.back()) % kChunkBytes != 0)
    return false;
  bool isRowOfK = isLeft != isTransposed;
  // Rows of the other dimension must not wrap around inside a chunk.
  return isRowOfK || (element.getIntOrFloatBitWidth() == 16 && outer % 16 == 0);
}

/// The address of a chunk of 16 bytes: row `laneRow + row` (`row` a multiple of
/// 8) of the part, chunk `laneChunk + chunk`, where `laneChunk` is less than
/// `laneChunks`, a power of two that divides `chunk`.
Value MmaOperand::getChunkAddress(Value laneRow, int64_t row, Value laneChunk,
                                  int64_t laneChunks, int64_t chunk) {
  ArrayRef<int64_t> shape = buffer->whole.getShape();
  row += buffer->offsets[0];
  chunk += getBytes(*buffer, buffer->offsets[1]) / kChunkBytes;
  int64_t rowBytes = getBytes(*buffer, shape[1]);
  int64_t swizzle = getSwizzle(*buffer);
  if (swizzle == 0) {
    Value lanePart =
        code.add(code.mul(laneRow, rowBytes), code.mul(laneChunk, kChunkBytes));
    return code.offset(code.offset(buffer->base, lanePart),
                       row * rowBytes + chunk * kChunkBytes);
  }
  int64_t perPanel = swizzle / kChunkBytes;
  Value pattern = code.bitAnd(
      code.shiftRight(laneRow, llvm::Log2_64(128 / swizzle)), perPanel - 1);
  if (laneChunks <= perPanel && chunk % laneChunks == 0 && row % 8 == 0) {
    // The constant part of the chunk's number is exclusive-ored last: what
    // remains does not change in loops.
    Value lanePart =
        code.add(code.mul(laneRow, swizzle),
                 code.mul(code.bitXor(laneChunk, pattern), kChunkBytes));
    lanePart = code.bitXor(lanePart, code.i32(chunk % perPanel * kChunkBytes));
    return code.offset(code.offset(buffer->base, lanePart),
                       (chunk / perPanel * shape[0] + row) * swizzle);
  }
  Value number = code.add(laneChunk, chunk);
  Value panel = code.shiftRight(number, llvm::Log2_64(perPanel));
  Value inPanel = code.bitAnd(number, perPanel - 1);
  Value bytes =
      code.add(code.mul(code.add(code.mul(panel, shape[0]), laneRow), swizzle),
               code.mul(code.bitXor(inPanel, pattern), kChunkBytes));
  return code.offset(code.offset(buffer->base, bytes), row * swizzle);
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

/// From registers in the operand's layout: the tiles are in row-major order.
SmallVector<Value> MmaOperand::loadFromTile(int64_t tile, int64_t step) {
  int64_t steps = k / getStepSize();
  int64_t perWord = 32 / bits, words = getNumWords();
  int64_t number = isLeft ? tile * steps + step : step * grid.tiles[1] + tile;
  ArrayRef<Value> all = registers->registers;
  all = all.slice(number * words * perWord, words * perWord);
  SmallVector<Value> result;
  for (; !all.empty(); all = all.drop_front(perWord))
    result.push_back(packWord(code, all.take_front(perWord)));
  return result;
}

/// One by one, from buffers of any shape.
SmallVector<Value> MmaOperand::loadElements(int64_t tile, int64_t step) {
  SmallVector<int64_t, 2> shape = {isLeft ? outer : k, isLeft ? k : outer};
  const LayoutMap &map =
      lowering.getMap(RankedTensorType::get(shape, element, layout));
  SmallVector<Value> base = lowering.getBase(map);
  int64_t steps = k / getStepSize();
  int64_t perWord = 32 / bits, words = getNumWords();
  int64_t number = isLeft ? tile * steps + step : step * grid.tiles[1] + tile;
  SmallVector<Value> result, elements;
  for (int64_t i = 0; i < words * perWord; ++i) {
    SmallVector<Value> coordinates =
        lowering.getCoordinates(map, base, number * words * perWord + i);
    if (isTransposed)
      std::swap(coordinates[0], coordinates[1]);
    Value bitsOf = code.load(lowering.getElementAddress(*buffer, coordinates),
                             getStorageType(element), 1)
                       .front();
    elements.push_back(code.fromStorage(bitsOf, element));
    if (static_cast<int64_t>(elements.size()) == perWord) {
      result.push_back(packWord(code, elements));
      elements.clear();
    }
  }
  return result;
}

/// The row that a lane's elements are of: `laneRow + row`, wrapped.
static std::pair<Value, int64_t> wrapRow(Code &code, Value laneRow, int64_t row,
                                         bool wraps, int64_t rows) {
  if (!wraps)
    return {laneRow, row};
  return {code.rem(code.add(laneRow, row), rows), 0};
}

/// 4-bit floats along K: a word's four elements are two neighbouring bytes.
SmallVector<Value> MmaOperand::loadNibbles(int64_t tile, int64_t step) {
  int64_t size = getTileSize(), dim = isLeft ? 0 : 1;
  bool wraps = grid.tiles[dim] * grid.warps[dim] * size != outer;
  SmallVector<Value> words;
  for (int64_t word = 0; word < getNumWords(); ++word) {
    int64_t below = isLeft ? word % 2 * 8 : 0;
    int64_t half = isLeft ? word / 2 : word;
    Value laneRow =
        code.add(code.mul(grid.warp[dim], size), code.shiftRight(grid.lane, 2));
    auto [inTile, row] = wrapRow(
        code, laneRow, tile * grid.warps[dim] * size + below, wraps, outer);
    Value address = getChunkAddress(inTile, row, code.i32(0), 1, step);
    address = code.offset(address, code.mul(code.bitAnd(grid.lane, 3), 2));
    Value codes =
        code.load(code.offset(address, half * 8), code.builder.getI16Type(), 1)
            .front();
    Value wide = code.create<arith::ExtUIOp>(code.builder.getI32Type(), codes);
    words.push_back(widenToE4M3(code, wide).front());
  }
  return words;
}

/// Matrix loads for `count` tiles (of the right operand: 1 or 2) from `tile`.
SmallVector<Value> MmaOperand::loadRows(int64_t tile, int64_t step,
                                        int64_t count) {
  bool isRowOfK = isLeft != isTransposed;
  int64_t dim = isLeft ? 0 : 1;
  int64_t size = getTileSize(), warps = grid.warps[dim];
  Value inMatrix = code.bitAnd(grid.lane, 7);
  Value low = code.bitAnd(code.shiftRight(grid.lane, 3), 1);
  Value high = code.shiftRight(grid.lane, 4);
  // Matrices alternate first along M (left) or K (right).
  Value alongOuter = isLeft ? low : high, alongK = isLeft ? high : low;
  if (count == 1 && !isLeft)
    alongOuter = code.i32(0);
  int64_t matrices = isLeft ? 4 : 2 * count;
  // The distance of the two matrices along the outer dimension: the halves of a
  // left tile, or two tiles of the right one.
  int64_t distance = isLeft ? 8 : size * warps;
  if (isRowOfK) {
    Value laneRow = code.add(code.add(code.mul(grid.warp[dim], size), inMatrix),
                             code.mul(alongOuter, distance));
    bool wraps = grid.tiles[dim] * warps * size != outer;
    auto [inTile, row] =
        wrapRow(code, laneRow, tile * warps * size, wraps, outer);
    return loadMatrices(code, getChunkAddress(inTile, row, alongK, 2, 2 * step),
                        matrices, /*transposed=*/false);
  }
  Value laneRow = code.add(inMatrix, code.mul(alongK, 8));
  Value laneChunk = code.add(code.mul(grid.warp[dim], size / 8),
                             code.mul(alongOuter, distance / 8));
  int64_t laneChunks = isLeft ? 2 * warps : count * warps;
  int64_t chunk = tile * warps * size / 8;
  if (grid.tiles[dim] * warps * size != outer) {
    laneChunk = code.rem(code.add(laneChunk, chunk), outer / 8);
    laneChunks = std::numeric_limits<int64_t>::max();
    chunk = 0;
  }
  return loadMatrices(
      code, getChunkAddress(laneRow, 16 * step, laneChunk, laneChunks, chunk),
      matrices, /*transposed=*/true);
}

SmallVector<SmallVector<Value>> MmaOperand::load(int64_t step) {
  int64_t tiles = grid.tiles[isLeft ? 0 : 1];
  SmallVector<SmallVector<Value>> result;
  if (registers || element.getIntOrFloatBitWidth() < 8 || !canLoadMatrices()) {
    for (int64_t tile = 0; tile < tiles; ++tile)
      result.push_back(registers ? loadFromTile(tile, step)
                       : element.getIntOrFloatBitWidth() < 8
                           ? loadNibbles(tile, step)
                           : loadElements(tile, step));
    return result;
  }
  if (isLeft) {
    for (int64_t tile = 0; tile < tiles; ++tile)
      result.push_back(loadRows(tile, step, 1));
    return result;
  }
  for (int64_t tile = 0; tile < tiles; tile += 2) {
    SmallVector<Value> words =
        loadRows(tile, step, std::min<int64_t>(2, tiles - tile));
    for (ArrayRef<Value> rest = words; !rest.empty(); rest = rest.drop_front(2))
      result.push_back(SmallVector<Value>(rest.take_front(2)));
  }
  return result;
}
