//===- Attention.cpp - One softmax over listed keys and a sink ------------===//

#include "lib/Interpret/Reference/Attention.h"
#include "lib/Interpret/Reference/Linear.h"
#include "lib/Interpret/Reference/ProductCount.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cmath>
#include <limits>

using llvm::ArrayRef;
using llvm::MutableArrayRef;
using llvm::SmallVector;
using Rows = ArrayRef<ArrayRef<float>>;

namespace varve::reference {

static constexpr float negativeInfinity =
    -std::numeric_limits<float>::infinity();

/// FP32(e^(x - M)); 0 for x = -inf, even where M is -inf too.
static float expBelow(float x, float M) {
  if (x == negativeInfinity)
    return 0.0f;
  return static_cast<float>(
      std::exp(static_cast<double>(x) - static_cast<double>(M)));
}

/// <q, k> accumulated in FP32 in ascending order.
static float dotAscending(ArrayRef<float> q, ArrayRef<float> key) {
  countProducts(static_cast<int64_t>(q.size()));
  float sum = 0.0f;
  for (auto [a, b] : llvm::zip_equal(q, key))
    sum += a * b;
  return sum;
}

/// l_s of every key, -inf for absent ones.
static SmallVector<float> logitsOf(ArrayRef<float> q, Rows keys,
                                   const AttentionOptions &options) {
  SmallVector<float> logits;
  for (ArrayRef<float> key : keys) {
    if (key.empty())
      logits.push_back(negativeInfinity);
    else if (options.block)
      logits.push_back(dotAscending(q, key) * options.scale);
    else
      logits.push_back(static_cast<float>(dot(q, key)) * options.scale);
  }
  return logits;
}

/// sums[c] = sum_s p[s] values[s][c] over the present keys, in list order.
static void weightedSum(ArrayRef<float> p, Rows values,
                        MutableArrayRef<double> sums) {
  llvm::fill(sums, 0.0);
  for (auto [weight, value] : llvm::zip_equal(p, values)) {
    if (weight == 0.0f)
      continue;
    countProducts(static_cast<int64_t>(sums.size()));
    for (size_t c = 0; c < sums.size(); ++c)
      sums[c] += static_cast<double>(weight) * value[c];
  }
}

namespace {
/// The state of a softmax over a list of which one block after the other is
/// seen.
struct OnlineSoftmax {
  float m = negativeInfinity; ///< largest logit so far
  float l = 0.0f;             ///< sum of e^(logit - m)
  SmallVector<float> A;       ///< weighted sum of values, same exponent

  void add(ArrayRef<float> logits, Rows values, Rounding probabilities);
};
} // namespace

void OnlineSoftmax::add(ArrayRef<float> logits, Rows values,
                        Rounding probabilities) {
  float largest = m;
  for (float logit : logits)
    largest = maxOrNaN(largest, logit);
  if (largest == negativeInfinity)
    return;

  double mass = 0.0;
  SmallVector<float> p;
  for (float logit : logits) {
    float probability = expBelow(logit, largest);
    mass += probability;
    p.push_back(roundTo(probability, probabilities));
  }
  SmallVector<double> sums(A.size());
  weightedSum(p, values, sums);

  float alpha = expBelow(m, largest);
  l = l * alpha + static_cast<float>(mass);
  for (size_t c = 0; c < A.size(); ++c)
    A[c] = A[c] * alpha + static_cast<float>(sums[c]);
  m = largest;
}

static void attendInBlocks(ArrayRef<float> logits, Rows values,
                           std::optional<float> sink,
                           const AttentionOptions &options,
                           MutableArrayRef<float> o) {
  OnlineSoftmax state;
  state.A.assign(o.size(), 0.0f);
  size_t block = static_cast<size_t>(options.block);
  for (size_t begin = 0; begin < logits.size(); begin += block) {
    size_t count = std::min(block, logits.size() - begin);
    state.add(logits.slice(begin, count), values.slice(begin, count),
              options.probabilities);
  }
  if (state.m == negativeInfinity)
    return llvm::fill(o, 0.0f);
  float denominator = state.l + (sink ? expBelow(*sink, state.m) : 0.0f);
  for (size_t c = 0; c < o.size(); ++c)
    o[c] = state.A[c] / denominator;
}

static void attendAtOnce(ArrayRef<float> logits, Rows values,
                         std::optional<float> sink,
                         const AttentionOptions &options,
                         MutableArrayRef<float> o) {
  float M = negativeInfinity;
  for (float logit : logits)
    M = maxOrNaN(M, logit);
  if (M == negativeInfinity)
    return llvm::fill(o, 0.0f);

  double denominator = 0.0;
  SmallVector<float> p;
  for (float logit : logits) {
    float probability = expBelow(logit, M);
    denominator += probability;
    p.push_back(roundTo(probability, options.probabilities));
  }
  if (sink)
    denominator += std::exp(static_cast<double>(*sink) - M);
  SmallVector<double> sums(o.size());
  weightedSum(p, values, sums);
  for (size_t c = 0; c < o.size(); ++c)
    o[c] = static_cast<float>(sums[c] / denominator);
}

void sparseAttention(ArrayRef<float> q, Rows keys, Rows values,
                     std::optional<float> sink, const AttentionOptions &options,
                     MutableArrayRef<float> o) {
  VARVE_ASSERT(keys.size() == values.size(), "one value per key");
  VARVE_ASSERT(options.block >= 0, "a block is a number of keys");
  for (auto [key, value] : llvm::zip_equal(keys, values))
    VARVE_ASSERT(key.empty() ||
                     (key.size() == q.size() && value.size() >= o.size()),
                 "keys have the query's size, values at least the result's");
  SmallVector<float> logits = logitsOf(q, keys, options);
  if (options.block)
    attendInBlocks(logits, values, sink, options, o);
  else
    attendAtOnce(logits, values, sink, options, o);
}

} // namespace varve::reference
