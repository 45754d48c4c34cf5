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
    if (std::optional<int64_t> bytes = planVectors(op)) {
      copyVectors(lowering, op, *bytes);
      return success();
    }
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
    std::optional<int64_t> chunk = planGather(op);
    if (!chunk || !traceStage(op.getBuffer()).take)
      return fallback->lowerGatherCopy(lowering, op);
    SharedBuffer buffer = lowering.getBuffer(op.getBuffer());
    RankedTensorType moved = lowering.getMovedType(op.getBuffer().getType());
    Window window = lowering.makeWindow(op, moved);
    int64_t elementBytes = getStorageBytes(moved.getElementType());
    int64_t width = std::min(window.width, *chunk / elementBytes);
    if (width * elementBytes < kLeastBytes)
      return lowering.refuse(op, "its rows do not fall into chunks of 4 bytes");
    copyWindow(lowering, window, buffer, width, width * elementBytes);
    lowering.handles[op.getToken()] = {};
    return success();
  }

  LogicalResult lowerWait(Lowering &lowering, WaitOp op) override {
    return fallback->lowerWait(lowering, op);
  }

private:
  void copyVectors(Lowering &lowering, CopyOp op, int64_t bytes);
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

  static constexpr int64_t kLeastBytes = 4;
  WarpSpecialised &pipeline;
  std::unique_ptr<CopyLowering> fallback;
};

/// Thread i copies vector i of the buffer, in row-major order, and those a
/// multiple of the number of threads behind it.
void RingCopy::copyVectors(Lowering &lowering, CopyOp op, int64_t bytes) {
  Code &code = lowering.code;
  const View &view = lowering.views[op.getView()];
  BufferType type = op.getBuffer().getType();
  Value buffer = lowering.getBuffer(op.getBuffer()).base;
  int64_t elementBytes = getStorageBytes(type.getElementType());
  int64_t width = bytes / elementBytes;
  int64_t total = type.getSizeInBytes() / bytes;
  int64_t threads = lowering.threads.numWarps * kWarpLanes;
  SmallVector<int64_t> dims(op.getTileDims());
  for (int64_t first = 0; first < total; first += threads) {
    Value number = code.add(lowering.threads.thread, first);
    auto copy = [&] {
      SmallVector<Value> position;
      for (Value offset : op.getOffsets())
        position.push_back(code.toI64(lowering.scalar(offset)));
      Value rest = number;
      for (int64_t i = dims.size(); i-- > 0;) {
        bool isLast = i + 1 == static_cast<int64_t>(dims.size());
        int64_t size = type.getShape()[i] / (isLast ? width : 1);
        Value coordinate = i == 0 ? rest : code.rem(rest, size);
        rest = code.div(rest, size);
        coordinate = code.mul(coordinate, isLast ? width : 1);
        position[dims[i]] =
            code.add(position[dims[i]], code.extendToI64(coordinate));
      }
      // Of vectors outside the view nothing is read, and zeros are written.
      Value isInside, element = code.i64(0);
      for (auto [dim, index] : llvm::enumerate(position)) {
        Value isWithin =
            code.cmp(arith::CmpIPredicate::ult, index, view.sizes[dim]);
        isInside = isInside ? code.both(isInside, isWithin) : isWithin;
        element = code.add(element, code.mul(index, view.strides[dim]));
      }
      copyVector(code, code.offset(buffer, code.mul(number, bytes)),
                 code.offset(view.base, code.mul(element, elementBytes)), bytes,
                 isInside);
    };
    if (first + threads <= total)
      copy();
    else
      code.ifThen(code.cmp(arith::CmpIPredicate::ult, number, total), copy);
  }
  lowering.handles[op.getToken()] = {};
}

} // namespace

std::unique_ptr<CopyLowering>
mlir::varve::nvidia::createRingCopy(WarpSpecialised &pipeline,
                                    std::unique_ptr<CopyLowering> fallback) {
  return std::make_unique<RingCopy>(pipeline, std::move(fallback));
}
