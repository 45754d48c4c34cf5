//===- Metrics.h - The figures of a row ------------------------*- C++ -*-===//
//
// One table of everything that a row of the explorer says in numbers. Tables,
// JSON, CSV, limits and objectives are made from it, so a figure has one name
// everywhere.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_METRICS_H
#define VARVE_EXPLORE_METRICS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <array>

namespace varve {

enum class Metric {
#define VARVE_METRIC(id, name, text) id,
#include "lib/Explore/Metrics.def"
};

inline constexpr unsigned kNumMetrics = 0
#define VARVE_METRIC(id, name, text) +1
#include "lib/Explore/Metrics.def"
    ;

/// Figures of one row, by metric. Counts are exact up to 2^53.
class Figures {
public:
  double &operator[](Metric metric) {
    return values[static_cast<unsigned>(metric)];
  }
  double operator[](Metric metric) const {
    return values[static_cast<unsigned>(metric)];
  }

private:
  std::array<double, kNumMetrics> values = {};
};

struct MetricInfo {
  Metric metric;
  llvm::StringRef name; ///< "kv_per_token"
  llvm::StringRef text; ///< what it is, with its unit
};

llvm::ArrayRef<MetricInfo> getMetrics();
llvm::StringRef getMetricName(Metric metric);

/// The metric called `name`; "decode_ms" is step_ms. The error names the
/// nearest and lists all.
llvm::Expected<Metric> parseMetric(llvm::StringRef name);

} // namespace varve

#endif // VARVE_EXPLORE_METRICS_H
