//===- Comparison.h - How far two tensors are apart ------------*- C++ -*-===//
#ifndef VARVE_CHECK_COMPARISON_H
#define VARVE_CHECK_COMPARISON_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace varve {

/// Differences of a tensor from its reference. A *position* is a row; its error
/// is the RMS of its differences relative to the RMS of its reference row, and
/// infinite if a number is not finite where the reference's is, or the other
/// way round.
struct Statistics {
  int64_t positions = 0;
  double relativeRms = 0;   ///< over all elements, relative to the reference
  double maxDifference = 0; ///< absolute
  double median = 0, p90 = 0, p99 = 0, worst = 0; ///< of the positions' errors
  double equalElements = 1; ///< share of elements with equal values
  double equalArgmax = 1; ///< share of positions with the same largest element
  bool finite = true;     ///< no NaN, and infinities at the same places
};

/// Compares `actual` with `expected`, both [positions, width] row-major. Equal
/// infinities are equal; any other pair with a non-finite number makes
/// `finite` false.
Statistics compare(llvm::ArrayRef<float> actual, llvm::ArrayRef<float> expected,
                   int64_t width);

/// Bounds on statistics; what is absent is not bounded.
struct Limits {
  std::optional<double> relativeRms, maxDifference, median, p90, p99, worst;
  std::optional<double> equalElements, equalArgmax; ///< from below
};

/// One compared tensor.
struct CheckRow {
  std::string what;
  Statistics statistics;
  /// "relative RMS 0.02 > 0.01", empty if within all limits.
  std::vector<std::string> violations;
  /// Layer that the comparison isolates, if it does.
  std::optional<int64_t> layer;

  bool passed() const { return violations.empty(); }
};

/// The comparison `what` held against `limits`.
CheckRow makeRow(std::string what, const Statistics &statistics,
                 const Limits &limits,
                 std::optional<int64_t> layer = std::nullopt);

/// Infinite numbers become null, since JSON has none.
llvm::json::Value toJson(const CheckRow &row);

} // namespace varve

#endif // VARVE_CHECK_COMPARISON_H
