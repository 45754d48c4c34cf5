//===- FloatsTest.cpp - Number formats against LLVM's APFloat -------------===//
//
// Every code of every format is decoded, and the encoders see all floats at
// which they change their result (the ties between neighbouring codes, with
// the floats on both sides), two million random bit patterns, and the special
// values. APFloat is the referee throughout.
//
//===----------------------------------------------------------------------===//

#include "varve/Support/Floats.h"
#include "llvm/ADT/APFloat.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>
#include <vector>

using namespace varve;
using llvm::APFloat;
using llvm::APInt;
using llvm::fltSemantics;

namespace {

constexpr int numRandom = 2'000'000;

uint32_t bitsOf(float value) { return std::bit_cast<uint32_t>(value); }
float floatOf(uint32_t bits) { return std::bit_cast<float>(bits); }

float decode(const fltSemantics &semantics, uint32_t code) {
  APFloat value(semantics, APInt(APFloat::getSizeInBits(semantics), code));
  bool losesInfo;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToFloat();
}

uint32_t encode(const fltSemantics &semantics, float input) {
  APFloat value(input);
  bool losesInfo;
  value.convert(semantics, APFloat::rmNearestTiesToEven, &losesInfo);
  return value.bitcastToAPInt().getZExtValue();
}

/// Calls `check` with the midpoints of neighbouring codes up to `lastCode`
/// (positive, finite), the floats beside them, and the codes' own values; each
/// with both signs.
template <typename Check>
void forAllTies(const fltSemantics &semantics, uint32_t lastCode,
                const Check &check) {
  for (uint32_t code = 0; code <= lastCode; ++code) {
    float low = decode(semantics, code);
    double step = code < lastCode
                      ? double(decode(semantics, code + 1)) - double(low)
                      : double(low) - double(decode(semantics, code - 1));
    float middle = static_cast<float>(low + step / 2);
    ASSERT_EQ(double(middle), low + step / 2) << "the tie is a float";
    for (float value : {low, std::nextafterf(middle, 0.0f), middle,
                        std::nextafterf(middle, INFINITY)}) {
      check(value);
      check(-value);
    }
  }
}

template <typename Check> void forRandomFloats(const Check &check) {
  std::mt19937 generator(20260424);
  for (int i = 0; i < numRandom; ++i)
    check(floatOf(generator()));
}

/// Random floats whose exponents are close to the format's range, so that most
/// of them do not simply saturate or vanish.
template <typename Check>
void forRandomFloatsNear(int smallestExponent, int largestExponent,
                         const Check &check) {
  std::mt19937 generator(20260731);
  std::uniform_int_distribution<int> exponents(smallestExponent - 3,
                                               largestExponent + 2);
  for (int i = 0; i < numRandom; ++i) {
    uint32_t random = generator();
    check(floatOf((random & 0x807FFFFFu) |
                  (uint32_t(exponents(generator) + 127) << 23)));
  }
}

//===----------------------------------------------------------------------===//
// 16-bit formats
//===----------------------------------------------------------------------===//

TEST(FloatsTest, Bf16DecodesEveryCode) {
  for (uint32_t code = 0; code < 65536; ++code) {
    float value = bf16ToFloat(code);
    EXPECT_EQ(bitsOf(value), code << 16);
    float expected = decode(APFloat::BFloat(), code);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << code;
      continue;
    }
    EXPECT_EQ(bitsOf(value), bitsOf(expected)) << code;
    EXPECT_EQ(floatToBf16(value), code);
  }
}

TEST(FloatsTest, Bf16EncodesLikeAPFloat) {
  auto check = [](float value) {
    if (std::isnan(value))
      return;
    ASSERT_EQ(floatToBf16(value), encode(APFloat::BFloat(), value))
        << std::hexfloat << value;
  };
  for (uint32_t code = 0; code < 65536; ++code)
    for (uint32_t tail : {0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu})
      check(floatOf(code << 16 | tail));
  forRandomFloats(check);
  EXPECT_EQ(roundToBf16(1.0f + 0x1p-8f), 1.0f) << "tie to even";
  EXPECT_EQ(roundToBf16(1.0f + 0x3p-8f), 1.0f + 0x1p-6f) << "tie to even";
}

TEST(FloatsTest, F16DecodesEveryCode) {
  for (uint32_t code = 0; code < 65536; ++code) {
    float value = f16ToFloat(code);
    EXPECT_EQ(bitsOf(value), bitsOf(decode(APFloat::IEEEhalf(), code))) << code;
    if (!std::isnan(value)) {
      EXPECT_EQ(floatToF16(value), code);
    }
  }
}

