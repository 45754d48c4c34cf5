//===- Norm.cpp - Root-mean-square normalisation --------------------------===//

#include "lib/Interpret/Reference/Norm.h"
#include "varve/Support/Assert.h"
#include <cmath>

using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace varve::reference {

float meanSquare(ArrayRef<float> x) {
  double sum = orderedSum(
      x.size(), [&](size_t i) { return static_cast<double>(x[i]) * x[i]; });
  return static_cast<float>(sum / static_cast<double>(x.size()));
}

float reciprocalRoot(float value) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(value)));
}

/// rsqrt(mean(x^2) + eps) with every step rounded.
static float steppedFactor(ArrayRef<float> x, float eps, Rounding rounding) {
  double sum = orderedSum(x.size(), [&](size_t i) {
    return static_cast<double>(roundTo(x[i] * x[i], rounding));
  });
  float mean = roundTo(static_cast<float>(sum / static_cast<double>(x.size())),
                       rounding);
  return roundTo(reciprocalRoot(roundTo(mean + eps, rounding)), rounding);
}

void rmsNorm(ArrayRef<float> x, ArrayRef<float> weight, float eps,
             Rounding rounding, MutableArrayRef<float> y) {
  VARVE_ASSERT(x.size() == y.size(), "the result has the size of the input");
  VARVE_ASSERT(weight.empty() || weight.size() == x.size(),
               "one weight per element");
  VARVE_ASSERT(weight.empty() || rounding == Rounding::None,
               "rounded steps are for the weightless norm");
  float factor = rounding == Rounding::None
                     ? reciprocalRoot(meanSquare(x) + eps)
                     : steppedFactor(x, eps, rounding);
  for (size_t i = 0; i < x.size(); ++i) {
    float v = roundTo(x[i] * factor, rounding);
    y[i] = weight.empty() ? v : weight[i] * v;
  }
}

} // namespace varve::reference
