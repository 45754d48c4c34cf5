//===- CheckPipelines.cpp - Refuse pipelines that would hang --------------===//
//
// Walks the text of a pipeline once, in order, with the symbolic state of its
// rings. A loop body that leaves the rings as it found them, up to rotation,
// stands for any number of iterations; the branches of a condition have to
// agree. So the walk covers every execution, and errors name the op that would
// wait or misuse a slot.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Tile/CheckOwnership.h"
#include "passes/Tile/Passes.h"
#include "passes/Tile/RingState.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::varve {
#define GEN_PASS_DEF_CHECKPIPELINESPASS
#include "passes/Tile/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

namespace {

/// A stage in the hands of a role.
struct Hold {
  Value ring;
  unsigned stage;
  bool isWrite;
  StringRef role;
  bool isOpen;
};

class PipelineChecker {
public:
  PipelineChecker(PipelineOp pipeline, unsigned inFlight)
      : pipeline(pipeline), inFlight(inFlight) {}

  LogicalResult run();

private:
  using Rings = llvm::MapVector<Value, RingState>;

  LogicalResult declareRing(RingOp ring);
  bool readsByDot(ReceiveOp receive);

  LogicalResult runBlock(Block &block, StringRef role);
  LogicalResult runOp(Operation *op, StringRef role);
  LogicalResult runFor(scf::ForOp loop, StringRef role);
  LogicalResult runIf(scf::IfOp branch, StringRef role);
  LogicalResult runWhile(scf::WhileOp loop, StringRef role);
  LogicalResult runOn(OnOp on);

  LogicalResult acquire(AcquireOp op, StringRef role);
  LogicalResult receive(ReceiveOp op, StringRef role);
  LogicalResult commit(CommitOp op);
  LogicalResult release(ReleaseOp op);
  FailureOr<unsigned> getOpenHold(RingUserOpInterface op, bool isWrite);
  LogicalResult checkBufferUses(Operation *op);

  /// Slots and buffers passed on from `from` to `to`, which replace them.
  void move(ValueRange from, ValueRange to);
  void bind(ValueRange from, ValueRange to);

  /// What an iteration starts from.
  struct Snapshot {
    Rings rings;
    SmallVector<unsigned> openHolds;
  };
  Snapshot takeSnapshot();
  LogicalResult checkUnchanged(Operation *loop, const Snapshot &start,
                               ValueRange carriedIn, ValueRange carriedOut);
  /// The iterations that show everything: with releases that take effect late,
  /// the second one begins with some of the first still pending; after that
  /// nothing new happens.
  unsigned getNumIterations() const { return inFlight != 0 ? 2 : 1; }
  void flush();

