//===- Control.cpp - Loops, branches, roles, rings ------------------------===//
//
// Scalars and buffers (as pointers) travel through loops as they are. A tile
// that a loop carries has one array, which every iteration reads and leaves the
// next value in. Slots and tokens vanish: the text runs in order.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/X86/Lowering.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

//===----------------------------------------------------------------------===//
// Carried values
//===----------------------------------------------------------------------===//

static bool isDirect(Type type) {
  return !isa<RankedTensorType, SlotType, TokenType>(type);
}

LogicalResult Lowering::checkDirect(Operation *op, ValueRange values) {
  for (Value value : values) {
    auto buffer = dyn_cast<BufferType>(value.getType());
    if (buffer && buffers[value].strides != getDenseStrides(buffer.getShape()))
      return refuse(op, "it carries a part of a buffer; carry the buffer and "
                        "take the part inside");
    if (isa<ViewType, RingType>(value.getType()))
      return refuse(op, "it carries a view or a ring");
  }
  return success();
}

SmallVector<Value> Lowering::getDirect(ValueRange values) {
  SmallVector<Value> result;
  for (Value value : values) {
    if (!isDirect(value.getType()))
      continue;
    if (!isa<BufferType>(value.getType())) {
      result.push_back(scalar(value));
      continue;
    }
    const Array &buffer = buffers[value];
    result.push_back(code.offsetPointer(buffer.base, code.index(buffer.offset),
                                        getStorageType(buffer.element)));
  }
  return result;
}

SmallVector<Type> Lowering::getDirectTypes(TypeRange types) {
  SmallVector<Type> result;
  for (Type type : types)
    if (isDirect(type))
      result.push_back(isa<BufferType>(type) ? scratch.getType() : type);
  return result;
}

void Lowering::bindDirect(ValueRange olds, ValueRange news) {
  auto next = news.begin();
  for (Value old : olds) {
    if (!isDirect(old.getType()))
      continue;
    Value value = *next++;
    if (auto buffer = dyn_cast<BufferType>(old.getType()))
      buffers[old] = Array{value, 0, getDenseStrides(buffer.getShape()),
                           buffer.getElementType()};
    else
      scalars.map(old, value);
  }
}

SmallVector<Array> Lowering::allocateCarried(TypeRange types) {
  SmallVector<Array> result;
  for (Type type : types)
    if (auto tile = dyn_cast<RankedTensorType>(type))
      result.push_back(allocate(tile.getShape(), tile.getElementType()));
  return result;
}

/// Arrays for carried tiles, holding the first values. The array of a value
/// that nobody else uses becomes the loop's.
SmallVector<Array> Lowering::enterCarried(ValueRange inits) {
  SmallVector<Array> result;
  for (Value init : inits) {
    auto type = dyn_cast<RankedTensorType>(init.getType());
    if (!type)
      continue;
    auto it = arrays.find(init);
    if (it != arrays.end() && it->second.isOwned && init.hasOneUse() &&
        getRunBlock(init.getParentBlock()) == getRunBlock(currentBlock)) {
      result.push_back(it->second);
      continue;
    }
    Array target = allocate(type.getShape(), type.getElementType());
    writeTo(init, target);
    result.push_back(target);
  }
  return result;
}

void Lowering::bindCarried(ValueRange values, ArrayRef<Array> targets) {
  for (Value value : values)
    if (isa<RankedTensorType>(value.getType())) {
      arrays[value] = targets.front();
      targets = targets.drop_front();
    }
}

/// Leaves tiles in the arrays of the next iteration. A value may be made of
/// what another one replaces, so all are complete before any array changes.
void Lowering::passOn(ValueRange values, ArrayRef<Array> targets) {
  SmallVector<std::pair<Array, unsigned>> moves;
  SmallVector<ArrayRef<int64_t>> shapes;
  for (Value value : values) {
    if (!isa<RankedTensorType>(value.getType()))
      continue;
    unsigned number = shapes.size();
    shapes.push_back(getShape(value));
    auto it = arrays.find(value);
    bool isOwn = it != arrays.end() && it->second.isOwned;
    if (isOwn && it->second.base == targets[number].base)
      continue;
    bool isReplaced = !isOwn || llvm::any_of(targets, [&](const Array &target) {
      return target.base == it->second.base;
    });
    Array source;
    if (isReplaced) {
      source =
          allocate(getShape(value),
                   cast<RankedTensorType>(value.getType()).getElementType());
      writeTo(value, source);
    } else {
      source = it->second;
    }
    moves.push_back({source, number});
  }
  for (auto &[source, number] : moves)
    copy(source, shapes[number], targets[number]);
}

