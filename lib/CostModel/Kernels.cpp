//===- Kernels.cpp - What ops cost that run together ----------------------===//

#include "lib/CostModel/Kernels.h"
#include "dialects/Varve/Varve.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace mlir::varve;

namespace varve {

/// Ops that only say how values lie pass their operands through.
static void addSources(Value value, llvm::SmallSetVector<Value, 8> &sources) {
  Operation *op = value.getDefiningOp();
  if (!op || isa<CostOpInterface>(op)) {
    sources.insert(value);
    return;
  }
  for (Value operand : op->getOperands())
    addSources(operand, sources);
}

/// Whether a value is used by an op that is not in `inside`.
static bool isUsedOutside(Value value,
                          const llvm::SmallPtrSetImpl<Operation *> &inside) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    if (inside.contains(user))
      return false;
    if (isa<CostOpInterface>(user) || user->hasTrait<OpTrait::IsTerminator>())
      return true;
    return llvm::any_of(user->getResults(), [&](Value result) {
      return isUsedOutside(result, inside);
    });
  });
}

OpCost getKernelCost(const FunctionWork &function, const KernelWork &kernel,
                     const StepShape &step) {
  OpCost cost;
  llvm::SmallPtrSet<Operation *, 8> inside;
  for (unsigned index : kernel.ops)
    inside.insert(function.ops[index].op);
  llvm::SmallSetVector<Value, 8> sources;
  int64_t read = 0, written = 0;
  for (unsigned index : kernel.ops) {
    Operation *op = function.ops[index].op;
    cost += cast<CostOpInterface>(op).getCost(step);
    for (Value operand : op->getOperands())
      addSources(operand, sources);
    for (Value result : op->getResults())
      if (isUsedOutside(result, inside))
        written += getValueBytes(result, step);
  }
  for (Value source : sources) {
    Operation *op = source.getDefiningOp();
    if (!isa_and_nonnull<WeightOp>(op) && (!op || !inside.contains(op)))
      read += getValueBytes(source, step);
  }
  cost.activationBytesRead = read;
  cost.activationBytesWritten = written;
  return cost;
}

} // namespace varve
