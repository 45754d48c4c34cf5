//===- Metrics.cpp - The figures of a row ---------------------------------===//

#include "lib/Explore/Metrics.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace varve {

static constexpr MetricInfo table[] = {
#define VARVE_METRIC(id, name, text) {Metric::id, name, text},
#include "lib/Explore/Metrics.def"
};

llvm::ArrayRef<MetricInfo> getMetrics() { return table; }

llvm::StringRef getMetricName(Metric metric) {
  return table[static_cast<unsigned>(metric)].name;
}

llvm::Expected<Metric> parseMetric(llvm::StringRef name) {
  if (name == "decode_ms")
    return Metric::StepMs;
  llvm::SmallVector<llvm::StringRef> names;
  for (const MetricInfo &info : table) {
    if (info.name == name)
      return info.metric;
    names.push_back(info.name);
  }
  return llvm::createStringError("metric '" + name + "': expected one of " +
                                 llvm::join(names, ", ") +
                                 didYouMean(name, names));
}

} // namespace varve
