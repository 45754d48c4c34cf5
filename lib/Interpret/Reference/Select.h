//===- Select.h - Scores and what they select ------------------*- C++ -*-===//
//
// The indexer (specification section 6), the router (8.1) and sampling. Of
// equal scores the lower number wins, everywhere.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_SELECT_H
#define VARVE_INTERPRET_REFERENCE_SELECT_H

#include "lib/Interpret/Reference/Rounding.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace varve::reference {

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

/// The numbers of the k best scores, best first; of equal scores the lower
/// number first. NaN ranks below -inf. At most scores.size() numbers.
llvm::SmallVector<int32_t> bestOf(llvm::ArrayRef<float> scores, size_t k);

//===----------------------------------------------------------------------===//
// Indexer
//===----------------------------------------------------------------------===//

/// Score of an entry for a query (6.4), with q of `weights.size()` heads of
/// key.size() elements each:
///
///   I = sum_h FP32(weights[h] * scale) * max(0, <q_h, key>)
///
/// Steps: weights[h] * scale, each dot product, each weighted dot product and
/// the sum.
float indexScore(llvm::ArrayRef<float> q, llvm::ArrayRef<float> key,
                 llvm::ArrayRef<float> weights, float scale, Rounding rounding);

/// The indices.size() best scores, best first (6.5). Scores of -inf and NaN are
/// never selected; unused places are -1.
void topk(llvm::ArrayRef<float> scores, llvm::MutableArrayRef<int32_t> indices);

//===----------------------------------------------------------------------===//
// Router
//===----------------------------------------------------------------------===//

/// Router score of a logit z.
enum class Scoring {
  SqrtSoftplus, ///< sqrt(ln(1 + e^z))
  Sigmoid,      ///< 1 / (1 + e^-z)
  Softmax,      ///< e^z / sum e^z
};

/// a = scoring(logits) (8.1, step 2), without overflow for any finite logit.
void routeScore(llvm::ArrayRef<float> logits, Scoring scoring,
                llvm::MutableArrayRef<float> a);

/// How chosen scores become weights.
struct RouteOptions {
  /// Divide by the sum of the chosen scores.
  bool normalize = true;
  /// `routed_scaling_factor`.
  float scale = 1.0f;
};

/// weights[i] = a[ids[i]] (/ their sum) * scale in FP32 (8.1, step 4), with no
/// epsilon. When all chosen scores underflowed to 0, where the quotient has no
/// value, the weights are 0, as an epsilon would make them. Experts chosen by a
/// token-id table pass the table's row as `ids`.
void routeWeights(llvm::ArrayRef<float> a, llvm::ArrayRef<int32_t> ids,
                  const RouteOptions &options,
                  llvm::MutableArrayRef<float> weights);

/// The ids.size() experts with the largest FP32(a + bias), best first, and
/// their weights from the unbiased `a` (8.1, step 3). `bias` may be empty.
/// There are always ids.size() distinct experts, whatever the scores.
void routeTopk(llvm::ArrayRef<float> a, llvm::ArrayRef<float> bias,
               const RouteOptions &options, llvm::MutableArrayRef<int32_t> ids,
               llvm::MutableArrayRef<float> weights);

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

/// varve::sampleGreedy and varve::sampleTopP (varve/Support/Sampling.h), which
/// the runtime shares.
int32_t sampleGreedy(llvm::ArrayRef<float> logits);
int32_t sampleTopP(llvm::ArrayRef<float> logits, double temperature,
                   double topP, double uniform);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_SELECT_H
