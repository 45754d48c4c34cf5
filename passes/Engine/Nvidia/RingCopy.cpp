//===- RingCopy.cpp - Copies into stages of rings -------------------------===//
//
// A copy of a tile of an argument goes to the copy engine, other tiles and
// numbered rows to cp.async, and what neither can express to loads and stores
// of the role's threads.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/AsyncBarrier.h"
#include "passes/Engine/Nvidia/CopyAsync.h"
#include "passes/Engine/Nvidia/WarpSpecialised.h"
#include "passes/Engine/Nvidia/Window.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace {

class RingCopy : public CopyLowering {
public:
  RingCopy(WarpSpecialised &pipeline, std::unique_ptr<CopyLowering> fallback)
      : pipeline(pipeline), fallback(std::move(fallback)) {}

  LogicalResult lowerCopy(Lowering &lowering, CopyOp op) override {
    std::optional<TensorWindow> window = planCopy(op);
    if (!window)
      return canCopyAsync(op) ? copyChunks(lowering, op)
                              : fallback->lowerCopy(lowering, op);
    Code &code = lowering.code;
    const View &view = lowering.views[op.getView()];
    Value map =
        lowering.addTensorMap(*view.argument, window->box, window->swizzle);
    SmallVector<Value> corner;
    for (Value offset : op.getOffsets())
      corner.push_back(code.toI32(lowering.scalar(offset)));
    // The whole buffer of the stage: pieces count from there.
    SharedBuffer buffer = lowering.getBuffer(op.getBuffer());
    Value full = pipeline.getFullBarrier(
        lowering, cast<AcquireOp>(traceStage(op.getBuffer()).take));
    pipeline.runOnce(lowering, [&] {
      expectBytes(code.builder, code.loc, full, window->getBytes());
      loadTensorWindow(code.builder, code.loc, *window, map, corner,
                       buffer.base, full);
    });
    lowering.handles[op.getToken()] = {};
    return success();
  }

  LogicalResult lowerGatherCopy(Lowering &lowering, GatherCopyOp op) override {
    if (!canGatherAsync(op) || !traceStage(op.getBuffer()).take)
      return fallback->lowerGatherCopy(lowering, op);
    SharedBuffer buffer = lowering.getBuffer(op.getBuffer());
    RankedTensorType moved = lowering.getMovedType(op.getBuffer().getType());
    Window window = lowering.makeWindow(op, moved);
    if (window.width * getStorageBytes(moved.getElementType()) != kChunkBytes)
      return lowering.refuse(op,
                             "its rows do not fall into chunks of 16 bytes");
    copyWindow(lowering, window, buffer, window.width, kChunkBytes);
    lowering.handles[op.getToken()] = {};
    return success();
  }

  LogicalResult lowerWait(Lowering &lowering, WaitOp op) override {
    return fallback->lowerWait(lowering, op);
  }

private:
  LogicalResult copyChunks(Lowering &lowering, CopyOp op) {
    SharedBuffer buffer = lowering.getBuffer(op.getBuffer());
    RankedTensorType moved = lowering.getMovedType(op.getBuffer().getType());
    Window window(lowering, lowering.views[op.getView()], op.getOffsets(),
                  op.getTileDims(), moved, op);
    int64_t width = std::min(
        window.width,
        window.map.getVectorWidth(lowering.getContiguousElements(buffer)));
    int64_t bytes = width * moved.getElementTypeBitWidth() / 8;
    if (bytes < kLeastBytes)
      return lowering.refuse(op, "its rows do not fall into chunks of 4 bytes");
    copyWindow(lowering, window, buffer, width, bytes);
    lowering.handles[op.getToken()] = {};
    return success();
  }

  /// Starts the copies of a window in chunks of `width` elements.
  void copyWindow(Lowering &lowering, Window &window,
                  const SharedBuffer &buffer, int64_t width, int64_t bytes) {
    StageAddresses addresses(lowering, buffer, window.map);
    for (int64_t reg = 0; reg < window.map.getNumRegisters(); reg += width)
      // Of what is absent nothing is read, and zeros are written.
      if (window.map.isInside(reg))
        copyVector(lowering.code, addresses.get(reg),
                   window.getAddress(window.getPosition(reg)), bytes,
                   window.isInside(reg));
  }

  static constexpr int64_t kChunkBytes = 16, kLeastBytes = 4;
  WarpSpecialised &pipeline;
  std::unique_ptr<CopyLowering> fallback;
};

} // namespace

std::unique_ptr<CopyLowering>
mlir::varve::nvidia::createRingCopy(WarpSpecialised &pipeline,
                                    std::unique_ptr<CopyLowering> fallback) {
  return std::make_unique<RingCopy>(pipeline, std::move(fallback));
}
