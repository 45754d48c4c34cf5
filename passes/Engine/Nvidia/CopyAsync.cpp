//===- CopyAsync.cpp - Copies by cp.async ---------------------------------===//
//
// Every lane copies vectors of 4, 8 or 16 bytes; those outside the view are
// filled with zeros by a source size of 0. What cannot be cut into such vectors
// is copied through registers.
//
// A copy outside of ring stages is a group of its own. Its token stands for the
// number of groups before it, so that a wait in the same block leaves later
// ones under way; elsewhere a wait is for all.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/CopyAsync.h"

#include "passes/Engine/Nvidia/Window.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

bool mlir::varve::nvidia::isStageBuffer(Value buffer) {
  while (auto part = buffer.getDefiningOp<SubbufferOp>())
    buffer = part.getBuffer();
  return isa_and_present<AcquireOp>(buffer.getDefiningOp());
}

void mlir::varve::nvidia::copyVector(Code &code, Value target, Value source,
                                     int64_t bytes, Value condition) {
  Value size;
  if (condition)
    size = code.select(condition, code.i32(bytes), code.i32(0));
  code.create<NVVM::CpAsyncOp>(target, source, static_cast<uint32_t>(bytes),
                               bytes == 16 ? NVVM::LoadCacheModifierKind::CG
                                           : NVVM::LoadCacheModifierKind::CA,
                               size);
}

void mlir::varve::nvidia::copyWindow(Lowering &lowering, Window &window,
                                     const SharedBuffer &buffer, int64_t width,
                                     int64_t bytes) {
  StageAddresses addresses(lowering, buffer, window.map);
  // Lanes that hold the same elements write the same; whole repeats are left
  // out. Of what is absent nothing is read, and zeros are written.
  for (int64_t reg = 0; reg < window.map.getNumRegisters(); reg += width)
    if (window.map.isInside(reg))
      copyVector(lowering.code, addresses.get(reg),
                 window.getAddress(window.getPosition(reg)), bytes,
                 window.isInside(reg));
}

//===----------------------------------------------------------------------===//
// Addresses of a tile's vectors in a buffer
//===----------------------------------------------------------------------===//

StageAddresses::StageAddresses(Lowering &lowering, const SharedBuffer &buffer,
                               const LayoutMap &map)
    : lowering(lowering), buffer(buffer), map(map),
      base(lowering.getBase(map)) {}

Value StageAddresses::get(int64_t reg) {
  Code &code = lowering.code;
  ArrayRef<int64_t> offset = map.getOffset(reg);
  bool isMatrix = buffer.whole.getRank() == 2 && !map.wraps(0) && !map.wraps(1);
  if (!isMatrix)
    return lowering.getElementAddress(buffer,
                                      lowering.getCoordinates(map, base, reg));
  // A swizzle's pattern repeats every 8 rows.
  Value &known = addresses[{offset[0] % 8, offset[1]}];
  if (!known) {
    Value coordinates[] = {code.add(base[0], offset[0] % 8),
                           code.add(base[1], offset[1])};
    known = lowering.getElementAddress(buffer, coordinates);
  }
  SharedLayoutAttr layout = buffer.whole.getLayout();
  int64_t rowBytes = layout ? layout.getSwizzle() : 0;
  if (rowBytes == 0)
    rowBytes = buffer.whole.getShape()[1] *
               buffer.whole.getElementType().getIntOrFloatBitWidth() / 8;
  return code.offset(known, offset[0] / 8 * 8 * rowBytes);
}

namespace {

class AsyncCopy : public CopyLowering {
public:
  LogicalResult lowerCopy(Lowering &lowering, CopyOp op) override;
  LogicalResult lowerGatherCopy(Lowering &lowering, GatherCopyOp op) override;
  LogicalResult lowerWait(Lowering &lowering, WaitOp op) override;

private:
  bool start(Lowering &lowering, Window &window, Value target);
  void finishGroup(Lowering &lowering, Value buffer, Value token);

  std::unique_ptr<CopyLowering> plain = createPlainCopy();
  /// The group that a token stands for, counted in the order of the text.
  llvm::DenseMap<Value, int64_t> groups;
  int64_t numGroups = 0;
};

/// Ends the group of a copy that no `tile.commit` ends.
void AsyncCopy::finishGroup(Lowering &lowering, Value buffer, Value token) {
  lowering.handles[token] = {};
  if (isStageBuffer(buffer))
    return;
  lowering.code.create<NVVM::CpAsyncCommitGroupOp>();
  groups[token] = ++numGroups;
}

/// Starts the copies of a window; false when it cannot be cut into vectors that
/// an instruction copies.
bool AsyncCopy::start(Lowering &lowering, Window &window, Value target) {
  SharedBuffer buffer = lowering.getBuffer(target);
  int64_t bits = buffer.whole.getElementType().getIntOrFloatBitWidth();
  int64_t width = std::min(
      window.width,
      window.map.getVectorWidth(lowering.getContiguousElements(buffer)));
  int64_t bytes = width * bits / 8;
  if (bytes < 4)
    return false;
  if (!isStageBuffer(target))
    lowering.beforeWrite(buffer.range);
  copyWindow(lowering, window, buffer, width, bytes);
  return true;
}

LogicalResult AsyncCopy::lowerCopy(Lowering &lowering, CopyOp op) {
  Window window(lowering, lowering.views[op.getView()], op.getOffsets(),
                op.getTileDims(),
                lowering.getMovedType(op.getBuffer().getType()), op);
  if (!start(lowering, window, op.getBuffer()))
    return plain->lowerCopy(lowering, op);
  finishGroup(lowering, op.getBuffer(), op.getToken());
  return success();
}

LogicalResult AsyncCopy::lowerGatherCopy(Lowering &lowering, GatherCopyOp op) {
  Window window =
      lowering.makeWindow(op, lowering.getMovedType(op.getBuffer().getType()));
  if (!start(lowering, window, op.getBuffer()))
    return plain->lowerGatherCopy(lowering, op);
  finishGroup(lowering, op.getBuffer(), op.getToken());
  return success();
}

/// Whether a value is made in the block of an op, so that groups between both
/// are counted by the text.
static bool isInBlock(Value token, Operation *op) {
  return token.getDefiningOp() &&
         token.getDefiningOp()->getBlock() == op->getBlock();
}

LogicalResult AsyncCopy::lowerWait(Lowering &lowering, WaitOp op) {
  Code &code = lowering.code;
  int64_t pending = 0;
  if (llvm::all_of(op.getTokens(), [&](Value token) {
        return isInBlock(token, op) && groups.contains(token);
      })) {
    int64_t last = 0;
    for (Value token : op.getTokens())
      last = std::max(last, groups[token]);
    // Groups that inner blocks made may not have been; they only make the wait
    // stricter if they are not counted.
    pending = 0;
    for (auto &[token, group] : groups)
      if (group > last && isInBlock(token, op))
        ++pending;
  }
  code.create<NVVM::CpAsyncWaitGroupOp>(static_cast<uint32_t>(pending));
  lowering.barrier();
  return success();
}

} // namespace

std::unique_ptr<CopyLowering> mlir::varve::nvidia::createAsyncCopy() {
  return std::make_unique<AsyncCopy>();
}
