//===- Experts.h - Programs of experts' products ---------------*- C++ -*-===//
//
// `varve.experts`, alone or as the gated pair: two products of the same rows
// and the `swiglu` of their results, quantised if the next product wants codes.
//
// Steps of few tokens run a block per (token, active expert) and tile of the
// result's columns. For many tokens the pairs are first sorted by expert, which
// takes three small programs whatever T is; then blocks multiply tiles of one
// expert's rows.
//
// Codes of 4 bits are streamed where the target multiplies them from registers
// (`canStreamExperts`): a program before puts rows in quad order (QuadOrder.h),
// widened to bf16 where products want that, and sorted where they are many.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_EXPERTS_H
#define VARVE_PASSES_LOWER_PROGRAMS_EXPERTS_H

#include "dialects/Varve/Varve.h"
#include "passes/Lower/Programs/TileProgram.h"

namespace mlir::varve {

struct ExpertsShape {
  int64_t experts, active;
  int64_t N, K;
  /// Rows of x: one per (token, active expert) or one per token.
  bool hasRowPerExpert = false;
  Type x, xScale; ///< scale types are null where there are no scales
  int64_t xBlock = 0;
  Type weight, weightScale;
  int64_t blockRows = 0, blockColumns = 0;
  Type product; ///< what a product rounds to
  /// Whether each product may keep fewer bits of its sums of code products.
  bool hasShortSums = false;

  /// The gated pair: w1, w3, and what follows.
  bool isGated = false;
  double limit = 0;
  bool isWeighted = false;
  Type gated; ///< what `swiglu` rounds to

  /// Codes as the result; null for plain results.
  Type code, codeScale;
  int64_t codeBlock = 0;

  static ExpertsShape of(ExpertsOp op);
  /// `gate` and the experts of the `up` of `swiglu`.
  static ExpertsShape of(ExpertsOp gate, SwigluOp swiglu);
  void addQuantize(QuantizeOp op);
  int64_t getNumWeights() const { return isGated ? 2 : 1; }
  Type getResult() const { return isGated ? gated : product; }
};

struct ExpertsStrategy {
  int64_t rows = 64;    ///< of a tile of one expert's pairs; many tokens only
  int64_t columns = 64; ///< of the result
  int64_t depth = 128;  ///< of a step along K
  int64_t pairs = 128;  ///< that are sorted together
  bool narrow = true;   ///< bf16 products where the numbers are bf16
  /// Bytes of a weight that a lane reads at once, and sums by itself; 0 where
  /// lanes are those of vectors. Few tokens only.
  int64_t laneBytes = 0;
  int64_t warps = 4;

  /// Streamed products only: `warps` multiply, `rows` is a multiple of 8 and
  /// `columns` one of 64.
  int64_t stages = 1;
  int64_t parts = 1; ///< tiles of `columns` of a block, but for gated pairs
  /// Whether tiles are of one expert's sorted pairs, not of one pair each.
  bool isSorted = true;
  /// Blocks that take tiles of sorted pairs in turn.
  int64_t blocks = 1;
  /// Sizes below `rows` for tiles with fewer, if rows are sorted; ascending.
  SmallVector<int64_t> fewerRows;
  /// The order in which rows stay codes (`canKeepCodes`); else they are bf16.
  std::optional<tile::Quads> codes;

  /// Whether rows are sorted as pairs are, each of those with its own: the rows
  /// of a tile then lie side by side. `isSorted` is true.
  bool hasSortedRows() const { return codes == tile::Quads::Quarters; }
};

/// Warps that copy for those that multiply.
inline constexpr int64_t kExpertsLoadWarps = 4;
/// Rows of a tile that are finished and stored together: registers are full of
/// sums then, and barriers cost the same for few rows.
inline constexpr int64_t kExpertsStoredRows = 64;

/// Why a shape cannot be compiled, on `emitError`.
LogicalResult verifyExperts(const ExpertsShape &shape,
                            function_ref<InFlightDiagnostic()> emitError);

/// For few tokens. Arguments, with P = T A pairs: x [T or P, K], its scales if
/// it is codes, ids [P]; per weight [X, N, K] and its scales; routing weights
/// [P] if weighted; the result [P, N], or codes [P, N] and scales.
void buildExperts(TileProgram &program, const ExpertsShape &shape,
                  const ExpertsStrategy &strategy);

/// Numbers that say where each expert's pairs are among the sorted ones, all
/// i32: `counts` [rows, X], of which the first ceil(P / pairs) rows are in use,
/// `ends` [X]: behind the last of each expert, `tileEnds` [X]: the same, in
/// tiles of `rows`, and `order` [P]. Streamed products also want `tiles`, the
/// expert of each tile: at most P / rows + X.
///
/// Arguments: ids [P], counts.
void buildCountPairs(TileProgram &program, const ExpertsShape &shape,
                     const ExpertsStrategy &strategy);
/// Arguments: ids [P] (for its size), counts, ends, tileEnds, and tiles for
/// streamed products.
void buildScanPairs(TileProgram &program, const ExpertsShape &shape,
                    const ExpertsStrategy &strategy);
/// Arguments: ids [P], counts, order.
void buildOrderPairs(TileProgram &program, const ExpertsShape &shape,
                     const ExpertsStrategy &strategy);

/// For many tokens. Arguments: x, its scales; ends, tileEnds, order; weights
/// and their scales; routing weights; results, as for `buildExperts`.
void buildGroupedExperts(TileProgram &program, const ExpertsShape &shape,
                         const ExpertsStrategy &strategy);

/// Whether streamed products are exact but for their sums: f4E2M1FN weights and
/// rows of bf16 or of codes with f8E8M0FNU scales.
bool canStreamExperts(const ExpertsShape &shape);
/// The columns of arranged rows: K, and zeros up to a whole block.
int64_t getArrangedColumns(const ExpertsShape &shape);
/// Whether rows may stay the codes that they are.
bool canKeepCodes(const ExpertsShape &shape);
/// Rows as streamed products take them: bf16 or codes, in quad order.
/// Arguments: x, bf16 or codes [rows, K], and the scales of codes; the result
/// [rows, columns], and of codes their scales, f32 [rows, columns / 128].
void buildArrangeRows(TileProgram &program, const ExpertsShape &shape,
                      const ExpertsStrategy &strategy);
/// The same for sorted rows. Arguments: codes as words, i32 [rows, K / 4], and
/// their scales; order [P]; the result as words, [P, columns / 4], and its
/// scales over 2^kQuartersExponent, bf16 [columns / 128, P], of which those
/// below 2^-123 are zero.
void buildSortRows(TileProgram &program, const ExpertsShape &shape,
                   const ExpertsStrategy &strategy);
/// The shape of a product of arranged rows.
ExpertsShape getArrangedShape(const ExpertsShape &shape,
                              const ExpertsStrategy &strategy);
/// Arguments: x, arranged, and the scales of codes, those of sorted rows as
/// [columns / 128 P]; ends, tileEnds, tiles, order if pairs are sorted, else
/// ids [P]; weights and their scales; routing weights; results, as for
/// `buildExperts`. The function has kExpertsLoadWarps more warps than the
/// strategy.
void buildStreamedExperts(TileProgram &program, const ExpertsShape &shape,
                          const ExpertsStrategy &strategy);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_EXPERTS_H
