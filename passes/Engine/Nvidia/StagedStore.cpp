//===- StagedStore.cpp - Accumulators to global memory in whole rows ------===//
//
// A warpgroup writes panels of 64 rows and 128 bytes of an accumulator to
// shared memory, eight matrices of 8 x 8 an instruction, and the copy engine
// stores them while the program goes on.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/AsyncBarrier.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Engine/Nvidia/WarpSpecialised.h"
#include "passes/Engine/Nvidia/Wgmma.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

static constexpr int64_t kSwizzle = 128;
static constexpr int64_t kPanelBytes = kWgmmaRows * kSwizzle;

/// What the rest of a role may need to exchange elements.
static constexpr int64_t kOtherBytes = 1024;

/// Elements of a row of a panel; the elements have 16 bits.
static constexpr int64_t kPanelColumns = kSwizzle / 2;

namespace {
/// A store that can go this way.
struct Plan {
  WgmmaLayoutAttr layout;
  TensorWindow window;
};
} // namespace

static std::optional<Plan> planStore(StoreOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getValue().getType());
  if (!type || op.getMask() || !isWgmmaTile(type) ||
      type.getElementTypeBitWidth() != 16)
    return std::nullopt;
  auto layout = cast<WgmmaLayoutAttr>(type.getEncoding());
  auto argument = dyn_cast<BlockArgument>(op.getView());
  if (!argument || !isa<FuncOp>(argument.getOwner()->getParentOp()))
    return std::nullopt;
  ArrayRef<int64_t> groups = layout.getWarpgroups();
  if (type.getShape()[0] % (kWgmmaRows * groups[0]) != 0 ||
      type.getShape()[1] % (layout.getN() * groups[1]) != 0 ||
      layout.getN() % kPanelColumns != 0)
    return std::nullopt;
  // One panel of one warpgroup.
  auto panel =
      BufferType::get({kWgmmaRows, kPanelColumns}, type.getElementType(),
                      SharedLayoutAttr::get(op.getContext(), kSwizzle));
  std::optional<TensorWindow> window =
      planTensorWindow(op.getView().getType(), op.getTileDims(), panel, {0, 0},
                       panel.getShape());
  if (!window)
    return std::nullopt;
  return Plan{layout, std::move(*window)};
}

