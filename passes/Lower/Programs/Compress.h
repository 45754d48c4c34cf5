//===- Compress.h - Programs of compressors --------------------*- C++ -*-===//
//
// `varve.compress`: the entry that a token completes, pooled channel by channel
// over its window. Tokens of the step are read from the step's tensors, earlier
// ones from the state pool, to which a commit moves the last tokens of every
// sequence once all readers are done.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_COMPRESS_H
#define VARVE_PASSES_LOWER_PROGRAMS_COMPRESS_H

#include "passes/Lower/Programs/PoolRows.h"

namespace mlir::varve {

struct CompressShape {
  int64_t ratio, channels; ///< tokens of a window, channels of an entry
  bool overlap = false;
  Type bias, entries; ///< element types
  int64_t stateRows;  ///< of a sequence

  static CompressShape of(CompressOp op);
  int64_t getHalves() const { return overlap ? 2 : 1; }
  /// Columns of a token's `kv` and `gate`.
  int64_t getWidth() const { return getHalves() * channels; }
};

struct CompressStrategy {
  int64_t channels = 128; ///< of a block
  int64_t tokens = 16;    ///< that are read in one piece
  int64_t warps = 4;
};

/// Takes what a token leaves in the place of stores: its number (index), the
/// entry [1, channels] in its type, its window's start and its slot (i32 [1]).
using CompressFollower =
    function_ref<void(Value token, Value entry, Value start, Value slot)>;

/// Arguments: kv, gate [T, width], bias [ratio, width], positions, slots,
/// starts, the state pool [rows, 2 width]; without a follower, entries [T,
/// channels], entry starts [T], entry slots [T]. Row t is the entry that token
/// t completes; where it completes none the row is zero and its slot -1. A
/// follower sees whole rows, and with `onlyEntries` those of completed entries
/// only.
void buildCompress(TileProgram &p, const CompressShape &shape,
                   const CompressStrategy &strategy = {},
                   CompressFollower follower = nullptr,
                   bool onlyEntries = false);

/// Stores the last `stateRows` tokens of every sequence in the state pool.
/// Arguments: kv, gate, bias, positions, slots, ends, the state pool.
void buildCommitState(TileProgram &p, const CompressShape &shape,
                      const CompressStrategy &strategy = {});

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_COMPRESS_H
