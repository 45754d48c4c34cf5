//===- RolePlan.h - How roles fill and read rings --------------*- C++ -*-===//
//
// What the lowering of warp-specialised pipelines must know before it emits
// anything: by which means each ring's stages are filled, who reads them, and
// which roles are work for a single thread.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_ROLEPLAN_H
#define VARVE_PASSES_ENGINE_NVIDIA_ROLEPLAN_H

#include "passes/Engine/Nvidia/TensorWindow.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::varve::nvidia {

/// How data gets into a stage.
struct FillKinds {
  /// By the copy engine, started by one thread.
  bool tensor = false;
  /// By cp.async of all threads of the writer.
  bool async = false;
  /// By stores of all threads of the writer.
  bool stores = false;
};

struct RingPlan {
  FillKinds fills;
  /// Of the writer and, in all, of the readers.
  int64_t writerWarps = 0, readerWarps = 0;
  /// Whether the writer reads what it wrote before it commits.
  bool isReadByWriter = false;
  /// Whether matrix products or the copy engine read the stages; whether loads
  /// do.
  bool hasAsyncReaders = false, hasPlainReaders = false;

  /// Arrivals that complete a stage's "full" barrier.
  int64_t getFullArrivals() const {
    return (fills.tensor ? 1 : 0) +
           (fills.async ? writerWarps * tile::kWarpLanes : 0) +
           (fills.stores ? writerWarps : 0);
  }
};

/// Where in the stages of which op a buffer lies: a part of result `index` of
/// an acquire or receive. `take` is null for buffers that are no stage's.
struct StagePart {
  Operation *take = nullptr;
  tile::BufferType whole;
  SmallVector<int64_t> offsets;
};

/// Follows a buffer through parts, loops and branches to an op that took it.
StagePart traceStage(Value buffer);

/// The tensor copies for a `tile.copy` into a stage, if it can be made of them.
std::optional<TensorWindow> planCopy(tile::CopyOp op);

/// The bytes of the chunks in which cp.async can gather: rows are whole,
/// aligned ones.
std::optional<int64_t> planGather(tile::GatherCopyOp op);

/// The bytes (4, 8 or 16) of the vectors in which cp.async can copy a tile into
/// a stage buffer without swizzle; none where tensor copies can, or rows do not
/// fall into vectors.
std::optional<int64_t> planVectors(tile::CopyOp op);

/// Whether cp.async can copy a tile into a stage: vectors, or rows of aligned
/// chunks of 4, 8 or 16 bytes.
bool canCopyAsync(tile::CopyOp op);

class RolePlan {
public:
  /// Of a pipeline whose roles have texts of their own (`splitRoles`).
  explicit RolePlan(tile::PipelineOp pipeline);

  const RingPlan &getRing(Value ring) const { return rings.find(ring)->second; }
  /// Whether one thread does all that the role does: it waits, and starts
  /// tensor copies.
  bool isSingleThreaded(tile::OnOp text) const;
  /// Whether the role has warpgroup products.
  static bool hasProducts(tile::OnOp text);

private:
  llvm::MapVector<Value, RingPlan> rings;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_ROLEPLAN_H
