//===- Search.cpp - The rows that are worth a look ------------------------===//
//
// Rows are sorted by their objectives, so a row can be beaten by earlier ones
// only, and by those alone that are in the front already.
//
//===----------------------------------------------------------------------===//

#include "lib/Explore/Search.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

using namespace llvm;

namespace varve {

Expected<Limit> parseLimit(StringRef text) {
  Limit limit;
  size_t place = text.find_first_of("<>=");
  StringRef name = text.take_front(place), rest = text.drop_front(name.size());
  limit.atLeast = rest.consume_front(">=");
  if (!limit.atLeast && !rest.consume_front("<=") && !rest.consume_front("="))
    return createStringError("--limit: expected metric=number, metric<=number "
                             "or metric>=number, got '" +
                             text + "'");
  Expected<Metric> metric = parseMetric(name.trim());
  if (!metric)
    return createStringError("--limit: " + toString(metric.takeError()));
  limit.metric = *metric;
  StringRef number = rest.trim();
  double unit = number.consume_back_insensitive("k")   ? 1024.0
                : number.consume_back_insensitive("m") ? 1048576.0
                : number.consume_back_insensitive("g") ? 1073741824.0
                                                       : 1.0;
  if (number.getAsDouble(limit.value))
    return createStringError("--limit: expected a number behind '" + name +
                             "', got '" + rest + "'");
  limit.value *= unit;
  return limit;
}

/// The objective's value, so that smaller is better.
static double getLoss(const Row &row, Metric metric) {
  bool larger =
      metric == Metric::TokensPerSecond || metric == Metric::AttendedKeys;
  return larger ? -row.figures[metric] : row.figures[metric];
}

static bool isAsGood(const Row &a, const Row &b, ArrayRef<Metric> objectives) {
  return all_of(objectives, [&](Metric metric) {
    return getLoss(a, metric) <= getLoss(b, metric);
  });
}

std::vector<Row> findFront(ArrayRef<Row> rows, ArrayRef<Metric> objectives,
                           ArrayRef<Limit> limits) {
  std::map<std::tuple<unsigned, int64_t, int64_t>, std::vector<Row>> groups;
  for (const Row &row : rows)
    if (all_of(limits,
               [&](const Limit &limit) { return limit.holds(row.figures); }))
      groups[{row.device, row.batch, row.context}].push_back(row);
  std::vector<Row> result;
  for (auto &[condition, group] : groups) {
    llvm::stable_sort(group, [&](const Row &a, const Row &b) {
      for (Metric metric : objectives)
        if (getLoss(a, metric) != getLoss(b, metric))
          return getLoss(a, metric) < getLoss(b, metric);
      return false;
    });
    size_t first = result.size();
    for (const Row &row : group) {
      bool beaten =
          !objectives.empty() &&
          any_of(ArrayRef(result).drop_front(first), [&](const Row &other) {
            return isAsGood(other, row, objectives);
          });
      if (!beaten)
        result.push_back(row);
    }
  }
  return result;
}

} // namespace varve
