//===- Control.cpp - Loops and branches -----------------------------------===//
//
// A tile travels through control flow as its registers, a buffer as its
// address, slots and tokens as their words. Besides, every loop and branch
// carries the values of `flow`. Conditions and bounds are scalars, so all
// threads take the same way and barriers may stand anywhere.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/Wgmma.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

//===----------------------------------------------------------------------===//
// Carried values
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> Lowering::flatten(Operation *op,
                                                ValueRange values) {
  SmallVector<Value> result;
  for (Value value : values) {
    Type type = value.getType();
    if (isa<RankedTensorType>(type)) {
      // A product may still be writing it.
      llvm::append_range(result, tiles.find(value)->second.registers);
    } else if (isa<BufferType>(type)) {
      const SharedBuffer &buffer = buffers.find(value)->second;
      if (buffer.whole != type)
        return refuse(op, "it carries a part of a buffer; carry the buffer and "
                          "take the part inside");
      result.push_back(buffer.base);
    } else if (isa<SlotType, TokenType>(type)) {
      llvm::append_range(result, handles[value]);
    } else if (isa<ViewType, RingType>(type)) {
      return refuse(op, "it carries a view or a ring");
    } else {
      result.push_back(scalar(value));
    }
  }
  llvm::append_range(result, flow);
  return result;
}

size_t Lowering::countWords(Value value) {
  if (isa<RankedTensorType>(value.getType()))
    return tiles.find(value)->second.registers.size();
  if (isa<SlotType, TokenType>(value.getType()))
    return handles[value].size();
  return 1;
}

void Lowering::bind(ValueRange olds, ValueRange likes, ArrayRef<Value> &news) {
  auto take = [&](size_t count) {
    SmallVector<Value> taken(news.take_front(count));
    news = news.drop_front(count);
    return taken;
  };
  for (auto [old, like] : llvm::zip_equal(olds, likes)) {
    Type type = old.getType();
    if (auto tile = dyn_cast<RankedTensorType>(type)) {
      setTile(old, take(getMap(tile).getNumRegisters()));
    } else if (auto buffer = dyn_cast<BufferType>(type)) {
      buffers[old] = SharedBuffer{
          take(1).front(), buffer, SmallVector<int64_t>(buffer.getRank(), 0),
          SmallVector<int64_t>(buffer.getShape()), SharedRange::all()};
    } else if (isa<SlotType, TokenType>(type)) {
      size_t words = handles[like].size();
      handles[old] = take(words);
    } else {
      scalars.map(old, take(1).front());
    }
  }
  flow = take(flow.size());
}

//===----------------------------------------------------------------------===//
// scf
//===----------------------------------------------------------------------===//

/// Whether what depends on the thread must not be kept in registers for all of
/// a loop: around the products of a tile and its stores, whose registers are
/// full, and where a role copies the stages of one tile after another, which
/// has few.
bool Lowering::hasFewRegisters(scf::ForOp op) {
  if (!products)
    return false;
  bool multiplies = false, stores = false, copies = false, isNested = false;
  op.walk([&](Operation *inner) {
    multiplies |= isa<DotOp>(inner);
    stores |= isa<StoreOp, ScatterOp>(inner);
    copies |= isa<AcquireOp>(inner);
    isNested |= isa<scf::ForOp>(inner) && inner != op;
  });
  return multiplies ? stores : copies && isNested;
}

/// Makes LLVM compute what depends on the thread where it is used.
void Lowering::forgetThreads() {
  for (Value *number : {&threads.thread, &threads.lane, &threads.warp})
    *number = makeOpaque(code.builder, code.loc, *number);
}

LogicalResult Lowering::lowerFor(scf::ForOp op) {
  SmallVector<RowsKey> hoisted = hoistRowNumbers(op);
  if (products)
    products->beginFor(op);
  FailureOr<SmallVector<Value>> inits = flatten(op, op.getInitArgs());
  if (failed(inits))
    return failure();
  if (products)
    products->replaceInits(op, *inits);
  auto loop = code.create<scf::ForOp>(scalar(op.getLowerBound()),
                                      scalar(op.getUpperBound()),
                                      scalar(op.getStep()), *inits);
  loop.setUnsignedCmp(op.getUnsignedCmp());
  SharedArena::Accesses before = shared.accesses;
  Threads around = threads;
  {
    OpBuilder::InsertionGuard guard(code.builder);
    SharedArena::Scope scope(shared);
    shared.assumeAll();
    shared.accesses.any = false;
    code.builder.setInsertionPointToStart(loop.getBody());
    scalars.map(op.getInductionVar(), loop.getInductionVar());
    SmallVector<Value> arguments(loop.getRegionIterArgs());
    ArrayRef<Value> rest = arguments;
    bind(op.getRegionIterArgs(), op.getInitArgs(), rest);
    if (hasFewRegisters(op))
      forgetThreads();
    if (products)
      products->beginBody(op);
    if (failed(lowerBlock(*op.getBody())))
      return failure();
    if (products)
      products->endBody(op);
    FailureOr<SmallVector<Value>> next = flatten(op, op.getYieldedValues());
    if (failed(next))
      return failure();
    if (!inits->empty())
      code.create<scf::YieldOp>(*next);
  }
  threads = around;
  // Other roles' loops need their own.
  for (RowsKey key : hoisted)
    rowNumbers.erase(key);
  // Also without an iteration.
  if (shared.accesses.any)
    shared.merge(before);
  else
    shared.accesses = before;
  SmallVector<Value> results(loop.getResults());
  ArrayRef<Value> rest = results;
  bind(op.getResults(), op.getInitArgs(), rest);
  if (products)
    products->endFor(op);
  if (pipelines)
    pipelines->leaveFor(*this, op);
  if (auto around = op->getParentOfType<scf::ForOp>();
      around && hasFewRegisters(around))
    forgetThreads();
  return success();
}

