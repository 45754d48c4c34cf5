//===- Search.h - The rows that are worth a look ---------------*- C++ -*-===//
#ifndef VARVE_EXPLORE_SEARCH_H
#define VARVE_EXPLORE_SEARCH_H

#include "lib/Explore/Explorer.h"

namespace varve {

/// A bound on a metric.
struct Limit {
  Metric metric = Metric::StepMs;
  bool atLeast = false; ///< otherwise at most
  double value = 0;

  bool holds(const Figures &figures) const {
    return atLeast ? figures[metric] >= value : figures[metric] <= value;
  }
};

/// "kv_per_token=4000" and "kv_per_token<=4000" (at most),
/// "attended_keys>=9000" (at least). Numbers may end in k, m or g, powers of
/// two.
llvm::Expected<Limit> parseLimit(llvm::StringRef text);

/// Rows within all limits of which no other row under the same conditions is as
/// good in all objectives and better in one; all rows within the limits if
/// there is no objective. Smaller is better, except of tokens_per_s and
/// attended_keys. Of rows that are equal in all objectives the first stays.
/// Ordered by condition, then by the first objective.
std::vector<Row> findFront(llvm::ArrayRef<Row> rows,
                           llvm::ArrayRef<Metric> objectives,
                           llvm::ArrayRef<Limit> limits);

} // namespace varve

#endif // VARVE_EXPLORE_SEARCH_H
