//===- WgmmaPlan.cpp - Operands and instructions of a product -------------===//

#include "passes/Engine/Nvidia/WgmmaPlan.h"

#include "passes/Engine/Nvidia/AsyncBarrier.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Tile/DotFamily.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static int64_t getSwizzle(BufferType buffer) {
  return buffer.getLayout() ? buffer.getLayout().getSwizzle() : 0;
}

static WgmmaOperandShape getOperandShape(BufferType whole, bool isMNMajor) {
  return {getSwizzle(whole), whole.getShape()[0],
          whole.getElementType().getIntOrFloatBitWidth(), isMNMajor};
}

/// The placement in shared memory of an operand of this type, which rows of a
/// multiple of 32 bytes have; else null.
static SharedLayoutAttr getPlacement(RankedTensorType operand) {
  int64_t bytes = operand.getShape()[1] * operand.getElementTypeBitWidth() / 8;
  for (int64_t swizzle : {128, 64, 32})
    if (bytes % swizzle == 0)
      return SharedLayoutAttr::get(operand.getContext(), swizzle);
  return {};
}

/// Whether warpgroup products can read an operand from a buffer of this type
/// (a part of it at whole panels and rows of 8). An MN-major one has rows of M
/// or N, of which one instruction takes `step`.
static bool canRead(BufferType whole, int64_t step, bool isMNMajor) {
  if (getSwizzle(whole) == 0 || whole.getRank() != 2 ||
      !isWgmmaType(whole.getElementType()))
    return false;
  WgmmaOperandShape shape = getOperandShape(whole, isMNMajor);
  // Only 16-bit elements can be transposed, and in whole panels.
  if (isMNMajor)
    return shape.elementBits == 16 && step % shape.getPanelElements() == 0;
  return true;
}

/// An operand where instructions can read it, in shared memory of this op.
static SharedBuffer makeShared(Lowering &lowering, WgmmaPlan &plan,
                               Value operand) {
  auto shaped = RankedTensorType::get(
      isa<BufferType>(operand.getType())
          ? cast<BufferType>(operand.getType()).getShape()
          : cast<RankedTensorType>(operand.getType()).getShape(),
      isa<BufferType>(operand.getType())
          ? cast<BufferType>(operand.getType()).getElementType()
          : cast<RankedTensorType>(operand.getType()).getElementType());
  auto type = BufferType::get(shaped.getShape(), shaped.getElementType(),
                              getPlacement(shaped));
  SharedBuffer buffer = lowering.allocateBuffer(type);
  RegisterTile tile;
  if (isa<BufferType>(operand.getType()))
    tile = lowering.readBuffer(lowering.getBuffer(operand),
                               lowering.getMovedType(type));
  else
    tile = lowering.getTile(operand);
  lowering.writeBuffer(tile, buffer);
  plan.ownRange =
      plan.hasOwnBuffers
          ? SharedRange{std::min(plan.ownRange.begin, buffer.range.begin),
                        std::max(plan.ownRange.end, buffer.range.end)}
          : buffer.range;
  plan.hasOwnBuffers = true;
  return buffer;
}

static void readShared(Lowering &lowering, WgmmaPlan &plan,
                       WgmmaOperand &operand, const SharedBuffer &buffer,
                       bool isMNMajor, bool isLeft) {
  Code &code = lowering.code;
  operand.shape = getOperandShape(buffer.whole, isMNMajor);
  operand.shared = buffer;
  int64_t mn = buffer.offsets[isMNMajor ? 1 : 0];
  int64_t k = buffer.offsets[isMNMajor ? 0 : 1];
  Value address = code.offset(buffer.base, operand.shape.getOffset(mn, k));
  int64_t step = isLeft ? kWgmmaRows : plan.instruction.n;
  Value group = isLeft ? plan.groupRow : plan.groupColumn;
  address =
      code.offset(address, code.mul(group, operand.shape.getOffset(step, 0)));
  operand.descriptor =
      makeWgmmaDescriptor(code.builder, code.loc, address, operand.shape);
}

