//===- Sampling.h - From logits to a token ---------------------*- C++ -*-===//
//
// How a token is chosen, bit by bit the same in the interpreter and in the
// runtime: greedily, or from the likeliest tokens of a given mass by a uniform
// number. Of equal scores the lower number wins, and NaN ranks below -inf.
// Standard library only.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_SAMPLING_H
#define VARVE_SUPPORT_SAMPLING_H

#include "varve/Support/Assert.h"
#include "varve/Support/Philox.h"
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace varve {

/// A strict weak order of the numbers 0 ... n - 1 by descending score.
template <typename Score> auto betterFirst(std::span<const Score> scores) {
  return [scores](int32_t a, int32_t b) {
    Score x = scores[a], y = scores[b];
    if (std::isnan(x) != std::isnan(y))
      return std::isnan(y);
    if (std::isnan(x) || x == y)
      return a < b;
    return x > y;
  };
}

/// The id of the largest logit.
inline int32_t sampleGreedy(std::span<const float> logits) {
  VARVE_ASSERT(!logits.empty(), "sampling needs a vocabulary");
  auto better = betterFirst(logits);
  int32_t best = 0;
  for (size_t id = 1; id < logits.size(); ++id)
    if (better(static_cast<int32_t>(id), best))
      best = static_cast<int32_t>(id);
  return best;
}

/// p = softmax(logits / temperature) in double. Ids are ordered by descending
/// p, equal ones by id; the shortest prefix whose mass reaches `topP` is kept,
/// and the first id at which the cumulative mass exceeds
/// `uniform` * (kept mass) is chosen. temperature > 0, 0 < topP <= 1,
/// 0 <= uniform < 1. Logits that are NaN have p = 0; where the largest logit is
/// infinite the choice is greedy.
inline int32_t sampleTopP(std::span<const float> logits, double temperature,
                          double topP, double uniform) {
  VARVE_ASSERT(temperature > 0 && topP > 0 && topP <= 1 && uniform >= 0 &&
                   uniform < 1,
               "sampling parameters in their ranges");
  int32_t greedy = sampleGreedy(logits);
  double largest = logits[greedy];
  if (!std::isfinite(largest))
    return greedy;

  std::vector<double> p(logits.size());
  for (size_t id = 0; id < p.size(); ++id)
    p[id] = std::isnan(logits[id])
                ? 0.0
                : std::exp((logits[id] - largest) / temperature);
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            betterFirst(std::span<const double>(p)));

  double mass = 0.0;
  for (int32_t id : order)
    mass += p[id];
  // `cumulative` ends exactly at `mass`, so that topP = 1 keeps every id.
  double kept = 0.0;
  size_t numKept = 0;
  while (numKept < order.size() && (numKept == 0 || kept < topP * mass))
    kept += p[order[numKept++]];

  double cumulative = 0.0;
  for (size_t i = 0; i < numKept; ++i) {
    cumulative += p[order[i]];
    if (cumulative > uniform * kept)
      return order[i];
  }
  // uniform < 1 and the sums agree term by term.
  VARVE_ASSERT(false, "the cumulative mass passes every uniform number");
  return greedy;
}

/// The number in [0, 1) that decides sample `index` of a generation.
inline double uniformSample(uint64_t seed, uint64_t index) {
  PhiloxCounter bits = philox4x32(
      {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0, 0},
      {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return bits[0] * 0x1p-32;
}

} // namespace varve

#endif // VARVE_SUPPORT_SAMPLING_H
