//===- Floats.h - The number formats of the models, bit by bit -*- C++ -*-===//
//
// Conversions between float and the narrow formats of checkpoints and caches:
// BF16, F16, E4M3 ("fn"), E5M2, E2M1 and the power-of-two scales E8M0. Integer
// arithmetic throughout, so no result depends on the host's floating-point
// unit, rounding mode, flush-to-zero setting or compiler. Rounding is always to
// nearest, ties to the even code. Standard library only: the compiler, the
// reference and the runtime share this file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_FLOATS_H
#define VARVE_SUPPORT_FLOATS_H

#include "varve/Support/Assert.h"
#include <bit>
#include <cstdint>
#include <limits>

namespace varve {

static_assert(std::numeric_limits<float>::is_iec559 && sizeof(float) == 4,
              "float must be IEEE binary32");

namespace detail {

inline constexpr uint32_t floatSign = 0x80000000u;
inline constexpr uint32_t floatInfinity = 0x7F800000u;
inline constexpr uint32_t floatMantissa = 0x007FFFFFu;
inline constexpr uint32_t floatQuiet = 0x00400000u;
inline constexpr int floatMantissaBits = 23;
inline constexpr int floatBias = 127;

constexpr bool isNaNBits(uint32_t bits) {
  return (bits & ~floatSign) > floatInfinity;
}

/// The finite magnitude that `code` (without sign) has in a format with
/// `mantissaBits` and `bias`, subnormals included, as the bits of a float.
constexpr uint32_t widenMagnitude(uint32_t code, int mantissaBits, int bias) {
  uint32_t exponent = code >> mantissaBits;
  uint32_t mantissa = code & ((1u << mantissaBits) - 1);
  if (exponent)
    return ((exponent + floatBias - bias) << floatMantissaBits) |
           (mantissa << (floatMantissaBits - mantissaBits));
  if (!mantissa)
    return 0;
  // mantissa * 2^(1 - bias - mantissaBits), normalised.
  int top = std::bit_width(mantissa) - 1;
  uint32_t floatExponent = top + 1 - bias - mantissaBits + floatBias;
  return (floatExponent << floatMantissaBits) |
         ((mantissa << (floatMantissaBits - top)) & floatMantissa);
}

/// The code (without sign) nearest to the finite magnitude with the float bits
/// `magnitude`, as if the format's exponent range had no upper end: callers
/// handle codes beyond their largest finite one. The format's smallest
/// subnormal must be at least 2^-125, so that subnormal floats round to zero.
constexpr uint32_t narrowMagnitude(uint32_t magnitude, int mantissaBits,
                                   int bias) {
  int exponent = static_cast<int>(magnitude >> floatMantissaBits) - floatBias;
  int smallestNormal = 1 - bias;
  int shift = floatMantissaBits - mantissaBits;
  if (exponent < smallestNormal) {
    shift += smallestNormal - exponent;
    exponent = smallestNormal;
  }
  // Below half of the smallest subnormal.
  if (shift > floatMantissaBits + 1)
    return 0;
  uint32_t significand = (magnitude & floatMantissa) | (floatMantissa + 1);
  uint32_t kept = significand >> shift;
  uint32_t lost = significand & ((1u << shift) - 1);
  uint32_t half = 1u << (shift - 1);
  if (lost > half || (lost == half && (kept & 1)))
    ++kept;
  // The implicit bit in `kept` raises the exponent field by one, as does a
  // carry out of the mantissa.
  return (static_cast<uint32_t>(exponent + bias - 1) << mantissaBits) + kept;
}

} // namespace detail

//===----------------------------------------------------------------------===//
// BF16
//===----------------------------------------------------------------------===//

constexpr float bf16ToFloat(uint16_t code) {
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 16);
}

/// Overflow rounds to infinity; a NaN keeps its sign and leading payload and
/// becomes quiet.
constexpr uint16_t floatToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (detail::isNaNBits(bits))
    return static_cast<uint16_t>((bits | detail::floatQuiet) >> 16);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
}

constexpr float roundToBf16(float value) {
  return bf16ToFloat(floatToBf16(value));
}

//===----------------------------------------------------------------------===//
// F16 (IEEE binary16)
//===----------------------------------------------------------------------===//

/// A NaN becomes quiet.
constexpr float f16ToFloat(uint16_t code) {
  uint32_t sign = static_cast<uint32_t>(code & 0x8000u) << 16;
  uint32_t magnitude = code & 0x7FFFu;
  if (magnitude < 0x7C00u)
    return std::bit_cast<float>(sign |
                                detail::widenMagnitude(magnitude, 10, 15));
  uint32_t payload = (magnitude & 0x3FFu) << 13;
  uint32_t quiet = payload ? detail::floatQuiet : 0;
  return std::bit_cast<float>(sign | detail::floatInfinity | quiet | payload);
}

/// Overflow rounds to infinity; a NaN keeps its sign and leading payload and
/// becomes quiet.
constexpr uint16_t floatToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & ~detail::floatSign;
  if (magnitude > detail::floatInfinity)
    return static_cast<uint16_t>(sign | 0x7E00u |
                                 ((magnitude & detail::floatMantissa) >> 13));
  if (magnitude == detail::floatInfinity)
    return static_cast<uint16_t>(sign | 0x7C00u);
  uint32_t code = detail::narrowMagnitude(magnitude, 10, 15);
  return static_cast<uint16_t>(sign | (code < 0x7C00u ? code : 0x7C00u));
}

constexpr float roundToF16(float value) {
  return f16ToFloat(floatToF16(value));
}

