//===- Scales.cpp - What cannot be a scale --------------------------------===//

#include "lib/Checkpoint/TensorNames.h"
#include "runtime/Error.h"
#include "runtime/Weights/WeightSource.h"
#include <algorithm>
#include <bit>
#include <cstring>

namespace varve::runtime {

/// The number of the first element that is no scale, or -1.
static int64_t findBadScale(Element element, Bytes bytes) {
  if (element == Element::F8E8M0) {
    const void *found = std::memchr(bytes.data(), 0xFF, bytes.size());
    return found ? static_cast<const uint8_t *>(found) - bytes.data() : -1;
  }
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    uint32_t code = 0;
    std::memcpy(&code, bytes.data() + i, 4);
    bool isNegative = code > std::bit_cast<uint32_t>(-0.0f);
    bool isFinite = (code & 0x7F800000) != 0x7F800000;
    if (isNegative || !isFinite)
      return static_cast<int64_t>(i / 4);
  }
  return -1;
}

void checkScales(const Weight &weight, int64_t begin, Bytes bytes) {
  bool isCode = weight.element == Element::F8E8M0;
  if (!weight.name.ends_with(".scale") ||
      (!isCode && weight.element != Element::F32))
    return;
  int64_t bad = findBadScale(weight.element, bytes);
  if (bad < 0)
    return;
  bad += begin * 8 / bitsOf(weight.element);
  int64_t columns = weight.shape.back(), row = bad / columns;
  std::string name = weight.name;
  if (name.find('*') != std::string::npos) {
    int64_t rows = weight.shape[weight.shape.size() - 2];
    name = expertName(name, row / rows);
    row %= rows;
  }
  fail("tensor {} has {} in row {}, column {}", inQuotes(name),
       isCode ? "a NaN scale (code 255)"
              : "a scale that is negative or not finite",
       row, bad % columns);
}

} // namespace varve::runtime