/// Pairs, or quadruples, of a left operand's elements as words.
static void readRegisters(Lowering &lowering, WgmmaPlan &plan, Value value) {
  Code &code = lowering.code;
  const RegisterTile &tile = lowering.getTile(value);
  int64_t perWord = 32 / tile.type.getElementTypeBitWidth();
  for (size_t reg = 0; reg < tile.registers.size(); reg += perWord) {
    Value word;
    if (perWord == 2) {
      Value vector = code.create<LLVM::UndefOp>(
          VectorType::get(2, tile.type.getElementType()));
      for (int64_t i = 0; i < 2; ++i)
        vector = code.create<LLVM::InsertElementOp>(
            vector, tile.registers[reg + i], code.i32(i));
      word = code.create<LLVM::BitcastOp>(code.builder.getI32Type(), vector);
    } else {
      for (int64_t i = 0; i < perWord; ++i) {
        Value bits = code.create<arith::ExtUIOp>(
            code.builder.getI32Type(), code.toStorage(tile.registers[reg + i]));
        bits = code.shiftLeft(bits, 8 * i);
        word = word ? code.bitOr(word, bits) : bits;
      }
    }
    plan.a.words.push_back(word);
  }
}

FailureOr<WgmmaPlan> mlir::varve::nvidia::makeWgmmaPlan(Lowering &lowering,
                                                        DotOp op) {
  WgmmaPlan plan;
  Code &code = lowering.code;
  plan.layout = cast<WgmmaLayoutAttr>(op.getType().getEncoding());
  plan.m = op.getM();
  plan.n = op.getN();
  plan.k = op.getK();
  auto getElement = [](Value operand) {
    if (auto buffer = dyn_cast<BufferType>(operand.getType()))
      return buffer.getElementType();
    return cast<RankedTensorType>(operand.getType()).getElementType();
  };
  plan.instruction.n = plan.layout.getN();
  std::optional<CodeProduct> codes = getCodeProduct(op);
  bool isOfCodes = codes.has_value();
  plan.instruction.aType = getElement(isOfCodes ? op.getB() : op.getA());
  if (codes == CodeProduct::Shifted)
    plan.instruction.aType = Float8E5M2Type::get(op.getContext());
  plan.instruction.bType = getElement(op.getB());
  plan.instruction.aMNMajor = op.getATransposed();
  plan.instruction.bMNMajor = !op.getBTransposed();
  ArrayRef<int64_t> groups = plan.layout.getWarpgroups();
  if (lowering.threads.numWarps % kGroupWarps != 0 ||
      plan.m % (kWgmmaRows * groups[0]) != 0 ||
      plan.n % (plan.instruction.n * groups[1]) != 0 ||
      plan.k % plan.instruction.getK() != 0 ||
      !isWgmmaType(plan.instruction.aType) ||
      !isWgmmaType(plan.instruction.bType))
    return lowering.refuse(
        op, "its sizes, its types or the number of warps do not suit "
            "warpgroup products; give it an accumulator of another layout");
  plan.rowTiles = plan.m / (kWgmmaRows * groups[0]);
  plan.columnTiles = plan.n / (plan.instruction.n * groups[1]);
  Value group = code.shiftRight(lowering.threads.warp, 2);
  plan.groupColumn = code.rem(group, groups[1]);
  plan.groupRow = code.rem(code.div(group, groups[1]), groups[0]);

  auto isInPlace = [&](Value operand, int64_t step, bool isMNMajor) {
    return isa<BufferType>(operand.getType()) &&
           canRead(lowering.getBuffer(operand).whole, step, isMNMajor);
  };
  // What goes through shared memory is written before anything is under way.
  SharedBuffer aBuffer, bBuffer;
  auto aTile = dyn_cast<RankedTensorType>(op.getA().getType());
  auto operandLayout = aTile ? dyn_cast<OperandLayoutAttr>(aTile.getEncoding())
                             : OperandLayoutAttr();
  bool aInRegisters =
      isOfCodes ||
      (operandLayout && operandLayout.getIndex() == 0 &&
       operandLayout.getParent() == plan.layout && !op.getATransposed());
  if (!aInRegisters) {
    if (isInPlace(op.getA(), kWgmmaRows, op.getATransposed())) {
      aBuffer = lowering.getBuffer(op.getA());
      plan.a.buffer = op.getA();
    } else {
      aBuffer = makeShared(lowering, plan, op.getA());
    }
  }
  if (isInPlace(op.getB(), plan.instruction.n, !op.getBTransposed())) {
    bBuffer = lowering.getBuffer(op.getB());
    plan.b.buffer = op.getB();
  } else {
    bBuffer = makeShared(lowering, plan, op.getB());
  }
  auto checkOwn = [&](const SharedBuffer &buffer, int64_t step,
                      bool isMNMajor) -> LogicalResult {
    if (canRead(buffer.whole, step, isMNMajor))
      return success();
    return lowering.refuse(op, "an operand's rows are no multiple of 32 bytes, "
                               "or its elements cannot be transposed");
  };
  if ((!aInRegisters &&
       failed(checkOwn(aBuffer, kWgmmaRows, op.getATransposed()))) ||
      failed(checkOwn(bBuffer, plan.instruction.n, !op.getBTransposed())))
    return failure();
  // Other threads' stores, also of buffers that the program wrote itself.
  auto enter = [&](const SharedBuffer &buffer) {
    lowering.beforeRead(buffer.range);
  };
  bool mayBeStores = plan.hasOwnBuffers || !lowering.products->mayOverlap;
  auto isStage = [](const SharedBuffer &buffer) {
    return buffer.range.size() == 0;
  };
  if (!aInRegisters)
    mayBeStores |= !isStage(aBuffer);
  mayBeStores |= !isStage(bBuffer);
  if (mayBeStores)
    fenceAsyncProxy(code.builder, code.loc);
  if (!aInRegisters)
    enter(aBuffer);
  enter(bBuffer);
  if (aInRegisters && !isOfCodes)
    readRegisters(lowering, plan, op.getA());
  if (!aInRegisters)
    readShared(lowering, plan, plan.a, aBuffer, op.getATransposed(),
               /*isLeft=*/true);
  readShared(lowering, plan, plan.b, bBuffer, !op.getBTransposed(),
             /*isLeft=*/false);
  return plan;
}
//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

