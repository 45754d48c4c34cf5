//===- Shared.cpp - Shared buffers and barriers ---------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

static constexpr int64_t kChunkBytes = 16, kWordBytes = 4;
static constexpr StringLiteral kDynamicShared = "varve_dynamic_shared";

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Lowering::getSharedPointer(int64_t offset) {
  auto module = source->getParentOfType<ModuleOp>();
  auto global = module.lookupSymbol<LLVM::GlobalOp>(kDynamicShared);
  if (!global) {
    OpBuilder::InsertionGuard guard(code.builder);
    code.builder.setInsertionPointToStart(module.getBody());
    global = code.create<LLVM::GlobalOp>(
        LLVM::LLVMArrayType::get(code.builder.getI8Type(), 0),
        /*isConstant=*/false, LLVM::Linkage::External, kDynamicShared,
        Attribute(), kSwizzledAlignment, kSharedSpace);
  }
  return code.offset(code.create<LLVM::AddressOfOp>(global), offset);
}

int64_t mlir::varve::nvidia::getBufferAlignment(BufferType type) {
  bool isSwizzled = type.getLayout() && type.getLayout().getSwizzle() != 0;
  return isSwizzled ? kSwizzledAlignment : kPlainAlignment;
}

int64_t mlir::varve::nvidia::getStageBytes(RingType type) {
  int64_t bytes = 0, alignment = kPlainAlignment;
  for (BufferType buffer : type.getBuffers()) {
    alignment = std::max(alignment, getBufferAlignment(buffer));
    bytes = llvm::alignTo(bytes, getBufferAlignment(buffer)) +
            buffer.getSizeInBytes();
  }
  return llvm::alignTo(bytes, alignment);
}

SharedBuffer Lowering::allocateBuffer(BufferType type) {
  SharedBuffer buffer;
  buffer.range =
      shared.allocate(type.getSizeInBytes(), getBufferAlignment(type));
  buffer.base = getSharedPointer(buffer.range.begin);
  buffer.whole = type;
  buffer.offsets.assign(type.getRank(), 0);
  buffer.shape.assign(type.getShape().begin(), type.getShape().end());
  return buffer;
}

