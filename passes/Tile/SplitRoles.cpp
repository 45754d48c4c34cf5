//===- SplitRoles.cpp - One text for each role ----------------------------===//
//
// A pipeline is one text whose parts belong to roles. Where roles run at the
// same time, each needs a text of its own: its parts, under the control flow
// around them, without what only other roles carry through loops.
//
//===----------------------------------------------------------------------===//

#include "passes/Tile/SplitRoles.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Tile/Passes.h"
#include "llvm/ADT/EquivalenceClasses.h"

namespace mlir::varve {
#define GEN_PASS_DEF_SPLITROLESPASS
#include "passes/Tile/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

namespace {

/// Which values that loops and branches carry belong to which role.
class Ownership {
public:
  explicit Ownership(PipelineOp pipeline) {
    pipeline.getBody().walk([&](Operation *op) {
      if (!op->getParentOfType<OnOp>())
        unifyCarried(op);
    });
    pipeline.getBody().walk([&](OnOp on) {
      for (Value result : on.getResults())
        owners[leader(result)] = on.getRole();
    });
  }

  /// Whether another role than `role` made it.
  bool isForeign(Value value, StringRef role) {
    auto it = owners.find(leader(value));
    return it != owners.end() && it->second != role;
  }

private:
  void *leader(Value value) {
    return classes.getOrInsertLeaderValue(value.getAsOpaquePointer());
  }
  void unify(Value a, Value b) {
    classes.unionSets(a.getAsOpaquePointer(), b.getAsOpaquePointer());
  }

  // What a loop starts from may be a constant that several roles start from;
  // it is no part of the class.
  void unifyCarried(Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      for (auto [argument, yielded, result] :
           llvm::zip_equal(loop.getRegionIterArgs(), loop.getYieldedValues(),
                           loop.getResults())) {
        unify(argument, result);
        if (!isConstant(yielded))
          unify(yielded, result);
      }
      return;
    }
    if (auto branch = dyn_cast<scf::IfOp>(op)) {
      for (Region *region : {&branch.getThenRegion(), &branch.getElseRegion()})
        if (!region->empty())
          for (auto [yielded, result] :
               llvm::zip_equal(region->front().getTerminator()->getOperands(),
                               branch.getResults()))
            if (!isConstant(yielded))
              unify(yielded, result);
      return;
    }
    if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      for (auto [argument, yielded] : llvm::zip_equal(
               loop.getBeforeArguments(), loop.getYieldOp()->getOperands()))
        if (!isConstant(yielded))
          unify(yielded, argument);
      for (auto [passed, argument, result] :
           llvm::zip_equal(loop.getConditionOp().getArgs(),
                           loop.getAfterArguments(), loop.getResults())) {
        unify(argument, result);
        if (!isConstant(passed))
          unify(passed, result);
      }
    }
  }

  static bool isConstant(Value value) {
    Operation *def = value.getDefiningOp();
    return def && def->hasTrait<OpTrait::ConstantLike>();
  }

  llvm::EquivalenceClasses<void *> classes;
  llvm::DenseMap<void *, StringRef> owners;
};

class RoleWriter {
public:
  RoleWriter(OpBuilder &builder, Ownership &ownership, StringRef role)
      : builder(builder), ownership(ownership), role(role) {}

  /// Clones what belongs to the role.
  void cloneOps(ArrayRef<Operation *> ops) {
    for (Operation *op : ops)
      cloneOp(*op);
  }

private:
  void cloneBlock(Block &block) {
    for (Operation &op : block.without_terminator())
      cloneOp(op);
  }
  void cloneOp(Operation &op) {
    if (isa<RingOp>(op))
      return;
    if (auto on = dyn_cast<OnOp>(op)) {
      if (on.getRole() != role)
        return;
      Block &body = on.getBody().front();
      for (Operation &part : body.without_terminator())
        builder.clone(part, mapping);
      for (auto [result, value] : llvm::zip_equal(
               on.getResults(), body.getTerminator()->getOperands()))
        mapping.map(result, mapping.lookupOrDefault(value));
      return;
    }
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return cloneFor(loop);
    if (auto branch = dyn_cast<scf::IfOp>(op))
      return cloneIf(branch);
    if (auto loop = dyn_cast<scf::WhileOp>(op))
      return cloneWhile(loop);
    builder.clone(op, mapping);
  }

  bool isKept(Value value) { return !ownership.isForeign(value, role); }

  /// The new values of those `values` whose carrier is kept.
  SmallVector<Value> getKept(ValueRange values, ValueRange carriers) {
    SmallVector<Value> kept;
    for (auto [value, carrier] : llvm::zip_equal(values, carriers))
      if (isKept(carrier))
        kept.push_back(mapping.lookupOrDefault(value));
    return kept;
  }
  void mapKept(ValueRange olds, ValueRange news) {
    auto next = news.begin();
    for (Value old : olds)
      if (isKept(old))
        mapping.map(old, *next++);
  }

