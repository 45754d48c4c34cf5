//===- RowFormat.cpp - Numbers to the bytes of a pool's row ---------------===//

#include "runtime/Session/RowFormat.h"
#include "runtime/Error.h"
#include "runtime/Session/Numbers.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace varve::runtime {

namespace {

/// Reads the text of a format from its front.
class FormatReader {
public:
  explicit FormatReader(const Pool &pool) : pool(pool), rest(pool.format) {
    // The text may stand between angle brackets, as an attribute prints it.
    if (rest.starts_with('<') && rest.ends_with('>'))
      rest = rest.substr(1, rest.size() - 2);
  }

  bool atEnd() const { return rest.empty(); }
  bool take(std::string_view word) {
    if (!rest.starts_with(word))
      return false;
    rest.remove_prefix(word.size());
    while (rest.starts_with(' '))
      rest.remove_prefix(1);
    return true;
  }
  void expect(std::string_view word) {
    if (!take(word))
      refuse();
  }
  int64_t number() {
    int64_t value = 0;
    auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), value);
    // Sums of what two such numbers make fit 64 bits.
    if (error != std::errc() || value <= 0 || value > INT32_MAX)
      refuse();
    rest.remove_prefix(end - rest.data());
    take(" ");
    return value;
  }
  Element element() {
    for (Element element : {Element::F8E8M0, Element::F8E4M3, Element::F4E2M1,
                            Element::BF16, Element::F16, Element::F32})
      if (take(elementName(element)))
        return element;
    refuse();
  }
  [[noreturn]] void refuse() const {
    fail("pool {}: rows of the format {} cannot be written or read by the host",
         inQuotes(pool.name), inQuotes(pool.format));
  }

private:
  const Pool &pool;
  std::string_view rest;
};

bool isCode(Element element) {
  return element == Element::F8E4M3 || element == Element::F4E2M1;
}

template <typename Number> void put(uint8_t *&out, Number number) {
  std::memcpy(out, &number, sizeof(Number));
  out += sizeof(Number);
}

/// The scale of a group of codes whose largest is `largest` (specification A.1
/// and A.2); NaN if a number is not finite.
float scaleOf(std::span<const float> group, float largest, float reciprocal,
              float floor) {
  float most = floor;
  for (float number : group) {
    if (!std::isfinite(number))
      return std::numeric_limits<float>::quiet_NaN();
    most = std::max(most, std::fabs(number));
  }
  return powerOfTwoCeil(most * reciprocal);
}

} // namespace

RowFormat::RowFormat(const Pool &pool) : bytes(pool.rowBytes) {
  FormatReader reader(pool);
  int64_t scaleBytes = 0;
  do {
    Segment segment;
    segment.size = reader.number();
    reader.expect("x");
    segment.element = reader.element();
    if (reader.take("scaled")) {
      segment.block = reader.number();
      reader.expect("x");
      segment.scale = reader.element();
      bool fits =
          segment.size % segment.block == 0 &&
          (segment.scale == Element::F8E8M0 || segment.scale == Element::F32);
      if (!fits)
        reader.refuse();
      scaleBytes += segment.size / segment.block * (bitsOf(segment.scale) / 8);
    }
    if (isCode(segment.element) != (segment.block != 0))
      reader.refuse();
    width += segment.size;
    int64_t bits = segment.size * bitsOf(segment.element);
    codeBytes += bits / 8;
    // Half a byte has no place, and no segment lies behind the row.
    if (bits % 8 != 0 || codeBytes > bytes || scaleBytes > bytes)
      reader.refuse();
    segments.push_back(segment);
  } while (reader.take(","));
  if (!reader.atEnd() || codeBytes + (scaleBytes + 3) / 4 * 4 != bytes)
    reader.refuse();
}

void RowFormat::encodeScaled(const Segment &segment,
                             std::span<const float> numbers, uint8_t *codes,
                             uint8_t *scales) const {
  bool isFp8 = segment.element == Element::F8E4M3;
  float largest = isFp8 ? e4m3Max : e2m1Max;
  // The f32 numbers next to 1/448 and 1/6.
  float reciprocal = std::bit_cast<float>(isFp8 ? 0x3B124925u : 0x3E2AAAABu);
  float floor = isFp8 ? 1e-4f : 6 * 0x1p-126f;
  for (int64_t begin = 0; begin < segment.size; begin += segment.block) {
    float scale = scaleOf(numbers.subspan(begin, segment.block), largest,
                          reciprocal, floor);
    if (segment.scale == Element::F32)
      put(scales, scale);
    else
      put(scales, e8m0FromPowerOfTwo(scale));
    for (int64_t i = begin; i < begin + segment.block; ++i) {
      float scaled = std::clamp(numbers[i] / scale, -largest, largest);
      if (isFp8)
        codes[i] = floatToE4m3(scaled);
      else if (i % 2 == 0)
        codes[i / 2] = floatToE2m1(scaled);
      else
        codes[i / 2] |= static_cast<uint8_t>(floatToE2m1(scaled) << 4);
    }
  }
}

void RowFormat::encode(std::span<const float> row,
                       std::span<uint8_t> out) const {
  VARVE_ASSERT(static_cast<int64_t>(row.size()) == width &&
                   static_cast<int64_t>(out.size()) == bytes,
               "a row has the format's numbers and bytes");
  std::fill(out.begin() + codeBytes, out.end(), 0);
  uint8_t *codes = out.data(), *scales = out.data() + codeBytes;
  for (const Segment &segment : segments) {
    std::span<const float> numbers = row.first(segment.size);
    row = row.subspan(segment.size);
    if (segment.block) {
      encodeScaled(segment, numbers, codes, scales);
      codes += segment.size * bitsOf(segment.element) / 8;
      scales += segment.size / segment.block * (bitsOf(segment.scale) / 8);
      continue;
    }
    for (float number : numbers) {
      if (segment.element == Element::F32)
        put(codes, number);
      else if (segment.element == Element::BF16)
        put(codes, floatToBf16(number));
      else
        put(codes, floatToF16(number));
    }
  }
}

bool RowFormat::has(Element element) const {
  return std::any_of(
      segments.begin(), segments.end(),
      [&](const Segment &segment) { return segment.element == element; });
}

void RowFormat::decode(std::span<const uint8_t> from,
                       std::span<float> out) const {
  VARVE_ASSERT(static_cast<int64_t>(out.size()) == width &&
                   static_cast<int64_t>(from.size()) == bytes,
               "a row has the format's numbers and bytes");
  std::span<const uint8_t> codes = from.first(codeBytes),
                           scales = from.subspan(codeBytes);
  for (const Segment &segment : segments) {
    std::span<float> numbers = out.first(segment.size);
    out = out.subspan(segment.size);
    size_t size = segment.size * bitsOf(segment.element) / 8;
    decodeNumbers(segment.element, codes.first(size), numbers);
    codes = codes.subspan(size);
    if (!segment.block)
      continue;
    std::vector<float> factors(segment.size / segment.block);
    size = factors.size() * bitsOf(segment.scale) / 8;
    decodeNumbers(segment.scale, scales.first(size), factors);
    scales = scales.subspan(size);
    for (int64_t i = 0; i < segment.size; ++i)
      numbers[i] *= factors[i / segment.block];
  }
}

} // namespace varve::runtime
