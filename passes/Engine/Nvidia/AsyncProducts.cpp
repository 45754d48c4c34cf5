//===- AsyncProducts.cpp - Matrix products under way ----------------------===//

#include "passes/Engine/Nvidia/AsyncProducts.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/Wgmma.h"
#include "passes/Tile/DotFamily.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

bool mlir::varve::nvidia::isWgmmaTile(Type type) {
  auto tile = dyn_cast<RankedTensorType>(type);
  return tile && isa_and_present<WgmmaLayoutAttr>(tile.getEncoding());
}

bool mlir::varve::nvidia::isZeroTile(Value tile) {
  if (auto convert = tile.getDefiningOp<ConvertLayoutOp>())
    return isZeroTile(convert.getSource());
  auto constant = tile.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return false;
  auto elements = dyn_cast<SplatElementsAttr>(constant.getValue());
  return elements && isa<FloatType>(elements.getElementType()) &&
         elements.getSplatValue<APFloat>().isPosZero();
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

void AsyncProducts::connectStages(Block &text) {
  auto connect = [&](Value a, Value b) {
    if (isa<SlotType, BufferType>(a.getType()))
      stages.unionSets(a.getAsOpaquePointer(), b.getAsOpaquePointer());
  };
  text.walk([&](Operation *op) {
    if (auto take = dyn_cast<AcquireOp>(op)) {
      for (Value buffer : take.getBuffers())
        connect(buffer, take.getSlot());
    } else if (auto take = dyn_cast<ReceiveOp>(op)) {
      for (Value buffer : take.getBuffers())
        connect(buffer, take.getSlot());
    } else if (auto part = dyn_cast<SubbufferOp>(op)) {
      connect(part.getResult(), part.getBuffer());
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      for (auto [init, argument, yielded, result] :
           llvm::zip_equal(loop.getInitArgs(), loop.getRegionIterArgs(),
                           loop.getYieldedValues(), loop.getResults())) {
        connect(init, argument);
        connect(yielded, argument);
        connect(result, argument);
      }
    } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
      for (Region *region : {&branch.getThenRegion(), &branch.getElseRegion()})
        if (!region->empty())
          for (auto [yielded, result] :
               llvm::zip_equal(region->front().getTerminator()->getOperands(),
                               branch.getResults()))
            connect(yielded, result);
    } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      for (auto [init, argument, yielded] :
           llvm::zip_equal(loop.getInits(), loop.getBeforeArguments(),
                           loop.getYieldOp()->getOperands())) {
        connect(init, argument);
        connect(yielded, argument);
      }
      for (auto [passed, argument, result] :
           llvm::zip_equal(loop.getConditionOp().getArgs(),
                           loop.getAfterArguments(), loop.getResults())) {
        connect(passed, argument);
        connect(result, argument);
      }
    }
  });
}