  PipelineOp pipeline;
  unsigned inFlight;
  Rings rings;
  llvm::DenseMap<Value, StringRef> writers;
  SmallVector<Hold> holds;
  /// The hold that a slot or buffer value belongs to.
  llvm::DenseMap<Value, unsigned> holdOf;
};

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

LogicalResult PipelineChecker::run() {
  for (RingOp ring : pipeline.getBody().getOps<RingOp>())
    if (failed(declareRing(ring)))
      return failure();
  if (failed(runBlock(pipeline.getBody().front(), /*role=*/{})))
    return failure();
  for (auto &[ring, state] : rings) {
    state.flush();
    if (!state.isAllEmpty())
      return ring.getDefiningOp()->emitOpError()
             << "is not empty at the end of the pipeline: of its stages, "
             << state.describe() << " (P5)";
  }
  return success();
}

/// Whether a product reads a received stage, perhaps asynchronously.
bool PipelineChecker::readsByDot(ReceiveOp receive) {
  SmallVector<Value> buffers(receive.getBuffers());
  while (!buffers.empty())
    for (Operation *user : buffers.pop_back_val().getUsers()) {
      if (isa<DotOp>(user))
        return true;
      if (auto part = dyn_cast<SubbufferOp>(user))
        buffers.push_back(part.getResult());
    }
  return false;
}

/// P1, and the ring's first state.
LogicalResult PipelineChecker::declareRing(RingOp ring) {
  llvm::MapVector<StringRef, unsigned> lags;
  WalkResult result = pipeline.getBody().walk([&](RingUserOpInterface user) {
    if (user.getRing() != ring.getResult())
      return WalkResult::advance();
    StringRef role = user->getParentOfType<OnOp>().getRole();
    if (isa<AcquireOp>(user)) {
      auto [it, isNew] = writers.try_emplace(ring.getResult(), role);
      if (!isNew && it->second != role) {
        user->emitOpError()
            << "in role \"" << role << "\" on a ring that role \"" << it->second
            << "\" acquires: a ring has one writer (P1)";
        return WalkResult::interrupt();
      }
    }
    if (auto receive = dyn_cast<ReceiveOp>(user.getOperation())) {
      unsigned &lag = lags[role];
      if (readsByDot(receive))
        lag = inFlight;
    }
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (!writers.contains(ring.getResult()) || lags.empty())
    return ring.emitOpError()
           << "is never "
           << (lags.empty() ? "received: it has no reader (P1)"
                            : "acquired: it has no writer (P1)");
  SmallVector<RingState::Reader> readers;
  for (auto &[role, lag] : lags)
    readers.push_back({role.str(), lag});
  rings.insert({ring.getResult(),
                RingState(ring.getType().getStages(), std::move(readers))});
  return success();
}

LogicalResult PipelineChecker::acquire(AcquireOp op, StringRef role) {
  RingState &state = rings.find(op.getRing())->second;
  std::string why;
  std::optional<unsigned> stage = state.acquire(why);
  if (!stage) {
    InFlightDiagnostic diag = op.emitOpError()
                              << "would wait forever: the next of the ring's "
                              << state.getNumStages() << " stages is " << why
                              << " (P2)";
    diag.attachNote(op.getRing().getLoc())
        << "of the ring's stages, " << state.describe();
    return diag;
  }
  for (Value value : op->getResults())
    holdOf[value] = holds.size();
  holds.push_back({op.getRing(), *stage, /*isWrite=*/true, role, true});
  return success();
}

LogicalResult PipelineChecker::receive(ReceiveOp op, StringRef role) {
  RingState &state = rings.find(op.getRing())->second;
  std::string why;
  std::optional<unsigned> stage = state.receive(state.getReader(role), why);
  if (!stage) {
    InFlightDiagnostic diag =
        op.emitOpError() << "would wait forever: the next stage for role \""
                         << role << "\" is " << why << " (P2)";
    diag.attachNote(op.getRing().getLoc())
        << "of the ring's stages, " << state.describe();
    return diag;
  }
  for (Value value : op->getResults())
    holdOf[value] = holds.size();
  holds.push_back({op.getRing(), *stage, /*isWrite=*/false, role, true});
  return success();
}

FailureOr<unsigned> PipelineChecker::getOpenHold(RingUserOpInterface op,
                                                 bool isWrite) {
  auto it = holdOf.find(op.getSlot());
  if (it == holdOf.end()) {
    op->emitOpError() << "expected a slot of tile."
                      << (isWrite ? "acquire" : "receive") << " (P3)";
    return failure();
  }
  const Hold &hold = holds[it->second];
  if (hold.isWrite != isWrite) {
    op->emitOpError() << "expected a slot of tile."
                      << (isWrite ? "acquire" : "receive")
                      << " but got one of tile."
                      << (isWrite ? "receive" : "acquire") << " (P3)";
    return failure();
  }
  if (hold.ring != op.getRing()) {
    op->emitOpError() << "on another ring than the one the slot is of (P3)";
    return failure();
  }
  if (!hold.isOpen) {
    op->emitOpError() << "on a slot that was given back before; a loop that "
                         "gives back a slot has to carry it (P3)";
    return failure();
  }
  return it->second;
}

LogicalResult PipelineChecker::commit(CommitOp op) {
  FailureOr<unsigned> hold =
      getOpenHold(cast<RingUserOpInterface>(op.getOperation()), true);
  if (failed(hold))
    return failure();
  rings.find(op.getRing())->second.commit(holds[*hold].stage);
  holds[*hold].isOpen = false;
  return success();
}

LogicalResult PipelineChecker::release(ReleaseOp op) {
  FailureOr<unsigned> hold =
      getOpenHold(cast<RingUserOpInterface>(op.getOperation()), false);
  if (failed(hold))
    return failure();
  RingState &state = rings.find(op.getRing())->second;
  state.release(state.getReader(holds[*hold].role), holds[*hold].stage);
  holds[*hold].isOpen = false;
  return success();
}

LogicalResult PipelineChecker::checkBufferUses(Operation *op) {
  if (auto part = dyn_cast<SubbufferOp>(op))
    bind(part.getBuffer(), part.getResult());
  for (OpOperand &operand : op->getOpOperands()) {
    auto it = holdOf.find(operand.get());
    if (it == holdOf.end() || !isa<BufferType>(operand.get().getType()))
      continue;
    const Hold &hold = holds[it->second];
    if (!hold.isOpen)
      return op->emitOpError()
             << "uses a buffer of a stage that was "
             << (hold.isWrite ? "committed" : "released") << " before (P3)";
    bool writes = isa<WriteOp>(op) || isa<CopyOp>(op) || isa<GatherCopyOp>(op);
    if (writes && !hold.isWrite)
      return op->emitOpError() << "writes a buffer of a received stage: other "
                                  "readers may be reading it (P3)";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

LogicalResult PipelineChecker::runBlock(Block &block, StringRef role) {
  for (Operation &op : block.without_terminator())
    if (failed(runOp(&op, role)))
      return failure();
  return success();
}

LogicalResult PipelineChecker::runOp(Operation *op, StringRef role) {
  if (auto acquireOp = dyn_cast<AcquireOp>(op))
    return acquire(acquireOp, role);
  if (auto receiveOp = dyn_cast<ReceiveOp>(op))
    return receive(receiveOp, role);
  if (auto commitOp = dyn_cast<CommitOp>(op))
    return commit(commitOp);
  if (auto releaseOp = dyn_cast<ReleaseOp>(op))
    return release(releaseOp);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return runFor(loop, role);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return runIf(branch, role);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return runWhile(loop, role);
  if (auto on = dyn_cast<OnOp>(op))
    return runOn(on);
  if (op->getNumRegions() != 0) {
    WalkResult result =
        op->walk([](RingUserOpInterface user) {
          user->emitOpError()
              << "expected only scf.for, scf.if and scf.while around"
                 " ops on rings";
          return WalkResult::interrupt();
        });
    return failure(result.wasInterrupted());
  }
  return checkBufferUses(op);
}

LogicalResult PipelineChecker::runOn(OnOp on) {
  Block &body = on.getBody().front();
  if (failed(runBlock(body, on.getRole())))
    return failure();
  bind(body.getTerminator()->getOperands(), on.getResults());
  return success();
}

void PipelineChecker::bind(ValueRange from, ValueRange to) {
  for (auto [source, target] : llvm::zip_equal(from, to)) {
    auto it = holdOf.find(source);
    if (it != holdOf.end()) {
      unsigned hold = it->second;
      holdOf[target] = hold;
    } else {
      holdOf.erase(target);
    }
  }
}

void PipelineChecker::move(ValueRange from, ValueRange to) {
  llvm::DenseMap<unsigned, unsigned> moved;
  for (Value source : from) {
    auto it = holdOf.find(source);
    if (it == holdOf.end() || !isa<SlotType>(source.getType()) ||
        moved.contains(it->second))
      continue;
    moved[it->second] = holds.size();
    Hold hold = holds[it->second];
    holds[it->second].isOpen = false;
    holds.push_back(hold);
  }
  SmallVector<std::pair<Value, std::optional<unsigned>>> bindings;
  for (auto [source, target] : llvm::zip_equal(from, to)) {
    auto it = holdOf.find(source);
    if (it == holdOf.end())
      bindings.push_back({target, std::nullopt});
    else
      bindings.push_back({target, moved.contains(it->second) ? moved[it->second]
                                                             : it->second});
  }
  for (auto [target, hold] : bindings) {
    if (hold)
      holdOf[target] = *hold;
    else
      holdOf.erase(target);
  }
}

PipelineChecker::Snapshot PipelineChecker::takeSnapshot() {
  Snapshot snapshot;
  snapshot.rings = rings;
  for (auto [i, hold] : llvm::enumerate(holds))
    if (hold.isOpen)
      snapshot.openHolds.push_back(i);
  return snapshot;
}

/// P4 for a loop body that ran from `start` with `carriedIn` and ended with
/// `carriedOut`.
LogicalResult PipelineChecker::checkUnchanged(Operation *loop,
                                              const Snapshot &start,
                                              ValueRange carriedIn,
                                              ValueRange carriedOut) {
  for (auto &[ring, state] : rings) {
    RingState now = state, then = start.rings.find(ring)->second;
    now.flush();
    then.flush();
    if (now.isEquivalent(then))
      continue;
    InFlightDiagnostic diag =
        loop->emitOpError() << "changes the state of a ring from iteration to "
                               "iteration (P4)";
    diag.attachNote(ring.getLoc())
        << "of its stages, an iteration finds " << then.describe()
        << " and leaves " << now.describe();
    return diag;
  }
  SmallVector<unsigned> carried;
  for (auto [first, last] : llvm::zip_equal(carriedIn, carriedOut)) {
    if (!isa<SlotType>(first.getType()))
      continue;
    auto a = holdOf.find(first), b = holdOf.find(last);
    if (a == holdOf.end() || b == holdOf.end())
      return loop->emitOpError() << "carries a slot that is of no ring (P3)";
    const Hold &from = holds[a->second], &to = holds[b->second];
    carried.push_back(a->second);
    bool same = from.ring == to.ring && from.isWrite == to.isWrite &&
                to.isOpen &&
                start.rings.find(from.ring)->second.getRelative(from.stage) ==
                    rings.find(to.ring)->second.getRelative(to.stage);
    if (!same)
      return loop->emitOpError() << "carries a slot that stands for another "
                                    "stage, or none, after an"
                                    " iteration (P4)";
  }
  for (unsigned hold : start.openHolds)
    if (!holds[hold].isOpen && !llvm::is_contained(carried, hold))
      return loop->emitOpError()
             << "gives back, in an iteration, a slot that it does not carry "
                "(P4)";
  return success();
}

/// A loop's end: asynchronous products begun in it are complete.
void PipelineChecker::flush() {
  for (auto &entry : rings)
    entry.second.flush();
}

LogicalResult PipelineChecker::runFor(scf::ForOp loop, StringRef role) {
  move(loop.getInitArgs(), loop.getRegionIterArgs());
  for (unsigned iteration = 0; iteration < getNumIterations(); ++iteration) {
    if (iteration != 0)
      move(loop.getYieldedValues(), loop.getRegionIterArgs());
    Snapshot start = takeSnapshot();
    if (failed(runBlock(*loop.getBody(), role)) ||
        failed(checkUnchanged(loop, start, loop.getRegionIterArgs(),
                              loop.getYieldedValues())))
      return failure();
  }
  flush();
  move(loop.getYieldedValues(), loop.getResults());
  return success();
}

LogicalResult PipelineChecker::runIf(scf::IfOp branch, StringRef role) {
  Rings before = rings;
  SmallVector<Hold> holdsBefore = holds;
  if (failed(runBlock(branch.getThenRegion().front(), role)))
    return failure();
  Rings afterThen = std::move(rings);
  SmallVector<Hold> holdsThen = holds;
  rings = std::move(before);
  for (auto [i, hold] : llvm::enumerate(holdsBefore))
    holds[i] = hold;
  if (!branch.getElseRegion().empty() &&
      failed(runBlock(branch.getElseRegion().front(), role)))
    return failure();
  for (auto &[ring, state] : rings) {
    RingState &other = afterThen.find(ring)->second;
    if (state == other)
      continue;
    InFlightDiagnostic diag = branch.emitOpError()
                              << "leaves a ring in different states in its two "
                                 "branches (P4)";
    diag.attachNote(ring.getLoc())
        << "of its stages, the first branch leaves " << other.describe()
        << " and the other " << state.describe();
    return diag;
  }
  // What one branch gave back is given back.
  for (size_t i = 0; i < holdsThen.size(); ++i)
    holds[i].isOpen &= holdsThen[i].isOpen || i >= holdsBefore.size();
  if (branch.getNumResults() == 0)
    return success();
  ValueRange first = branch.thenYield().getOperands();
  ValueRange second = branch.elseYield().getOperands();
  for (auto [a, b] : llvm::zip_equal(first, second)) {
    auto holdA = holdOf.find(a), holdB = holdOf.find(b);
    bool inA = holdA != holdOf.end(), inB = holdB != holdOf.end();
    if (!inA && !inB)
      continue;
    if (inA != inB ||
        holds[holdA->second].stage != holds[holdB->second].stage ||
        holds[holdA->second].ring != holds[holdB->second].ring ||
        holds[holdA->second].isWrite != holds[holdB->second].isWrite)
      return branch.emitOpError()
             << "yields slots of different stages from its "
                "two branches (P4)";
  }
  move(second, branch.getResults());
  return success();
}

LogicalResult PipelineChecker::runWhile(scf::WhileOp loop, StringRef role) {
  move(loop.getInits(), loop.getBeforeArguments());
  for (unsigned iteration = 0; iteration < getNumIterations(); ++iteration) {
    if (iteration != 0)
      move(loop.getYieldOp()->getOperands(), loop.getBeforeArguments());
    Snapshot start = takeSnapshot();
    if (failed(runBlock(*loop.getBeforeBody(), role)))
      return failure();
    move(loop.getConditionOp().getArgs(), loop.getAfterArguments());
    if (failed(runBlock(*loop.getAfterBody(), role)) ||
        failed(checkUnchanged(loop, start, loop.getBeforeArguments(),
                              loop.getYieldOp()->getOperands())))
      return failure();
  }
  // The loop ends behind one more run of its first region.
  move(loop.getYieldOp()->getOperands(), loop.getBeforeArguments());
  if (failed(runBlock(*loop.getBeforeBody(), role)))
    return failure();
  flush();
  move(loop.getConditionOp().getArgs(), loop.getResults());
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

struct CheckPipelines
    : public mlir::varve::impl::CheckPipelinesPassBase<CheckPipelines> {
  void runOnOperation() override {
    if (failed(checkPipelines(getOperation())))
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace

LogicalResult mlir::varve::checkPipelines(FuncOp func) {
  StrategyAttr strategy = func.getStrategyAttr();
  unsigned inFlight = strategy ? strategy.getInFlight() : 0;
  LogicalResult result = success();
  func.walk([&](PipelineOp pipeline) {
    if (failed(checkOwnership(pipeline)) ||
        failed(PipelineChecker(pipeline, inFlight).run()))
      result = failure();
  });
  return result;
}
