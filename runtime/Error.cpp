//===- Error.cpp - What can go wrong, in one place ------------------------===//

#include "runtime/Error.h"
#include <algorithm>
#include <vector>

namespace varve::runtime {

std::string inQuotes(std::string_view text) {
  constexpr size_t limit = 200;
  std::string result = "'";
  for (unsigned char c : text.substr(0, limit)) {
    if (c < 0x20 || c >= 0x7F || c == '\\')
      result += fmt::format("\\{:02X}", c);
    else
      result += static_cast<char>(c);
  }
  return result + (text.size() > limit ? "...'" : "'");
}

std::string shapeText(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string withCommas(int64_t number) {
  std::string digits = std::to_string(number);
  for (int place = static_cast<int>(digits.size()) - 3;
       place > (number < 0 ? 1 : 0); place -= 3)
    digits.insert(place, ",");
  return digits;
}

std::string bytesText(int64_t bytes) {
  if (bytes < 1024)
    return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  const char *unit = "KiB";
  for (const char *next : {"MiB", "GiB", "TiB"}) {
    if (value < 1024)
      break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.2f} {}", value, unit);
}

static size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1,
                         diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

std::string nearestName(std::string_view name,
                        std::span<const std::string> candidates) {
  // A comparison costs the product of the lengths.
  if (candidates.size() > 8192 || name.size() > 256)
    return "";
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  const std::string *nearest = nullptr;
  for (const std::string &candidate : candidates) {
    if (candidate.size() > 256)
      continue;
    size_t distance = editDistance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest ? "; did you mean " + inQuotes(*nearest) + "?" : "";
}

} // namespace varve::runtime
