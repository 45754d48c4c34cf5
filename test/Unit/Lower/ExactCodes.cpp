//===- ExactCodes.cpp - What quantisers must give, exactly ----------------===//

#include "ExactCodes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

using namespace varve::test;

ExactFormat::ExactFormat(int exponentBits, int mantissaBits, int numCodes,
                         uint32_t reciprocal, float floor)
    : bits(1 + exponentBits + mantissaBits), reciprocal(reciprocal),
      floor(floor) {
  int bias = (1 << (exponentBits - 1)) - 1, fractions = 1 << mantissaBits;
  for (int code = 0; code < numCodes; ++code) {
    int exponent = code / fractions, fraction = code % fractions;
    // Codes with the least exponent are subnormal: no hidden bit.
    int significand = exponent == 0 ? fraction : fractions + fraction;
    values.push_back(
        std::ldexp(significand, std::max(exponent, 1) - bias - mantissaBits));
  }
}

const ExactFormat &ExactFormat::e4m3() {
  // 127 finite codes: 0x7F is NaN.
  static const ExactFormat format(4, 3, 127, 0x3B124925u, 1e-4f);
  return format;
}

const ExactFormat &ExactFormat::e2m1() {
  static const ExactFormat format(2, 1, 8, 0x3E2AAAABu, 0x1.8p-124f);
  return format;
}

double ExactFormat::valueOf(uint8_t code) const {
  size_t magnitude = code & ((1u << (bits - 1)) - 1);
  if (magnitude >= values.size())
    return std::numeric_limits<double>::quiet_NaN();
  return code >> (bits - 1) ? -values[magnitude] : values[magnitude];
}

/// A positive normal float as significand * 2^exponent with 24 bits.
static void split(uint32_t floatBits, uint64_t &significand, int &exponent) {
  significand = (floatBits & 0x7FFFFF) | 0x800000;
  exponent = static_cast<int>(floatBits >> 23) - 127 - 23;
}

uint8_t ExactFormat::scaleOf(std::span<const float> group) const {
  float largest = floor;
  for (float x : group) {
    if (!std::isfinite(x))
      return 255;
    largest = std::max(largest, std::fabs(x));
  }
  uint64_t a, b;
  int exponentOfA, exponentOfB;
  split(std::bit_cast<uint32_t>(largest), a, exponentOfA);
  split(reciprocal, b, exponentOfB);
  // The product to 24 bits, to nearest, ties to even.
  uint64_t product = a * b;
  int exponent = exponentOfA + exponentOfB;
  int dropped = std::bit_width(product) - 24;
  uint64_t rest = product & ((uint64_t(1) << dropped) - 1);
  uint64_t half = uint64_t(1) << (dropped - 1);
  product >>= dropped;
  exponent += dropped;
  if (rest > half || (rest == half && (product & 1)))
    ++product;
  // The least power of two that is not below.
  int power = exponent + std::bit_width(product) - 1;
  if (!std::has_single_bit(product))
    ++power;
  return static_cast<uint8_t>(power + 127);
}

uint8_t ExactFormat::codeOf(float x, uint8_t scale) const {
  // 24 bits and a power of two: exact, and so are the differences below.
  double magnitude = std::ldexp(std::fabs(static_cast<double>(x)), 127 - scale);
  auto upper = std::lower_bound(values.begin(), values.end(), magnitude);
  size_t code = upper - values.begin();
  if (code == values.size()) {
    code = values.size() - 1;
  } else if (code > 0) {
    double above = values[code] - magnitude,
           below = magnitude - values[code - 1];
    if (below < above || (below == above && code % 2 == 1))
      --code;
  }
  uint8_t sign = std::signbit(x) ? 1u << (bits - 1) : 0;
  return static_cast<uint8_t>(code) | sign;
}

double varve::test::scaleValue(uint8_t code) {
  return code == 255 ? std::numeric_limits<double>::quiet_NaN()
                     : std::ldexp(1.0, code - 127);
}

/// Rounds to a format with the exponents of f32 and `mantissaBits` of mantissa.
static double roundLikeF32(double exact, int mantissaBits) {
  if (exact == 0 || !std::isfinite(exact))
    return exact;
  int exponent = std::max(std::ilogb(exact), -126);
  double unit = std::ldexp(1.0, exponent - mantissaBits);
  // Rounds to nearest, ties to even, in the default environment.
  return std::nearbyint(exact / unit) * unit;
}

uint32_t varve::test::toF32Bits(double exact) {
  if (std::isnan(exact))
    return 0x7FC00000u;
  double rounded = roundLikeF32(exact, 23);
  bool isInfinite = std::fabs(rounded) >= 0x1p128;
  float result =
      isInfinite
          ? std::copysign(INFINITY,
                          static_cast<float>(std::signbit(exact) ? -1 : 1))
          : static_cast<float>(rounded);
  return std::bit_cast<uint32_t>(result);
}

uint16_t varve::test::toBf16Bits(double exact) {
  if (std::isnan(exact))
    return 0x7FC0u;
  return static_cast<uint16_t>(toF32Bits(roundLikeF32(exact, 7)) >> 16);
}
