//===- RandomRows.h - Weights from a seed, row by row ----------*- C++ -*-===//
//
// Weights for runs without a checkpoint. A tensor is a function of seed, name,
// type and shape alone: a counter-based integer generator and correctly
// rounded IEEE operations give the same numbers on every machine, and any row
// can be had without the rows before it. An expert's tensor is the same alone
// and in the stack of all experts.
//
// Values keep activations in range, so that what runs on them resembles a
// trained model's numerics. N(m, s) is the sum of four uniform numbers scaled
// to mean m and standard deviation s; K is the last dimension.
//
// | tensor | values |
// |---|---|
// | matrices, `hc_*_fn` | N(0, K^-1/2) |
// | `*norm.weight` | N(1, 0.2) |
// | `embed.weight`, `ape`, `attn_sink`, `hc_*_base` | N(0, 1) |
// | `hc_*_scale` | N(1, 0.3) |
// | `*.bias` | N(0, 0.1) |
// | FP4 codes | all sixteen, equally often |
// | FP8 codes | N(0, about 1.5), rounded |
// | `*.scale` | one of two neighbouring powers of two, so often each that
// weight
//             times scale has standard deviation K^-1/2 |
// | `tid2eid` | distinct experts, every one equally often |
//
// Standard library only: the compiler and the runtime share this file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_RANDOMROWS_H
#define VARVE_CHECKPOINT_RANDOMROWS_H

#include "varve/Support/WeightType.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace varve {

struct RandomWeightsOptions {
  uint64_t seed = 0;
  /// Experts that routing tables choose from; models without tables need none.
  int64_t numExperts = 0;
  /// Columns that a scale of FP8 and of FP4 stands for.
  int64_t scaleBlockColumns = 128;
  int64_t expertScaleBlock = 32;
};

/// The rows of one tensor (WeightTensor says what a row is). Reading is safe
/// from several threads. Numbers are representable in the tensor's type.
class RandomRows {
public:
  virtual ~RandomRows() = default;
  virtual void readRow(int64_t row, std::span<float> out) const = 0;
  virtual void readRow(int64_t row, std::span<int64_t> out) const = 0;
  /// The bytes of a row as a file stores them, two FP4 codes a byte, the one
  /// with the even index in the low half: the same numbers, much faster.
  virtual void readStored(int64_t row, std::span<uint8_t> out) const = 0;
};

/// The tensor `name`; `*` stands for the expert number, the first dimension.
/// Any name is fine; those that the table above does not list are matrices.
/// Null, with `problem` filled, for shapes that no tensor has.
std::unique_ptr<RandomRows> makeRandomRows(std::string_view name,
                                           WeightType type,
                                           std::span<const int64_t> shape,
                                           const RandomWeightsOptions &options,
                                           std::string &problem);

} // namespace varve

#endif // VARVE_CHECKPOINT_RANDOMROWS_H