LogicalResult Lowering::lowerBranch(Region &region,
                                    SmallVector<Value> &results) {
  SharedArena::Scope scope(shared);
  Block &body = region.front();
  Threads around = threads;
  if (failed(lowerBlock(body)))
    return failure();
  threads = around;
  if (products)
    products->crossEdge();
  FailureOr<SmallVector<Value>> yielded =
      flatten(region.getParentOp(), body.getTerminator()->getOperands());
  if (failed(yielded))
    return failure();
  results = std::move(*yielded);
  return success();
}

LogicalResult Lowering::lowerIf(scf::IfOp op) {
  if (products)
    products->crossEdge();
  // The result types are known once a branch has been lowered: into a block of
  // its own, which then becomes that of the op.
  bool hasElse = !op.getElseRegion().empty();
  SmallVector<Value> flowBefore = flow;
  SharedArena::Accesses before = shared.accesses;
  OpBuilder::InsertPoint here = code.builder.saveInsertionPoint();
  auto lowerRegion = [&](Region &from, Region &to,
                         SmallVector<Value> &results) -> LogicalResult {
    code.builder.createBlock(&to);
    flow = flowBefore;
    if (failed(lowerBranch(from, results)))
      return failure();
    code.create<scf::YieldOp>(results);
    return success();
  };
  Region thenRegion, elseRegion;
  SmallVector<Value> thenResults, elseResults;
  SharedArena::Accesses after = before;
  if (failed(lowerRegion(op.getThenRegion(), thenRegion, thenResults)))
    return failure();
  std::swap(after, shared.accesses);
  if (hasElse) {
    if (failed(lowerRegion(op.getElseRegion(), elseRegion, elseResults)))
      return failure();
  } else if (!thenResults.empty()) {
    code.builder.createBlock(&elseRegion);
    code.create<scf::YieldOp>(flowBefore);
  }
  shared.merge(after);
  code.builder.restoreInsertionPoint(here);
  auto branch = code.create<scf::IfOp>(
      TypeRange(ValueRange(thenResults)), scalar(op.getCondition()),
      /*addThenBlock=*/false, /*addElseBlock=*/false);
  branch.getThenRegion().takeBody(thenRegion);
  branch.getElseRegion().takeBody(elseRegion);
  SmallVector<Value> results(branch.getResults());
  ArrayRef<Value> rest = results;
  ValueRange likes = op.thenYield().getOperands();
  bind(op.getResults(), likes, rest);
  return success();
}

LogicalResult Lowering::lowerWhile(scf::WhileOp op) {
  if (products)
    products->crossEdge();
  FailureOr<SmallVector<Value>> inits = flatten(op, op.getInits());
  if (failed(inits))
    return failure();
  SharedArena::Accesses before = shared.accesses;
  SharedArena::Scope scope(shared);
  shared.assumeAll();
  shared.accesses.any = false;
  OpBuilder::InsertPoint here = code.builder.saveInsertionPoint();
  auto enter = [&](Region &region, ValueRange values, ValueRange likes,
                   ArrayRef<Value> carried) {
    Block *block = code.builder.createBlock(
        &region, {}, TypeRange(ValueRange(carried)),
        SmallVector<Location>(carried.size(), op.getLoc()));
    SmallVector<Value> arguments(block->getArguments());
    ArrayRef<Value> rest = arguments;
    bind(values, likes, rest);
  };
  Region beforeRegion, afterRegion;
  enter(beforeRegion, op.getBeforeArguments(), op.getInits(), *inits);
  scf::ConditionOp condition = op.getConditionOp();
  if (failed(lowerBlock(*op.getBeforeBody())))
    return failure();
  if (products)
    products->crossEdge();
  FailureOr<SmallVector<Value>> passed = flatten(op, condition.getArgs());
  if (failed(passed))
    return failure();
  code.create<scf::ConditionOp>(scalar(condition.getCondition()), *passed);

  enter(afterRegion, op.getAfterArguments(), condition.getArgs(), *passed);
  if (failed(lowerBlock(*op.getAfterBody())))
    return failure();
  if (products)
    products->crossEdge();
  FailureOr<SmallVector<Value>> next =
      flatten(op, op.getYieldOp()->getOperands());
  if (failed(next))
    return failure();
  code.create<scf::YieldOp>(*next);

  code.builder.restoreInsertionPoint(here);
  auto loop = code.create<scf::WhileOp>(TypeRange(ValueRange(*passed)), *inits);
  loop.getBefore().takeBody(beforeRegion);
  loop.getAfter().takeBody(afterRegion);
  if (shared.accesses.any)
    shared.assumeAll();
  else
    shared.accesses = before;
  SmallVector<Value> results(loop.getResults());
  ArrayRef<Value> rest = results;
  bind(op.getResults(), condition.getArgs(), rest);
  return success();
}
