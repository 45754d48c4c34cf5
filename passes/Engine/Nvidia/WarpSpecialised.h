//===- WarpSpecialised.h - Roles that run at the same time -----*- C++ -*-===//
//
// Pipelines on targets where every role becomes warps of its own, with its own
// share of the registers. Rings become pairs of barriers per stage: "full",
// which the writer's arrivals and the bytes of its tensor copies complete, and
// "empty", at which each warp of each reader arrives. A role keeps the number
// and the phase of its next stage per ring.
//
// W1: the pipeline is at the top of its function, and no op on tiles follows it
//     (warps do not come back from what their registers were for).
// W2: roles with warpgroup products have multiples of four warps, as have all
//     roles when one asks for registers; together they ask for no more than a
//     block is launched with.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_WARPSPECIALISED_H
#define VARVE_PASSES_ENGINE_NVIDIA_WARPSPECIALISED_H

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/RolePlan.h"

namespace mlir::varve::nvidia {

class WarpSpecialised : public PipelineLowering {
public:
  LogicalResult lower(Lowering &lowering, tile::PipelineOp op) override;
  LogicalResult lowerOn(Lowering &lowering, tile::OnOp op) override;
  LogicalResult lowerRing(Lowering &lowering, tile::RingOp op) override;
  LogicalResult lowerAcquire(Lowering &lowering, tile::AcquireOp op) override;
  LogicalResult lowerCommit(Lowering &lowering, tile::CommitOp op) override;
  LogicalResult lowerReceive(Lowering &lowering, tile::ReceiveOp op) override;
  LogicalResult lowerRelease(Lowering &lowering, tile::ReleaseOp op) override;
  void leaveFor(Lowering &lowering, scf::ForOp op) override;

  /// The barrier at which the copies into a stage count.
  Value getFullBarrier(Lowering &lowering, tile::AcquireOp take);
  /// Runs `body` in one thread of the role.
  void runOnce(Lowering &lowering, function_ref<void()> body);

private:
  struct Ring {
    RingPlan plan;
    tile::RingType type;
    /// Of stage 0.
    Value base, full, empty;
    SharedRange range;
    /// Positions of number and phase of the role's next stage in the flow, of
    /// its oldest stage that is not handed back yet.
    unsigned flow = 0, deferred = 0;
    int64_t numDeferred = 0;
  };
  struct Role {
    tile::RoleAttr attr;
    tile::OnOp text;
    int64_t firstWarp;
  };

  LogicalResult check(Lowering &lowering, tile::PipelineOp op);
  FailureOr<SmallVector<Role>> placeRoles(Lowering &lowering,
                                          tile::PipelineOp op);
  void initBarriers(Lowering &lowering, tile::PipelineOp op);
  LogicalResult lowerRole(Lowering &lowering, Role &role);
  void setRegisters(Lowering &lowering, Role &role);
  Value getBarrier(Lowering &lowering, Value first, Value stage);
  void take(Lowering &lowering, Value ring, Value slot, ValueRange buffers,
            bool isWriter);
  void arriveOncePerWarp(Lowering &lowering, Value barrier, Value condition);
  void handBack(Lowering &lowering, const Ring &ring, Value stage,
                Value condition);
  Ring &getRing(Value ring) { return rings.find(ring)->second; }

  std::optional<RolePlan> plan;
  llvm::DenseMap<Value, Ring> rings;
  /// Texts that have been lowered.
  llvm::SmallPtrSet<Operation *, 4> done;
  int64_t entryRegisters = 0;
  bool setsRegisters = false;
  /// Whether the role that is being lowered is one thread.
  bool isSingleThread = false;
};

/// Copies into stages: by the copy engine, by cp.async, or by stores.
std::unique_ptr<CopyLowering>
createRingCopy(WarpSpecialised &pipeline,
               std::unique_ptr<CopyLowering> fallback);

/// Stores of accumulators through shared memory and the copy engine.
class StagedStore {
public:
  /// Takes shared memory for the stores of a role's text, where there are any:
  /// at most one part in `shares` of what is left.
  StagedStore(Lowering &lowering, Operation *text, int64_t shares);
  /// Whether a text has stores that go this way.
  static bool suits(Operation *text);
  /// Whether it lowered the store.
  bool lower(Lowering &lowering, tile::StoreOp op);
  /// Waits until all of memory is written.
  void finish(Lowering &lowering);

private:
  SharedRange range;
  /// Panels of 64 rows per warpgroup that are under way together.
  int64_t panels = 0;
  /// The hardware barrier of the first warpgroup, the next ones' behind it.
  int64_t firstBarrier = 0;
  bool isUsed = false;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_WARPSPECIALISED_H