//===----------------------------------------------------------------------===//
// scf
//===----------------------------------------------------------------------===//

LogicalResult Lowering::lowerFor(scf::ForOp op) {
  if (failed(checkDirect(op, op.getInitArgs())))
    return failure();
  SmallVector<Array> targets = enterCarried(op.getInitArgs());
  auto loop = code.create<scf::ForOp>(
      scalar(op.getLowerBound()), scalar(op.getUpperBound()),
      scalar(op.getStep()), getDirect(op.getInitArgs()));
  loop.setUnsignedCmp(op.getUnsignedCmp());
  {
    OpBuilder::InsertionGuard guard(code.builder);
    Scope scope(*this);
    code.builder.setInsertionPointToStart(loop.getBody());
    scalars.map(op.getInductionVar(), loop.getInductionVar());
    bindDirect(op.getRegionIterArgs(), loop.getRegionIterArgs());
    bindCarried(op.getRegionIterArgs(), targets);
    if (failed(lowerBlock(*op.getBody())) ||
        failed(checkDirect(op, op.getYieldedValues())))
      return failure();
    passOn(op.getYieldedValues(), targets);
    if (!loop.getInitArgs().empty())
      code.create<scf::YieldOp>(getDirect(op.getYieldedValues()));
  }
  bindDirect(op.getResults(), loop.getResults());
  bindCarried(op.getResults(), targets);
  return success();
}

/// Lowers a branch at the insertion point; its tiles go to `targets`.
LogicalResult Lowering::lowerBranch(Region &region, ArrayRef<Array> targets,
                                    bool hasDirect) {
  Scope scope(*this);
  Block &block = region.front();
  if (failed(lowerBlock(block)))
    return failure();
  OperandRange yielded = block.getTerminator()->getOperands();
  if (failed(checkDirect(region.getParentOp(), yielded)))
    return failure();
  for (Value value : yielded)
    if (isa<RankedTensorType>(value.getType())) {
      writeTo(value, targets.front());
      targets = targets.drop_front();
    }
  if (hasDirect)
    code.create<scf::YieldOp>(getDirect(yielded));
  return success();
}

LogicalResult Lowering::lowerIf(scf::IfOp op) {
  SmallVector<Array> targets = allocateCarried(op.getResultTypes());
  SmallVector<Type> types = getDirectTypes(op.getResultTypes());
  bool hasElse = !op.getElseRegion().empty();
  auto branch = code.create<scf::IfOp>(TypeRange(types),
                                       scalar(op.getCondition()), hasElse);
  {
    OpBuilder::InsertionGuard guard(code.builder);
    code.builder.setInsertionPointToStart(branch.thenBlock());
    if (failed(lowerBranch(op.getThenRegion(), targets, !types.empty())))
      return failure();
    if (hasElse) {
      code.builder.setInsertionPointToStart(branch.elseBlock());
      if (failed(lowerBranch(op.getElseRegion(), targets, !types.empty())))
        return failure();
    }
  }
  bindDirect(op.getResults(), branch.getResults());
  bindCarried(op.getResults(), targets);
  return success();
}

