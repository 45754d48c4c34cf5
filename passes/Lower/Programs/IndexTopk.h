//===- IndexTopk.h - Programs that select entries --------------*- C++ -*-===//
//
// `varve.index_score` and `varve.index_topk` as one program: a running
// selection over the visible entries, so that scores need no memory. A block
// serves several tokens; those of one sequence share what is read of its keys.
//
// For comparisons with other implementations, scores can be a result beside the
// selection, and the selection can be made from given scores: by the same code,
// in the same order.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_INDEXTOPK_H
#define VARVE_PASSES_LOWER_PROGRAMS_INDEXTOPK_H

#include "passes/Lower/Programs/PoolRows.h"

namespace mlir::varve {

struct IndexShape {
  int64_t heads, size, k;
  Type query;
  Type queryScale; ///< null unless the query is codes
  int64_t queryBlock = 0;
  Type weights, scores;
  PoolShape keys;
  double scale = 1.0;
  bool roundsEachStep = false;
  /// What scores in memory are.
  enum class Stored {
    None,
    Result, ///< written beside the selection
    Given   ///< what is selected from; of the rest only k and scores count
  };
  Stored stored = Stored::None;
  int64_t columns = 0; ///< of scores in memory: as many as entries can be

  /// `score` is null where scores are given.
  static IndexShape of(IndexScoreOp score, IndexTopkOp topk);
};

struct IndexStrategy {
  int64_t tokens = 1;      ///< of a block
  int64_t entries = 64;    ///< of a product
  int64_t selection = 512; ///< most entries that are selected from at once
  int64_t columns = 64;    ///< of a key that are read in one piece
  int64_t headStep = 8;    ///< heads are padded to a multiple
  bool narrow = true;      ///< bf16 products where the numbers are bf16
  /// Blocks among which a token's entries are divided.
  int64_t splits = 1;
  int64_t merged = 8192; ///< entries that are merged at once
  int64_t warps = 4;

  /// Entries that a running selection keeps: k, filled up.
  int64_t getKept(const IndexShape &shape) const;
};

/// Why a shape cannot be compiled, on `emitError`.
LogicalResult verifyIndex(const IndexShape &shape,
                          function_ref<InFlightDiagnostic()> emitError);

/// Arguments: q [T, H, d], its scales [T, H, groups] if it is codes, weights
/// [T, H], positions, slots, the views of the key pool, the page table; scores
/// [T, columns] if they are a result, filled by fillScores; indices [T, k].
///
/// Of given scores: scores [T, columns]; indices [T, k].
///
/// With several splits, in the result's place what mergeIndices takes: scores
/// [T, splits, kept] f32 and numbers [T, splits, kept].
void buildIndexTopk(TileProgram &p, const IndexShape &shape,
                    const IndexStrategy &strategy = {});

/// Sets scores that are a result to -inf. Arguments: scores [T, columns].
void fillScores(TileProgram &p, const IndexShape &shape);

/// Arguments: scores, numbers; indices [T, k].
void mergeIndices(TileProgram &p, const IndexShape &shape,
                  const IndexStrategy &strategy);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_INDEXTOPK_H
