//===- Comparison.h - How far two tensors are apart ------------*- C++ -*-===//
//
// Standard library only: the compiler's `check` and the runtime's share it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECK_COMPARISON_H
#define VARVE_CHECK_COMPARISON_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
Statistics compare(std::span<const float> actual,
                   std::span<const float> expected, int64_t width);

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

/// What the checks are held against. Positions and shares as in Statistics.
struct CheckLimits {
  Limits prefill, decode;
  Limits layer;                ///< one layer from its stored input
  Limits stored;               ///< one mechanism from its stored input
  Limits codes;                ///< quantised pool rows from the attention input
  Limits logits;               ///< the head from the last stored streams
  double routerWeights = 1e-5; ///< relative
  double sharedEntries = 1.0;  ///< share of selected entries
};

/// FP32 arithmetic: bounds on relative RMS and largest difference.
CheckLimits plainLimits(double rms, double max);
/// BF16 activations against an f32 reference. Rounding moves choices of the
/// router and the indexer, and with them single positions by any amount: most
/// positions are held against a bound, not all.
CheckLimits bf16Limits();
/// What sums of products are kept in.
enum class Accumulation {
  F32,
  TensorCores, ///< fewer bits than f32 inside an instruction
};

/// Native precision (test/data/README.md says why these).
CheckLimits nativeLimits(Accumulation accumulation);

/// The limits of a precision; `rms` and `max`, where not negative, replace all
/// of them.
CheckLimits chooseLimits(std::string_view precision, Accumulation accumulation,
                         double rms = -1.0, double max = -1.0);

/// The table that `check` prints, violations behind the rows that have some.
std::string tableOf(std::span<const CheckRow> rows);

/// The sentence under the table: how many comparisons passed, or the first
/// layer that departs. `layersAlone`: each layer was checked alone.
std::string summaryOf(std::span<const CheckRow> rows, bool layersAlone);

} // namespace varve

#endif // VARVE_CHECK_COMPARISON_H
