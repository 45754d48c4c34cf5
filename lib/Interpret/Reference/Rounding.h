//===- Rounding.h - Where the reference rounds ------------------*- C++ -*-===//
//
// The reference computes what the specification's formulas say, on plain rows
// of floats, and must give the same bits on every machine:
//
// * Sums are accumulated in double in an order that is written out, and round
//   to float once. Only a rule that prescribes FP32 accumulation does not.
// * Elementary functions are evaluated in double and round to float once.
// * Contraction of a * b + c is off for the whole project.
//
// A function's result is FP32; the caller rounds it to the element type in
// which it is kept.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_ROUNDING_H
#define VARVE_INTERPRET_REFERENCE_ROUNDING_H

#include "varve/Support/Floats.h"
#include <array>
#include <cmath>
#include <cstddef>

namespace varve::reference {

/// What the intermediate values that a function marks as "steps" round to.
enum class Rounding {
  None, ///< stay FP32
  BF16,
  F16,
};

inline float roundTo(float value, Rounding rounding) {
  switch (rounding) {
  case Rounding::None:
    return value;
  case Rounding::BF16:
    return roundToBf16(value);
  case Rounding::F16:
    return roundToF16(value);
  }
  return value;
}

/// The larger of two numbers; NaN if one of them is NaN.
inline float maxOrNaN(float a, float b) {
  return a > b || std::isnan(a) ? a : b;
}

/// The sum of term(0) ... term(size - 1) in double. Term k goes to accumulator
/// k mod 16; the accumulators are added pairwise at the end. The fixed
/// interleaving lets a compiler use vectors without reassociating anything.
template <typename Term> double orderedSum(size_t size, const Term &term) {
  constexpr size_t lanes = 16;
  std::array<double, lanes> sums = {};
  size_t k = 0;
  for (; k + lanes <= size; k += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      sums[lane] += term(k + lane);
  for (; k < size; ++k)
    sums[k % lanes] += term(k);
  for (size_t width = lanes / 2; width; width /= 2)
    for (size_t lane = 0; lane < width; ++lane)
      sums[lane] += sums[lane + width];
  return sums[0];
}

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_ROUNDING_H
