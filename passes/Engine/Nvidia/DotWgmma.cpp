//===- DotWgmma.cpp - Matrix products by warpgroups -----------------------===//
//
// A product becomes one group of asynchronous instructions; AsyncProducts says
// when somebody has to wait for it. Operands that are swizzled shared buffers
// are multiplied where they lie; a left operand may be in registers; anything
// else goes through a swizzled buffer of this op's own.
//
// With scales, each block of K that shares them is a product of its own into
// registers of its own, which are then added to the sum. Scales of 4-bit codes
// are folded into a left operand in registers instead.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/DotWgmma.h"
#include "dialects/Tile/QuadOrder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Engine/Nvidia/AsyncBarrier.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/MmaOperand.h"
#include "passes/Engine/Nvidia/RegisterCodes.h"
#include "passes/Engine/Nvidia/Wgmma.h"
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

SharedLayoutAttr
mlir::varve::nvidia::getWgmmaPlacement(RankedTensorType operand) {
  int64_t bytes = operand.getShape()[1] * operand.getElementTypeBitWidth() / 8;
  for (int64_t swizzle : {128, 64, 32})
    if (bytes % swizzle == 0)
      return SharedLayoutAttr::get(operand.getContext(), swizzle);
  return {};
}

bool mlir::varve::nvidia::canReadWgmmaOperand(BufferType whole, int64_t step,
                                              bool isMNMajor) {
  if (getSwizzle(whole) == 0 || whole.getRank() != 2 ||
      !isWgmmaType(whole.getElementType()))
    return false;
  WgmmaOperandShape shape = getOperandShape(whole, isMNMajor);
  // Only 16-bit elements can be transposed, and in whole panels.
  if (isMNMajor)
    return shape.elementBits == 16 && step % shape.getPanelElements() == 0;
  return true;
}

namespace {

/// An operand as instructions take it.
struct Operand {
  WgmmaOperandShape shape;
  /// Of this warpgroup's first instruction; null for registers.
  Value descriptor;
  /// Words of 32 bits of a left operand in registers.
  SmallVector<Value> words;
  /// The source buffer that is read, if any.
  Value buffer;

  /// The operand of the instruction at (mn, k) from the first.
  Value getDescriptor(Code &code, int64_t mn, int64_t k) const {
    return code.add(descriptor, shape.getOffset(mn, k) / 16);
  }
};

class WgmmaDot : public DotLowering {
public:
  LogicalResult lower(Lowering &lowering, DotOp op) override;

private:
  struct Plan {
    WgmmaLayoutAttr layout;
    WgmmaInstruction instruction;
    int64_t m, n, k;
    /// Instructions per warpgroup.
    int64_t rowTiles, columnTiles;
    /// Of this thread.
    Value groupRow, groupColumn;
    Operand a, b;
    /// Whether operands were written for this op alone.
    bool hasOwnBuffers = false;
    SharedRange ownRange;
  };
  LogicalResult makePlan(Lowering &lowering, DotOp op, Plan &plan);
  void readShared(Lowering &lowering, Plan &plan, Operand &operand,
                  const SharedBuffer &buffer, bool isMNMajor, bool isLeft);
  void readRegisters(Lowering &lowering, Plan &plan, Value tile);
  SharedBuffer makeShared(Lowering &lowering, Plan &plan, Value operand);
  void start(Lowering &lowering, Plan &plan, MutableArrayRef<Value> registers,
             int64_t begin, int64_t end, std::optional<Value> accumulate);
  void multiply(Lowering &lowering, Plan &plan,
                MutableArrayRef<Value> registers, int64_t begin, int64_t end,
                std::optional<Value> accumulate);
  void multiplyFolded(Lowering &lowering, DotOp op, Plan &plan,
                      MutableArrayRef<Value> registers,
                      std::optional<Value> accumulate);
  LogicalResult lowerScaled(Lowering &lowering, DotOp op, Plan &plan);
  void multiplyCodes(Lowering &lowering, DotOp op, Plan &plan);
};

} // namespace

