//===- Streams.h - Residual streams and how they mix -----------*- C++ -*-===//
//
// Manifold-constrained hyper-connections, specification section 3: n streams of
// D channels per token. A token's streams are one row X[n * D], stream-major.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_STREAMS_H
#define VARVE_INTERPRET_REFERENCE_STREAMS_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace varve::reference {

/// The weights of a projection to mixing coefficients.
struct StreamWeights {
  /// [n (2 + n), n D], in the head form [n, n D].
  llvm::ArrayRef<float> fn;
  /// [n (2 + n)], in the head form [n].
  llvm::ArrayRef<float> base;
  /// [3], in the head form [1].
  llvm::ArrayRef<float> scale;
};

/// What a token's streams say about their mixing. The sizes choose the form:
/// `pre` has n elements, `post` n and `logits` n * n, or both none in the head
/// form (3.5).
struct StreamCoefficients {
  llvm::MutableArrayRef<float> pre;
  llvm::MutableArrayRef<float> post;
  llvm::MutableArrayRef<float> logits;
};

/// Section 3.3, steps 1-6; FP32 operations, with a double dot product:
///
///   g = rsqrt(mean(X^2) + normEps),  M[i] = (sum_k X[k] fn[i, k]) g
///   pre[j]       = sigmoid(M[j] scale[0] + base[j]) + eps
///   post[j]      = 2 sigmoid(M[n + j] scale[1] + base[n + j])
///   logits[j, k] = M[2n + n j + k] scale[2] + base[2n + n j + k]
void streamProject(llvm::ArrayRef<float> X, const StreamWeights &weights,
                   float normEps, float eps, const StreamCoefficients &result);

/// The part of `streamProject` after the projection, from M itself.
void streamCoefficients(llvm::ArrayRef<float> M, llvm::ArrayRef<float> base,
                        llvm::ArrayRef<float> scale, float eps,
                        const StreamCoefficients &result);

/// Steps 7-9, in place on C [n, n]: softmax of every row, plus `eps` on every
/// element; column step C[j, k] /= (sum_j C[j, k] + eps); then
/// `iterations - 1` times a row step C[j, k] /= (sum_k C[j, k] + eps) and a
/// column step. FP32. Sums end at 1 - eps: part of the function.
void sinkhorn(llvm::MutableArrayRef<float> C, int64_t n, int64_t iterations,
              float eps);

/// Step 10: x[c] = sum_j pre[j] X[j, c], in FP32 operation by operation,
/// ascending j.
void streamCollapse(llvm::ArrayRef<float> pre, llvm::ArrayRef<float> X,
                    llvm::MutableArrayRef<float> x);

/// Section 3.4: X'[k, c] = post[k] y[c] + sum_j comb[j, k] X[j, c]. The sum
/// runs over the FIRST index of comb [n, n]. FP32 operation by operation: the
/// sum over ascending j, then the term of `y`. These values are rounded to BF16
/// in every sub-block, where another order shows as a last bit now and then, so
/// the published program's order is kept. `result` must not be `X`.
void streamMix(llvm::ArrayRef<float> y, llvm::ArrayRef<float> X,
               llvm::ArrayRef<float> post, llvm::ArrayRef<float> comb,
               llvm::MutableArrayRef<float> result);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_STREAMS_H
