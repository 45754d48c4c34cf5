//===- RolePlan.cpp - How roles fill and read rings -----------------------===//

#include "passes/Engine/Nvidia/RolePlan.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Tile/Divisibility.h"
#include "passes/Tile/DotFamily.h"
#include <numeric>

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

StagePart mlir::varve::nvidia::traceStage(Value buffer) {
  StagePart part;
  auto type = cast<BufferType>(buffer.getType());
  part.offsets.assign(type.getRank(), 0);
  while (true) {
    if (auto sub = buffer.getDefiningOp<SubbufferOp>()) {
      for (auto [offset, more] :
           llvm::zip_equal(part.offsets, sub.getOffsets()))
        offset += more;
      buffer = sub.getBuffer();
      continue;
    }
    if (Operation *def = buffer.getDefiningOp()) {
      unsigned number = cast<OpResult>(buffer).getResultNumber();
      if (isa<AcquireOp, ReceiveOp>(def)) {
        part.take = def;
        part.whole = cast<BufferType>(buffer.getType());
        return part;
      }
      if (auto loop = dyn_cast<scf::ForOp>(def))
        buffer = loop.getInitArgs()[number];
      else if (auto branch = dyn_cast<scf::IfOp>(def))
        buffer = branch.thenYield().getOperand(number);
      else if (auto loop = dyn_cast<scf::WhileOp>(def))
        buffer = loop.getConditionOp().getArgs()[number];
      else
        return part;
      continue;
    }
    auto argument = cast<BlockArgument>(buffer);
    Operation *parent = argument.getOwner()->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(parent)) {
      buffer = loop.getInitArgs()[argument.getArgNumber() - 1];
    } else if (auto loop = dyn_cast<scf::WhileOp>(parent)) {
      buffer = argument.getOwner() == loop.getBeforeBody()
                   ? loop.getInits()[argument.getArgNumber()]
                   : loop.getConditionOp().getArgs()[argument.getArgNumber()];
    } else {
      return part;
    }
  }
}

std::optional<TensorWindow> mlir::varve::nvidia::planCopy(CopyOp op) {
  auto argument = dyn_cast<BlockArgument>(op.getView());
  if (!argument || !isa<FuncOp>(argument.getOwner()->getParentOp()))
    return std::nullopt;
  StagePart part = traceStage(op.getBuffer());
  if (!part.take)
    return std::nullopt;
  // A box that begins elsewhere along the last dimension than at a multiple of
  // 16 bytes is an illegal instruction to an H100.
  int64_t bits =
      op.getView().getType().getElementType().getIntOrFloatBitWidth();
  if (getDivisor(op.getOffsets().back()) * bits % 128 != 0)
    return std::nullopt;
  return planTensorWindow(op.getView().getType(), op.getTileDims(), part.whole,
                          part.offsets, op.getBuffer().getType().getShape());
}

std::optional<int64_t> mlir::varve::nvidia::planGather(GatherCopyOp op) {
  ViewType view = op.getView().getType();
  int64_t bits = view.getElementType().getIntOrFloatBitWidth();
  if (view.getRank() != 2 || bits < 8 || view.isDynamicDim(1) ||
      !op.getColumn() || (!view.isDense() && view.getStrides().back() != 1))
    return std::nullopt;
  // A row that is not dense begins where its stride says.
  int64_t stride =
      view.isDense() ? view.getShape()[1] : view.getStrides().front();
  if (ShapedType::isDynamic(stride))
    return std::nullopt;
  // Chunks are inside the view or outside as a whole.
  int64_t known =
      std::gcd(std::gcd(op.getBuffer().getType().getShape().back(), stride),
               std::gcd(view.getShape()[1], getDivisor(op.getColumn())));
  for (int64_t bytes : {16, 8, 4})
    if (known * bits % (8 * bytes) == 0)
      return bytes;
  return std::nullopt;
}

static int64_t getRoleWarps(OnOp text) {
  return text->getParentOfType<PipelineOp>()
      .lookupRole(text.getRole())
      .getWarps();
}

std::optional<int64_t> mlir::varve::nvidia::planVectors(CopyOp op) {
  StagePart part = traceStage(op.getBuffer());
  BufferType buffer = op.getBuffer().getType();
  ViewType view = op.getView().getType();
  int64_t bits = buffer.getElementType().getIntOrFloatBitWidth();
  int64_t last = view.getRank() - 1;
  SmallVector<int64_t> dims(op.getTileDims());
  if (!isa_and_present<AcquireOp>(part.take) || part.whole != buffer ||
      buffer.getLayout() || !isa<BlockArgument>(op.getView()) || bits < 8 ||
      dims.back() != last || view.isDynamicDim(last) || planCopy(op))
    return std::nullopt;
  SmallVector<int64_t> strides(view.getStrides());
  if (view.isDense()) {
    strides.assign(last + 1, 1);
    for (int64_t dim = last; dim > 0; --dim) {
      if (view.isDynamicDim(dim))
        return std::nullopt;
      strides[dim - 1] = strides[dim] * view.getShape()[dim];
    }
  }
  if (strides[last] != 1 || llvm::any_of(strides, ShapedType::isDynamic))
    return std::nullopt;
  // What divides the place of every vector, and both ends of rows.
  int64_t known =
      std::gcd(std::gcd(view.getShape()[last], buffer.getShape().back()),
               getDivisor(op.getOffsets()[last]));
  for (int64_t stride : ArrayRef(strides).drop_back())
    known = std::gcd(known, stride);
  for (int64_t bytes : {16, 8, 4})
    if (known * bits / 8 % bytes == 0)
      return bytes;
  return std::nullopt;
}

