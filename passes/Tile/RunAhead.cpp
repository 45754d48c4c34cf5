//===- RunAhead.cpp - Copies of a loop in front of their use --------------===//
//
// A loop whose copies come from a role that waits for nobody is split into the
// part that starts copies and the rest, and the first runs some iterations
// ahead.
//
//   for k { acquire; copy(k); commit        P(0); ..; P(lead - 1)
//           receive; use; release }    ->   for k { receive; P(k + lead);
//                                                   use; release }
//                                           lead times { receive; release }
//
// where P is acquire; if (k < end) copy(k); commit.
//
//===----------------------------------------------------------------------===//

#include "passes/Tile/RunAhead.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Tile/MergeRoles.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

namespace {

/// How a loop is split.
struct Split {
  scf::ForOp loop;
  /// Iterations by which the ahead part is early.
  int64_t lead = 0;
  /// Stages that an iteration commits, all rings together.
  int64_t commits = 0;
  /// Per ring of the ahead part, the stages that an iteration passes on.
  llvm::MapVector<Value, int64_t> rings;
  /// Ops of the body that either part needs; scalars may be in both.
  llvm::DenseSet<Operation *> ahead, behind;
  /// Carried values that either part needs.
  llvm::BitVector aheadCarried, behindCarried;
};

class LoopSplitter {
public:
  LoopSplitter(PipelineOp pipeline, const MergedRoles &roles)
      : pipeline(pipeline), roles(roles) {}

  std::optional<Split> planLoop(scf::ForOp loop);
  void splitLoop(Split &split);

private:
  bool countStages(Split &split);
  int64_t countHeld(Value ring, Operation *before);
  bool canRunAhead(Operation *op);
  SmallVector<Value> emitAhead(OpBuilder &builder, const Split &split, Value iv,
                               ValueRange carried, bool isVacant);

