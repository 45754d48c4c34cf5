//===- SeededState.h - What a sequence remembers, from a seed --*- C++ -*-===//
//
// Pool rows for sequences whose tokens nobody has processed: measurements and
// comparisons at a context of thousands of tokens need the rows, not the hours
// that computing them would take. A row is a function of seed, pool, sequence
// and row number, the same on every machine. Standard library only.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_SEEDEDSTATE_H
#define VARVE_SUPPORT_SEEDEDSTATE_H

#include "varve/Support/Philox.h"
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace varve {

/// The 64-bit FNV-1a hash: names that differ have different rows.
constexpr uint64_t hashName(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (char c : name)
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

/// Fills a pool's row with numbers uniform in [-1, 1), before the pool's format
/// rounds them. `row` counts as the pool does: a position for windows and
/// states, an entry number for entries.
inline void fillSeededRow(uint64_t seed, std::string_view pool,
                          int64_t sequence, int64_t row, std::span<float> out) {
  uint64_t key = seed ^ hashName(pool);
  for (size_t i = 0; i < out.size(); i += 4) {
    PhiloxCounter bits = philox4x32(
        {static_cast<uint32_t>(i / 4), static_cast<uint32_t>(row),
         static_cast<uint32_t>(row >> 32), static_cast<uint32_t>(sequence)},
        {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
    for (size_t j = 0; j < std::min<size_t>(4, out.size() - i); ++j)
      out[i + j] = static_cast<float>(bits[j] >> 8) * 0x1p-23f - 1.0f;
  }
}

/// The rows that a sequence of `context` tokens remembers: [first, end).
struct RowRange {
  int64_t first = 0, end = 0;
};
/// Of a window or state pool of `size` rows.
constexpr RowRange rememberedPositions(int64_t context, int64_t size) {
  return {std::max<int64_t>(0, context - size), context};
}
/// Of an entry pool of ratio `ratio`: the entries that are complete.
constexpr RowRange rememberedEntries(int64_t context, int64_t ratio) {
  return {0, context / ratio};
}

} // namespace varve

#endif // VARVE_SUPPORT_SEEDEDSTATE_H