bool StagedStore::suits(Operation *text) {
  return text
      ->walk([](StoreOp op) {
        return planStore(op) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

StagedStore::StagedStore(Lowering &lowering, Operation *text, int64_t shares) {
  StrategyAttr strategy = lowering.source.getStrategyAttr();
  if (!strategy || !strategy.getStagedStore())
    return;
  int64_t most = 0;
  text->walk([&](StoreOp op) {
    if (std::optional<Plan> plan = planStore(op))
      most = std::max(most, plan->layout.getN() / kPanelColumns);
  });
  int64_t groups = lowering.threads.numWarps / kGroupWarps;
  // Two panels under way at once, where there is room.
  int64_t left = (lowering.target.getLimits().sharedBytesPerBlock -
                  lowering.shared.getBytes() - kOtherBytes) /
                 std::max<int64_t>(shares, 1);
  for (panels = std::min<int64_t>(most, 2);
       panels > 0 && panels * groups * kPanelBytes > left;)
    --panels;
  while (panels > 0 && most % panels != 0)
    --panels;
  if (panels == 0)
    return;
  range = lowering.shared.allocate(panels * groups * kPanelBytes,
                                   kSwizzledAlignment);
  firstBarrier =
      groups == 1 ? lowering.threads.barrier : lowering.takeBarriers(groups);
}

bool StagedStore::lower(Lowering &lowering, StoreOp op) {
  if (panels == 0)
    return false;
  std::optional<Plan> plan = planStore(op);
  if (!plan || plan->layout.getN() / kPanelColumns % panels != 0)
    return false;
  isUsed = true;
  Code &code = lowering.code;
  const RegisterTile &tile = lowering.getTile(op.getValue());
  const Threads &threads = lowering.threads;
  Value map = lowering.addTensorMap(*lowering.views[op.getView()].argument,
                                    plan->window.box, plan->window.swizzle);

  // This thread's place in its warpgroup, and the warpgroup's in the tile.
  Value group = code.shiftRight(threads.warp, 2);
  Value warp = code.bitAnd(threads.warp, kGroupWarps - 1);
  ArrayRef<int64_t> groups = plan->layout.getWarpgroups();
  Value groupColumn = code.rem(group, groups[1]);
  Value groupRow = code.rem(code.div(group, groups[1]), groups[0]);
  Value isLeader =
      code.cmp(arith::CmpIPredicate::eq,
               code.bitAnd(threads.thread, kWarpgroupThreads - 1), 0);
  Value area = code.offset(lowering.getSharedPointer(range.begin),
                           code.mul(group, panels * kPanelBytes));
  // Matrix i of an instruction is what lanes 8 i ... 8 i + 7 point at: 16 rows
  // of 8 columns, then the same of the next 8.
  Value matrix = code.shiftRight(threads.lane, 3);
  Value inMatrix = code.bitAnd(threads.lane, 7);
  Value row = code.add(
      code.add(code.mul(warp, 16), code.mul(code.bitAnd(matrix, 1), 8)),
      inMatrix);
  Value rowAddress = code.offset(area, code.mul(row, kSwizzle));
  Value chunk = code.shiftRight(matrix, 1);

  SmallVector<Value> corner;
  for (Value offset : op.getOffsets())
    corner.push_back(code.toI32(lowering.scalar(offset)));
  SmallVector<int64_t> dims = op.getTileDims();
  auto pair = [&](int64_t reg) -> Value {
    Type element = tile.type.getElementType();
    Type pairType = VectorType::get(2, element);
    Value vector = code.create<LLVM::UndefOp>(pairType);
    for (int64_t i = 0; i < 2; ++i)
      vector = code.create<LLVM::InsertElementOp>(
          vector, tile.registers[reg + i], code.i32(i));
    return code.create<LLVM::BitcastOp>(code.builder.getI32Type(), vector);
  };
  Value barrier = code.i32(firstBarrier);
  if (threads.numWarps != kGroupWarps)
    barrier = code.add(barrier, group);
  auto meet = [&] {
    code.create<NVVM::BarrierOp>(TypeRange(), barrier,
                                 code.i32(kWarpgroupThreads),
                                 NVVM::BarrierReductionAttr(), Value());
  };

  int64_t n = plan->layout.getN();
  ArrayRef<int64_t> shape = tile.type.getShape();
  int64_t rowTiles = shape[0] / (kWgmmaRows * groups[0]);
  int64_t columnTiles = shape[1] / (n * groups[1]);
  MLIRContext *context = code.builder.getContext();
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t j = 0; j < columnTiles; ++j)
      for (int64_t first = 0; first < n / kPanelColumns; first += panels) {
        // The panels must have been read before they are written again.
        code.ifThen(isLeader, [&] {
          code.create<NVVM::CpAsyncBulkWaitGroupOp>(
              code.builder.getI32IntegerAttr(0), code.builder.getUnitAttr());
        });
        meet();
        for (int64_t p = 0; p < panels; ++p)
          for (int64_t part = 0; part < kPanelColumns / 16; ++part) {
            int64_t reg = (i * columnTiles + j) * (n / 2) +
                          (first + p) * kPanelColumns / 2 + part * 8;
            Value swizzled = code.bitXor(code.add(chunk, 2 * part), inMatrix);
            Value address =
                code.offset(code.offset(rowAddress, code.mul(swizzled, 16)),
                            p * kPanelBytes);
            code.create<NVVM::StMatrixOp>(
                address,
                ValueRange{pair(reg), pair(reg + 2), pair(reg + 4),
                           pair(reg + 6)},
                NVVM::MMALayout::row,
                NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
                NVVM::LdStMatrixEltType::B16);
          }
        fenceAsyncProxy(code.builder, code.loc);
        meet();
        code.ifThen(isLeader, [&] {
          for (int64_t p = 0; p < panels; ++p) {
            SmallVector<Value> at = corner;
            at[dims[0]] = code.add(
                at[dims[0]],
                code.mul(code.add(groupRow, i * groups[0]), kWgmmaRows));
            at[dims[1]] = code.add(
                at[dims[1]],
                code.add(code.mul(code.add(groupColumn, j * groups[1]), n),
                         (first + p) * kPanelColumns));
            storeTensorWindow(code.builder, code.loc, plan->window, map, at,
                              code.offset(area, p * kPanelBytes));
          }
        });
      }
  return true;
}

void StagedStore::finish(Lowering &lowering) {
  if (!isUsed)
    return;
  Code &code = lowering.code;
  code.ifThen(
      code.cmp(arith::CmpIPredicate::eq,
               code.bitAnd(lowering.threads.thread, kWarpgroupThreads - 1), 0),
      [&] {
        code.create<NVVM::CpAsyncBulkWaitGroupOp>(
            code.builder.getI32IntegerAttr(0), UnitAttr());
      });
}