  void cloneFor(scf::ForOp op) {
    auto loop = scf::ForOp::create(builder, op.getLoc(),
                                   mapping.lookupOrDefault(op.getLowerBound()),
                                   mapping.lookupOrDefault(op.getUpperBound()),
                                   mapping.lookupOrDefault(op.getStep()),
                                   getKept(op.getInitArgs(), op.getResults()));
    loop.setUnsignedCmp(op.getUnsignedCmp());
    loop->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      mapping.map(op.getInductionVar(), loop.getInductionVar());
      mapKept(op.getRegionIterArgs(), loop.getRegionIterArgs());
      cloneBlock(*op.getBody());
      if (loop.getNumResults() != 0)
        scf::YieldOp::create(builder, op.getLoc(),
                             getKept(op.getYieldedValues(), op.getResults()));
    }
    mapKept(op.getResults(), loop.getResults());
  }

  void cloneIf(scf::IfOp op) {
    SmallVector<Type> types;
    for (Value result : op.getResults())
      if (isKept(result))
        types.push_back(result.getType());
    bool hasElse = !op.getElseRegion().empty();
    auto branch =
        scf::IfOp::create(builder, op.getLoc(), types,
                          mapping.lookupOrDefault(op.getCondition()), hasElse);
    auto cloneBranch = [&](Block &from, Block *to) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(to);
      cloneBlock(from);
      if (!types.empty())
        scf::YieldOp::create(
            builder, op.getLoc(),
            getKept(from.getTerminator()->getOperands(), op.getResults()));
    };
    cloneBranch(op.getThenRegion().front(), branch.thenBlock());
    if (hasElse)
      cloneBranch(op.getElseRegion().front(), branch.elseBlock());
    mapKept(op.getResults(), branch.getResults());
  }

  void cloneWhile(scf::WhileOp op) {
    SmallVector<Type> types;
    for (Value result : op.getResults())
      if (isKept(result))
        types.push_back(result.getType());
    SmallVector<Value> inits = getKept(op.getInits(), op.getBeforeArguments());
    auto loop = scf::WhileOp::create(builder, op.getLoc(), types, inits);
    OpBuilder::InsertionGuard guard(builder);
    Block *before =
        builder.createBlock(&loop.getBefore(), {}, TypeRange(ValueRange(inits)),
                            SmallVector<Location>(inits.size(), op.getLoc()));
    mapKept(op.getBeforeArguments(), before->getArguments());
    cloneBlock(*op.getBeforeBody());
    scf::ConditionOp condition = op.getConditionOp();
    scf::ConditionOp::create(builder, op.getLoc(),
                             mapping.lookupOrDefault(condition.getCondition()),
                             getKept(condition.getArgs(), op.getResults()));
    Block *after =
        builder.createBlock(&loop.getAfter(), {}, types,
                            SmallVector<Location>(types.size(), op.getLoc()));
    mapKept(op.getAfterArguments(), after->getArguments());
    cloneBlock(*op.getAfterBody());
    scf::YieldOp::create(
        builder, op.getLoc(),
        getKept(op.getYieldOp()->getOperands(), op.getBeforeArguments()));
    mapKept(op.getResults(), loop.getResults());
  }

  OpBuilder &builder;
  Ownership &ownership;
  StringRef role;
  IRMapping mapping;
};

struct SplitRolesPass : varve::impl::SplitRolesPassBase<SplitRolesPass> {
  void runOnOperation() override {
    getOperation().walk([](PipelineOp pipeline) { splitRoles(pipeline); });
  }
};

} // namespace

void mlir::varve::splitRoles(PipelineOp pipeline) {
  Ownership ownership(pipeline);
  Block &body = pipeline.getBody().front();
  OpBuilder builder(pipeline.getContext());
  SmallVector<OnOp> texts;
  for (RoleAttr role : pipeline.getRoles().getAsRange<RoleAttr>()) {
    builder.setInsertionPointToEnd(&body);
    auto text = OnOp::create(builder, pipeline.getLoc(), TypeRange(),
                             builder.getStringAttr(role.getName()));
    texts.push_back(text);
    builder.createBlock(&text.getBody());
    RoleWriter writer(builder, ownership, role.getName());
    // The texts themselves stand at the end of the block that is read.
    SmallVector<Operation *> ops;
    for (Operation &op : body)
      if (!llvm::is_contained(texts, &op))
        ops.push_back(&op);
    writer.cloneOps(ops);
    YieldOp::create(builder, pipeline.getLoc(), ValueRange());
  }
  SmallVector<Operation *> old;
  for (Operation &op : body)
    if (!isa<RingOp>(op) && !llvm::is_contained(texts, &op))
      old.push_back(&op);
  for (Operation *op : llvm::reverse(old)) {
    op->dropAllUses();
    op->erase();
  }
}
