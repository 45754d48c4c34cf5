//===- LayoutClasses.cpp - Tiles that share a layout ----------------------===//

#include "passes/Tile/LayoutClasses.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve::tile;

static int64_t getRoleWarps(OnOp on) {
  return on->getParentOfType<PipelineOp>().lookupRole(on.getRole()).getWarps();
}

int64_t mlir::varve::tile::getWarpsOf(Operation *op) {
  auto on = dyn_cast<OnOp>(op);
  if (!on)
    on = op->getParentOfType<OnOp>();
  return on ? getRoleWarps(on) : op->getParentOfType<FuncOp>().getWarps();
}

LayoutClasses::LayoutClasses(FuncOp function) {
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Value argument : block.getArguments())
          if (isTile(argument))
            add(argument);
    for (Value result : op->getResults())
      if (isTile(result))
        add(result);
  });
  function.walk([&](Operation *op) { visit(op); });

  llvm::DenseMap<int64_t, int64_t> byRoot;
  for (auto [i, tile] : llvm::enumerate(tiles)) {
    auto [it, isNew] = byRoot.try_emplace(find(i), members.size());
    if (isNew) {
      members.emplace_back();
      numWarps.push_back(function.getWarps());
    }
    numbers[tile] = it->second;
    members[it->second].push_back(tile);
  }
  assignRoles(function);
}

/// A class that a role touches is the role's, and so are initial values of what
/// loops carry for it.
void LayoutClasses::assignRoles(FuncOp function) {
  llvm::SmallSet<int64_t, 8> ofRoles;
  auto note = [&](Value value, int64_t warps) {
    if (isTile(value) && ofRoles.insert(lookup(value)).second) {
      numWarps[lookup(value)] = warps;
      return true;
    }
    return false;
  };
  function.walk([&](OnOp on) {
    int64_t warps = getRoleWarps(on);
    for (Value result : on.getResults())
      note(result, warps);
    on.getBody().walk([&](Operation *op) {
      for (Value result : op->getResults())
        note(result, warps);
      for (Value operand : op->getOperands())
        note(operand, warps);
    });
  });
  auto noteInits = [&](ValueRange inits, ValueRange carried) {
    bool isNew = false;
    for (auto [init, argument] : llvm::zip_equal(inits, carried))
      if (isTile(init) && ofRoles.contains(lookup(argument)))
        isNew |= note(init, numWarps[lookup(argument)]);
    return isNew;
  };
  // Loops in loops pass initial values on, so once is not enough.
  bool isNew = !ofRoles.empty();
  while (isNew) {
    isNew = false;
    function.walk([&](Operation *op) {
      if (auto loop = dyn_cast<scf::ForOp>(op))
        isNew |= noteInits(loop.getInitArgs(), loop.getRegionIterArgs());
      else if (auto loop = dyn_cast<scf::WhileOp>(op))
        isNew |= noteInits(loop.getInits(), loop.getBeforeArguments());
    });
  }
}

int64_t LayoutClasses::add(Value tile) {
  auto [it, isNew] = indices.try_emplace(tile, tiles.size());
  if (isNew) {
    tiles.push_back(tile);
    parents.push_back(it->second);
  }
  return it->second;
}

int64_t LayoutClasses::find(int64_t i) {
  while (parents[i] != i)
    i = parents[i] = parents[parents[i]];
  return i;
}

void LayoutClasses::join(Value a, Value b) {
  int64_t i = find(add(a)), j = find(add(b));
  parents[std::max(i, j)] = std::min(i, j);
}

void LayoutClasses::joinAll(ValueRange as, ValueRange bs) {
  for (auto [a, b] : llvm::zip_equal(as, bs))
    if (isTile(a))
      join(a, b);
}

void LayoutClasses::visit(Operation *op) {
  auto joinOptional = [&](Value a, Value b) {
    if (a && b)
      join(a, b);
  };
  llvm::TypeSwitch<Operation *>(op)
      // Initial values may have other layouts: they are converted once.
      .Case([&](scf::ForOp op) {
        joinAll(op.getRegionIterArgs(), op.getResults());
        joinAll(op.getYieldedValues(), op.getResults());
      })
      .Case([&](scf::IfOp op) {
        if (op.getNumResults() == 0)
          return;
        joinAll(op.thenYield().getOperands(), op.getResults());
        joinAll(op.elseYield().getOperands(), op.getResults());
      })
      .Case([&](scf::WhileOp op) {
        joinAll(op.getConditionOp().getArgs(), op.getResults());
        joinAll(op.getAfterArguments(), op.getResults());
        joinAll(op.getYieldOp()->getOperands(), op.getBeforeArguments());
      })
      .Case([&](OnOp op) {
        joinAll(op.getBody().front().getTerminator()->getOperands(),
                op.getResults());
      })
      .Case([&](LoadOp op) { joinOptional(op.getMask(), op.getResult()); })
      .Case([&](StoreOp op) { joinOptional(op.getMask(), op.getValue()); })
      .Case([&](AtomicOp op) {
        join(op.getValue(), op.getOld());
        joinOptional(op.getMask(), op.getOld());
      })
      .Case([&](DotOp op) { join(op.getAccumulator(), op.getResult()); })
      .Case([&](ScanOp op) { join(op.getSource(), op.getResult()); })
      .Default([&](Operation *op) {
        if (!OpTrait::hasElementwiseMappableTraits(op) ||
            op->getNumResults() != 1 || !isTile(op->getResult(0)))
          return;
        for (Value operand : op->getOperands())
          if (isTile(operand))
            join(operand, op->getResult(0));
      });
}
