//===- AsyncBarrier.h - Barriers in shared memory --------------*- C++ -*-===//
//
// The instructions on mbarriers: 8 bytes of shared memory that count arrivals
// and bytes copied, and complete one phase after another.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_ASYNCBARRIER_H
#define VARVE_PASSES_ENGINE_NVIDIA_ASYNCBARRIER_H

#include "mlir/IR/Builders.h"

namespace mlir::varve::nvidia {

inline constexpr int64_t kAsyncBarrierBytes = 8;

/// `barrier` is a pointer to shared memory throughout.
void initBarrier(OpBuilder &builder, Location loc, Value barrier,
                 int64_t arrivals);
/// Makes initialised barriers known to the copy engine; then the block's
/// threads may meet at a barrier and use them.
void fenceBarrierInit(OpBuilder &builder, Location loc);
/// Releases: what the thread did before is seen by those who wait.
void arriveAtBarrier(OpBuilder &builder, Location loc, Value barrier);
/// Announces bytes that copies will bring to the current phase.
void expectBytes(OpBuilder &builder, Location loc, Value barrier,
                 int64_t bytes);
/// Both at once.
void arriveAndExpectBytes(OpBuilder &builder, Location loc, Value barrier,
                          int64_t bytes);
/// Counts as an arrival when the thread's cp.async copies so far are complete.
void arriveAfterCopies(OpBuilder &builder, Location loc, Value barrier);
/// Returns when the phase of this parity (an i32, 0 or 1) is complete; a fresh
/// barrier counts as having completed one of parity 1.
void waitBarrier(OpBuilder &builder, Location loc, Value barrier, Value parity);
/// Lets the matrix and copy engines see what the thread wrote to shared memory
/// by ordinary stores, or received by cp.async.
void fenceAsyncProxy(OpBuilder &builder, Location loc);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_ASYNCBARRIER_H
