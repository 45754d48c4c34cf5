//===- CopyAsync.h - Copies by cp.async ------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_COPYASYNC_H
#define VARVE_PASSES_ENGINE_NVIDIA_COPYASYNC_H

#include "passes/Engine/Nvidia/Lowering.h"

namespace mlir::varve::nvidia {

/// Whether a buffer is (a part of) an acquired stage: such copies belong to the
/// stage's `tile.commit`.
bool isStageBuffer(Value buffer);

/// Starts copying `bytes` (4, 8 or 16) to shared memory, or zeros where
/// `condition`, if there is one, does not hold.
void copyVector(Code &code, Value target, Value source, int64_t bytes,
                Value condition);

/// Shared addresses of the registers of a tile that is moved to a buffer: one
/// computation for rows whose distance the swizzle does not see.
class StageAddresses {
public:
  StageAddresses(Lowering &lowering, const SharedBuffer &buffer,
                 const LayoutMap &map);
  Value get(int64_t reg);

private:
  Lowering &lowering;
  const SharedBuffer &buffer;
  const LayoutMap &map;
  SmallVector<Value> base;
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> addresses;
};

/// Starts the copies of a window in chunks of `width` elements, `bytes` each.
void copyWindow(Lowering &lowering, Window &window, const SharedBuffer &buffer,
                int64_t width, int64_t bytes);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_COPYASYNC_H
