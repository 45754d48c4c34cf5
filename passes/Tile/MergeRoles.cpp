//===- MergeRoles.cpp - One program for all roles of a pipeline -----------===//
//
// The text of a pipeline is a sequential program already. What this pass adds
// is the distance between copies and their use (RunAhead.cpp).
//
//===----------------------------------------------------------------------===//

#include "passes/Tile/MergeRoles.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Tile/Passes.h"
#include "passes/Tile/RunAhead.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::varve {
#define GEN_PASS_DEF_MERGEROLESPASS
#include "passes/Tile/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

namespace {

constexpr char kMergedRole[] = "all";

class RoleMerger {
public:
  explicit RoleMerger(PipelineOp pipeline) : pipeline(pipeline) {}

  LogicalResult run();

private:
  void findRoles();
  int64_t getMergedWarps();
  void inlineRole(OnOp on);
  LogicalResult unifyReaders(RingOp ring);
  LogicalResult unifyReadersIn(RingOp ring, Block *block,
                               ArrayRef<StringRef> readers);

  PipelineOp pipeline;
  MergedRoles roles;
};

//===----------------------------------------------------------------------===//
// One text
//===----------------------------------------------------------------------===//

void RoleMerger::findRoles() {
  llvm::SmallSetVector<StringRef, 4> readers;
  pipeline.getBody().walk([&](RingUserOpInterface user) {
    StringRef role = user->getParentOfType<OnOp>().getRole();
    if (isa<AcquireOp>(user))
      roles.ahead.insert(role);
    if (isa<ReceiveOp>(user))
      readers.insert(role);
  });
  roles.ahead.remove_if([&](StringRef role) { return readers.contains(role); });
}

/// The warps of the roles that compute, or of all if none does, rounded down to
/// a power of two.
int64_t RoleMerger::getMergedWarps() {
  int64_t computing = 0, all = 0;
  for (RoleAttr role : pipeline.getRoles().getAsRange<RoleAttr>()) {
    all += role.getWarps();
    if (!roles.ahead.contains(role.getName()))
      computing += role.getWarps();
  }
  return llvm::bit_floor(static_cast<uint64_t>(computing ? computing : all));
}

/// Puts the ops of a role's part where the part stands.
void RoleMerger::inlineRole(OnOp on) {
  // The attribute outlives the op.
  StringRef role = on.getRoleAttr().getValue();
  Block &body = on.getBody().front();
  Operation *yield = body.getTerminator();
  on.replaceAllUsesWith(yield->getOperands());
  yield->erase();
  for (Operation &op : body)
    roles.roleOf[&op] = role;
  on->getBlock()->getOperations().splice(on->getIterator(),
                                         body.getOperations());
  on.erase();
}

/// In one program a stage is received once: by the reader that comes first in
/// the text. It is released by the one that comes last.
LogicalResult RoleMerger::unifyReaders(RingOp ring) {
  llvm::SmallSetVector<StringRef, 4> readers;
  llvm::SmallSetVector<Block *, 4> blocks;
  pipeline.getBody().walk([&](RingUserOpInterface user) {
    if (user.getRing() != ring.getResult() || !isa<ReceiveOp, ReleaseOp>(user))
      return;
    readers.insert(roles.roleOf.lookup(user));
    blocks.insert(user->getBlock());
  });
  if (readers.size() < 2)
    return success();
  for (Block *block : blocks)
    if (failed(unifyReadersIn(ring, block, readers.getArrayRef())))
      return failure();
  return success();
}

LogicalResult RoleMerger::unifyReadersIn(RingOp ring, Block *block,
                                         ArrayRef<StringRef> readers) {
  SmallVector<SmallVector<ReceiveOp>> receives(readers.size());
  SmallVector<SmallVector<ReleaseOp>> releases(readers.size());
  for (Operation &op : *block) {
    auto user = dyn_cast<RingUserOpInterface>(op);
    if (!user || user.getRing() != ring.getResult())
      continue;
    size_t reader =
        llvm::find(readers, roles.roleOf.lookup(&op)) - readers.begin();
    if (auto receive = dyn_cast<ReceiveOp>(op))
      receives[reader].push_back(receive);
    else if (auto release = dyn_cast<ReleaseOp>(op))
      releases[reader].push_back(release);
  }
  for (size_t i = 1; i < readers.size(); ++i)
    if (receives[i].size() != receives[0].size() ||
        releases[i].size() != releases[0].size())
      return ring.emitOpError()
             << "cannot be merged: roles \"" << readers[0] << "\" and \""
             << readers[i]
             << "\" read it in different control flow; let both receive and "
                "release in the same block";
  for (size_t i = 0; i < receives[0].size(); ++i) {
    SmallVector<ReceiveOp> same;
    for (auto &list : receives)
      same.push_back(list[i]);
    llvm::sort(same,
               [](ReceiveOp a, ReceiveOp b) { return a->isBeforeInBlock(b); });
    for (ReceiveOp later : ArrayRef(same).drop_front()) {
      later->replaceAllUsesWith(same.front());
      later.erase();
    }
  }
  for (size_t i = 0; i < releases[0].size(); ++i) {
    SmallVector<ReleaseOp> same;
    for (auto &list : releases)
      same.push_back(list[i]);
    llvm::sort(same,
               [](ReleaseOp a, ReleaseOp b) { return a->isBeforeInBlock(b); });
    for (ReleaseOp earlier : ArrayRef(same).drop_back())
      earlier.erase();
  }
  return success();
}

LogicalResult RoleMerger::run() {
  findRoles();
  SmallVector<OnOp> parts;
  pipeline.getBody().walk([&](OnOp on) { parts.push_back(on); });
  for (OnOp on : parts)
    inlineRole(on);
  for (RingOp ring : pipeline.getBody().getOps<RingOp>())
    if (failed(unifyReaders(ring)))
      return failure();

  SmallVector<scf::ForOp> loops;
  pipeline.getBody().walk([&](scf::ForOp loop) { loops.push_back(loop); });
  for (scf::ForOp loop : loops)
    if (!roles.isAhead(loop))
      runAhead(loop, pipeline, roles);

  // One role with the whole text, behind the rings.
  OpBuilder builder(pipeline.getContext());
  int64_t warps = getMergedWarps();
  Block &body = pipeline.getBody().front();
  builder.setInsertionPointToEnd(&body);
  auto on = OnOp::create(builder, pipeline.getLoc(), TypeRange(),
                         builder.getStringAttr(kMergedRole));
  Block *text = on.getBody().empty() ? builder.createBlock(&on.getBody())
                                     : &on.getBody().front();
  for (Operation &op : llvm::make_early_inc_range(body))
    if (&op != on.getOperation() && !isa<RingOp>(op))
      op.moveBefore(
          text, text->empty() || !text->back().hasTrait<OpTrait::IsTerminator>()
                    ? text->end()
                    : text->back().getIterator());
  if (text->empty() || !text->back().hasTrait<OpTrait::IsTerminator>()) {
    builder.setInsertionPointToEnd(text);
    YieldOp::create(builder, pipeline.getLoc());
  }
  Attribute role = RoleAttr::get(pipeline.getContext(), kMergedRole, warps,
                                 /*registers=*/0);
  pipeline.setRolesAttr(builder.getArrayAttr(role));

  auto func = pipeline->getParentOfType<FuncOp>();
  func.setWarps(warps);
  if (StrategyAttr old = func.getStrategyAttr())
    func.setStrategyAttr(
        StrategyAttr::get(func.getContext(), old.getDot(), /*in_flight=*/0,
                          old.getBlocksPerMultiprocessor(),
                          old.getStagedStore(), old.getShortSums()));
  return success();
}

struct MergeRoles : public varve::impl::MergeRolesPassBase<MergeRoles> {
  void runOnOperation() override {
    if (failed(mergeRoles(getOperation())))
      signalPassFailure();
  }
};

} // namespace

LogicalResult mlir::varve::mergeRoles(FuncOp func) {
  SmallVector<PipelineOp> pipelines(func.getBody().getOps<PipelineOp>());
  if (pipelines.empty())
    return success();
  if (failed(checkPipelines(func)))
    return failure();
  SmallVector<PipelineOp> nested;
  func.walk([&](PipelineOp pipeline) { nested.push_back(pipeline); });
  int64_t warps = -1;
  for (PipelineOp pipeline : nested) {
    if (failed(RoleMerger(pipeline).run()))
      return failure();
    if (warps != -1 && warps != static_cast<int64_t>(func.getWarps()))
      return pipeline.emitOpError()
             << "cannot be merged: its computing roles have " << func.getWarps()
             << " warps, those of another pipeline of the "
             << "function " << warps;
    warps = func.getWarps();
  }
  return success();
}