bool mlir::varve::nvidia::canCopyAsync(CopyOp op) {
  if (planVectors(op))
    return true;
  constexpr int64_t kLeastBits = 32;
  ViewType view = op.getView().getType();
  BufferType buffer = op.getBuffer().getType();
  int64_t rank = view.getRank(),
          bits = view.getElementType().getIntOrFloatBitWidth();
  if (op.getTileDims().back() != rank - 1 || view.isDynamicDim(rank - 1) ||
      (!view.isDense() && view.getStrides().back() != 1))
    return false;
  // What divides the position of every chunk, here, there and at the ends.
  int64_t known = std::gcd(view.getShape().back(), buffer.getShape().back());
  known = std::gcd(known, getDivisor(op.getOffsets().back()));
  if (!view.isDense())
    for (int64_t stride : view.getStrides().drop_back())
      known = std::gcd(known, ShapedType::isDynamic(stride) ? 1 : stride);
  // All lanes of the role get something of a small buffer.
  auto text = op->getParentOfType<OnOp>();
  if (!text || !traceStage(op.getBuffer()).take)
    return false;
  int64_t lanes = getRoleWarps(text) * kWarpLanes;
  known = std::min<int64_t>(known & -known,
                            llvm::PowerOf2Ceil(llvm::divideCeil(
                                llvm::product_of(buffer.getShape()), lanes)));
  return known * bits >= kLeastBits;
}

//===----------------------------------------------------------------------===//
// RolePlan
//===----------------------------------------------------------------------===//

RolePlan::RolePlan(PipelineOp pipeline) {
  for (RingOp ring : pipeline.getBody().getOps<RingOp>()) {
    RingPlan plan;
    llvm::SmallDenseSet<Operation *> readers;
    for (Operation *user : ring.getResult().getUsers()) {
      auto text = user->getParentOfType<OnOp>();
      if (isa<AcquireOp>(user))
        plan.writerWarps = getRoleWarps(text);
      else if (isa<ReceiveOp>(user) && readers.insert(text).second)
        plan.readerWarps += getRoleWarps(text);
    }
    rings.insert({ring.getResult(), plan});
  }
  auto getPlan = [&](Value buffer) -> std::pair<RingPlan *, bool> {
    Operation *take = traceStage(buffer).take;
    if (!take)
      return {nullptr, false};
    if (auto acquire = dyn_cast<AcquireOp>(take))
      return {&rings.find(acquire.getRing())->second, true};
    return {&rings.find(cast<ReceiveOp>(take).getRing())->second, false};
  };
  auto read = [&](Value buffer, bool isAsync) {
    auto [plan, isWriter] = getPlan(buffer);
    if (!plan)
      return;
    plan->isReadByWriter |= isWriter;
    (isAsync ? plan->hasAsyncReaders : plan->hasPlainReaders) = true;
  };
  pipeline.getBody().walk([&](Operation *op) {
    if (auto copy = dyn_cast<CopyOp>(op)) {
      if (RingPlan *plan = getPlan(copy.getBuffer()).first)
        (planCopy(copy)       ? plan->fills.tensor
         : canCopyAsync(copy) ? plan->fills.async
                              : plan->fills.stores) = true;
    } else if (auto gather = dyn_cast<GatherCopyOp>(op)) {
      if (RingPlan *plan = getPlan(gather.getBuffer()).first)
        (planGather(gather) ? plan->fills.async : plan->fills.stores) = true;
    } else if (auto write = dyn_cast<WriteOp>(op)) {
      if (RingPlan *plan = getPlan(write.getBuffer()).first)
        plan->fills.stores = true;
    } else if (auto readOp = dyn_cast<ReadOp>(op)) {
      read(readOp.getBuffer(), /*isAsync=*/false);
    } else if (auto dot = dyn_cast<DotOp>(op)) {
      for (Value operand : {Value(dot.getA()), Value(dot.getB())})
        if (isa<BufferType>(operand.getType()))
          read(operand, /*isAsync=*/isa_and_present<WgmmaLayoutAttr>(
                            dot.getType().getEncoding()) &&
                            (operand != dot.getA() || !getCodeProduct(dot)));
    } else if (auto store = dyn_cast<StoreOp>(op)) {
      if (isa<BufferType>(store.getValue().getType()))
        read(store.getValue(), /*isAsync=*/true);
    }
  });
  // A stage that nothing fills still has to be handed on.
  for (auto &[ring, plan] : rings)
    if (plan.getFullArrivals() == 0)
      plan.fills.stores = true;
}

bool RolePlan::isSingleThreaded(OnOp text) const {
  WalkResult result = text.getBody().walk([&](Operation *op) {
    if (!isa<TileDialect>(op->getDialect()) ||
        isa<YieldOp, DimOp, ProgramIdOp, NumProgramsOp, SubviewOp, LoadScalarOp,
            WaitPredecessorOp, ReleaseSuccessorOp>(op)) {
      // Tiles are the work of all threads.
      return WalkResult(success(llvm::none_of(
          op->getResultTypes(), llvm::IsaPred<RankedTensorType>)));
    }
    if (auto copy = dyn_cast<CopyOp>(op))
      return WalkResult(success(planCopy(copy).has_value()));
    auto take = dyn_cast<RingUserOpInterface>(op);
    if (!take || isa<ReceiveOp, ReleaseOp>(op))
      return WalkResult::interrupt();
    const FillKinds &fills = getRing(take.getRing()).fills;
    return WalkResult(success(!fills.async && !fills.stores));
  });
  return !result.wasInterrupted();
}

bool RolePlan::hasProducts(OnOp text) {
  return text.getBody()
      .walk([](DotOp dot) {
        return isa_and_present<WgmmaLayoutAttr>(dot.getType().getEncoding())
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}