SharedRange Lowering::getExchange(int64_t bytes) {
  return shared.place(bytes, kPlainAlignment);
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

void Lowering::barrier() {
  shared.noteBarrier();
  if (threads.numWarps == 1) {
    code.create<NVVM::SyncWarpOp>(code.i32(-1));
    return;
  }
  if (threads.barrier == 0 && threads.numWarps == int64_t(source.getWarps())) {
    code.create<NVVM::Barrier0Op>();
    return;
  }
  code.create<NVVM::BarrierOp>(TypeRange(), code.i32(threads.barrier),
                               code.i32(threads.numWarps * kWarpLanes),
                               NVVM::BarrierReductionAttr(), Value());
}

void Lowering::beforeRead(SharedRange range) {
  if (shared.mustWaitToRead(range))
    barrier();
  shared.noteRead(range);
}

void Lowering::beforeWrite(SharedRange range) {
  if (shared.mustWaitToWrite(range))
    barrier();
  shared.noteWrite(range);
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

int64_t Lowering::getContiguousElements(const SharedBuffer &buffer) {
  int64_t bits = buffer.whole.getElementType().getIntOrFloatBitWidth();
  int64_t chunk = kChunkBytes * 8 / bits;
  SharedLayoutAttr layout = buffer.whole.getLayout();
  int64_t known = buffer.offsets.back();
  if (!layout || layout.getSwizzle() == 0)
    known |= buffer.whole.getRank() == 1 ? 0 : buffer.whole.getShape().back();
  if (buffer.exchangedWords > 1)
    chunk = kWordBytes * 8 / bits;
  int64_t width = 1;
  while (2 * width <= chunk && known % (2 * width) == 0)
    width *= 2;
  return width;
}

Value Lowering::getElementAddress(const SharedBuffer &buffer,
                                  ValueRange coordinates) {
  ArrayRef<int64_t> shape = buffer.whole.getShape();
  int64_t bits = buffer.whole.getElementType().getIntOrFloatBitWidth();
  Value row = code.i32(0);
  int64_t rows = 1;
  for (size_t dim = 0; dim + 1 < shape.size(); ++dim) {
    row = code.add(code.mul(row, shape[dim]),
                   code.add(coordinates[dim], buffer.offsets[dim]));
    rows *= shape[dim];
  }
  Value last = code.add(coordinates.back(), buffer.offsets.back());
  Value inRow = bits < 8 ? code.div(last, 8 / bits) : code.mul(last, bits / 8);
  SharedLayoutAttr layout = buffer.whole.getLayout();
  int64_t swizzle = layout ? layout.getSwizzle() : 0;
  if (swizzle == 0) {
    if (buffer.exchangedWords > 1)
      inRow = code.bitXor(
          inRow, code.mul(code.rem(code.div(row, 8), buffer.exchangedWords),
                          kWordBytes));
    int64_t rowBytes = llvm::divideCeil(shape.back() * bits, 8);
    return code.offset(buffer.base, code.add(code.mul(row, rowBytes), inRow));
  }
  // The chunk's number, exchanged within the panel by the row's.
  Value panel = code.div(inRow, swizzle);
  Value inPanel = code.rem(inRow, swizzle);
  Value pattern =
      code.mul(code.rem(code.div(row, 128 / swizzle), swizzle / kChunkBytes),
               kChunkBytes);
  Value panelRow = code.add(code.mul(panel, rows), row);
  return code.offset(buffer.base, code.add(code.mul(panelRow, swizzle),
                                           code.bitXor(inPanel, pattern)));
}

//===----------------------------------------------------------------------===//
// Between registers and buffers
//===----------------------------------------------------------------------===//

static bool isPacked(const SharedBuffer &buffer) {
  return buffer.whole.getElementType().getIntOrFloatBitWidth() == 4;
}

void Lowering::writeBuffer(const RegisterTile &tile,
                           const SharedBuffer &buffer) {
  const LayoutMap &map = getMap(tile.type);
  int64_t width = map.getVectorWidth(getContiguousElements(buffer));
  if (isPacked(buffer) && width == 1)
    return writeBuffer(convert(tile, getPackableType(tile.type)), buffer);
  beforeWrite(buffer.range);
  writeElements(tile, buffer);
}

void Lowering::writeElements(const RegisterTile &tile,
                             const SharedBuffer &buffer) {
  const LayoutMap &map = getMap(tile.type);
  int64_t width = map.getVectorWidth(getContiguousElements(buffer));
  SmallVector<Value> base = getBase(map);
  // Places that hold the same element write the same: no need to choose one.
  for (int64_t reg = 0; reg < map.getNumRegisters(); reg += width)
    if (map.isInside(reg))
      code.store(code.pack(ArrayRef<Value>(tile.registers).slice(reg, width)),
                 getElementAddress(buffer, getCoordinates(map, base, reg)));
}

RegisterTile Lowering::readBuffer(const SharedBuffer &buffer,
                                  RankedTensorType type) {
  const LayoutMap &map = getMap(type);
  beforeRead(buffer.range);
  SmallVector<Value> base = getBase(map);
  int64_t width = map.getVectorWidth(getContiguousElements(buffer));
  Type element = type.getElementType();
  IntegerType storage = getStorageType(element);
  RegisterTile tile{type, {}};
  for (int64_t reg = 0; reg < map.getNumRegisters(); reg += width) {
    SmallVector<Value> coordinates = getCoordinates(map, base, reg);
    Value address = getElementAddress(buffer, coordinates);
    if (isPacked(buffer) && width == 1) {
      Value last = code.add(coordinates.back(), buffer.offsets.back());
      Value odd = code.cmp(arith::CmpIPredicate::ne, code.bitAnd(last, 1), 0);
      tile.registers.push_back(
          code.unpackOne(code.load(address, storage, 1).front(), odd, element));
      continue;
    }
    int64_t count = isPacked(buffer) ? width / 2 : width;
    llvm::append_range(
        tile.registers,
        code.unpack(code.load(address, storage, count), element));
  }
  return tile;
}