/// An operand where instructions can read it, in shared memory of this op.
SharedBuffer WgmmaDot::makeShared(Lowering &lowering, Plan &plan,
                                  Value operand) {
  auto shaped = RankedTensorType::get(
      isa<BufferType>(operand.getType())
          ? cast<BufferType>(operand.getType()).getShape()
          : cast<RankedTensorType>(operand.getType()).getShape(),
      isa<BufferType>(operand.getType())
          ? cast<BufferType>(operand.getType()).getElementType()
          : cast<RankedTensorType>(operand.getType()).getElementType());
  auto type = BufferType::get(shaped.getShape(), shaped.getElementType(),
                              getWgmmaPlacement(shaped));
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

void WgmmaDot::readShared(Lowering &lowering, Plan &plan, Operand &operand,
                          const SharedBuffer &buffer, bool isMNMajor,
                          bool isLeft) {
  Code &code = lowering.code;
  operand.shape = getOperandShape(buffer.whole, isMNMajor);
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
void WgmmaDot::readRegisters(Lowering &lowering, Plan &plan, Value value) {
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

LogicalResult WgmmaDot::makePlan(Lowering &lowering, DotOp op, Plan &plan) {
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
  bool isOfCodes = takesCodes(op);
  plan.instruction.aType = getElement(isOfCodes ? op.getB() : op.getA());
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
           canReadWgmmaOperand(lowering.getBuffer(operand).whole, step,
                               isMNMajor);
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
    if (canReadWgmmaOperand(buffer.whole, step, isMNMajor))
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
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Starts the instructions for begin <= k < end. Without a value, `accumulate`
/// is false for the first of each tile.
void WgmmaDot::start(Lowering &lowering, Plan &plan,
                        MutableArrayRef<Value> registers, int64_t begin,
                        int64_t end, std::optional<Value> accumulate) {
  Code &code = lowering.code;
  const WgmmaInstruction &instruction = plan.instruction;
  ArrayRef<int64_t> groups = plan.layout.getWarpgroups();
  int64_t perTile = instruction.n / 2, step = instruction.getK();
  fenceWgmma(code.builder, code.loc);
  for (int64_t i = 0; i < plan.rowTiles; ++i)
    for (int64_t j = 0; j < plan.columnTiles; ++j) {
      MutableArrayRef<Value> tile =
          registers.slice((i * plan.columnTiles + j) * perTile, perTile);
      for (int64_t k = begin; k < end; k += step) {
        SmallVector<Value> a;
        if (plan.a.descriptor)
          a = {plan.a.getDescriptor(code, i * groups[0] * kWgmmaRows, k)};
        else
          a.append(plan.a.words.begin() + (i * plan.k + k) / step * 4,
                   plan.a.words.begin() + ((i * plan.k + k) / step + 1) * 4);
        Value b = plan.b.getDescriptor(code, j * groups[1] * instruction.n, k);
        Value adds;
        if (k == begin)
          adds = accumulate ? *accumulate : code.boolean(false);
        llvm::copy(
            startWgmma(code.builder, code.loc, instruction, tile, a, b, adds),
            tile.begin());
      }
    }
}

/// As `start`, and closes their group.
void WgmmaDot::multiply(Lowering &lowering, Plan &plan,
                        MutableArrayRef<Value> registers, int64_t begin,
                        int64_t end, std::optional<Value> accumulate) {
  start(lowering, plan, registers, begin, end, accumulate);
  commitWgmma(lowering.code.builder, lowering.code.loc);
}

/// Codes are unpacked for a part of K while the products of the part before
/// run: two parts' words are alive at a time.
void WgmmaDot::multiplyFolded(Lowering &lowering, DotOp op, Plan &plan,
                              MutableArrayRef<Value> registers,
                              std::optional<Value> accumulate) {
  constexpr int64_t kPart = 64;
  AsyncProducts &products = *lowering.products;
  int64_t step = plan.instruction.getK();
  FoldedCodes codes(lowering, op, plan.groupRow,
                    plan.layout.getWarpgroups()[0]);
  plan.a.words.resize(plan.rowTiles * plan.k / step * 4);
  for (int64_t k = 0; k < plan.k; k += kPart) {
    products.waitUntilPending(1);
    for (int64_t i = 0; i < plan.rowTiles; ++i)
      for (int64_t at = k; at < k + kPart; at += step)
        llvm::copy(codes.getWords(i, at),
                   plan.a.words.begin() + (i * plan.k + at) / step * 4);
    multiply(lowering, plan, registers, k, k + kPart, accumulate);
    accumulate = Value();
    if (k + kPart < plan.k)
      products.afterPart();
  }
}

LogicalResult WgmmaDot::lower(Lowering &lowering, DotOp op) {
  Code &code = lowering.code;
  SharedArena::Scope scope(lowering.shared);
  AsyncProducts &products = *lowering.products;
  // Products that came over an edge are waited for before others start.
  products.beforeProduct(op.getAccumulator());
  Plan plan;
  if (failed(makePlan(lowering, op, plan)))
    return failure();
  bool isFolded = foldsScales(op);
  if (scalesSums(op)) {
    multiplyCodes(lowering, op, plan);
    return success();
  }
  if (!isFolded && (op.getAScale() || op.getBScale()))
    return lowerScaled(lowering, op, plan);

  std::optional<Value> accumulate = products.getAccumulate(op.getAccumulator());
  SmallVector<Value> registers =
      lowering.tiles.find(op.getAccumulator())->second.registers;
  if (!accumulate)
    for (Value &value : registers)
      value = code.create<LLVM::UndefOp>(value.getType());
  if (isFolded)
    multiplyFolded(lowering, op, plan, registers, accumulate);
  else
    multiply(lowering, plan, registers, 0, plan.k, accumulate);
  lowering.setTile(op.getResult(), registers);
  SmallVector<Value> buffers;
  for (Value buffer : {plan.a.buffer, plan.b.buffer})
    if (buffer)
      buffers.push_back(buffer);
  products.afterProduct(op, buffers);
  // Memory of this op, and buffers that the role writes itself, may be written
  // again after the next barrier.
  bool isOwn = plan.hasOwnBuffers || !products.mayOverlap;
  for (Value buffer : buffers)
    isOwn |= lowering.getBuffer(buffer).range.size() != 0;
  if (isOwn)
    products.settle(op.getResult());
  return success();
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

namespace {
/// The scales of one operand, where this thread finds them.
class Scales {
public:
  /// Of the rows (dim 0) or columns (dim 1) of `accumulator`; `scale` is null
  /// where there are none.
  Scales(Lowering &lowering, DotOp op, Value scale, unsigned dim)
      : lowering(lowering), dim(dim), map(lowering.getMap(op.getType())) {
    if (!scale)
      return;
    RankedTensorType accumulator = op.getType();
    int64_t k = op.getK();
    tile = lowering.getTile(scale);
    ArrayRef<int64_t> shape = tile->type.getShape();
    perScale = accumulator.getShape()[dim] / shape[0];
    perBlock = k / shape[1];
    isUniform = shape[0] == 1 && shape[1] == 1;
    isAligned = dim == 0 && perScale == 1 && shape[1] == 1 &&
                tile->type.getEncoding() == accumulator.getEncoding();
    if (isUniform || isAligned)
      return;
    if (Value source = getSourceBuffer(scale, op)) {
      buffer = lowering.getBuffer(source);
    } else {
      buffer = lowering.allocateBuffer(
          BufferType::get(shape, tile->type.getElementType()));
      lowering.writeBuffer(*tile, *buffer);
    }
    lowering.beforeRead(buffer->range);
    base = lowering.getBase(map);
  }

  /// The f32 factor of a register of the accumulator for the block of K that
  /// begins at `k`; null for 1.
  Value get(int64_t reg, int64_t k) {
    if (!tile)
      return {};
    int64_t offset = map.getOffset(reg)[dim];
    Value &value = known[{isUniform ? 0 : offset, k / perBlock}];
    if (!value)
      value = make(reg, offset, k);
    return value;
  }

private:
  Value make(int64_t reg, int64_t offset, int64_t k) {
    Code &code = lowering.code;
    Value scale;
    if (isUniform) {
      scale = tile->registers.front();
    } else if (isAligned) {
      const LayoutMap &own = lowering.getMap(tile->type);
      int64_t found = 0;
      while (own.getOffset(found)[0] != offset)
        ++found;
      scale = tile->registers[found];
    } else {
      Value row =
          code.div(lowering.getCoordinate(map, base, reg, dim), perScale);
      Value address =
          lowering.getElementAddress(*buffer, {row, code.i32(k / perBlock)});
      Type element = tile->type.getElementType();
      scale = code.fromStorage(
          code.load(address, getStorageType(element), 1).front(), element);
    }
    if (!scale.getType().isF32())
      scale = code.create<arith::ExtFOp>(code.builder.getF32Type(), scale);
    return scale;
  }

  Lowering &lowering;
  unsigned dim;
  const LayoutMap &map;
  std::optional<RegisterTile> tile;
  std::optional<SharedBuffer> buffer;
  SmallVector<Value> base;
  int64_t perScale = 1, perBlock = 1;
  bool isUniform = false, isAligned = false;
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> known;
};
} // namespace

LogicalResult WgmmaDot::lowerScaled(Lowering &lowering, DotOp op, Plan &plan) {
  Code &code = lowering.code;
  int64_t block = op.getScaleBlock();
  if (block % plan.instruction.getK() != 0)
    return lowering.refuse(op, "blocks of " + Twine(block) +
                                   " elements share scales, and an instruction "
                                   "takes " +
                                   Twine(plan.instruction.getK()));
  AsyncProducts &products = *lowering.products;
  SmallVector<Value> sums = lowering.getTile(op.getAccumulator()).registers;
  Scales rows(lowering, op, op.getAScale(), 0);
  Scales columns(lowering, op, op.getBScale(), 1);
  // What other threads write behind the next barrier must have been read.
  llvm::DenseMap<std::pair<Value, Value>, Value> factors;
  for (int64_t k = 0; k < plan.k; k += block) {
    SmallVector<Value> partial;
    for (Value sum : sums)
      partial.push_back(code.create<LLVM::UndefOp>(sum.getType()));
    multiply(lowering, plan, partial, k, k + block, std::nullopt);
    SmallVector<Value> scales;
    for (size_t reg = 0; reg < sums.size(); ++reg) {
      Value a = rows.get(reg, k), b = columns.get(reg, k);
      Value &factor = factors[{a, b}];
      if (!factor)
        factor =
            a && b ? code.create<arith::MulFOp>(a, b).getResult() : (a ? a : b);
      scales.push_back(factor);
    }
    partial = products.finishNow(partial);
    for (size_t reg = 0; reg < sums.size(); ++reg)
      sums[reg] =
          code.create<math::FmaOp>(partial[reg], scales[reg], sums[reg]);
  }
  lowering.setTile(op.getResult(), sums);
  return success();
}

/// Products of one instruction along K have sums of their own. Those of a block
/// are under way while codes of the next one are unpacked.
void WgmmaDot::multiplyCodes(Lowering &lowering, DotOp op, Plan &plan) {
  Code &code = lowering.code;
  AsyncProducts &products = *lowering.products;
  const LayoutMap &map = lowering.getMap(op.getType());
  ArrayRef<int64_t> groups = plan.layout.getWarpgroups();
  NarrowCodes codes(lowering, op, plan.groupRow, groups[0]);
  Scales columns(lowering, op, op.getBScale(), 1);
  SmallVector<Value> sums = lowering.getTile(op.getAccumulator()).registers;
  int64_t step = plan.instruction.getK();

  auto startBlock = [&](int64_t block) {
    plan.a.words.clear();
    plan.a.words.resize(plan.rowTiles * plan.k / step * 4);
    for (int64_t i = 0; i < plan.rowTiles; ++i)
      for (int64_t k = block; k < block + kQuadBlock; k += step)
        llvm::copy(codes.getWords(i, k),
                   plan.a.words.begin() + (i * plan.k + k) / step * 4);
    SmallVector<Value> partial;
    for (int64_t k = block; k < block + kQuadBlock; k += step) {
      SmallVector<Value> part;
      for (Value sum : sums)
        part.push_back(code.create<LLVM::UndefOp>(sum.getType()));
      start(lowering, plan, part, k, k + step, std::nullopt);
      llvm::append_range(partial, part);
    }
    commitWgmma(code.builder, code.loc);
    return partial;
  };
  Value inverse =
      code.floatConstant(code.builder.getF32Type(), NarrowCodes::kInverse);
  auto add = [&](ValueRange partial, int64_t block) {
    for (int64_t k = block; k < block + kQuadBlock; k += step)
      for (size_t reg = 0; reg < sums.size(); ++reg) {
        // One after the other: together they may be infinite beside a zero.
        Value product = code.create<arith::MulFOp>(
            partial[(k - block) / step * sums.size() + reg],
            codes.getFactor(map.getOffset(reg)[0], k));
        Value column =
            code.create<arith::MulFOp>(columns.get(reg, k), inverse);
        sums[reg] = code.create<math::FmaOp>(product, column, sums[reg]);
      }
  };
  SmallVector<Value> partial = startBlock(0);
  for (int64_t block = 0; block < plan.k; block += kQuadBlock) {
    SmallVector<Value> next;
    if (block + kQuadBlock < plan.k) {
      products.afterPart();
      next = startBlock(block + kQuadBlock);
      partial = waitWgmma(code.builder, code.loc, 1, partial);
    } else {
      partial = products.finishNow(partial);
    }
    add(partial, block);
    partial = std::move(next);
  }
  lowering.setTile(op.getResult(), sums);
}

std::unique_ptr<DotLowering> mlir::varve::nvidia::createWgmmaDot() {
  return std::make_unique<WgmmaDot>();
}
