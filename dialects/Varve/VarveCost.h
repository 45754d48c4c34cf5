//===- VarveCost.h - What an op costs in a step ----------------*- C++ -*-===//
//
// Plain data that `CostOpInterface` takes and returns.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_VARVE_VARVECOST_H
#define VARVE_DIALECTS_VARVE_VARVECOST_H

#include "llvm/Support/Error.h"
#include <cstdint>

namespace mlir::varve {

/// A step of `sequences` sequences that contribute the same number of tokens,
/// each ending with `context` tokens processed in all. Whoever fills one from
/// a user's numbers calls `check` before using it.
struct StepShape {
  int64_t tokens = 1;    ///< T, all sequences together
  int64_t sequences = 1; ///< divides `tokens`
  int64_t context = 1;   ///< tokens of a sequence after the step
  int64_t logitRows = 1; ///< tokens whose logits are asked for

  int64_t tokensPerSequence() const { return tokens / sequences; }
  /// Tokens of a sequence before the step; the first position of the step.
  int64_t tokensBefore() const { return context - tokensPerSequence(); }

  /// Fails unless the numbers describe a step: all are positive i32 numbers
  /// (logitRows may be 0), `sequences` divides `tokens`, a sequence's tokens
  /// fit its context, and no more logits are asked for than there are tokens.
  llvm::Error check() const;

  /// Sum over the step's tokens of the entries visible at ratio m:
  /// sum of (p + 1) div m over the positions p of the step.
  int64_t visibleEntries(int64_t m) const;

  /// Sum over the step's tokens of the entries that a selection of the best k
  /// holds at ratio m: sum of min((p + 1) div m, k).
  int64_t selectedEntries(int64_t m, int64_t k) const;

  /// Sum over the step's tokens of the window keys: min(p + 1, W).
  int64_t windowKeys(int64_t W) const;

  /// Entries that the step completes at ratio m, all sequences together.
  int64_t completedEntries(int64_t m) const;
};

/// Work of one op in one step. Operations count a multiply and an add as two.
/// A count that does not fit 63 bits is INT64_MAX, in sums too.
struct OpCost {
  // Arithmetic by the precision of the operands that are multiplied.
  int64_t flopsF32 = 0;
  int64_t flopsBF16 = 0;
  int64_t flopsF8 = 0;
  int64_t flopsF4 = 0;
  // Bytes, each input read once and each output written once.
  int64_t weightBytes = 0;
  int64_t activationBytesRead = 0;
  int64_t activationBytesWritten = 0;
  int64_t poolBytesRead = 0;
  int64_t poolBytesWritten = 0;
  // Parts of the above.
  /// Operations of matrix products and attention, which is what published
  /// counts contain.
  int64_t productFlops = 0;
  /// Bytes read from window pools.
  int64_t windowBytesRead = 0;

  int64_t flops() const;
  int64_t bytes() const;
  OpCost &operator+=(const OpCost &other);
};

} // namespace mlir::varve

#endif // VARVE_DIALECTS_VARVE_VARVECOST_H