//===----------------------------------------------------------------------===//
// E4M3 ("fn"): no infinities, NaN at 0x7F and 0xFF, largest finite 448
//===----------------------------------------------------------------------===//

inline constexpr float e4m3Max = 448.0f;

constexpr float e4m3ToFloat(uint8_t code) {
  uint32_t sign = static_cast<uint32_t>(code & 0x80u) << 24;
  uint32_t magnitude = code & 0x7Fu;
  if (magnitude == 0x7Fu)
    return std::bit_cast<float>(sign | detail::floatInfinity |
                                detail::floatQuiet);
  return std::bit_cast<float>(sign | detail::widenMagnitude(magnitude, 3, 7));
}

/// Saturates: what rounds beyond 448, infinity included, gives 448 with the
/// sign. (The quantisation rules clamp before they round.) NaN gives 0x7F.
constexpr uint8_t floatToE4m3(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (detail::isNaNBits(bits))
    return 0x7Fu;
  uint32_t code = detail::narrowMagnitude(bits & ~detail::floatSign, 3, 7);
  return static_cast<uint8_t>(((bits >> 24) & 0x80u) |
                              (code < 0x7Eu ? code : 0x7Eu));
}

//===----------------------------------------------------------------------===//
// E5M2: infinities and NaNs as in IEEE formats, largest finite 57344
//===----------------------------------------------------------------------===//

inline constexpr float e5m2Max = 57344.0f;

/// A NaN becomes the quiet NaN of its sign.
constexpr float e5m2ToFloat(uint8_t code) {
  uint32_t sign = static_cast<uint32_t>(code & 0x80u) << 24;
  uint32_t magnitude = code & 0x7Fu;
  if (magnitude < 0x7Cu)
    return std::bit_cast<float>(sign |
                                detail::widenMagnitude(magnitude, 2, 15));
  uint32_t quiet = magnitude > 0x7Cu ? detail::floatQuiet : 0;
  return std::bit_cast<float>(sign | detail::floatInfinity | quiet);
}

/// Saturates like floatToE4m3: infinity, too, gives 57344. NaN gives 0x7F.
constexpr uint8_t floatToE5m2(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (detail::isNaNBits(bits))
    return 0x7Fu;
  uint32_t code = detail::narrowMagnitude(bits & ~detail::floatSign, 2, 15);
  return static_cast<uint8_t>(((bits >> 24) & 0x80u) |
                              (code < 0x7Bu ? code : 0x7Bu));
}

//===----------------------------------------------------------------------===//
// E2M1: +-{0, 0.5, 1, 1.5, 2, 3, 4, 6}, neither infinities nor NaN
//===----------------------------------------------------------------------===//

inline constexpr float e2m1Max = 6.0f;

/// Reads the low four bits of `code`.
constexpr float e2m1ToFloat(uint8_t code) {
  uint32_t sign = static_cast<uint32_t>(code & 0x8u) << 28;
  return std::bit_cast<float>(sign | detail::widenMagnitude(code & 0x7u, 1, 1));
}

/// Saturates: magnitudes beyond 6 give 6 with the sign. NaN, for which the
/// format has no code, gives +6, as NVIDIA's conversion instruction does.
constexpr uint8_t floatToE2m1(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (detail::isNaNBits(bits))
    return 0x7u;
  uint32_t code = detail::narrowMagnitude(bits & ~detail::floatSign, 1, 1);
  return static_cast<uint8_t>(((bits >> 28) & 0x8u) |
                              (code < 0x7u ? code : 0x7u));
}

//===----------------------------------------------------------------------===//
// E8M0: powers of two from 2^-127 to 2^127; 255 is NaN
//===----------------------------------------------------------------------===//

constexpr float e8m0ToFloat(uint8_t code) {
  if (code == 0xFFu)
    return std::bit_cast<float>(detail::floatInfinity | detail::floatQuiet);
  // 2^-127 is a subnormal float.
  return std::bit_cast<float>(code ? static_cast<uint32_t>(code)
                                         << detail::floatMantissaBits
                                   : detail::floatQuiet);
}

/// The code of `value`, which must be a power of two from 2^-127 to 2^127, or
/// infinite or NaN: these two give 255.
constexpr uint8_t e8m0FromPowerOfTwo(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & ~detail::floatSign) >= detail::floatInfinity)
    return 0xFFu;
  if (bits == detail::floatQuiet)
    return 0;
  VARVE_ASSERT(bits && !(bits & (detail::floatSign | detail::floatMantissa)),
               "an E8M0 scale must be a power of two from 2^-127 on");
  return static_cast<uint8_t>(bits >> detail::floatMantissaBits);
}

/// 2^ceil(log2 y) for positive y, from the bits as the quantisation rules have
/// it (specification A.1): the exponent field, plus one if any mantissa bit is
/// set. Subnormal y therefore give 2^-126, y beyond 2^127 and infinity give
/// infinity; NaN stays NaN.
constexpr float powerOfTwoCeil(float y) {
  uint32_t bits = std::bit_cast<uint32_t>(y);
  if (detail::isNaNBits(bits))
    return y;
  VARVE_ASSERT(bits != 0 && !(bits & detail::floatSign),
               "the logarithm needs a positive number");
  uint32_t exponent = bits >> detail::floatMantissaBits;
  if (bits & detail::floatMantissa)
    ++exponent;
  return std::bit_cast<float>(exponent << detail::floatMantissaBits);
}

} // namespace varve

#endif // VARVE_SUPPORT_FLOATS_H
