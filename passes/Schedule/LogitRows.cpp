//===- LogitRows.cpp - Which values have rows of logits -------------------===//

#include "passes/Schedule/LogitRows.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::varve;

static bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

LogitRows::LogitRows(Operation *module) {
  bool changed = true;
  while (changed) {
    changed = false;
    module->walk([&](Operation *op) { changed |= propagate(op); });
  }
}

bool LogitRows::propagate(Operation *op) {
  bool changed = false;
  if (auto take = dyn_cast<TakeOp>(op)) {
    changed |= add(take.getRows());
    changed |= add(take.getResult());
    return changed;
  }
  if (auto kernel = dyn_cast<KernelOp>(op)) {
    Operation *yield = kernel.getBody().front().getTerminator();
    for (auto [inner, outer] :
         llvm::zip_equal(yield->getOperands(), kernel.getResults()))
      if (contains(inner))
        changed |= add(outer);
    return changed;
  }
  if (auto call = dyn_cast<func::CallOp>(op)) {
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
        call, call.getCalleeAttr());
    if (!callee || callee.isExternal())
      return changed;
    for (auto [operand, argument] :
         llvm::zip_equal(call.getOperands(), callee.getArguments())) {
      if (contains(argument))
        changed |= add(operand);
      if (contains(operand))
        changed |= add(argument);
    }
    Operation *end = callee.getBody().front().getTerminator();
    for (auto [inner, outer] :
         llvm::zip_equal(end->getOperands(), call.getResults()))
      if (contains(inner))
        changed |= add(outer);
    return changed;
  }
  if (!isa<VarveDialect>(op->getDialect()) ||
      llvm::none_of(op->getOperands(),
                    [&](Value operand) { return contains(operand); }))
    return changed;
  for (Value result : op->getResults())
    if (hasRows(result))
      changed |= add(result);
  for (Value operand : op->getOperands())
    if (hasRows(operand))
      changed |= add(operand);
  return changed;
}
