//===- Rope.h - Rotary position embedding with YaRN ------------*- C++ -*-===//
//
// Specification section 4.4. No magnitude correction anywhere.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_ROPE_H
#define VARVE_INTERPRET_REFERENCE_ROPE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <optional>

namespace varve::reference {

/// Interpolation of low frequencies for contexts beyond the original one.
struct Yarn {
  double factor = 1.0;
  double betaFast = 32.0;
  double betaSlow = 1.0;
  int64_t originalMaxPositions = 0;
};

/// The frequencies f_i of the r / 2 pairs of a rotary slice of r dimensions:
/// theta^(-2i/r), with YaRN
///
///   f_i <- (f_i / factor) ramp_i + f_i (1 - ramp_i),
///   ramp_i = clamp((i - lo) / (hi - lo), 0, 1),
///   lo = max(floor(c(betaFast)), 0), hi = min(ceil(c(betaSlow)), r - 1),
///   c(b) = r ln(original / (2 pi b)) / (2 ln theta).
///
/// c is computed in double. The rest is FP32 operation by operation, because
/// the published models were run with such tables and angles at large positions
/// show every bit of f_i: the exponent 2i/r, the power (correctly rounded), its
/// reciprocal, the ramp, its complement, both products and their sum.
/// lo = hi makes the ramp a step at lo (its width is then 0.001).
class RopeTable {
public:
  RopeTable(double theta, int64_t dims, std::optional<Yarn> yarn = {});

  /// r, a positive even number.
  int64_t dims() const { return 2 * static_cast<int64_t>(frequencies.size()); }

  llvm::ArrayRef<float> getFrequencies() const { return frequencies; }

  /// Rotates the pairs (2i, 2i + 1) of the LAST r elements of `x` by the angle
  /// FP32(position * f_i), whose cosine and sine are FP32:
  ///
  ///   a' = a cos - b sin,  b' = a sin + b cos      in FP32
  ///
  /// `inverse` rotates by the negative angle (4.6).
  void rotate(llvm::MutableArrayRef<float> x, int64_t position,
              bool inverse) const;

private:
  llvm::SmallVector<float, 32> frequencies;
};

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_ROPE_H