void WgmmaPlan::start(Lowering &lowering, MutableArrayRef<Value> registers,
                      int64_t begin, int64_t end,
                      std::optional<Value> accumulate) const {
  Code &code = lowering.code;
  ArrayRef<int64_t> groups = layout.getWarpgroups();
  int64_t perTile = instruction.n / 2, step = instruction.getK();
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t j = 0; j < columnTiles; ++j) {
      MutableArrayRef<Value> tile =
          registers.slice((i * columnTiles + j) * perTile, perTile);
      for (int64_t at = begin; at < end; at += step) {
        SmallVector<Value> left;
        if (a.descriptor)
          left = {a.getDescriptor(code, i * groups[0] * kWgmmaRows, at)};
        else
          left.append(a.words.begin() + (i * k + at) / step * 4,
                      a.words.begin() + ((i * k + at) / step + 1) * 4);
        Value right = b.getDescriptor(code, j * groups[1] * instruction.n, at);
        Value adds;
        if (at == begin)
          adds = accumulate ? *accumulate : code.boolean(false);
        llvm::copy(startWgmma(code.builder, code.loc, instruction, tile, left,
                              right, adds),
                   tile.begin());
      }
    }
}

void WgmmaPlan::multiply(Lowering &lowering, MutableArrayRef<Value> registers,
                         int64_t begin, int64_t end,
                         std::optional<Value> accumulate) const {
  fenceWgmma(lowering.code.builder, lowering.code.loc);
  start(lowering, registers, begin, end, accumulate);
  commitWgmma(lowering.code.builder, lowering.code.loc);
}
