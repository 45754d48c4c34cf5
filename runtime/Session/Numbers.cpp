//===- Numbers.cpp - Elements of tensors as numbers -----------------------===//

#include "runtime/Session/Numbers.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"
#include <cstring>

namespace varve::runtime {

bool isNumber(Element element) {
  switch (element) {
  case Element::F32:
  case Element::BF16:
  case Element::F16:
  case Element::F8E4M3:
  case Element::F8E5M2:
  case Element::F8E8M0:
  case Element::F4E2M1:
    return true;
  default:
    return false;
  }
}

template <typename Code, typename Convert>
static void decodeAs(const uint8_t *bytes, std::span<float> out,
                     Convert convert) {
  for (float &number : out) {
    Code code;
    std::memcpy(&code, bytes, sizeof(Code));
    bytes += sizeof(Code);
    number = convert(code);
  }
}

void decodeNumbers(Element element, std::span<const uint8_t> bytes,
                   std::span<float> out) {
  VARVE_ASSERT(isNumber(element) &&
                   bytes.size() * 8 == out.size() * bitsOf(element),
               "whole elements that are numbers");
  const uint8_t *from = bytes.data();
  switch (element) {
  case Element::BF16:
    return decodeAs<uint16_t>(from, out, bf16ToFloat);
  case Element::F16:
    return decodeAs<uint16_t>(from, out, f16ToFloat);
  case Element::F8E4M3:
    return decodeAs<uint8_t>(from, out, e4m3ToFloat);
  case Element::F8E5M2:
    return decodeAs<uint8_t>(from, out, e5m2ToFloat);
  case Element::F8E8M0:
    return decodeAs<uint8_t>(from, out, e8m0ToFloat);
  case Element::F4E2M1:
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = e2m1ToFloat(static_cast<uint8_t>(from[i / 2] >> (i % 2 * 4)));
    return;
  default:
    return decodeAs<float>(from, out, [](float number) { return number; });
  }
}

} // namespace varve::runtime