TEST(FloatsTest, F16EncodesLikeAPFloat) {
  auto check = [](float value) {
    if (std::isnan(value))
      return;
    ASSERT_EQ(floatToF16(value), encode(APFloat::IEEEhalf(), value))
        << std::hexfloat << value;
  };
  forAllTies(APFloat::IEEEhalf(), 0x7BFF, check);
  forRandomFloats(check);
  forRandomFloatsNear(-24, 15, check);
  EXPECT_EQ(roundToF16(65520.0f), INFINITY);
  EXPECT_EQ(roundToF16(65519.996f), 65504.0f);
}

TEST(FloatsTest, NaNsStayQuietNaNs) {
  for (uint32_t bits : {0x7FC00000u, 0xFFC00000u, 0x7F800001u, 0xFF800001u,
                        0x7FFFFFFFu, 0xFFFFFFFFu}) {
    float nan = floatOf(bits);
    uint16_t bf16 = floatToBf16(nan), f16 = floatToF16(nan);
    EXPECT_EQ(bf16 & 0x7FC0u, 0x7FC0u) << bits;
    EXPECT_EQ(f16 & 0x7E00u, 0x7E00u) << bits;
    EXPECT_EQ(bf16 >> 15, bits >> 31);
    EXPECT_EQ(f16 >> 15, bits >> 31);
    EXPECT_EQ(floatToE4m3(nan), 0x7F);
    EXPECT_EQ(floatToE5m2(nan), 0x7F);
    EXPECT_EQ(floatToE2m1(nan), 0x7);
  }
}

//===----------------------------------------------------------------------===//
// 8- and 4-bit formats
//===----------------------------------------------------------------------===//

/// `encoder` must agree with APFloat up to the largest finite magnitude
/// `largest` and saturate at `lastCode` beyond it.
template <typename Encoder>
void checkSaturatingEncoder(const fltSemantics &semantics, uint32_t lastCode,
                            int smallestExponent, const Encoder &encoder) {
  float largest = decode(semantics, lastCode);
  uint32_t signBit = 1u << (APFloat::getSizeInBits(semantics) - 1);
  auto check = [&](float value) {
    if (std::isnan(value))
      return;
    uint32_t expected = std::fabs(value) > largest
                            ? lastCode | (std::signbit(value) ? signBit : 0)
                            : encode(semantics, value);
    ASSERT_EQ(encoder(value), expected) << std::hexfloat << value;
  };
  forAllTies(semantics, lastCode, check);
  forRandomFloats(check);
  forRandomFloatsNear(smallestExponent, std::ilogb(largest), check);
  for (float value : {0.0f, 0x1p-149f, 0x1p-126f, largest, INFINITY}) {
    check(value);
    check(-value);
  }
}

template <typename Decoder, typename Encoder>
void checkEveryCode(const fltSemantics &semantics, const Decoder &decoder,
                    const Encoder &encoder) {
  for (uint32_t code = 0; code < 1u << APFloat::getSizeInBits(semantics);
       ++code) {
    float value = decoder(code), expected = decode(semantics, code);
    EXPECT_EQ(std::signbit(value), std::signbit(expected)) << code;
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << code;
      continue;
    }
    EXPECT_EQ(bitsOf(value), bitsOf(expected)) << code;
    if (std::isfinite(value)) {
      EXPECT_EQ(encoder(value), code);
    }
  }
}

TEST(FloatsTest, E4m3) {
  checkEveryCode(APFloat::Float8E4M3FN(), e4m3ToFloat, floatToE4m3);
  checkSaturatingEncoder(APFloat::Float8E4M3FN(), 0x7E, -9, floatToE4m3);
  EXPECT_EQ(e4m3ToFloat(0x7E), e4m3Max);
  EXPECT_EQ(e4m3ToFloat(0x01), 0x1p-9f);
  EXPECT_EQ(bitsOf(e4m3ToFloat(0x80)), bitsOf(-0.0f)) << "not a NaN";
}

TEST(FloatsTest, E5m2) {
  checkEveryCode(APFloat::Float8E5M2(), e5m2ToFloat, floatToE5m2);
  checkSaturatingEncoder(APFloat::Float8E5M2(), 0x7B, -16, floatToE5m2);
  EXPECT_EQ(e5m2ToFloat(0x7B), e5m2Max);
}

TEST(FloatsTest, E2m1) {
  checkEveryCode(APFloat::Float4E2M1FN(), e2m1ToFloat, floatToE2m1);
  checkSaturatingEncoder(APFloat::Float4E2M1FN(), 0x7, -1, floatToE2m1);
  EXPECT_EQ(e2m1ToFloat(0x7), e2m1Max);
}