LogicalResult Lowering::lowerWhile(scf::WhileOp op) {
  if (failed(checkDirect(op, op.getInits())))
    return failure();
  SmallVector<Array> before = enterCarried(op.getInits());
  SmallVector<Array> after = allocateCarried(op.getResultTypes());
  SmallVector<Value> inits = getDirect(op.getInits());
  auto loop =
      code.create<scf::WhileOp>(getDirectTypes(op.getResultTypes()), inits);
  {
    OpBuilder::InsertionGuard guard(code.builder);
    Scope scope(*this);
    Block *block = code.builder.createBlock(
        &loop.getBefore(), {}, TypeRange(ValueRange(inits)),
        SmallVector<Location>(inits.size(), op.getLoc()));
    bindDirect(op.getBeforeArguments(), block->getArguments());
    bindCarried(op.getBeforeArguments(), before);
    scf::ConditionOp condition = op.getConditionOp();
    if (failed(lowerBlock(*op.getBeforeBody())) ||
        failed(checkDirect(op, condition.getArgs())))
      return failure();
    passOn(condition.getArgs(), after);
    code.create<scf::ConditionOp>(scalar(condition.getCondition()),
                                  getDirect(condition.getArgs()));
  }
  {
    OpBuilder::InsertionGuard guard(code.builder);
    Scope scope(*this);
    Block *block = code.builder.createBlock(
        &loop.getAfter(), {}, loop.getResultTypes(),
        SmallVector<Location>(loop.getNumResults(), op.getLoc()));
    bindDirect(op.getAfterArguments(), block->getArguments());
    bindCarried(op.getAfterArguments(), after);
    OperandRange yielded = op.getYieldOp()->getOperands();
    if (failed(lowerBlock(*op.getAfterBody())) ||
        failed(checkDirect(op, yielded)))
      return failure();
    passOn(yielded, before);
    code.create<scf::YieldOp>(getDirect(yielded));
  }
  bindDirect(op.getResults(), loop.getResults());
  bindCarried(op.getResults(), after);
  return success();
}

//===----------------------------------------------------------------------===//
// Roles and rings
//===----------------------------------------------------------------------===//

/// The part of a role runs where it stands. Its arrays live on: they may be its
/// results.
LogicalResult Lowering::lowerOn(OnOp op) {
  Block &body = op.getBody().front();
  if (failed(lowerBlock(body)))
    return failure();
  for (auto [value, result] :
       llvm::zip_equal(body.getTerminator()->getOperands(), op.getResults())) {
    if (isa<BufferType>(value.getType()))
      buffers[result] = buffers[value];
    if (!isa<RankedTensorType>(value.getType()))
      continue;
    Array array = store(value);
    array.isOwned &= value.hasOneUse() && value.getParentBlock() == &body;
    arrays[result] = array;
  }
  return success();
}

void Lowering::lowerRing(RingOp op) {
  Ring ring;
  ring.type = op.getType();
  ring.stageBytes = 0;
  for (BufferType buffer : ring.type.getBuffers())
    ring.stageBytes +=
        llvm::alignTo(llvm::product_of(buffer.getShape()) *
                          getStorageBytes(buffer.getElementType()),
                      64);
  ring.base = allocateBytes(ring.stageBytes * ring.type.getStages());
  llvm::SmallSetVector<StringRef, 4> readers;
  for (Operation *user : op.getResult().getUsers())
    if (isa<ReceiveOp>(user))
      readers.insert(user->getParentOfType<OnOp>().getRole());
  ring.readers = readers.takeVector();
  int64_t counters = 1 + ring.readers.size();
  Type i64 = code.builder.getI64Type();
  ring.counters = allocateBytes(8 * counters);
  for (int64_t i = 0; i < counters; ++i)
    code.store(code.splat(code.zero(i64), 1), ring.counters, code.index(i));
  rings.insert({op.getResult(), ring});
}

/// Gives the buffers of the next stage that the counter names, and moves it on.
void Lowering::takeStage(Value value, ValueRange results, int64_t counter) {
  const Ring &ring = rings.find(value)->second;
  Type i64 = code.builder.getI64Type();
  Value number = code.index(counter);
  Value stage =
      code.toIndex(code.first(code.load(ring.counters, number, i64, 1)));
  Value next = code.rem(code.add(stage, code.index(1)),
                        code.index(ring.type.getStages()));
  code.store(code.splat(code.toI64(next), 1), ring.counters, number);
  Value base = code.mul(stage, code.index(ring.stageBytes));
  int64_t offset = 0;
  for (Value result : results) {
    auto buffer = cast<BufferType>(result.getType());
    Array array;
    array.base =
        code.offsetPointer(ring.base, code.add(base, code.index(offset)),
                           code.builder.getI8Type());
    array.strides = getDenseStrides(buffer.getShape());
    array.element = buffer.getElementType();
    buffers[result] = array;
    offset += llvm::alignTo(llvm::product_of(buffer.getShape()) *
                                getStorageBytes(buffer.getElementType()),
                            64);
  }
}
