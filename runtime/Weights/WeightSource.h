//===- WeightSource.h - Where the bytes of weights come from ---*- C++ -*-===//
//
// A plan names weights and says how they are stored; a source has their bytes:
// the files of a checkpoint, whatever they call the tensors, or a seed.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_WEIGHTS_WEIGHTSOURCE_H
#define VARVE_RUNTIME_WEIGHTS_WEIGHTSOURCE_H

#include "runtime/MappedFile.h"
#include "runtime/Package/Plan.h"
#include <memory>
#include <optional>

namespace varve::runtime {

class WeightSource {
public:
  virtual ~WeightSource() = default;

  /// Throws one error that tells of every weight that the source lacks or has
  /// in another type or shape. Reads no data.
  virtual void check(std::span<const Weight> weights) const = 0;

  /// The bytes of a weight where they lie, if they are in one piece.
  virtual std::optional<Bytes> map(const Weight &weight) const = 0;

  /// Copies bytes [begin, begin + out.size()) of a weight; begin and size are
  /// multiples of `granuleOf(weight)`, the size up to the weight's end.
  virtual void read(const Weight &weight, int64_t begin,
                    std::span<uint8_t> out) const = 0;

  /// "/models/flash", "random:1".
  virtual std::string describe() const = 0;
};

/// Bytes of a row of a weight.
int64_t granuleOf(const Weight &weight);

/// Throws where bytes of a weight of scales, from byte `begin` of it on, hold
/// what is no scale: NaN, or an f32 number that is infinite or negative. Names
/// the tensor and the place. Other weights may hold anything.
void checkScales(const Weight &weight, int64_t begin, Bytes bytes);

/// "random", "random:SEED", or the path of a checkpoint. Random weights are
/// those of the compiler's interpreter for the same seed. `weights` are those
/// of the plan: from them follows what scales belong to. Throws.
std::unique_ptr<WeightSource> openWeights(const std::string &text,
                                          std::span<const Weight> weights);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_WEIGHTS_WEIGHTSOURCE_H
