//===- Attention.h - Programs of sparse attention --------------*- C++ -*-===//
//
// `varve.sparse_attention`: one softmax over a window, entries and a sink, one
// token and up to `headRows` heads of one key head a block, online over tiles
// of keys. What a token's window is: positions from its sequence's first one in
// the step are rows of the staging area, older ones rows of its ring.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_ATTENTION_H
#define VARVE_PASSES_LOWER_PROGRAMS_ATTENTION_H

#include "passes/Lower/Programs/PoolRows.h"

namespace mlir::varve {

struct AttentionShape {
  int64_t heads, size, valueSize, kvHeads = 1;
  Type query, result;
  /// Of the list of entries; 0 without one.
  int64_t numIndices = 0;
  Type sink; ///< null without
  std::optional<PoolShape> window, windowValues, entries, entryValues;
  double scale = 1;
  int64_t block =
      0; ///< keys of a step of the softmax that is part of the meaning
  Type probabilities; ///< null: not rounded

  static AttentionShape of(SparseAttentionOp op);
};

struct AttentionStrategy {
  int64_t headRows = 16; ///< M of the products
  int64_t keys = 64;     ///< of a tile, where the op does not say
  int64_t columns = 64;  ///< of a key that are read in one piece
  /// Products of bf16 operands where the numbers are bf16; otherwise f32.
  bool narrow = true;
  /// Blocks among which the tiles of a token's keys are divided.
  int64_t splits = 1;
  int64_t warps = 4;
};

/// Takes a block's results in the place of a store: the tile [headRows, dv] in
/// the result's type, of heads `firstHead ...` of a token (indices). All rows
/// are heads: `headRows` must divide the heads of a key head.
using AttentionFollower =
    function_ref<void(Value tile, Value token, Value firstHead)>;

/// Why a shape cannot be compiled, on `emitError`.
LogicalResult verifyAttention(const AttentionShape &shape,
                              function_ref<InFlightDiagnostic()> emitError);

/// Arguments: q [T, H, d]; positions, slots, starts; indices [T, k] and sink
/// [H] if there are; the views of the window pool, of its value pool, and the
/// staging area's first row (i32); the views of the entry pool, of its value
/// pool, and the page table; without a follower, the result [T, H, dv].
///
/// With several splits, in the result's place what combineAttention takes:
/// maxima [T, splits, H], sums [T, splits, H], values [T, splits, H, dv], f32.
/// Where probabilities are rounded, relative to the maximum so far, what
/// buildAttentionMaxima found comes before those.
void buildAttention(TileProgram &p, const AttentionShape &shape,
                    const AttentionStrategy &strategy = {},
                    AttentionFollower follower = nullptr);

/// The maxima [T, splits, H] of each split's logits. Arguments: those of
/// buildAttention up to the page table; maxima.
void buildAttentionMaxima(TileProgram &p, const AttentionShape &shape,
                          const AttentionStrategy &strategy);

/// Arguments: maxima, sums, values; sink if there is; without a follower, the
/// result.
void combineAttention(TileProgram &p, const AttentionShape &shape,
                      const AttentionStrategy &strategy,
                      AttentionFollower follower = nullptr);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_ATTENTION_H
