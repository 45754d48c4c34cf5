//===- WarpSpecialised.cpp - Roles that run at the same time --------------===//

#include "passes/Engine/Nvidia/WarpSpecialised.h"

#include "passes/Engine/Nvidia/AsyncBarrier.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Engine/Nvidia/Wgmma.h"
#include "passes/Tile/SplitRoles.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

static constexpr int64_t kRegisterStep = 8;

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

LogicalResult WarpSpecialised::check(Lowering &lowering, PipelineOp op) {
  if (!isa<FuncOp>(op->getParentOp()))
    return lowering.refuse(
        op, "a pipeline inside control flow; put the loop inside (W1)");
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode())
    if (!isa<ReturnOp>(next) && !isMemoryEffectFree(next))
      return lowering.refuse(next, "it follows a pipeline, whose warps have "
                                   "ended; put it inside (W1)");
  return success();
}

/// Which warps each role gets: those of whole groups first, so that these begin
/// at a group.
FailureOr<SmallVector<WarpSpecialised::Role>>
WarpSpecialised::placeRoles(Lowering &lowering, PipelineOp op) {
  SmallVector<Role> roles;
  int64_t next = 0, registers = 0;
  setsRegisters =
      llvm::any_of(op.getRoles().getAsRange<RoleAttr>(),
                   [](RoleAttr r) { return r.getRegisters() != 0; });
  const ::varve::TargetLimits &limits = lowering.target.getLimits();
  int64_t threads = lowering.source.getWarps() * kWarpLanes;
  entryRegisters = std::min<int64_t>(
      llvm::alignDown(limits.registersPerSM / threads, kRegisterStep),
      llvm::alignDown(limits.maxRegistersPerThread, kRegisterStep));
  setsRegisters &= lowering.target.supports(::varve::Feature::SetMaxNReg);
  for (bool isWhole : {true, false})
    for (OnOp text : op.getBody().getOps<OnOp>()) {
      RoleAttr attr = op.lookupRole(text.getRole());
      if ((attr.getWarps() % kGroupWarps == 0) != isWhole)
        continue;
      if (!isWhole && (setsRegisters || RolePlan::hasProducts(text)))
        return lowering.refuse(
            op, "role \"" + attr.getName() + "\" has " +
                    Twine(attr.getWarps()) +
                    " warps; roles with warpgroup products or beside roles "
                    "with registers have multiples of 4 (W2)");
      roles.push_back({attr, text, next});
      next += attr.getWarps();
      registers += attr.getWarps() * kWarpLanes *
                   (attr.getRegisters() ? attr.getRegisters() : entryRegisters);
    }
  // What the launch gave; who asks for more than others left waits forever.
  int64_t available = entryRegisters * threads;
  if (setsRegisters && registers > available)
    return lowering.refuse(op, "the roles ask for " + Twine(registers) +
                                   " registers but a block of " +
                                   Twine(threads) + " threads has " +
                                   Twine(available) + " (W2)");
  return roles;
}

//===----------------------------------------------------------------------===//
// The pipeline
//===----------------------------------------------------------------------===//

/// Whether the body is what `splitRoles` leaves.
static bool isSplit(PipelineOp op) {
  size_t texts = 0;
  for (Operation &part : op.getBody().front()) {
    auto text = dyn_cast<OnOp>(part);
    texts += text ? 1 : 0;
    if (text ? text.getNumResults() != 0 : !isa<RingOp>(part))
      return false;
  }
  return texts == op.getRoles().size();
}

LogicalResult WarpSpecialised::lower(Lowering &lowering, PipelineOp op) {
  if (failed(check(lowering, op)))
    return failure();
  if (!isSplit(op))
    splitRoles(op);
  plan.emplace(op);
  FailureOr<SmallVector<Role>> roles = placeRoles(lowering, op);
  if (failed(roles))
    return failure();
  Code &code = lowering.code;
  SharedArena::Scope scope(lowering.shared);
  for (RingOp ring : op.getBody().getOps<RingOp>())
    if (failed(lowerRing(lowering, ring)))
      return failure();
  initBarriers(lowering, op);

  llvm::SaveAndRestore threads(lowering.threads);
  std::unique_ptr<CopyLowering> copies = std::move(lowering.copies);
  lowering.copies = createRingCopy(*this, createPlainCopy());
  // Every lane of a warp has the same number, and the assembler can see it.
  Value warp = code.shuffle(lowering.block.warp, code.i32(0));
  OpBuilder::InsertionGuard guard(code.builder);
  for (auto [index, role] : llvm::enumerate(*roles)) {
    if (index + 1 < roles->size()) {
      Value isMine = code.cmp(arith::CmpIPredicate::slt, warp,
                              role.firstWarp + role.attr.getWarps());
      auto branch = code.create<scf::IfOp>(isMine, /*withElseRegion=*/true);
      code.builder.setInsertionPointToStart(branch.thenBlock());
      if (failed(lowerRole(lowering, role)))
        return failure();
      code.builder.setInsertionPointToStart(branch.elseBlock());
    } else if (failed(lowerRole(lowering, role))) {
      return failure();
    }
    lowering.shared.raise();
  }
  lowering.copies = std::move(copies);
  return success();
}

