//===- Comparison.cpp - How far two tensors are apart ---------------------===//

#include "lib/Check/Comparison.h"
#include "varve/Support/Assert.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace varve;
using llvm::ArrayRef;

static double relative(double squaredError, double squaredReference) {
  if (squaredError == 0.0)
    return 0.0;
  if (squaredReference == 0.0)
    return std::numeric_limits<double>::infinity();
  return std::sqrt(squaredError / squaredReference);
}

/// The smallest value that at least `share` of the sorted values do not exceed.
static double quantile(const std::vector<double> &sorted, double share) {
  if (sorted.empty())
    return 0.0;
  auto index = static_cast<size_t>(std::ceil(share * sorted.size()));
  return sorted[std::clamp<size_t>(index, 1, sorted.size()) - 1];
}

Statistics varve::compare(ArrayRef<float> actual, ArrayRef<float> expected,
                          int64_t width) {
  VARVE_ASSERT(actual.size() == expected.size() && width > 0 &&
                   actual.size() % width == 0,
               "tensors of one shape are compared");
  Statistics result;
  result.positions = actual.size() / width;
  double allErrors = 0, allReferences = 0;
  int64_t equal = 0, sameArgmax = 0;
  std::vector<double> errors;
  for (int64_t position = 0; position < result.positions; ++position) {
    ArrayRef<float> a = actual.slice(position * width, width);
    ArrayRef<float> e = expected.slice(position * width, width);
    double error = 0, reference = 0;
    bool hasNan = false;
    for (int64_t i = 0; i < width; ++i) {
      if (a[i] == e[i]) {
        ++equal;
        if (std::isfinite(e[i]))
          reference += static_cast<double>(e[i]) * e[i];
        continue;
      }
      if (!std::isfinite(a[i]) || !std::isfinite(e[i])) {
        result.finite = false;
        error = result.maxDifference = std::numeric_limits<double>::infinity();
        hasNan |= std::isnan(a[i]) || std::isnan(e[i]);
        continue;
      }
      double difference = static_cast<double>(a[i]) - e[i];
      error += difference * difference;
      reference += static_cast<double>(e[i]) * e[i];
      result.maxDifference =
          std::max(result.maxDifference, std::abs(difference));
    }
    // No element of a row with NaN is the largest.
    sameArgmax +=
        !hasNan && std::max_element(a.begin(), a.end()) - a.begin() ==
                       std::max_element(e.begin(), e.end()) - e.begin();
    errors.push_back(relative(error, reference));
    allErrors += error;
    allReferences += reference;
  }
  std::sort(errors.begin(), errors.end());
  result.relativeRms = relative(allErrors, allReferences);
  result.median = quantile(errors, 0.5);
  result.p90 = quantile(errors, 0.9);
  result.p99 = quantile(errors, 0.99);
  result.worst = errors.empty() ? 0.0 : errors.back();
  if (!actual.empty())
    result.equalElements = static_cast<double>(equal) / actual.size();
  if (result.positions)
    result.equalArgmax = static_cast<double>(sameArgmax) / result.positions;
  return result;
}

CheckRow varve::makeRow(std::string what, const Statistics &statistics,
                        const Limits &limits, std::optional<int64_t> layer) {
  CheckRow row{std::move(what), statistics, {}, layer};
  auto atMost = [&](llvm::StringRef name, double value,
                    std::optional<double> bound) {
    if (bound && !(value <= *bound))
      row.violations.push_back(
          llvm::formatv("{0} {1:e2} > {2:e2}", name, value, *bound).str());
  };
  auto atLeast = [&](llvm::StringRef name, double value,
                     std::optional<double> bound) {
    if (bound && !(value >= *bound))
      row.violations.push_back(
          llvm::formatv("{0} {1:P} < {2:P}", name, value, *bound).str());
  };
  if (!statistics.finite)
    row.violations.push_back("not finite where the reference is");
  atMost("relative RMS", statistics.relativeRms, limits.relativeRms);
  atMost("maximum", statistics.maxDifference, limits.maxDifference);
  atMost("median", statistics.median, limits.median);
  atMost("90 %", statistics.p90, limits.p90);
  atMost("99 %", statistics.p99, limits.p99);
  atMost("worst position", statistics.worst, limits.worst);
  atLeast("equal elements", statistics.equalElements, limits.equalElements);
  atLeast("equal argmax", statistics.equalArgmax, limits.equalArgmax);
  return row;
}

llvm::json::Value varve::toJson(const CheckRow &row) {
  const Statistics &s = row.statistics;
  auto number = [](double value) -> llvm::json::Value {
    return std::isfinite(value) ? llvm::json::Value(value) : nullptr;
  };
  llvm::json::Object object{
      {"what", row.what},
      {"passed", row.passed()},
      {"positions", s.positions},
      {"relative_rms", number(s.relativeRms)},
      {"max", number(s.maxDifference)},
      {"median", number(s.median)},
      {"p90", number(s.p90)},
      {"p99", number(s.p99)},
      {"worst", number(s.worst)},
      {"equal_elements", s.equalElements},
      {"equal_argmax", s.equalArgmax},
      {"finite", s.finite},
      {"violations", llvm::json::Array(row.violations)},
  };
  if (row.layer)
    object["layer"] = *row.layer;
  return object;
}