// Specification 2.3: the values of the codes; A.2: where the ties go.
TEST(FloatsTest, E2m1AsPublished) {
  const float values[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  for (uint8_t code = 0; code < 8; ++code) {
    EXPECT_EQ(e2m1ToFloat(code), values[code]);
    EXPECT_EQ(e2m1ToFloat(code | 8), -values[code]);
  }
  const std::pair<float, float> ties[] = {
      {0.25f, 0.0f}, {0.75f, 1.0f}, {1.25f, 1.0f}, {1.75f, 2.0f},
      {2.5f, 2.0f},  {3.5f, 4.0f},  {5.0f, 4.0f}};
  for (auto [tie, expected] : ties) {
    EXPECT_EQ(e2m1ToFloat(floatToE2m1(tie)), expected) << tie;
    EXPECT_EQ(e2m1ToFloat(floatToE2m1(-tie)), -expected) << tie;
  }
}

TEST(FloatsTest, E8m0) {
  for (uint32_t code = 0; code < 256; ++code) {
    float value = e8m0ToFloat(code);
    if (code == 255) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      EXPECT_EQ(value, std::ldexp(1.0f, int(code) - 127));
      EXPECT_EQ(bitsOf(value), bitsOf(decode(APFloat::Float8E8M0FNU(), code)));
    }
    EXPECT_EQ(e8m0FromPowerOfTwo(value), code);
  }
  EXPECT_EQ(e8m0FromPowerOfTwo(INFINITY), 255);
}

TEST(FloatsDeathTest, E8m0RefusesWhatIsNoPowerOfTwo) {
  for (float value : {0.0f, -1.0f, 3.0f, 0x1p-128f})
    EXPECT_DEATH(e8m0FromPowerOfTwo(value), "power of two");
}

//===----------------------------------------------------------------------===//
// Powers of two
//===----------------------------------------------------------------------===//

TEST(FloatsTest, PowerOfTwoCeil) {
  for (int exponent = -126; exponent <= 127; ++exponent) {
    float power = std::ldexp(1.0f, exponent);
    EXPECT_EQ(powerOfTwoCeil(power), power);
    EXPECT_EQ(powerOfTwoCeil(std::nextafterf(power, INFINITY)),
              exponent < 127 ? std::ldexp(1.0f, exponent + 1) : INFINITY);
    if (exponent > -126) {
      EXPECT_EQ(powerOfTwoCeil(std::nextafterf(power, 0.0f)), power);
    }
  }
  EXPECT_EQ(powerOfTwoCeil(0x1p-149f), 0x1p-126f);
  EXPECT_EQ(powerOfTwoCeil(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(powerOfTwoCeil(NAN)));
}

TEST(FloatsTest, PowerOfTwoCeilOfRandomFloats) {
  std::mt19937 generator(7);
  for (int i = 0; i < numRandom; ++i) {
    float y = floatOf(generator() & 0x7FFFFFFFu);
    if (!std::isnormal(y) || y > 0x1p127f)
      continue;
    float power = powerOfTwoCeil(y);
    int exponent;
    ASSERT_EQ(std::frexp(power, &exponent), 0.5f);
    ASSERT_GE(power, y);
    ASSERT_LT(power / 2, y);
  }
}

// The scales that specification A.1 and A.2 publish.
TEST(FloatsTest, PublishedScales) {
  float by448 = floatOf(0x3B124925), by6 = floatOf(0x3E2AAAAB);
  EXPECT_EQ(powerOfTwoCeil(448.0f * by448), 1.0f);
  EXPECT_EQ(powerOfTwoCeil(224.0f * by448), 0.5f);
  EXPECT_EQ(powerOfTwoCeil(7.0f * by448), 0x1p-6f);
  EXPECT_EQ(powerOfTwoCeil(450.0f * by448), 2.0f);
  EXPECT_EQ(powerOfTwoCeil(1e-4f * by448), 0x1p-22f);
  EXPECT_EQ(powerOfTwoCeil(6.0f * by6), 1.0f);
  EXPECT_EQ(powerOfTwoCeil(3.0f * by6), 0.5f);
  EXPECT_EQ(powerOfTwoCeil(6.01f * by6), 2.0f);
  EXPECT_EQ(powerOfTwoCeil(6 * 0x1p-126f * by6), 0x1p-126f);
}

static_assert(e4m3ToFloat(floatToE4m3(300.0f)) == 288.0f,
              "conversions are constant expressions");

} // namespace
