//===- CopyPlain.cpp - Copies by loads and stores -------------------------===//
//
// For targets without asynchronous copies, and for what those cannot express: a
// copy is complete when the op is.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Window.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace {

class PlainCopy : public CopyLowering {
public:
  LogicalResult lowerCopy(Lowering &lowering, CopyOp op) override {
    BufferType type = op.getBuffer().getType();
    RankedTensorType moved = lowering.getMovedType(type);
    Window window(lowering, lowering.views[op.getView()], op.getOffsets(),
                  op.getTileDims(), moved);
    RegisterTile tile = lowering.loadTile(window, moved, nullptr, Value());
    lowering.writeBuffer(tile, lowering.getBuffer(op.getBuffer()));
    lowering.handles[op.getToken()] = {};
    return success();
  }

  LogicalResult lowerGatherCopy(Lowering &lowering, GatherCopyOp op) override {
    BufferType type = op.getBuffer().getType();
    RegisterTile tile =
        lowering.gatherRows(op, lowering.getMovedType(type), Value());
    lowering.writeBuffer(tile, lowering.getBuffer(op.getBuffer()));
    lowering.handles[op.getToken()] = {};
    return success();
  }

  /// The writes of the copies are remembered: whoever reads the buffers waits.
  LogicalResult lowerWait(Lowering &lowering, WaitOp op) override {
    return success();
  }
};

} // namespace

std::unique_ptr<CopyLowering> mlir::varve::nvidia::createPlainCopy() {
  return std::make_unique<PlainCopy>();
}
