//===- Ranges.cpp - Between what a scalar lies ----------------------------===//
//
// Bounds checks of accesses vanish where the offset's range shows that the tile
// is inside the view. Block numbers, loop variables, remainders and the guards
// of copies that run ahead are what offsets are made of.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Ranges.h"

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "passes/Tile/Divisibility.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using mlir::varve::nvidia::IntegerRange;
using mlir::varve::tile::getDivisor;

/// Longer chains than this are not followed.
static constexpr int kDepth = 12;
/// Larger numbers are not kept: sums of those below do not overflow.
static constexpr int64_t kLargest = int64_t(1) << 40;

static std::optional<int64_t> keep(std::optional<int64_t> number) {
  if (!number || *number > kLargest || *number < -kLargest)
    return std::nullopt;
  return number;
}

template <typename Fn>
static std::optional<int64_t> combine(std::optional<int64_t> a,
                                      std::optional<int64_t> b, Fn fn) {
  if (!a || !b)
    return std::nullopt;
  return fn(*a, *b);
}

static IntegerRange find(Value value, Operation *user, int depth);

static IntegerRange ofLoopVariable(scf::ForOp loop, int depth) {
  IntegerRange begin = find(loop.getLowerBound(), loop, depth);
  IntegerRange end = find(loop.getUpperBound(), loop, depth);
  IntegerRange step = find(loop.getStep(), loop, depth);
  IntegerRange result;
  if (loop.getUnsignedCmp() && (!begin.low || *begin.low < 0))
    return result;
  if (step.low && *step.low > 0)
    result.low = begin.low;
  if (end.high)
    result.high = *end.high - 1;
  return result;
}

static IntegerRange ofOp(Operation *op, Operation *user, int depth) {
  auto next = [&](Value v) { return find(v, user, depth); };
  auto isNatural = [](const IntegerRange &range) {
    return range.low && *range.low >= 0;
  };
  return llvm::TypeSwitch<Operation *, IntegerRange>(op)
      .Case([&](arith::AddIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        return {combine(a.low, b.low, std::plus<>()),
                combine(a.high, b.high, std::plus<>())};
      })
      .Case([&](arith::SubIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        return {combine(a.low, b.high, std::minus<>()),
                combine(a.high, b.low, std::minus<>())};
      })
      .Case([&](arith::MulIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        if (!isNatural(a) || !isNatural(b))
          return {};
        auto times = [](int64_t x, int64_t y) {
          int64_t product;
          return llvm::MulOverflow(x, y, product) ? kLargest + 1 : product;
        };
        return {combine(a.low, b.low, times), combine(a.high, b.high, times)};
      })
      .Case([&](arith::DivUIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        if (!isNatural(a) || !isNatural(b) || *b.low == 0)
          return {};
        return {0, a.high ? std::optional(*a.high / *b.low) : std::nullopt};
      })
      .Case([&](arith::CeilDivUIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        if (!isNatural(a) || !isNatural(b) || *b.low == 0)
          return {};
        auto divide = [](int64_t x, int64_t y) {
          return static_cast<int64_t>(llvm::divideCeil(x, y));
        };
        return {combine(a.low, b.high, divide), combine(a.high, b.low, divide)};
      })
      .Case([&](arith::RemUIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        if (!isNatural(b))
          return {};
        IntegerRange result;
        if (b.high || isNatural(a))
          result.low = 0;
        if (b.high)
          result.high = std::max<int64_t>(*b.high - 1, 0);
        if (isNatural(a) && a.high && (!result.high || *a.high < *result.high))
          result.high = a.high;
        return result;
      })
      .Case([&](arith::MinSIOp op) -> IntegerRange {
        IntegerRange a = next(op.getLhs()), b = next(op.getRhs());
        auto least = [](int64_t x, int64_t y) { return std::min(x, y); };
        IntegerRange result{combine(a.low, b.low, least),
                            a.high ? a.high : b.high};
        if (a.high && b.high)
          result.high = std::min(*a.high, *b.high);
        return result;
      })
      .Case([&](arith::SelectOp op) -> IntegerRange {
        IntegerRange a = next(op.getTrueValue()), b = next(op.getFalseValue());
        return {combine(a.low, b.low,
                        [](int64_t x, int64_t y) { return std::min(x, y); }),
                combine(a.high, b.high,
                        [](int64_t x, int64_t y) { return std::max(x, y); })};
      })
      .Case<arith::IndexCastOp, arith::ExtSIOp>(
          [&](auto op) { return next(op.getIn()); })
      .Case([](tile::ProgramIdOp) { return IntegerRange{0, std::nullopt}; })
      .Case([](tile::NumProgramsOp) { return IntegerRange{1, std::nullopt}; })
      .Case([](tile::DimOp) { return IntegerRange{0, std::nullopt}; })
      .Default([](Operation *) { return IntegerRange(); });
}

/// Narrows a range by the conditions under which `user` runs.
static void applyGuards(Value value, Operation *user, int depth,
                        IntegerRange &range) {
  for (; user && user->getParentOp(); user = user->getParentOp()) {
    auto branch = dyn_cast<scf::IfOp>(user->getParentOp());
    if (!branch || user->getParentRegion() != &branch.getThenRegion())
      continue;
    auto condition = branch.getCondition().getDefiningOp<arith::CmpIOp>();
    if (!condition || condition.getLhs() != value)
      continue;
    bool isSigned = condition.getPredicate() == arith::CmpIPredicate::slt;
    bool isNatural = range.low && *range.low >= 0;
    if (!isSigned &&
        !(condition.getPredicate() == arith::CmpIPredicate::ult && isNatural))
      continue;
    IntegerRange limit = find(condition.getRhs(), branch, depth);
    if (limit.high && (!range.high || *limit.high - 1 < *range.high))
      range.high = *limit.high - 1;
  }
}

static IntegerRange find(Value value, Operation *user, int depth) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return {constant.getSExtValue(), constant.getSExtValue()};
  if (depth == 0)
    return {};
  IntegerRange range;
  if (Operation *op = value.getDefiningOp())
    range = ofOp(op, user, depth - 1);
  else if (auto loop = dyn_cast<scf::ForOp>(
               cast<BlockArgument>(value).getOwner()->getParentOp());
           loop && value == loop.getInductionVar())
    range = ofLoopVariable(loop, depth - 1);
  applyGuards(value, user, depth - 1, range);
  range = {keep(range.low), keep(range.high)};
  // The next multiple of what divides it.
  if (range.high && *range.high >= 0)
    range.high = *range.high / getDivisor(value) * getDivisor(value);
  return range;
}

IntegerRange mlir::varve::nvidia::getRange(Value value, Operation *user) {
  return find(value, user, kDepth);
}
