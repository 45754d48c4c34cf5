//===- Streams.cpp - Residual streams and how they mix --------------------===//

#include "lib/Interpret/Reference/Streams.h"
#include "lib/Interpret/Reference/Linear.h"
#include "lib/Interpret/Reference/Norm.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cmath>

using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace varve::reference {

static float sigmoid(float z) {
  return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(z))));
}

void streamProject(ArrayRef<float> X, const StreamWeights &weights,
                   float normEps, float eps, const StreamCoefficients &result) {
  size_t size = weights.base.size();
  VARVE_ASSERT(weights.fn.size() == size * X.size(),
               "one weight per coefficient and channel");
  float g = reciprocalRoot(meanSquare(X) + normEps);
  llvm::SmallVector<float, 24> M(size);
  for (size_t i = 0; i < size; ++i)
    M[i] =
        static_cast<float>(dot(X, weights.fn.slice(i * X.size(), X.size()))) *
        g;
  streamCoefficients(M, weights.base, weights.scale, eps, result);
}

void streamCoefficients(ArrayRef<float> M, ArrayRef<float> base,
                        ArrayRef<float> scale, float eps,
                        const StreamCoefficients &result) {
  size_t n = result.pre.size();
  bool headForm = result.post.empty();
  VARVE_ASSERT(base.size() == M.size() &&
                   M.size() == (headForm ? n : n * (2 + n)),
               "one logit and one base per coefficient");
  VARVE_ASSERT(scale.size() == (headForm ? 1 : 3), "one scale per kind");
  VARVE_ASSERT(headForm
                   ? result.logits.empty()
                   : result.post.size() == n && result.logits.size() == n * n,
               "post and logits come together");

  for (size_t j = 0; j < n; ++j)
    result.pre[j] = sigmoid(M[j] * scale[0] + base[j]) + eps;
  if (headForm)
    return;
  for (size_t j = 0; j < n; ++j)
    result.post[j] = 2.0f * sigmoid(M[n + j] * scale[1] + base[n + j]);
  for (size_t i = 0; i < n * n; ++i)
    result.logits[i] = M[2 * n + i] * scale[2] + base[2 * n + i];
}

/// Divides `count` elements, `stride` apart, by their sum plus eps.
static void normalize(float *first, int64_t count, int64_t stride, float eps) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i)
    sum += first[i * stride];
  float divisor = static_cast<float>(sum) + eps;
  for (int64_t i = 0; i < count; ++i)
    first[i * stride] /= divisor;
}

static void softmax(MutableArrayRef<float> row) {
  float largest = *llvm::max_element(row);
  for (float &value : row)
    value = static_cast<float>(
        std::exp(static_cast<double>(value) - static_cast<double>(largest)));
  normalize(row.data(), static_cast<int64_t>(row.size()), /*stride=*/1,
            /*eps=*/0.0f);
}

void sinkhorn(MutableArrayRef<float> C, int64_t n, int64_t iterations,
              float eps) {
  VARVE_ASSERT(static_cast<int64_t>(C.size()) == n * n, "a square matrix");
  for (int64_t j = 0; j < n; ++j)
    softmax(C.slice(j * n, n));
  for (float &value : C)
    value += eps;
  for (int64_t pass = 0; pass < iterations; ++pass) {
    if (pass > 0)
      for (int64_t j = 0; j < n; ++j)
        normalize(&C[j * n], n, /*stride=*/1, eps);
    for (int64_t k = 0; k < n; ++k)
      normalize(&C[k], n, /*stride=*/n, eps);
  }
}

void streamCollapse(ArrayRef<float> pre, ArrayRef<float> X,
                    MutableArrayRef<float> x) {
  size_t D = x.size();
  VARVE_ASSERT(X.size() == pre.size() * D, "one weight per stream");
  for (size_t c = 0; c < D; ++c) {
    float sum = pre[0] * X[c];
    for (size_t j = 1; j < pre.size(); ++j)
      sum += pre[j] * X[j * D + c];
    x[c] = sum;
  }
}

void streamMix(ArrayRef<float> y, ArrayRef<float> X, ArrayRef<float> post,
               ArrayRef<float> comb, MutableArrayRef<float> result) {
  size_t n = post.size(), D = y.size();
  VARVE_ASSERT(X.size() == n * D && result.size() == n * D &&
                   comb.size() == n * n,
               "streams, coefficients and result agree in shape");
  for (size_t k = 0; k < n; ++k)
    for (size_t c = 0; c < D; ++c) {
      float mixed = comb[k] * X[c];
      for (size_t j = 1; j < n; ++j)
        mixed += comb[j * n + k] * X[j * D + c];
      result[k * D + c] = post[k] * y[c] + mixed;
    }
}

} // namespace varve::reference
