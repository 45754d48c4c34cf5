//===- Linear.h - Matrix products, plain and block-scaled ------*- C++ -*-===//
//
// Specification sections 4.1 and 2.2-2.3. Weights are row-major [N, K] with one
// row per output.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_LINEAR_H
#define VARVE_INTERPRET_REFERENCE_LINEAR_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace varve::reference {

/// sum_k a[k] b[k]; the products of floats are exact in double.
double dot(llvm::ArrayRef<float> a, llvm::ArrayRef<float> b);

/// A row of numbers, or of codes with one scale per `block` of them.
struct ScaledRow {
  /// The numbers, or the values of the codes (not their bits).
  llvm::ArrayRef<float> codes = {};
  /// ceil(codes.size() / block) scales; empty when `codes` are plain numbers.
  llvm::ArrayRef<float> scales = {};
  /// Elements of one scale; ignored without scales.
  int64_t block = 0;
};

/// A weight [N, K] of plain numbers or codes.
struct ScaledMatrix {
  /// N * K values.
  llvm::ArrayRef<float> codes;
  /// K.
  int64_t columns = 0;
  /// [ceil(N / blockRows), ceil(K / blockColumns)]; empty for plain numbers.
  llvm::ArrayRef<float> scales;
  int64_t blockRows = 0;
  int64_t blockColumns = 0;

  int64_t rows() const { return static_cast<int64_t>(codes.size()) / columns; }
  /// Row `n` with its scales.
  ScaledRow row(int64_t n) const;
};

/// One element of a product. Without scales, FP32(sum_k x[k] w[k]). With
/// scales (4.1), for each block of b = min(x.block, w.block) elements in
/// ascending order:
///
///   partial = FP32(sum_{k in block} x[k] w[k])       summed exactly
///   total   = FP32(total + FP32(partial * FP32(s_x * s_w)))
///
/// where an operand without scales has the scale 1. One of the two blocks must
/// divide the other.
float dotScaled(const ScaledRow &x, const ScaledRow &w);

/// y[n] = sum_k x[k] W[n, k] as `dotScaled` has it.
void linearRow(const ScaledRow &x, const ScaledMatrix &W,
               llvm::MutableArrayRef<float> y);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_LINEAR_H
