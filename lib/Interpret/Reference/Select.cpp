//===- Select.cpp - Scores and what they select ---------------------------===//

#include "lib/Interpret/Reference/Select.h"
#include "lib/Interpret/Reference/Linear.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Sampling.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

using llvm::ArrayRef;
using llvm::MutableArrayRef;
using llvm::SmallVector;

namespace varve::reference {

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

SmallVector<int32_t> bestOf(ArrayRef<float> scores, size_t k) {
  SmallVector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  k = std::min(k, order.size());
  std::partial_sort(order.begin(), order.begin() + k, order.end(),
                    betterFirst(std::span<const float>(scores)));
  order.truncate(k);
  return order;
}

//===----------------------------------------------------------------------===//
// Indexer
//===----------------------------------------------------------------------===//

float indexScore(ArrayRef<float> q, ArrayRef<float> key,
                 ArrayRef<float> weights, float scale, Rounding rounding) {
  VARVE_ASSERT(q.size() == weights.size() * key.size(),
               "one weight per head of the key's size");
  double sum = 0.0;
  for (size_t h = 0; h < weights.size(); ++h) {
    float wt = roundTo(weights[h] * scale, rounding);
    float product = roundTo(
        static_cast<float>(dot(q.slice(h * key.size(), key.size()), key)),
        rounding);
    sum += roundTo(wt * std::max(0.0f, product), rounding);
  }
  return roundTo(static_cast<float>(sum), rounding);
}

void topk(ArrayRef<float> scores, MutableArrayRef<int32_t> indices) {
  llvm::fill(indices, -1);
  auto *place = indices.begin();
  for (int32_t s : bestOf(scores, indices.size()))
    if (scores[s] > -std::numeric_limits<float>::infinity())
      *place++ = s;
}

//===----------------------------------------------------------------------===//
// Router
//===----------------------------------------------------------------------===//

static double softplus(double z) {
  return std::max(z, 0.0) + std::log1p(std::exp(-std::fabs(z)));
}

static void softmax(ArrayRef<float> logits, MutableArrayRef<float> p) {
  double largest = *llvm::max_element(logits);
  double mass = orderedSum(
      logits.size(), [&](size_t e) { return std::exp(logits[e] - largest); });
  for (size_t e = 0; e < logits.size(); ++e)
    p[e] = static_cast<float>(std::exp(logits[e] - largest) / mass);
}

void routeScore(ArrayRef<float> logits, Scoring scoring,
                MutableArrayRef<float> a) {
  VARVE_ASSERT(!logits.empty() && logits.size() == a.size(),
               "one score per logit");
  if (scoring == Scoring::Softmax)
    return softmax(logits, a);
  for (size_t e = 0; e < logits.size(); ++e) {
    double z = logits[e];
    a[e] = static_cast<float>(scoring == Scoring::SqrtSoftplus
                                  ? std::sqrt(softplus(z))
                                  : 1.0 / (1.0 + std::exp(-z)));
  }
}

void routeWeights(ArrayRef<float> a, ArrayRef<int32_t> ids,
                  const RouteOptions &options, MutableArrayRef<float> weights) {
  VARVE_ASSERT(ids.size() == weights.size(), "one weight per chosen expert");
  double sum = 0.0;
  for (auto [id, weight] : llvm::zip_equal(ids, weights)) {
    VARVE_ASSERT(id >= 0 && static_cast<size_t>(id) < a.size(),
                 "an expert number of this layer");
    weight = a[id];
    sum += weight;
  }
  float divisor = static_cast<float>(sum);
  for (float &weight : weights) {
    if (options.normalize)
      weight = divisor == 0.0f ? 0.0f : weight / divisor;
    weight *= options.scale;
  }
}

void routeTopk(ArrayRef<float> a, ArrayRef<float> bias,
               const RouteOptions &options, MutableArrayRef<int32_t> ids,
               MutableArrayRef<float> weights) {
  VARVE_ASSERT(ids.size() <= a.size(), "no more active experts than experts");
  VARVE_ASSERT(bias.empty() || bias.size() == a.size(), "one bias per expert");
  SmallVector<float> biased(a.begin(), a.end());
  for (size_t e = 0; e < bias.size(); ++e)
    biased[e] += bias[e];
  llvm::copy(bestOf(biased, ids.size()), ids.begin());
  routeWeights(a, ids, options, weights);
}

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

int32_t sampleGreedy(ArrayRef<float> logits) {
  return varve::sampleGreedy(logits);
}

int32_t sampleTopP(ArrayRef<float> logits, double temperature, double topP,
                   double uniform) {
  return varve::sampleTopP(logits, temperature, topP, uniform);
}

} // namespace varve::reference
