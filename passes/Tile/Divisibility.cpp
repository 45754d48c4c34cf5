//===- Divisibility.cpp - What divides a scalar ---------------------------===//
//
// Offsets of loads are sums of block numbers, loop variables and constants.
// What divides them all decides how wide a vector may be.
//
//===----------------------------------------------------------------------===//

#include "passes/Tile/Divisibility.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

using namespace mlir;

static constexpr int64_t kOfZero = int64_t(1) << 30;
/// Longer chains than this are not followed.
static constexpr int kDepth = 16;

static int64_t ofNumber(int64_t number) {
  if (number == 0)
    return kOfZero;
  return std::gcd(number, kOfZero * int64_t(45));
}

static int64_t find(Value value, int depth) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return ofNumber(constant.getSExtValue());
  if (depth == 0)
    return 1;
  auto next = [&](Value v) { return find(v, depth - 1); };
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (!loop)
      return 1;
    if (argument == loop.getInductionVar())
      return std::gcd(next(loop.getLowerBound()), next(loop.getStep()));
    return 1;
  }
  return llvm::TypeSwitch<Operation *, int64_t>(value.getDefiningOp())
      .Case<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp,
            arith::MinUIOp, arith::MaxUIOp>([&](auto op) {
        return std::gcd(next(op.getLhs()), next(op.getRhs()));
      })
      .Case([&](arith::MulIOp op) {
        // Of a wrapped product only the power of two remains certain, which is
        // all that the callers' widths need.
        int64_t a = next(op.getLhs()), b = next(op.getRhs());
        return a >= kOfZero / b ? kOfZero : a * b;
      })
      .Case([&](arith::ShLIOp op) -> int64_t {
        APInt shift;
        if (!matchPattern(op.getRhs(), m_ConstantInt(&shift)) || shift.uge(16))
          return next(op.getLhs());
        int64_t a = next(op.getLhs());
        return std::min(kOfZero, a << shift.getZExtValue());
      })
      .Case([&](arith::DivUIOp op) -> int64_t {
        APInt divisor;
        if (!matchPattern(op.getRhs(), m_ConstantInt(&divisor)) ||
            !divisor.isPowerOf2() || divisor.ugt(kOfZero))
          return 1;
        // Exact where the power of two divides.
        int64_t a = next(op.getLhs());
        int64_t b = static_cast<int64_t>(divisor.getZExtValue());
        return a % b == 0 ? a / b : 1;
      })
      .Case([&](arith::SelectOp op) {
        return std::gcd(next(op.getTrueValue()), next(op.getFalseValue()));
      })
      .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
            arith::ExtUIOp>([&](auto op) { return next(op.getIn()); })
      .Case<arith::RemUIOp, arith::RemSIOp>([&](auto op) {
        return std::gcd(next(op.getLhs()), next(op.getRhs()));
      })
      .Default([](Operation *) { return 1; });
}

int64_t mlir::varve::tile::getDivisor(Value value) {
  // Powers of two survive overflow of any of the operations.
  int64_t divisor = find(value, kDepth);
  return divisor & -divisor;
}
