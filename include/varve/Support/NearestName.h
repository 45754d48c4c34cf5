//===- NearestName.h - "did you mean" ---------------------------*- C++ -*-===//
//
// Error messages about a name that nobody knows offer the closest one that is
// known, when it is close enough to be a slip of the keyboard.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_NEARESTNAME_H
#define VARVE_SUPPORT_NEARESTNAME_H

#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <string>

namespace varve {

/// "; did you mean 'X'?" with the first of the closest `candidates` (a range
/// of things that convert to StringRef), or nothing when all are too far from
/// `name`: more than a third of its letters, and at least two, would change.
template <typename Range>
std::string didYouMean(llvm::StringRef name, const Range &candidates) {
  unsigned limit = std::max<size_t>(2, name.size() / 3);
  unsigned bestDistance = limit + 1;
  llvm::StringRef best;
  for (llvm::StringRef candidate : candidates) {
    unsigned distance = name.edit_distance(candidate, true, limit);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  if (best.empty())
    return "";
  return ("; did you mean '" + best + "'?").str();
}

} // namespace varve

#endif // VARVE_SUPPORT_NEARESTNAME_H
