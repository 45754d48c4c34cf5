//===- Compress.h - Windows of tokens pooled into entries ------*- C++ -*-===//
//
// Specification section 5.2, and which window a position belongs to (5.4, 7).
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_COMPRESS_H
#define VARVE_INTERPRET_REFERENCE_COMPRESS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cstdint>

namespace varve::reference {

/// What a compressor remembers of a token: its projections, with the position
/// bias already added to the score (5.1). A score of -inf is that of an absent
/// token, whose `kv` is not looked at.
struct CompressorRow {
  llvm::ArrayRef<float> kv;
  llvm::ArrayRef<float> score;
};

/// Pools slots channel by channel, with P.size() channels per row:
///
///   P[c] = sum_t softmax_t(score_t[c]) kv_t[c]
///
/// max-subtracted, in double, rounded to FP32 once. A channel without any
/// present slot gives 0. This is the form of disjoint windows: the rows of
/// tokens m w ... m w + m - 1 give entry w.
void compressPool(llvm::ArrayRef<CompressorRow> slots,
                  llvm::MutableArrayRef<float> P);

/// The overlapping form. Rows have two halves of P.size() channels; entry w
/// pools the FIRST halves of the previous window's tokens
/// m (w - 1) ... m w - 1 and the SECOND halves of the current window's tokens
/// m w ... m w + m - 1. `previous` is empty for w = 0.
void compressPoolOverlapping(llvm::ArrayRef<CompressorRow> previous,
                             llvm::ArrayRef<CompressorRow> current,
                             llvm::MutableArrayRef<float> P);

/// Entries of ratio m that the query at `position` sees: s < (t + 1) div m
/// (5.4).
inline int64_t visibleEntries(int64_t position, int64_t ratio) {
  return (position + 1) / ratio;
}

/// Whether the token at `position` completes a window, i.e. produces entry
/// visibleEntries(position, ratio) - 1.
inline bool completesEntry(int64_t position, int64_t ratio) {
  return (position + 1) % ratio == 0;
}

/// The positions that the query at `position` finds in the sliding window,
/// oldest first, padded with -1 to `window` places (7.2). In a ring of R rows,
/// position u is row u mod R.
inline llvm::SmallVector<int64_t> windowPositions(int64_t position,
                                                  int64_t window) {
  llvm::SmallVector<int64_t> places;
  for (int64_t u = std::max<int64_t>(0, position - window + 1); u <= position;
       ++u)
    places.push_back(u);
  places.resize(window, -1);
  return places;
}

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_COMPRESS_H
