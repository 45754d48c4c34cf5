//===- Conditions.h - When an op of a plan is executed ---------*- C++ -*-===//
//
// Conditions of nested `plan.when` ops as intervals, and what a list of them
// covers.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_PLAN_CONDITIONS_H
#define VARVE_PASSES_PLAN_CONDITIONS_H

#include "dialects/Plan/Plan.h"

namespace mlir::varve::plan {

/// `low <= value <= high`.
struct SizeInterval {
  static constexpr int64_t kNoBound = std::numeric_limits<int64_t>::max();

  LinearAttr value;
  int64_t low = 0;
  int64_t high = kNoBound;

  static SizeInterval get(WhenOp when);
  bool contains(const SizeInterval &other) const {
    return value == other.value && low <= other.low && other.high <= high;
  }
};

/// Intervals of different values that hold together.
using Condition = SmallVector<SizeInterval, 2>;

/// When `op` is executed: the intervals of the `plan.when` ops around it.
Condition getCondition(Operation *op);

/// Whether at least one of `conditions` holds whenever `wanted` does. Values
/// are positive. May miss a proof, never finds a wrong one.
bool isCovered(const Condition &wanted, ArrayRef<Condition> conditions);

/// Whether the two never hold together.
bool areExclusive(const Condition &a, const Condition &b);

} // namespace mlir::varve::plan

#endif // VARVE_PASSES_PLAN_CONDITIONS_H
