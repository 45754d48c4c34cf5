//===- CheckOwnership.cpp - Which role may use what -----------------------===//
//
// P6: a union-find over the values that loops and branches carry gives every
// value the role whose `tile.on` made it; a use by another role is an error.
// P7: every buffer and view is followed to where it comes from, and accesses
// are collected by role.
//
//===----------------------------------------------------------------------===//

#include "passes/Tile/CheckOwnership.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

namespace {

/// Values that live in a role's registers or stand for something that it holds.
bool isOwnable(Type type) {
  return isa<RankedTensorType, SlotType, TokenType, BufferType>(type);
}

class OwnershipChecker {
public:
  explicit OwnershipChecker(PipelineOp pipeline) : pipeline(pipeline) {}

  LogicalResult run() {
    pipeline.getBody().walk([&](Operation *op) { unifyCarried(op); });
    WalkResult result =
        pipeline.getBody().walk([&](OnOp on) { return WalkResult(own(on)); });
    if (result.wasInterrupted())
      return failure();
    result = pipeline.getBody().walk([&](Operation *op) {
      return WalkResult(
          success(succeeded(checkUses(op)) && succeeded(checkAccesses(op))));
    });
    return failure(result.wasInterrupted());
  }

private:
  bool isInside(Value value) {
    return pipeline.getBody().isAncestor(value.getParentRegion());
  }

  void unify(Value a, Value b) {
    if (isOwnable(a.getType()) && isInside(a) && isInside(b))
      classes.unionSets(a.getAsOpaquePointer(), b.getAsOpaquePointer());
  }

  void *leader(Value value) {
    void *pointer = value.getAsOpaquePointer();
    return classes.getOrInsertLeaderValue(pointer);
  }

  /// Values that are the same from iteration to iteration or branch to result.
  void unifyCarried(Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      for (auto [init, argument, yielded, result] :
           llvm::zip_equal(loop.getInitArgs(), loop.getRegionIterArgs(),
                           loop.getYieldedValues(), loop.getResults())) {
        unify(init, argument);
        unify(argument, yielded);
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
            unify(yielded, result);
      return;
    }
    if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      for (auto [init, argument, yielded] :
           llvm::zip_equal(loop.getInits(), loop.getBeforeArguments(),
                           loop.getYieldOp()->getOperands())) {
        unify(init, argument);
        unify(yielded, argument);
      }
      for (auto [passed, argument, result] :
           llvm::zip_equal(loop.getConditionOp().getArgs(),
                           loop.getAfterArguments(), loop.getResults())) {
        unify(passed, argument);
        unify(passed, result);
      }
    }
  }

  /// The results of `on` belong to its role, and so does all that a loop or a
  /// condition makes of them.
  LogicalResult own(OnOp on) {
    for (Value result : on.getResults()) {
      auto [it, isNew] = owners.try_emplace(leader(result), on);
      if (isNew || it->second.getRole() == on.getRole())
        continue;
      InFlightDiagnostic diag =
          on.emitOpError() << "of role \"" << on.getRole()
                           << "\" gives a value that a loop or condition mixes "
                              "with one of role \""
                           << it->second.getRole() << "\" (P6)";
      diag.attachNote(it->second.getLoc()) << "the other value is made here";
      return diag;
    }
    return success();
  }

  /// P6 for the operands of an op inside a `tile.on`, and for values that come
  /// into the pipeline.
  LogicalResult checkUses(Operation *op) {
    auto on = op->getParentOfType<OnOp>();
    for (Value operand : op->getOperands()) {
      if (!isOwnable(operand.getType()))
        continue;
      if (!isInside(operand)) {
        if (failed(checkFromOutside(op, operand)))
          return failure();
        continue;
      }
      auto it = owners.find(leader(operand));
      if (!on || it == owners.end() || it->second.getRole() == on.getRole())
        continue;
      InFlightDiagnostic diag =
          op->emitOpError()
          << "in role \"" << on.getRole() << "\" uses a value of role \""
          << it->second.getRole()
          << "\": roles exchange values through rings (P6)";
      diag.attachNote(it->second.getLoc()) << "the value is made here";
      return diag;
    }
    return success();
  }

  LogicalResult checkFromOutside(Operation *op, Value operand) {
    Operation *def = operand.getDefiningOp();
    if (isa<BufferType>(operand.getType()))
      return success(); // P7 looks at what the roles do with it.
    if (isa<RankedTensorType>(operand.getType()) && def && isPure(def) &&
        llvm::none_of(def->getOperandTypes(), isOwnable))
      return success();
    InFlightDiagnostic diag =
        op->emitOpError()
        << "uses a value that all warps computed before the pipeline: a role "
           "can"
           " recompute constants, splats and the like, and nothing else (P6)";
    diag.attachNote(operand.getLoc()) << "the value is made here";
    return diag;
  }

  /// Where a buffer or view comes from; null for the buffers of a ring.
  static Value getRoot(Value memory) {
    while (Operation *def = memory.getDefiningOp()) {
      if (auto part = dyn_cast<SubbufferOp>(def))
        memory = part.getBuffer();
      else if (auto part = dyn_cast<SubviewOp>(def))
        memory = part.getView();
      else if (isa<AcquireOp, ReceiveOp>(def))
        return {};
      else
        break;
    }
    return memory;
  }

  /// P7, one op at a time: remembers who accessed what how.
  LogicalResult checkAccesses(Operation *op) {
    auto effects = dyn_cast<MemoryEffectOpInterface>(op);
    if (!effects || op->getNumRegions() != 0)
      return success();
    SmallVector<MemoryEffects::EffectInstance> instances;
    effects.getEffects(instances);
    auto on = op->getParentOfType<OnOp>();
    StringRef role = on ? on.getRole() : StringRef();
    for (MemoryEffects::EffectInstance &instance : instances) {
      Value memory = instance.getValue();
      if (!memory || !isa<BufferType, ViewType>(memory.getType()))
        continue;
      Value root = getRoot(memory);
      if (!root || (isa<BufferType>(root.getType()) &&
                    root.getParentRegion()->getParentOfType<OnOp>()))
        continue; // A ring's, or a role's own.
      bool writes = isa<MemoryEffects::Write>(instance.getEffect());
      // Roles may write their own parts of a view.
      bool mayBothWrite = isa<ViewType>(root.getType());
      for (const Access &other : accesses[root])
        if (other.role != role && (writes || other.writes) &&
            !(mayBothWrite && writes && other.writes))
          return reportConflict(op, role, root, other);
      accesses[root].push_back({role, writes, op});
    }
    return success();
  }

  struct Access {
    StringRef role;
    bool writes;
    Operation *op;
  };

  LogicalResult reportConflict(Operation *op, StringRef role, Value root,
                               const Access &other) {
    auto name = [](StringRef role) {
      return role.empty() ? std::string("all roles")
                          : "role \"" + role.str() + "\"";
    };
    InFlightDiagnostic diag =
        op->emitOpError() << "in " << name(role) << " and " << name(other.role)
                          << " access the same "
                          << (isa<ViewType>(root.getType()) ? "view" : "buffer")
                          << ", and one of them writes: roles exchange data "
                             "through rings (P7)";
    diag.attachNote(other.op->getLoc()) << "the other access is here";
    return diag;
  }

  PipelineOp pipeline;
  llvm::EquivalenceClasses<void *> classes;
  llvm::DenseMap<void *, OnOp> owners;
  llvm::MapVector<Value, SmallVector<Access>> accesses;
};

} // namespace

LogicalResult mlir::varve::checkOwnership(PipelineOp pipeline) {
  return OwnershipChecker(pipeline).run();
}
