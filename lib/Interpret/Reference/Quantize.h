//===- Quantize.h - Codes with shared power-of-two scales ------*- C++ -*-===//
//
// Specification sections A.1 (FP8) and A.2 (FP4), bit by bit.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_QUANTIZE_H
#define VARVE_INTERPRET_REFERENCE_QUANTIZE_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace varve::reference {

/// What a row is quantised to; M is the largest finite code.
enum class CodeType {
  E4M3, ///< M = 448, floor = 1e-4
  E2M1, ///< M = 6, floor = 6 * 2^-126
};

/// For each group of `block` consecutive elements (the last one may be
/// shorter):
///
///   amax = max(max |x|, floor),  y = FP32(amax * FP32(1 / M)),
///   s = 2^ceil(log2 y), from the bits of y,
///   code = round(clamp(x / s, -M, M)) to nearest, ties to the even code.
///
/// `codes` receives the values of the codes (not their bits) and may be `x`;
/// `scales` one scale per group. A group with a NaN or an infinity has the
/// scale NaN, so that nothing of it looks like a number later.
void quantize(llvm::ArrayRef<float> x, int64_t block, CodeType type,
              llvm::MutableArrayRef<float> codes,
              llvm::MutableArrayRef<float> scales);

/// x[i] = FP32(codes[i] * scales[i div block]). `x` may be `codes`.
void dequantize(llvm::ArrayRef<float> codes, llvm::ArrayRef<float> scales,
                int64_t block, llvm::MutableArrayRef<float> x);

/// y[i] = d^(-1/2) sum_j (-1)^popcount(i & j) x[j] in place, d = x.size() a
/// power of two (A.3): FP32 butterflies, nearest neighbours first, then one
/// FP32 multiplication.
void hadamard(llvm::MutableArrayRef<float> x);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_QUANTIZE_H