  PipelineOp pipeline;
  const MergedRoles &roles;
};

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

/// Adds `roots` and what they depend on in the body of `loop` to `ops`, and the
/// carried values among it to `carried`.
void addSlice(scf::ForOp loop, ArrayRef<Value> values,
              ArrayRef<Operation *> roots, llvm::DenseSet<Operation *> &ops,
              llvm::BitVector &carried) {
  Block *body = loop.getBody();
  SmallVector<Value> needed(values);
  SmallVector<Operation *> work(roots);
  while (!needed.empty() || !work.empty()) {
    if (!work.empty()) {
      Operation *op = work.pop_back_val();
      if (!ops.insert(op).second)
        continue;
      op->walk([&](Operation *inner) {
        llvm::append_range(needed, inner->getOperands());
      });
      continue;
    }
    Value value = needed.pop_back_val();
    if (auto argument = dyn_cast<BlockArgument>(value);
        argument && argument.getOwner() == body) {
      if (argument.getArgNumber() == 0)
        continue;
      unsigned number = argument.getArgNumber() - 1;
      if (!carried.test(number)) {
        carried.set(number);
        needed.push_back(loop.getYieldedValues()[number]);
      }
      continue;
    }
    Operation *def = value.getDefiningOp();
    if (!def)
      continue;
    if (Operation *owner = body->findAncestorOpInBlock(*def))
      work.push_back(owner);
  }
}

bool isCopy(Operation *op) { return isa<CopyOp, GatherCopyOp>(op); }

/// Whether an op of an ahead role may be moved in front of earlier iterations'
/// work of the others: it reads global memory at most, and fills its stage.
bool LoopSplitter::canRunAhead(Operation *op) {
  if (isa<AcquireOp, CommitOp>(op))
    return true;
  WalkResult result = op->walk([&](Operation *inner) {
    if (isCopy(inner))
      return inner->use_empty() ? WalkResult::advance()
                                : WalkResult::interrupt();
    if (isa<LoadOp, LoadScalarOp, GatherOp>(inner) ||
        inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>() ||
        isMemoryEffectFree(inner))
      return WalkResult::advance();
    return WalkResult::interrupt();
  });
  if (result.wasInterrupted())
    return false;
  // What a branch decides whether to execute cannot have results.
  return op->getNumRegions() == 0 || op->getNumResults() == 0 ||
         isMemoryEffectFree(op);
}

/// Stages of `ring` in use where `before` stands: those acquired and not yet
/// released. Loops leave a ring as they found it.
int64_t LoopSplitter::countHeld(Value ring, Operation *before) {
  int64_t held = 0;
  auto count = [&](Operation *op) {
    auto user = dyn_cast<RingUserOpInterface>(op);
    if (user && user.getRing() == ring)
      held += isa<AcquireOp>(op) ? 1 : isa<ReleaseOp>(op) ? -1 : 0;
  };
  std::function<void(Block *, Operation *)> countBlock = [&](Block *block,
                                                             Operation *end) {
    for (Operation &op : *block) {
      if (&op == end)
        break;
      count(&op);
      // The branches agree.
      if (auto branch = dyn_cast<scf::IfOp>(op))
        countBlock(branch.thenBlock(), nullptr);
      if (isa<OnOp>(op))
        countBlock(&op.getRegion(0).front(), nullptr);
    }
  };
  for (Operation *op = before; op != pipeline; op = op->getParentOp())
    countBlock(op->getBlock(), op);
  return held;
}

/// The stages that an iteration passes on, and from them the lead; false when
/// the loop's slots are not all given and taken in its body.
bool LoopSplitter::countStages(Split &split) {
  llvm::MapVector<Value, int64_t> commits, receives, releases;
  for (Operation &op : *split.loop.getBody()) {
    auto user = dyn_cast<RingUserOpInterface>(op);
    if (!user)
      continue;
    Value ring = user.getRing();
    if (isa<AcquireOp>(op) && roles.isAhead(&op))
      ++split.rings[ring];
    if (isa<CommitOp>(op) && roles.isAhead(&op)) {
      auto acquire = user.getSlot().getDefiningOp<AcquireOp>();
      if (!acquire || acquire->getBlock() != op.getBlock())
        return false;
      ++commits[ring];
    }
    if (isa<ReceiveOp>(op))
      ++receives[ring];
    if (isa<ReleaseOp>(op))
      ++releases[ring];
  }
  if (split.rings.empty())
    return false;
  // A ring that an inner loop fills as well is left to that loop.
  WalkResult inner = split.loop.getBody()->walk([&](RingUserOpInterface user) {
    bool isInside = user->getBlock() != split.loop.getBody();
    return isInside && isa<AcquireOp>(user) &&
                   split.rings.contains(user.getRing())
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  if (inner.wasInterrupted())
    return false;
  split.lead = std::numeric_limits<int64_t>::max();
  for (auto [ring, count] : split.rings) {
    if (commits.lookup(ring) != count)
      return false;
    // Receives and releases in inner loops or branches are as many, by P4.
    split.commits += count;
    int64_t stages = cast<RingType>(ring.getType()).getStages();
    split.lead = std::min(split.lead,
                          (stages - countHeld(ring, split.loop)) / count - 1);
  }
  return split.lead >= 1;
}

std::optional<Split> LoopSplitter::planLoop(scf::ForOp loop) {
  Split split;
  split.loop = loop;
  if (!countStages(split))
    return std::nullopt;
  split.aheadCarried.resize(loop.getNumResults());
  split.behindCarried.resize(loop.getNumResults());

  SmallVector<Operation *> ahead, behind;
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (roles.isAhead(&op)) {
      if (!canRunAhead(&op))
        return std::nullopt;
      ahead.push_back(&op);
      continue;
    }
    // An ahead role's part under a condition or in an inner loop stays there.
    WalkResult mixed = op.walk([&](Operation *inner) {
      return roles.isAhead(inner) ? WalkResult::interrupt()
                                  : WalkResult::advance();
    });
    if (mixed.wasInterrupted())
      return std::nullopt;
    if (roles.roleOf.contains(&op) || op.getNumRegions() != 0)
      behind.push_back(&op);
  }
  SmallVector<Value> results;
  for (auto [number, result] : llvm::enumerate(loop.getResults()))
    if (!result.use_empty())
      results.push_back(loop.getRegionIterArgs()[number]);
  addSlice(loop, {}, ahead, split.ahead, split.aheadCarried);
  addSlice(loop, results, behind, split.behind, split.behindCarried);
  if (llvm::any_of(split.behind,
                   [&](Operation *op) { return roles.isAhead(op); }) ||
      llvm::any_of(split.ahead, [&](Operation *op) {
        return !roles.isAhead(op) && roles.roleOf.contains(op);
      }))
    return std::nullopt;
  return split;
}

//===----------------------------------------------------------------------===//
// Splitting
//===----------------------------------------------------------------------===//

/// The ahead part of iteration `iv`, whose copies start only if there is such
/// an iteration. Returns the carried values of the next.
SmallVector<Value> LoopSplitter::emitAhead(OpBuilder &builder,
                                           const Split &split, Value iv,
                                           ValueRange carried, bool isVacant) {
  scf::ForOp loop = split.loop;
  IRMapping map;
  map.map(loop.getInductionVar(), iv);
  auto next = carried.begin();
  for (unsigned i : split.aheadCarried.set_bits())
    map.map(loop.getRegionIterArgs()[i], *next++);

  Value exists =
      arith::CmpIOp::create(builder, loop.getLoc(),
                            loop.getUnsignedCmp() ? arith::CmpIPredicate::ult
                                                  : arith::CmpIPredicate::slt,
                            iv, loop.getUpperBound());
  scf::IfOp guard;
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (!split.ahead.contains(&op))
      continue;
    bool isGuarded =
        isCopy(&op) ||
        !(isMemoryEffectFree(&op) ||
          isa<LoadOp, LoadScalarOp, GatherOp, RingUserOpInterface>(op));
    if (isGuarded) {
      if (!guard)
        guard = scf::IfOp::create(builder, op.getLoc(), exists,
                                  /*withElseRegion=*/false);
      OpBuilder::atBlockTerminator(guard.thenBlock()).clone(op, map);
      continue;
    }
    // What computes addresses goes in front of the copies.
    OpBuilder::InsertionGuard position(builder);
    if (isa<RingUserOpInterface>(op))
      guard = {};
    else if (guard)
      builder.setInsertionPoint(guard);
    Operation *copy = builder.clone(op, map);
    if (isVacant && isa<AcquireOp>(copy))
      copy->setAttr(kVacantAttrName, builder.getUnitAttr());
  }
  SmallVector<Value> result;
  for (unsigned i : split.aheadCarried.set_bits())
    result.push_back(map.lookupOrDefault(loop.getYieldedValues()[i]));
  return result;
}

/// Whether this is the first use of the rings of a loop that runs once.
bool isFirstUse(Split &split, PipelineOp pipeline) {
  if (split.loop->getParentOp() != pipeline)
    return false;
  for (auto &[ring, count] : split.rings)
    for (Operation *user : ring.getUsers()) {
      Operation *inBlock = split.loop->getBlock()->findAncestorOpInBlock(*user);
      if (inBlock != split.loop.getOperation() &&
          !split.loop->isBeforeInBlock(inBlock))
        return false;
    }
  return true;
}

void LoopSplitter::splitLoop(Split &split) {
  scf::ForOp loop = split.loop;
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  Type ivType = loop.getInductionVar().getType();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getIntegerAttr(ivType, value));
  };

  SmallVector<Value> carried;
  for (unsigned i : split.aheadCarried.set_bits())
    carried.push_back(loop.getInitArgs()[i]);
  bool isVacant = isFirstUse(split, pipeline);
  Value iv = loop.getLowerBound();
  for (int64_t i = 0; i < split.lead; ++i) {
    carried = emitAhead(builder, split, iv, carried, isVacant);
    iv = builder.createOrFold<arith::AddIOp>(loc, iv, loop.getStep());
  }
  Value distance = builder.createOrFold<arith::MulIOp>(loc, loop.getStep(),
                                                       constant(split.lead));

  SmallVector<Value> inits;
  for (unsigned i : split.behindCarried.set_bits())
    inits.push_back(loop.getInitArgs()[i]);
  unsigned numBehind = inits.size();
  llvm::append_range(inits, carried);
  auto result =
      scf::ForOp::create(builder, loc, loop.getLowerBound(),
                         loop.getUpperBound(), loop.getStep(), inits,
                         /*bodyBuilder=*/nullptr, loop.getUnsignedCmp());
  result->setDiscardableAttrs(loop->getDiscardableAttrDictionary());

  Block *body = result.getBody();
  if (inits.empty())
    body->getTerminator()->erase();
  builder.setInsertionPointToStart(body);
  IRMapping map;
  map.map(loop.getInductionVar(), result.getInductionVar());
  unsigned number = 0;
  for (unsigned i : split.behindCarried.set_bits())
    map.map(loop.getRegionIterArgs()[i], result.getRegionIterArgs()[number++]);
  ValueRange aheadArgs = result.getRegionIterArgs().drop_front(numBehind);

  auto isOwnReceive = [&](Operation *op) {
    auto receive = dyn_cast<ReceiveOp>(op);
    return receive && split.rings.contains(receive.getRing());
  };
  auto setPending = [&](Operation *op, int64_t iterations) {
    op->setAttr(kPendingStagesAttrName,
                builder.getI64IntegerAttr(iterations * split.commits));
  };
  auto runAhead = [&](bool isVacantNow) {
    Value later =
        arith::AddIOp::create(builder, loc, result.getInductionVar(), distance);
    carried = emitAhead(builder, split, later, aheadArgs, isVacantNow);
  };
  // The first receive lets all warps meet behind the previous iteration; what
  // comes after it may fill the stage that was released there.
  bool hasRun = llvm::none_of(loop.getBody()->without_terminator(),
                              [&](Operation &op) { return isOwnReceive(&op); });
  bool isNested = hasRun;
  if (isNested)
    runAhead(/*isVacantNow=*/false);
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (!split.behind.contains(&op))
      continue;
    Operation *copy = builder.clone(op, map);
    if (isNested)
      copy->walk([&](ReceiveOp receive) {
        if (isOwnReceive(receive))
          setPending(receive, split.lead);
      });
    if (!isOwnReceive(copy))
      continue;
    if (hasRun) {
      copy->setAttr(kLandedAttrName, builder.getUnitAttr());
      continue;
    }
    setPending(copy, split.lead - 1);
    runAhead(/*isVacantNow=*/true);
    hasRun = true;
  }
  SmallVector<Value> yielded;
  for (unsigned i : split.behindCarried.set_bits())
    yielded.push_back(map.lookupOrDefault(loop.getYieldedValues()[i]));
  llvm::append_range(yielded, carried);
  scf::YieldOp::create(builder, loc, yielded);

  // What ran ahead of the last iteration filled nothing.
  builder.setInsertionPointAfter(result);
  for (auto &[ring, count] : split.rings)
    for (int64_t i = 0; i < count * split.lead; ++i) {
      auto receive = ReceiveOp::create(builder, loc, ring);
      receive->setAttr(kLandedAttrName, builder.getUnitAttr());
      ReleaseOp::create(builder, loc, ring, receive.getSlot());
    }

  number = 0;
  for (unsigned i : split.behindCarried.set_bits())
    loop.getResult(i).replaceAllUsesWith(result.getResult(number++));
  loop.erase();
}

} // namespace

void mlir::varve::tile::runAhead(scf::ForOp loop, PipelineOp pipeline,
                                 const MergedRoles &roles) {
  LoopSplitter splitter(pipeline, roles);
  if (std::optional<Split> split = splitter.planLoop(loop))
    splitter.splitLoop(*split);
}
