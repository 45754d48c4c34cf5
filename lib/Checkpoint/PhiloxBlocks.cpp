//===- PhiloxBlocks.cpp - Many random words at once -----------------------===//

#include "lib/Checkpoint/PhiloxBlocks.h"
#include <algorithm>
#include <cstddef>

// The widest vectors that the processor has, chosen when the program starts.
#if defined(__x86_64__) && defined(__linux__)
#define VARVE_WIDEST                                                           \
  __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VARVE_WIDEST
#endif

namespace varve {

namespace {

constexpr size_t numLanes = 16;

/// Word by word, a lane per block.
struct Lanes {
  uint32_t words[4][numLanes];
};

} // namespace

VARVE_WIDEST static void makeLanes(PhiloxKey key, uint64_t number,
                                   uint64_t first, Lanes &lanes) {
  auto &[a, b, c, d] = lanes.words;
  for (size_t i = 0; i < numLanes; ++i) {
    a[i] = static_cast<uint32_t>(first + i);
    b[i] = static_cast<uint32_t>((first + i) >> 32);
    c[i] = static_cast<uint32_t>(number);
    d[i] = static_cast<uint32_t>(number >> 32);
  }
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < numLanes; ++i) {
      uint64_t product0 = uint64_t(0xD2511F53) * a[i];
      uint64_t product1 = uint64_t(0xCD9E8D57) * c[i];
      a[i] = static_cast<uint32_t>(product1 >> 32) ^ b[i] ^ key[0];
      b[i] = static_cast<uint32_t>(product1);
      c[i] = static_cast<uint32_t>(product0 >> 32) ^ d[i] ^ key[1];
      d[i] = static_cast<uint32_t>(product0);
    }
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
}

void philoxBlocks(PhiloxKey key, uint64_t number, uint64_t first,
                  std::span<uint32_t> out) {
  Lanes lanes;
  while (!out.empty()) {
    makeLanes(key, number, first, lanes);
    size_t count = std::min(numLanes, out.size() / 4);
    for (size_t i = 0; i < count; ++i)
      for (size_t word = 0; word < 4; ++word)
        out[4 * i + word] = lanes.words[word][i];
    out = out.subspan(4 * count);
    first += count;
  }
}

} // namespace varve
