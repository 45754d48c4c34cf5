//===- Attention.h - One softmax over listed keys and a sink ---*- C++ -*-===//
//
// Specification section 4.5.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_ATTENTION_H
#define VARVE_INTERPRET_REFERENCE_ATTENTION_H

#include "lib/Interpret/Reference/Rounding.h"
#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <optional>

namespace varve::reference {

struct AttentionOptions {
  /// Factor of the dot products.
  float scale = 1.0f;
  /// Keys of one step of the online softmax; 0 takes all keys in one pass.
  int64_t block = 0;
  /// What p_s rounds to before it weighs a value; never in the denominator.
  Rounding probabilities = Rounding::None;
};

/// The result o of one query head over a list of keys and their values:
///
///   l_s = scale <q, k_s>,  M = max_s l_s,  p_s = exp(l_s - M)
///   o   = sum_s p_s v_s / (sum_s p_s + exp(sink - M))
///
/// `values[s]` has o.size() elements or more; the first ones count. (Where key
/// and value are one vector, both lists are the same.) An EMPTY key row is the
/// list's index -1: it contributes nothing, but keeps its place in its block.
/// Without a sink its term is left out. Without any key o is 0.
///
/// One pass: l_s and p_s are FP32, the sums double, o rounds once.
///
/// In blocks, as the published program does it: <q, k_s> accumulates in FP32 in
/// ascending order, and in list order, with FP32 state m = -inf, l = 0, A = 0:
///
///   m'  = max(m, max_s l_s),  p_s = exp(l_s - m'),  alpha = exp(m - m')
///   l  <- l alpha + sum_s p_s
///   A  <- A alpha + sum_s round(p_s) v_s,  m <- m'
///
/// and at the end o = A / (l + exp(sink - m)). A block without any key leaves
/// the state alone.
void sparseAttention(llvm::ArrayRef<float> q,
                     llvm::ArrayRef<llvm::ArrayRef<float>> keys,
                     llvm::ArrayRef<llvm::ArrayRef<float>> values,
                     std::optional<float> sink, const AttentionOptions &options,
                     llvm::MutableArrayRef<float> o);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_ATTENTION_H
