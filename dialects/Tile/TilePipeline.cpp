//===- TilePipeline.cpp - Roles and rings ---------------------------------===//
//
// Verifiers of what one op and its ancestors show. What depends on the order of
// events - fullness of rings, ownership of values - is `tile-check-pipelines`.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::varve::tile;

//===----------------------------------------------------------------------===//
// PipelineOp
//===----------------------------------------------------------------------===//

RoleAttr PipelineOp::lookupRole(StringRef name) {
  for (RoleAttr role : getRoles().getAsRange<RoleAttr>())
    if (role.getName() == name)
      return role;
  return {};
}

static bool isScalarOrView(Type type) {
  return isa<FloatType, IntegerType, IndexType, ViewType>(type);
}

/// C2: whether all roles may run `op`, which stands outside `tile.on`.
static bool isCommonToRoles(Operation *op) {
  if (isa<OnOp, RingOp, LoadScalarOp>(op) ||
      isa<scf::SCFDialect>(op->getDialect()))
    return true;
  return op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         llvm::all_of(op->getResultTypes(), isScalarOrView);
}

LogicalResult PipelineOp::verify() {
  llvm::StringSet<> names;
  int64_t warps = 0;
  for (RoleAttr role : getRoles().getAsRange<RoleAttr>()) {
    if (!names.insert(role.getName()).second)
      return emitOpError() << "expected distinct roles (C1) but got \""
                           << role.getName() << "\" twice";
    warps += role.getWarps();
  }
  if (names.empty())
    return emitOpError() << "expected at least one role (C1)";
  if ((*this)->getParentOfType<PipelineOp>())
    return emitOpError() << "expected not to be inside another pipeline (C3)";
  auto func = (*this)->getParentOfType<FuncOp>();
  if (func && static_cast<int64_t>(func.getWarps()) != warps)
    return emitOpError() << "expected the roles' warps to add up to the "
                            "function's "
                         << func.getWarps() << " (C4) but got " << warps;
  WalkResult result = getBody().walk<WalkOrder::PreOrder>([](Operation *op) {
    if (!isCommonToRoles(op)) {
      op->emitOpError() << "expected to be inside a tile.on: outside, a "
                           "pipeline holds control"
                           " flow and scalar arithmetic (C2)";
      return WalkResult::interrupt();
    }
    return isa<OnOp>(op) ? WalkResult::skip() : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// OnOp, YieldOp
//===----------------------------------------------------------------------===//

LogicalResult OnOp::verify() {
  auto pipeline = (*this)->getParentOfType<PipelineOp>();
  if (!pipeline)
    return emitOpError() << "expected to be inside a tile.pipeline (C1)";
  if (!pipeline.lookupRole(getRole())) {
    InFlightDiagnostic diag = emitOpError()
                              << "expected a role of the pipeline (C1) but got "
                                 "\""
                              << getRole() << "\"; its roles are ";
    llvm::interleaveComma(
        pipeline.getRoles().getAsRange<RoleAttr>(), diag,
        [&](RoleAttr role) { diag << '"' << role.getName() << '"'; });
    return diag;
  }
  if ((*this)->getParentOfType<OnOp>())
    return emitOpError() << "expected not to be inside another tile.on (C2)";
  return success();
}

LogicalResult YieldOp::verify() {
  auto on = cast<OnOp>((*this)->getParentOp());
  if (getOperandTypes() == on.getResultTypes())
    return success();
  return emitOpError() << "expected operands of the types of the "
                       << on.getNumResults()
                       << " results of 'tile.on' (C1) but got "
                       << getOperandTypes();
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

LogicalResult RingOp::verify() {
  if (!isa<PipelineOp>((*this)->getParentOp()))
    return emitOpError() << "expected to be in the body of a tile.pipeline, "
                            "outside loops and branches (C1)";
  for (Operation *user : getResult().getUsers())
    if (!isa<RingUserOpInterface>(user))
      return user->emitOpError()
             << "expected a ring to be used by acquire, commit, receive and "
                "release only (C2)";
  return success();
}

static LogicalResult verifyInsideOn(Operation *op) {
  if (op->getParentOfType<OnOp>())
    return success();
  return op->emitOpError() << "expected to be inside a tile.on (C1)";
}

static LogicalResult inferStage(MLIRContext *context, ValueRange operands,
                                SmallVectorImpl<Type> &types) {
  auto ring = dyn_cast<RingType>(operands[0].getType());
  if (!ring)
    return failure();
  types.push_back(SlotType::get(context));
  llvm::append_range(types, ring.getBuffers());
  return success();
}

LogicalResult
AcquireOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                            ValueRange operands, DictionaryAttr,
                            OpaqueProperties, RegionRange,
                            SmallVectorImpl<Type> &inferredReturnTypes) {
  return inferStage(context, operands, inferredReturnTypes);
}

LogicalResult
ReceiveOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                            ValueRange operands, DictionaryAttr,
                            OpaqueProperties, RegionRange,
                            SmallVectorImpl<Type> &inferredReturnTypes) {
  return inferStage(context, operands, inferredReturnTypes);
}

LogicalResult AcquireOp::verify() { return verifyInsideOn(*this); }
LogicalResult ReceiveOp::verify() { return verifyInsideOn(*this); }
LogicalResult CommitOp::verify() { return verifyInsideOn(*this); }
LogicalResult ReleaseOp::verify() { return verifyInsideOn(*this); }
