//===- Philox.h - Random numbers by counter --------------------*- C++ -*-===//
//
// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As
// Easy as 1, 2, 3" (SC 2011): a bijection of 128-bit counters for every 64-bit
// key, made of integer multiplications, so that any number of a sequence can
// be had alone and is the same on every machine. Standard library only.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_PHILOX_H
#define VARVE_SUPPORT_PHILOX_H

#include <array>
#include <cstdint>

namespace varve {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = uint64_t(0xD2511F53) * counter[0];
    uint64_t product1 = uint64_t(0xCD9E8D57) * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    // The golden ratio and the square root of three, less one, in 32 bits.
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

} // namespace varve

#endif // VARVE_SUPPORT_PHILOX_H
