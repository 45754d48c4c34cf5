//===- LogitRows.h - Which values have rows of logits ----------*- C++ -*-===//
#ifndef VARVE_PASSES_SCHEDULE_LOGITROWS_H
#define VARVE_PASSES_SCHEDULE_LOGITROWS_H

#include "dialects/Varve/Varve.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::varve {

/// Values of a module whose rows are rows of logits: the row numbers of a
/// `varve.take`, its result, and what is computed from that. The rows of all
/// other values are tokens. Calls pass the property on in both directions.
class LogitRows {
public:
  explicit LogitRows(Operation *module);

  bool contains(Value value) const { return values.contains(value); }

  /// `to` takes the place of `from`.
  void transfer(Value from, Value to) {
    if (contains(from))
      add(to);
  }

private:
  bool add(Value value) { return values.insert(value).second; }
  bool propagate(Operation *op);

  llvm::DenseSet<Value> values;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_SCHEDULE_LOGITROWS_H
