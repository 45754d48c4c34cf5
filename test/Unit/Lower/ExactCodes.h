//===- ExactCodes.h - What quantisers must give, exactly -------*- C++ -*-===//
//
// The specification's A.1 and A.2 once more, from the definitions of the
// formats and in integers and exact fractions: nothing is shared with the
// compiler, the interpreter or their conversions.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_LOWER_EXACTCODES_H
#define VARVE_TEST_UNIT_LOWER_EXACTCODES_H

#include <cstdint>
#include <span>
#include <vector>

namespace varve::test {

class ExactFormat {
public:
  /// A float format without infinities: the values of all codes without sign.
  static const ExactFormat &e4m3();
  static const ExactFormat &e2m1();

  int getBits() const { return bits; }
  double getLargest() const { return values.back(); }
  /// The number that a code stands for; NaN where it stands for none.
  double valueOf(uint8_t code) const;
  /// E8M0 code of the scale of a group: NaN (255) where an element is none.
  uint8_t scaleOf(std::span<const float> group) const;
  /// The code nearest to `x` / 2^(scale - 127), of two the even one; the
  /// largest beyond it. `x` is finite.
  uint8_t codeOf(float x, uint8_t scale) const;

private:
  ExactFormat(int exponentBits, int mantissaBits, int numCodes,
              uint32_t reciprocal, float floor);

  int bits;
  /// Bits of FP32(1 / largest), and the least largest magnitude of a group.
  uint32_t reciprocal;
  float floor;
  std::vector<double> values;
};

/// 2^(code - 127), NaN for 255.
double scaleValue(uint8_t code);

/// The f32 and the bf16 number nearest to an exact one, as bits; NaNs are
/// 0x7FC00000 and 0x7FC0.
uint32_t toF32Bits(double exact);
uint16_t toBf16Bits(double exact);

} // namespace varve::test

#endif // VARVE_TEST_UNIT_LOWER_EXACTCODES_H