void *AsyncProducts::getClass(Value value) {
  void *pointer = value.getAsOpaquePointer();
  return stages.getOrInsertLeaderValue(pointer);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void AsyncProducts::beforeProduct(Value accumulator) {
  SmallVector<Value> crossed;
  // Other users of an accumulator would need a copy of registers that are being
  // written.
  for (auto &[tile, state] : pending)
    if (tile == accumulator ? !tile.hasOneUse() : state.crossed)
      crossed.push_back(tile);
  for (Value tile : crossed)
    settle(tile);
}

std::optional<Value> AsyncProducts::getAccumulate(Value accumulator) {
  auto it = flagOf.find(accumulator);
  if (it != flagOf.end())
    return lowering.flow[it->second];
  if (isZeroTile(accumulator))
    return std::nullopt;
  return Value();
}

void AsyncProducts::afterProduct(DotOp op, ValueRange buffers) {
  auto it = flagOf.find(op.getAccumulator());
  if (it != flagOf.end()) {
    lowering.flow[it->second] = lowering.code.boolean(true);
    flagOf.erase(it);
  }
  pending.erase(op.getAccumulator());
  pending[op.getResult()] = {issued, /*crossed=*/false};
  for (Value buffer : buffers)
    lastRead[getClass(buffer)] = issued;
  ++issued;
}

SmallVector<Value> AsyncProducts::finishNow(ValueRange registers) {
  Code &code = lowering.code;
  complete = issued++;
  return waitWgmma(code.builder, code.loc, 0, registers);
}

void AsyncProducts::finishLater(DotOp op, ValueRange buffers, Finish finish) {
  pending[op.getResult()] = {issued, /*crossed=*/false};
  finishes[op.getResult()] = {std::move(finish), llvm::to_vector(buffers)};
  for (Value buffer : buffers)
    lastRead[getClass(buffer)] = issued;
  ++issued;
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

void AsyncProducts::settle(Value tile) {
  auto *it = pending.find(tile);
  if (it == pending.end())
    return;
  int64_t group = it->second.group;
  pending.erase(it);
  Code &code = lowering.code;
  if (auto it = finishes.find(tile); it != finishes.end()) {
    Finish finish = std::move(it->second.finish);
    finishes.erase(it);
    lowering.setTile(tile, finish(issued - 1 - group));
  } else {
    RegisterTile &registers = lowering.tiles.find(tile)->second;
    registers.registers = waitWgmma(code.builder, code.loc, issued - 1 - group,
                                    registers.registers);
  }
  complete = std::max(complete, group);
}

void AsyncProducts::settleAll() {
  while (!pending.empty())
    settle(pending.begin()->first);
}

void AsyncProducts::waitForReads(Value slot) {
  void *stage = getClass(slot);
  // Even if their instructions are complete.
  SmallVector<Value> unfinished;
  for (auto &[tile, state] : pending) {
    auto it = finishes.find(tile);
    if (it != finishes.end() &&
        llvm::any_of(it->second.buffers,
                     [&](Value buffer) { return getClass(buffer) == stage; }))
      unfinished.push_back(tile);
  }
  for (Value tile : unfinished)
    settle(tile);
  auto it = lastRead.find(stage);
  if (it == lastRead.end() || it->second <= complete)
    return;
  int64_t group = it->second;
  // The tiles that are complete then; waiting for them is the wait.
  SmallVector<Value> done;
  for (auto &[tile, state] : pending)
    if (state.group <= group)
      done.push_back(tile);
  for (Value tile : done)
    settle(tile);
  if (complete >= group)
    return;
  waitUntilPending(issued - 1 - group);
}

void AsyncProducts::waitUntilPending(int64_t count) {
  Code &code = lowering.code;
  waitWgmma(code.builder, code.loc, count, {});
  complete = std::max(complete, issued - 1 - count);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

/// Behind an edge, whatever was started before may be the latest.
void AsyncProducts::forgetNumbers() {
  for (auto &[tile, state] : pending)
    state = {issued - 1, /*crossed=*/true};
  for (auto &[stage, group] : lastRead)
    group = issued - 1;
  // Below every group, those before the first of the text included.
  complete = -2;
}

static bool isFolded(DotOp op) {
  return getCodeProduct(op) == CodeProduct::Folded;
}

bool AsyncProducts::endsWithProduct(scf::ForOp op, unsigned index) {
  if (!isWgmmaTile(op.getResult(index).getType()))
    return false;
  auto dot = op.getYieldedValues()[index].getDefiningOp<DotOp>();
  // A second user would need a copy of registers that are being written.
  return dot && dot->getBlock() == op.getBody() && dot->hasOneUse() &&
         ((!dot.getAScale() && !dot.getBScale()) || isFolded(dot));
}

bool AsyncProducts::mayStartFromZero(scf::ForOp op, unsigned index) {
  Value argument = op.getRegionIterArgs()[index];
  if (!endsWithProduct(op, index) || !argument.hasOneUse() ||
      !isZeroTile(op.getInitArgs()[index]))
    return false;
  auto dot = dyn_cast<DotOp>(*argument.getUsers().begin());
  return dot && dot.getAccumulator() == argument &&
         dot->getBlock() == op.getBody();
}

void AsyncProducts::settleAllBut(const llvm::SmallDenseSet<Value> &kept) {
  SmallVector<Value> others;
  for (auto &[tile, state] : pending)
    if (!kept.contains(tile))
      others.push_back(tile);
  for (Value tile : others)
    settle(tile);
}

void AsyncProducts::beginFor(scf::ForOp op) {
  Loop loop;
  llvm::SmallDenseSet<Value> kept;
  Code &code = lowering.code;
  for (auto [index, init] : llvm::enumerate(op.getInitArgs())) {
    bool isUnderWay =
        endsWithProduct(op, index) &&
        !isFolded(op.getYieldedValues()[index].getDefiningOp<DotOp>());
    loop.isUnderWay.push_back(isUnderWay);
    if (isUnderWay && init.hasOneUse())
      kept.insert(init);
    bool fromZero = mayStartFromZero(op, index);
    loop.startsFromZero.push_back(fromZero);
    loop.flags.push_back(lowering.flow.size());
    if (fromZero)
      lowering.flow.push_back(code.boolean(false));
  }
  settleAllBut(kept);
  loops.push_back(std::move(loop));
}

void AsyncProducts::replaceInits(scf::ForOp op, MutableArrayRef<Value> inits) {
  const Loop &loop = loops.back();
  Code &code = lowering.code;
  size_t next = 0;
  for (auto [index, init] : llvm::enumerate(op.getInitArgs())) {
    size_t words = lowering.countWords(init);
    if (loop.startsFromZero[index])
      for (Value &value : inits.slice(next, words))
        value = code.create<LLVM::UndefOp>(value.getType());
    next += words;
  }
}

void AsyncProducts::beginBody(scf::ForOp op) {
  const Loop &loop = loops.back();
  pending.clear();
  for (auto [index, argument] : llvm::enumerate(op.getRegionIterArgs())) {
    if (loop.isUnderWay[index])
      pending[argument] = {};
    if (loop.startsFromZero[index])
      flagOf[argument] = loop.flags[index];
  }
  // A stage of an iteration before may be read still, by whatever product.
  for (auto it = stages.begin(), end = stages.end(); it != end; ++it)
    if ((*it)->isLeader())
      lastRead[(*it)->getData()] = 0;
  forgetNumbers();
}

void AsyncProducts::endBody(scf::ForOp op) {
  const Loop &loop = loops.back();
  llvm::SmallDenseSet<Value> kept;
  for (auto [index, value] : llvm::enumerate(op.getYieldedValues()))
    if (loop.isUnderWay[index])
      kept.insert(value);
  settleAllBut(kept);
}

/// Whether a loop surely has an iteration.
static bool runsOnce(scf::ForOp op) {
  std::optional<int64_t> begin = getConstantIntValue(op.getLowerBound());
  std::optional<int64_t> end = getConstantIntValue(op.getUpperBound());
  return begin && end && *begin < *end;
}

void AsyncProducts::endFor(scf::ForOp op) {
  Loop loop = loops.pop_back_val();
  Code &code = lowering.code;
  pending.clear();
  for (auto [index, result] : llvm::enumerate(op.getResults()))
    if (loop.isUnderWay[index])
      pending[result] = {};
  forgetNumbers();
  for (size_t index = loop.flags.size(); index-- > 0;) {
    if (!loop.startsFromZero[index])
      continue;
    Value hasValue = lowering.flow.pop_back_val();
    if (runsOnce(op))
      continue;
    Value result = op.getResult(index);
    settle(result);
    for (Value &value : lowering.tiles.find(result)->second.registers)
      value = code.select(hasValue, value, code.zero(value.getType()));
  }
}

void AsyncProducts::crossEdge() {
  settleAll();
  for (auto it = stages.begin(), end = stages.end(); it != end; ++it)
    if ((*it)->isLeader())
      lastRead[(*it)->getData()] = 0;
  forgetNumbers();
}
