//===- WeightSource.h - Weights by name, decoded row by row ----*- C++ -*-===//
//
// What the reference interpreter reads weights through. The IR holds names
// only; a source turns a name into numbers: a mapped checkpoint, or a seed.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_WEIGHTSOURCE_H
#define VARVE_CHECKPOINT_WEIGHTSOURCE_H

#include "lib/Model/ModelConfig.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>

namespace varve {

/// One tensor of a source. Rows are the slices along the last dimension, in
/// row-major order of the leading dimensions: a [E, N, K] tensor has E*N rows
/// of K elements, a [K] tensor one row. Reading is safe from several threads.
class WeightTensor {
public:
  virtual ~WeightTensor();

  /// Element type as stored. F4E2M1 counts elements, not bytes.
  virtual WeightType getType() const = 0;
  virtual llvm::ArrayRef<int64_t> getShape() const = 0;

  /// Decodes row `row` to `out`, whose size is the last dimension. FP8, FP4
  /// and E8M0 codes become the numbers they stand for; scales of other
  /// tensors are not applied.
  virtual void readRow(int64_t row, llvm::MutableArrayRef<float> out) const = 0;

  /// The same for integer tensors (routing tables).
  virtual void readRow(int64_t row,
                       llvm::MutableArrayRef<int64_t> out) const = 0;
};

/// A set of named tensors.
class WeightSource {
public:
  virtual ~WeightSource();

  /// Opens the tensor with the official name `name`
  /// ("layers.3.attn.wq_a.weight"). A `*` stands for the expert number and
  /// stacks that many tensors into a leading dimension
  /// ("layers.3.ffn.experts.*.w1.weight": [E, I, D]). `type` and `shape` are
  /// what the IR declares; a source whose tensor differs reports an error that
  /// names the tensor, the file, and both.
  virtual llvm::Expected<std::unique_ptr<WeightTensor>>
  open(llvm::StringRef name, WeightType type,
       llvm::ArrayRef<int64_t> shape) const = 0;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_WEIGHTSOURCE_H
