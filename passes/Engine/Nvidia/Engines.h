//===- Engines.h - What differs between NVIDIA generations -----*- C++ -*-===//
//
// Matrix products, copies to shared memory, and pipelines have implementations
// of their own per family of instructions. Which one a function gets follows
// from the layouts that tile-assign-layouts gave its products and from the
// features of the target model; see Engines.cpp. An implementation belongs to
// one `Lowering` and may keep state from op to op.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_ENGINES_H
#define VARVE_PASSES_ENGINE_NVIDIA_ENGINES_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <memory>

namespace varve {
class TargetModel;
} // namespace varve

namespace mlir::varve::nvidia {

class Lowering;

/// `tile.dot` with accumulators of one kind of layout.
class DotLowering {
public:
  virtual ~DotLowering() = default;
  /// Binds the result's registers. Operands and accumulator have been lowered.
  virtual LogicalResult lower(Lowering &lowering, tile::DotOp op) = 0;
};

/// `tile.copy`, `tile.gather_copy` and `tile.wait` outside of ring stages, and
/// into them where a pipeline passes them on.
class CopyLowering {
public:
  virtual ~CopyLowering() = default;
  virtual LogicalResult lowerCopy(Lowering &lowering, tile::CopyOp op) = 0;
  virtual LogicalResult lowerGatherCopy(Lowering &lowering,
                                        tile::GatherCopyOp op) = 0;
  virtual LogicalResult lowerWait(Lowering &lowering, tile::WaitOp op) = 0;
};

/// `tile.pipeline` and what stands only inside of one.
class PipelineLowering {
public:
  virtual ~PipelineLowering() = default;
  virtual LogicalResult lower(Lowering &lowering, tile::PipelineOp op) = 0;
  virtual LogicalResult lowerOn(Lowering &lowering, tile::OnOp op) = 0;
  virtual LogicalResult lowerRing(Lowering &lowering, tile::RingOp op) = 0;
  virtual LogicalResult lowerAcquire(Lowering &lowering,
                                     tile::AcquireOp op) = 0;
  virtual LogicalResult lowerCommit(Lowering &lowering, tile::CommitOp op) = 0;
  virtual LogicalResult lowerReceive(Lowering &lowering,
                                     tile::ReceiveOp op) = 0;
  virtual LogicalResult lowerRelease(Lowering &lowering,
                                     tile::ReleaseOp op) = 0;
  /// After a loop.
  virtual void leaveFor(Lowering &lowering, scf::ForOp op) {}
};

/// The implementation for a product, by the layout of its accumulator; null
/// when there is none.
std::unique_ptr<DotLowering> createDotLowering(Attribute accumulatorLayout);
/// The implementation of copies for a target.
std::unique_ptr<CopyLowering>
createCopyLowering(const ::varve::TargetModel &target);
/// The implementation of pipelines for a target; null when there is none.
std::unique_ptr<PipelineLowering>
createPipelineLowering(const ::varve::TargetModel &target,
                       tile::FuncOp function);

/// Multiply-add on registers, operands through shared memory (DotFma.cpp).
std::unique_ptr<DotLowering> createFmaDot();
/// mma.sync (DotMma.cpp).
std::unique_ptr<DotLowering> createMmaDot();
/// Loads and stores by all threads (CopyPlain.cpp).
std::unique_ptr<CopyLowering> createPlainCopy();
/// cp.async (CopyAsync.cpp).
std::unique_ptr<CopyLowering> createAsyncCopy();
/// Pipelines with one role, which all warps run (PipelineMerged.cpp).
std::unique_ptr<PipelineLowering> createMergedPipeline();

/// Warpgroup products (DotWgmma.cpp).
std::unique_ptr<DotLowering> createWgmmaDot();
/// Roles that run at the same time (WarpSpecialised.cpp).
std::unique_ptr<PipelineLowering> createWarpSpecialised();

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_ENGINES_H
