//===- PipelineMerged.cpp - Pipelines whose roles were merged -------------===//
//
// All warps run the one role that tile-merge-roles leaves. A ring is memory and
// two stage numbers, of the next acquire and the next receive, which travel
// through control flow. Commits end groups of asynchronous copies; a receive
// waits for groups and lets all warps meet. That meeting is also what makes a
// released stage free, so an acquire without a receive before it waits for one.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/CopyAsync.h"
#include "passes/Tile/MergeRoles.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace {

/// A tensor copy's pattern repeats every 1024 bytes; so do stages' places.
constexpr int64_t kStageAlignment = 1024, kPlainAlignment = 128;

class MergedPipeline : public PipelineLowering {
public:
  LogicalResult lower(Lowering &lowering, PipelineOp op) override;
  LogicalResult lowerOn(Lowering &lowering, OnOp op) override;
  LogicalResult lowerRing(Lowering &lowering, RingOp op) override;
  LogicalResult lowerAcquire(Lowering &lowering, AcquireOp op) override;
  LogicalResult lowerCommit(Lowering &lowering, CommitOp op) override;
  LogicalResult lowerReceive(Lowering &lowering, ReceiveOp op) override;
  LogicalResult lowerRelease(Lowering &lowering, ReleaseOp op) override;

private:
  struct Ring {
    RingType type;
    Value base;
    SharedRange range;
    SmallVector<int64_t> offsets;
    int64_t stageBytes = 0;
    /// Where the stage numbers are in `Lowering::flow`: the next acquire's, and
    /// behind it the next receive's.
    size_t counters = 0;
    /// Whether asynchronous copies fill it.
    bool hasCopies = false;
  };
  void takeStage(Lowering &lowering, Ring &ring, size_t counter, Value slot,
                 ValueRange buffers);
  llvm::DenseMap<Value, Ring> rings;
};

LogicalResult MergedPipeline::lower(Lowering &lowering, PipelineOp op) {
  if (op.getRoles().size() != 1)
    return lowering.refuse(op, "its roles have to be merged first; run "
                               "tile-merge-roles");
  SharedArena::Scope scope(lowering.shared);
  size_t flow = lowering.flow.size();
  if (failed(lowering.lowerBlock(op.getBody().front())))
    return failure();
  lowering.flow.resize(flow);
  return success();
}

LogicalResult MergedPipeline::lowerOn(Lowering &lowering, OnOp op) {
  Block &body = op.getBody().front();
  if (failed(lowering.lowerBlock(body)))
    return failure();
  FailureOr<SmallVector<Value>> words =
      lowering.flatten(op, body.getTerminator()->getOperands());
  if (failed(words))
    return failure();
  ArrayRef<Value> rest = *words;
  lowering.bind(op.getResults(), body.getTerminator()->getOperands(), rest);
  return success();
}

/// Whether a copy fills a buffer, or a part of it.
bool isCopyTarget(Value buffer) {
  return llvm::any_of(buffer.getUsers(), [](Operation *user) {
    if (auto part = dyn_cast<SubbufferOp>(user))
      return isCopyTarget(part.getResult());
    return isa<CopyOp, GatherCopyOp>(user);
  });
}

LogicalResult MergedPipeline::lowerRing(Lowering &lowering, RingOp op) {
  Ring ring;
  ring.type = op.getType();
  bool isSwizzled = false;
  for (BufferType buffer : ring.type.getBuffers()) {
    bool own = buffer.getLayout() && buffer.getLayout().getSwizzle() != 0;
    isSwizzled |= own;
    ring.stageBytes =
        llvm::alignTo(ring.stageBytes, own ? kStageAlignment : kPlainAlignment);
    ring.offsets.push_back(ring.stageBytes);
    ring.stageBytes += buffer.getSizeInBytes();
  }
  int64_t alignment = isSwizzled ? kStageAlignment : kPlainAlignment;
  ring.stageBytes = llvm::alignTo(ring.stageBytes, alignment);
  ring.range = lowering.shared.allocate(ring.stageBytes * ring.type.getStages(),
                                        alignment);
  ring.base = lowering.getSharedPointer(ring.range.begin);
  ring.counters = lowering.flow.size();
  lowering.flow.append(2, lowering.code.i32(0));
  for (Operation *user : op.getResult().getUsers())
    if (auto acquire = dyn_cast<AcquireOp>(user))
      ring.hasCopies |= llvm::any_of(acquire.getBuffers(), isCopyTarget);
  rings[op.getResult()] = std::move(ring);
  return success();
}

/// Binds the buffers of the stage that a counter names, and moves it on.
void MergedPipeline::takeStage(Lowering &lowering, Ring &ring, size_t counter,
                               Value slot, ValueRange buffers) {
  Code &code = lowering.code;
  Value &stage = lowering.flow[ring.counters + counter];
  Value base = code.offset(ring.base, code.mul(stage, ring.stageBytes));
  for (auto [buffer, offset] : llvm::zip_equal(buffers, ring.offsets)) {
    auto type = cast<BufferType>(buffer.getType());
    lowering.buffers[buffer] =
        SharedBuffer{code.offset(base, offset), type,
                     SmallVector<int64_t>(type.getRank(), 0),
                     SmallVector<int64_t>(type.getShape()), ring.range};
  }
  lowering.handles[slot] = {};
  int64_t stages = ring.type.getStages();
  if (stages == 1)
    return;
  Value next = code.add(stage, 1);
  stage = code.select(code.cmp(arith::CmpIPredicate::eq, next, stages),
                      code.i32(0), next);
}

LogicalResult MergedPipeline::lowerAcquire(Lowering &lowering, AcquireOp op) {
  Ring &ring = rings.find(op.getRing())->second;
  if (!op->hasAttr(kVacantAttrName))
    lowering.barrier();
  takeStage(lowering, ring, 0, op.getSlot(), op.getBuffers());
  return success();
}

LogicalResult MergedPipeline::lowerCommit(Lowering &lowering, CommitOp op) {
  // Also without copies: receives count groups.
  if (lowering.target.supports(::varve::Feature::CpAsync))
    lowering.code.create<NVVM::CpAsyncCommitGroupOp>();
  return success();
}

LogicalResult MergedPipeline::lowerReceive(Lowering &lowering, ReceiveOp op) {
  Ring &ring = rings.find(op.getRing())->second;
  if (!op->hasAttr(kLandedAttrName)) {
    int64_t pending = 0;
    if (auto attr = op->getAttrOfType<IntegerAttr>(kPendingStagesAttrName))
      pending = attr.getInt();
    if (ring.hasCopies && lowering.target.supports(::varve::Feature::CpAsync))
      lowering.code.create<NVVM::CpAsyncWaitGroupOp>(
          static_cast<uint32_t>(pending));
    lowering.barrier();
  }
  takeStage(lowering, ring, 1, op.getSlot(), op.getBuffers());
  return success();
}

LogicalResult MergedPipeline::lowerRelease(Lowering &lowering, ReleaseOp op) {
  return success();
}

} // namespace

std::unique_ptr<PipelineLowering> mlir::varve::nvidia::createMergedPipeline() {
  return std::make_unique<MergedPipeline>();
}
