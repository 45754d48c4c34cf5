//===- MappedTensor.h - Rows decoded from a file's bytes -------*- C++ -*-===//
//
// The tensors that a checkpoint gives out: bytes of mapped files, at any
// alignment, little endian, decoded a row at a time.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_MAPPEDTENSOR_H
#define VARVE_CHECKPOINT_MAPPEDTENSOR_H

#include "lib/Checkpoint/WeightSource.h"
#include "llvm/ADT/SmallVector.h"
#include <vector>

namespace varve {

/// Bytes of one row of `columns` elements; an FP4 row has an even number.
int64_t rowBytesOf(WeightType type, int64_t columns);

/// The bytes must outlive the tensor.
class MappedTensor final : public WeightTensor {
public:
  /// `parts` are the starts of pieces of equal size that follow each other in
  /// the leading dimension of `shape`: one piece, or one an expert.
  MappedTensor(WeightType type, llvm::ArrayRef<int64_t> shape,
               std::vector<const uint8_t *> parts);

  WeightType getType() const override { return type; }
  llvm::ArrayRef<int64_t> getShape() const override { return shape; }
  void readRow(int64_t row, llvm::MutableArrayRef<float> out) const override;
  void readRow(int64_t row, llvm::MutableArrayRef<int64_t> out) const override;

private:
  const uint8_t *rowStart(int64_t row, size_t outSize) const;

  WeightType type;
  llvm::SmallVector<int64_t, 3> shape;
  std::vector<const uint8_t *> parts;
  int64_t rows = 1;
  int64_t rowsPerPart = 1;
  int64_t rowBytes = 0;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_MAPPEDTENSOR_H
