//===- RingCopy.cpp - Copies into stages of rings -------------------------===//
//
// A copy of a tile of an argument goes to the copy engine, one of numbered rows
// to cp.async, and what neither can express to loads and stores of the role's
// threads.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/AsyncBarrier.h"
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
      return fallback->lowerCopy(lowering, op);
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
    Code &code = lowering.code;
    SharedBuffer buffer = lowering.getBuffer(op.getBuffer());
    RankedTensorType moved = lowering.getMovedType(op.getBuffer().getType());
    Window window = lowering.makeWindow(op, moved);
    const LayoutMap &map = lowering.getMap(moved);
    int64_t bytes = getStorageBytes(moved.getElementType());
    if (window.width * bytes != kChunkBytes)
      return lowering.refuse(op,
                             "its rows do not fall into chunks of 16 bytes");
    SmallVector<Value> base = lowering.getBase(map);
    for (int64_t reg = 0; reg < map.getNumRegisters(); reg += window.width) {
      if (!map.isInside(reg))
        continue;
      Value to = lowering.getElementAddress(
          buffer, lowering.getCoordinates(map, base, reg));
      Value from = window.getAddress(window.getPosition(reg));
      Value size;
      // Of a row that is absent nothing is read, and zeros are written.
      if (Value inside = window.isInside(reg))
        size = code.select(inside, code.i32(kChunkBytes), code.i32(0));
      code.create<NVVM::CpAsyncOp>(to, from, static_cast<uint32_t>(kChunkBytes),
                                   NVVM::LoadCacheModifierKind::CG, size);
    }
    lowering.handles[op.getToken()] = {};
    return success();
  }

  LogicalResult lowerWait(Lowering &lowering, WaitOp op) override {
    return fallback->lowerWait(lowering, op);
  }

private:
  static constexpr int64_t kChunkBytes = 16;
  WarpSpecialised &pipeline;
  std::unique_ptr<CopyLowering> fallback;
};

} // namespace

std::unique_ptr<CopyLowering>
mlir::varve::nvidia::createRingCopy(WarpSpecialised &pipeline,
                                    std::unique_ptr<CopyLowering> fallback) {
  return std::make_unique<RingCopy>(pipeline, std::move(fallback));
}
