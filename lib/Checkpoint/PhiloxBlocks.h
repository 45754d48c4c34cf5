//===- PhiloxBlocks.h - Many random words at once --------------*- C++ -*-===//
//
// Philox.h makes one block of four words. Tensors of gigabytes are made of
// runs of blocks, which vector units compute side by side.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_PHILOXBLOCKS_H
#define VARVE_CHECKPOINT_PHILOXBLOCKS_H

#include "varve/Support/Philox.h"
#include <span>

namespace varve {

/// Writes the blocks `first`, `first + 1`, ... of stream `number` of a key,
/// four words each, to `out`, whose size is a multiple of four: block b is
/// philox4x32({b, b >> 32, number, number >> 32}, key).
void philoxBlocks(PhiloxKey key, uint64_t number, uint64_t first,
                  std::span<uint32_t> out);

} // namespace varve

#endif // VARVE_CHECKPOINT_PHILOXBLOCKS_H
