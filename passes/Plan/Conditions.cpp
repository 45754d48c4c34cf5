//===- Conditions.cpp - When an op of a plan is executed ------------------===//

#include "passes/Plan/Conditions.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::plan;

SizeInterval SizeInterval::get(WhenOp when) {
  SizeInterval interval{when.getValue(), static_cast<int64_t>(when.getLow())};
  if (when.getHigh())
    interval.high = *when.getHigh();
  return interval;
}

static SizeInterval *find(Condition &condition, LinearAttr value) {
  for (SizeInterval &interval : condition)
    if (interval.value == value)
      return &interval;
  return nullptr;
}

Condition plan::getCondition(Operation *op) {
  Condition condition;
  for (auto when = op->getParentOfType<WhenOp>(); when;
       when = when->getParentOfType<WhenOp>()) {
    SizeInterval interval = SizeInterval::get(when);
    if (SizeInterval *known = find(condition, interval.value)) {
      known->low = std::max(known->low, interval.low);
      known->high = std::min(known->high, interval.high);
    } else {
      condition.push_back(interval);
    }
  }
  return condition;
}

/// Whether the union of `intervals` holds every number of `wanted`.
static bool coversInterval(SmallVector<SizeInterval> intervals,
                           const SizeInterval &wanted) {
  llvm::sort(intervals, [](const SizeInterval &a, const SizeInterval &b) {
    return a.low < b.low;
  });
  int64_t next = wanted.low;
  for (const SizeInterval &interval : intervals) {
    if (interval.low > next)
      return false;
    if (interval.high >= wanted.high)
      return true;
    next = std::max(next, interval.high + 1);
  }
  return false;
}

bool plan::isCovered(const Condition &wanted, ArrayRef<Condition> conditions) {
  Condition known = wanted;
  llvm::MapVector<LinearAttr, SmallVector<SizeInterval>> alternatives;
  for (const Condition &condition : conditions) {
    // What `wanted` does not imply already.
    SmallVector<SizeInterval> open;
    for (const SizeInterval &interval : condition) {
      SizeInterval *given = find(known, interval.value);
      if (!given || !interval.contains(*given))
        open.push_back(interval);
    }
    if (open.empty())
      return true;
    if (open.size() == 1)
      alternatives[open.front().value].push_back(open.front());
  }
  for (auto &[value, intervals] : alternatives) {
    SizeInterval *given = find(known, value);
    if (coversInterval(intervals, given ? *given : SizeInterval{value, 1}))
      return true;
  }
  return false;
}

bool plan::areExclusive(const Condition &a, const Condition &b) {
  Condition other = b;
  return llvm::any_of(a, [&](const SizeInterval &interval) {
    SizeInterval *match = find(other, interval.value);
    return match && (match->high < interval.low || interval.high < match->low);
  });
}