LogicalResult WarpSpecialised::lowerRing(Lowering &lowering, RingOp op) {
  Ring ring;
  ring.plan = plan->getRing(op.getResult());
  ring.type = op.getType();
  int64_t stages = ring.type.getStages(), alignment = kTensorCopyAlignment;
  for (BufferType buffer : ring.type.getBuffers())
    if (buffer.getLayout() && buffer.getLayout().getSwizzle() != 0)
      alignment = kSwizzledAlignment;
  ring.range =
      lowering.shared.allocate(stages * getStageBytes(ring.type), alignment);
  ring.base = lowering.getSharedPointer(ring.range.begin);
  SharedRange barriers = lowering.shared.allocate(
      2 * stages * kAsyncBarrierBytes, kAsyncBarrierBytes);
  ring.full = lowering.getSharedPointer(barriers.begin);
  ring.empty =
      lowering.getSharedPointer(barriers.begin + stages * kAsyncBarrierBytes);
  rings[op.getResult()] = ring;
  return success();
}

void WarpSpecialised::initBarriers(Lowering &lowering, PipelineOp op) {
  Code &code = lowering.code;
  code.ifThen(
      code.cmp(arith::CmpIPredicate::eq, lowering.block.thread, 0), [&] {
        for (RingOp ringOp : op.getBody().getOps<RingOp>()) {
          const Ring &ring = getRing(ringOp.getResult());
          for (int64_t stage = 0; stage < ring.type.getStages(); ++stage) {
            initBarrier(code.builder, code.loc,
                        code.offset(ring.full, stage * kAsyncBarrierBytes),
                        ring.plan.getFullArrivals());
            initBarrier(code.builder, code.loc,
                        code.offset(ring.empty, stage * kAsyncBarrierBytes),
                        ring.plan.readerWarps);
          }
        }
        fenceBarrierInit(code.builder, code.loc);
      });
  code.create<NVVM::Barrier0Op>();
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

void WarpSpecialised::setRegisters(Lowering &lowering, Role &role) {
  int64_t registers = role.attr.getRegisters();
  if (!setsRegisters || registers == 0 || registers == entryRegisters)
    return;
  lowering.code.create<NVVM::SetMaxRegisterOp>(
      static_cast<uint32_t>(registers),
      registers > entryRegisters ? NVVM::SetMaxRegisterAction::increase
                                 : NVVM::SetMaxRegisterAction::decrease);
}

LogicalResult WarpSpecialised::lowerRole(Lowering &lowering, Role &role) {
  Code &code = lowering.code;
  setRegisters(lowering, role);
  int64_t barrier = lowering.takeBarriers(1);
  lowering.threads =
      lowering.makeThreads(role.firstWarp, role.attr.getWarps(), barrier);
  lowering.threads.warp = code.shuffle(lowering.threads.warp, code.i32(0));
  lowering.shared.accesses = {};
  llvm::SaveAndRestore flow(lowering.flow);
  lowering.flow.clear();

  // Where the role stands in each ring that it uses.
  bool hasProducts = RolePlan::hasProducts(role.text);
  int64_t inFlight = 0;
  if (StrategyAttr strategy = lowering.source.getStrategyAttr())
    inFlight = hasProducts ? strategy.getInFlight() : 0;
  llvm::SmallDenseSet<Value> used;
  role.text.getBody().walk([&](RingUserOpInterface user) {
    if (!used.insert(user.getRing()).second)
      return;
    Ring &ring = getRing(user.getRing());
    ring.flow = lowering.flow.size();
    lowering.flow.append({code.i32(0), code.i32(0)});
    bool reads = isa<ReceiveOp, ReleaseOp>(user);
    ring.numDeferred = reads && ring.plan.hasAsyncReaders ? inFlight : 0;
    ring.deferred = lowering.flow.size();
    lowering.flow.append(ring.numDeferred, code.i32(-1));
  });

  if (lowering.products)
    lowering.products->mayOverlap = true;
  if (lowering.products)
    lowering.products->connectStages(role.text.getBody().front());
  llvm::SaveAndRestore single(isSingleThread,
                              plan->isSingleThreaded(role.text));
  SharedArena::Scope scope(lowering.shared);
  int64_t shares = 0;
  for (auto text : role.text->getBlock()->getOps<OnOp>())
    if (!done.contains(text) && StagedStore::suits(text))
      ++shares;
  done.insert(role.text);
  StagedStore stores(lowering, role.text, shares);
  llvm::SaveAndRestore staged(lowering.stagedStore, &stores);
  OpBuilder::InsertionGuard guard(code.builder);
  if (isSingleThread) {
    auto once = code.create<scf::IfOp>(
        code.cmp(arith::CmpIPredicate::eq, lowering.threads.thread, 0),
        /*withElseRegion=*/false);
    code.builder.setInsertionPointToStart(once.thenBlock());
  }
  if (failed(lowering.lowerBlock(role.text.getBody().front())))
    return failure();
  if (lowering.products)
    lowering.products->crossEdge();
  stores.finish(lowering);
  return success();
}

LogicalResult WarpSpecialised::lowerOn(Lowering &lowering, OnOp op) {
  return lowering.refuse(op, "it is not part of a pipeline's own text");
}

void WarpSpecialised::runOnce(Lowering &lowering, function_ref<void()> body) {
  if (isSingleThread)
    return body();
  Code &code = lowering.code;
  code.ifThen(code.cmp(arith::CmpIPredicate::eq, lowering.threads.thread, 0),
              body);
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

Value WarpSpecialised::getBarrier(Lowering &lowering, Value first,
                                  Value stage) {
  Code &code = lowering.code;
  return code.offset(first, code.mul(stage, kAsyncBarrierBytes));
}

Value WarpSpecialised::getFullBarrier(Lowering &lowering, AcquireOp take) {
  return getBarrier(lowering, getRing(take.getRing()).full,
                    lowering.handles[take.getSlot()].front());
}

/// Waits for the role's next stage, binds slot and buffers, and moves on.
void WarpSpecialised::take(Lowering &lowering, Value ringValue, Value slot,
                           ValueRange buffers, bool isWriter) {
  Code &code = lowering.code;
  Ring &ring = getRing(ringValue);
  Value stage = lowering.flow[ring.flow], phase = lowering.flow[ring.flow + 1];
  // A fresh stage is empty as if the phase before had ended.
  Value parity = isWriter ? code.bitXor(phase, code.i32(1)) : phase;
  waitBarrier(code.builder, code.loc,
              getBarrier(lowering, isWriter ? ring.empty : ring.full, stage),
              parity);
  if (!isWriter && ring.plan.fills.async && ring.plan.hasAsyncReaders)
    fenceAsyncProxy(code.builder, code.loc);
  lowering.handles[slot] = {stage};

  Value base =
      code.offset(ring.base, code.mul(stage, getStageBytes(ring.type)));
  int64_t offset = 0;
  for (Value buffer : buffers) {
    auto type = cast<BufferType>(buffer.getType());
    offset = llvm::alignTo(offset, getBufferAlignment(type));
    SharedBuffer part;
    part.base = code.offset(base, offset);
    part.whole = type;
    part.offsets.assign(type.getRank(), 0);
    part.shape.assign(type.getShape().begin(), type.getShape().end());
    // Between roles barriers are the ring's.
    if (isWriter && ring.plan.isReadByWriter)
      part.range = ring.range;
    lowering.buffers[buffer] = part;
    offset += type.getSizeInBytes();
  }

  Value next = code.add(stage, 1);
  Value wraps = code.cmp(arith::CmpIPredicate::eq, next, ring.type.getStages());
  lowering.flow[ring.flow] = code.select(wraps, code.i32(0), next);
  lowering.flow[ring.flow + 1] =
      code.select(wraps, code.bitXor(phase, code.i32(1)), phase);
}

LogicalResult WarpSpecialised::lowerAcquire(Lowering &lowering, AcquireOp op) {
  take(lowering, op.getRing(), op.getSlot(), op.getBuffers(),
       /*isWriter=*/true);
  return success();
}

LogicalResult WarpSpecialised::lowerReceive(Lowering &lowering, ReceiveOp op) {
  take(lowering, op.getRing(), op.getSlot(), op.getBuffers(),
       /*isWriter=*/false);
  return success();
}

/// Lets lane 0 of every warp arrive, after what all lanes did.
void WarpSpecialised::arriveOncePerWarp(Lowering &lowering, Value barrier,
                                        Value condition) {
  Code &code = lowering.code;
  Value isFirst = code.cmp(arith::CmpIPredicate::eq, lowering.threads.lane, 0);
  code.ifThen(code.both(condition, isFirst),
              [&] { arriveAtBarrier(code.builder, code.loc, barrier); });
}

LogicalResult WarpSpecialised::lowerCommit(Lowering &lowering, CommitOp op) {
  Code &code = lowering.code;
  const Ring &ring = getRing(op.getRing());
  Value full =
      getBarrier(lowering, ring.full, lowering.handles[op.getSlot()].front());
  const FillKinds &fills = ring.plan.fills;
  if (fills.tensor)
    runOnce(lowering, [&] { arriveAtBarrier(code.builder, code.loc, full); });
  if (fills.async)
    arriveAfterCopies(code.builder, code.loc, full);
  if (fills.stores) {
    if (ring.plan.hasAsyncReaders)
      fenceAsyncProxy(code.builder, code.loc);
    code.create<NVVM::SyncWarpOp>(code.i32(-1));
    arriveOncePerWarp(lowering, full, Value());
  }
  return success();
}

void WarpSpecialised::handBack(Lowering &lowering, const Ring &ring,
                               Value stage, Value condition) {
  Code &code = lowering.code;
  if (ring.plan.hasPlainReaders)
    code.create<NVVM::SyncWarpOp>(code.i32(-1));
  arriveOncePerWarp(lowering, getBarrier(lowering, ring.empty, stage),
                    condition);
}

/// The loop whose end is the latest at which a release takes effect.
static scf::ForOp getReleaseLoop(ReleaseOp op) {
  Operation *parent = op->getParentOp();
  while (parent && !isa<scf::ForOp, scf::WhileOp, OnOp>(parent))
    parent = parent->getParentOp();
  return dyn_cast_or_null<scf::ForOp>(parent);
}

LogicalResult WarpSpecialised::lowerRelease(Lowering &lowering, ReleaseOp op) {
  Code &code = lowering.code;
  const Ring &ring = getRing(op.getRing());
  Value stage = lowering.handles[op.getSlot()].front();
  if (ring.numDeferred != 0 && op->getParentOp() == getReleaseLoop(op)) {
    lowering.products->waitUntilPending(ring.numDeferred);
    Value oldest = lowering.flow[ring.deferred];
    handBack(lowering, ring, oldest,
             code.cmp(arith::CmpIPredicate::sge, oldest, 0));
    for (int64_t i = 0; i + 1 < ring.numDeferred; ++i)
      lowering.flow[ring.deferred + i] = lowering.flow[ring.deferred + i + 1];
    lowering.flow[ring.deferred + ring.numDeferred - 1] = stage;
    return success();
  }
  if (lowering.products)
    lowering.products->waitForReads(op.getSlot());
  handBack(lowering, ring, stage, Value());
  return success();
}

/// Hands back what the loop's releases left.
void WarpSpecialised::leaveFor(Lowering &lowering, scf::ForOp op) {
  Code &code = lowering.code;
  llvm::SmallSetVector<Value, 4> released;
  for (ReleaseOp release : op.getBody()->getOps<ReleaseOp>())
    if (getRing(release.getRing()).numDeferred != 0)
      released.insert(release.getRing());
  if (released.empty())
    return;
  lowering.products->settleAll();
  lowering.products->waitUntilPending(0);
  for (Value value : released) {
    const Ring &ring = getRing(value);
    for (int64_t i = 0; i < ring.numDeferred; ++i) {
      Value &stage = lowering.flow[ring.deferred + i];
      handBack(lowering, ring, stage,
               code.cmp(arith::CmpIPredicate::sge, stage, 0));
      stage = code.i32(-1);
    }
  }
}

std::unique_ptr<PipelineLowering> mlir::varve::nvidia::createWarpSpecialised() {
  return std::make_unique<WarpSpecialised>();
}
