//===- Fragments.h - Words of warp-level matrix products -------*- C++ -*-===//
//
// Instructions of one warp on 32-bit words. A word holds two 16-bit or four
// 8-bit elements, neighbours along K. The fragments are those of
// `#tile.operand` and `#tile.mma`: a left operand is 16 x K in four words, a
// right one K x 8 in two, K being 16 for 16-bit and 32 for 8-bit elements; an
// accumulator is 16 x 8 in four f32.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_FRAGMENTS_H
#define VARVE_PASSES_ENGINE_NVIDIA_FRAGMENTS_H

#include "passes/Engine/Nvidia/Code.h"

namespace mlir::varve::nvidia {

/// Reads `count` (1, 2 or 4) matrices of 8 rows of 16 bytes; lanes 8 i to 8 i +
/// 7 give the addresses of the rows of matrix i. Lane l gets bytes 4 (l mod 4)
/// to + 3 of row l / 4; transposed (16-bit elements only) elements 2 (l mod 4)
/// and + 1 of column l / 4.
SmallVector<Value> loadMatrices(Code &code, Value address, unsigned count,
                                bool transposed);

/// accumulators + left x right. `element` is bf16, f16, f8E4M3FN or f8E5M2; the
/// operands of 8-bit products may differ.
SmallVector<Value> multiplyFragments(Code &code, Type leftElement,
                                     Type rightElement, ValueRange left,
                                     ValueRange right, ValueRange accumulators);

/// Scalars, as many as fit, to a word and back. The first is in the low bits.
Value packWord(Code &code, ValueRange elements);
SmallVector<Value> unpackWord(Code &code, Value word, Type element);

/// A word of four 8-bit floats (f8E4M3FN or f8E5M2) as two words of f16, and
/// eight 4-bit floats (f4E2M1FN) as two words of f8E4M3FN or four of f16:
/// exact. With `hasConversions` by the target's instructions, else by integers.
SmallVector<Value> widenToF16(Code &code, Value word, Type element,
                              bool hasConversions);
SmallVector<Value> widenToE4M3(Code &code, Value word);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_FRAGMENTS_H
