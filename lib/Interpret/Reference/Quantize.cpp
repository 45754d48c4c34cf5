//===- Quantize.cpp - Codes with shared power-of-two scales ---------------===//

#include "lib/Interpret/Reference/Quantize.h"
#include "lib/Interpret/Reference/Rounding.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace varve::reference {

namespace {

struct CodeRules {
  float largest;    ///< M
  float reciprocal; ///< FP32(1 / M)
  float floor;      ///< smallest amax
  float (*round)(float);
};

constexpr CodeRules e4m3Rules = {
    e4m3Max, std::bit_cast<float>(0x3B124925u), 1e-4f,
    [](float value) { return e4m3ToFloat(floatToE4m3(value)); }};

constexpr CodeRules e2m1Rules = {
    e2m1Max, std::bit_cast<float>(0x3E2AAAABu), 6 * 0x1p-126f,
    [](float value) { return e2m1ToFloat(floatToE2m1(value)); }};

} // namespace

/// The largest magnitude of `group`, but at least `floor`; NaN if there is one.
static float maxMagnitude(ArrayRef<float> group, float floor) {
  float amax = floor;
  for (float x : group)
    amax = maxOrNaN(amax, std::fabs(x));
  return amax;
}

static float groupScale(ArrayRef<float> group, const CodeRules &rules) {
  float y = maxMagnitude(group, rules.floor) * rules.reciprocal;
  if (!std::isfinite(y))
    return std::numeric_limits<float>::quiet_NaN();
  return powerOfTwoCeil(y);
}

void quantize(ArrayRef<float> x, int64_t block, CodeType type,
              MutableArrayRef<float> codes, MutableArrayRef<float> scales) {
  const CodeRules &rules = type == CodeType::E4M3 ? e4m3Rules : e2m1Rules;
  VARVE_ASSERT(block > 0 && codes.size() == x.size() &&
                   scales.size() == (x.size() + block - 1) / block,
               "one code per element and one scale per block");
  for (size_t group = 0; group < scales.size(); ++group) {
    size_t begin = group * block;
    size_t end = std::min(begin + block, x.size());
    float s = groupScale(x.slice(begin, end - begin), rules);
    scales[group] = s;
    for (size_t i = begin; i < end; ++i)
      codes[i] =
          rules.round(std::clamp(x[i] / s, -rules.largest, rules.largest));
  }
}

void dequantize(ArrayRef<float> codes, ArrayRef<float> scales, int64_t block,
                MutableArrayRef<float> x) {
  VARVE_ASSERT(block > 0 && codes.size() == x.size() &&
                   scales.size() == (x.size() + block - 1) / block,
               "one code per element and one scale per block");
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = codes[i] * scales[i / block];
}

void hadamard(MutableArrayRef<float> x) {
  VARVE_ASSERT(std::has_single_bit(x.size()),
               "a Hadamard transform needs a power of two");
  for (size_t half = 1; half < x.size(); half *= 2)
    for (size_t i = 0; i < x.size(); ++i) {
      if (i & half)
        continue;
      float a = x[i], b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
  float scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(x.size())));
  for (float &value : x)
    value *= scale;
}

} // namespace varve::reference
