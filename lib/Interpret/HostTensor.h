//===- HostTensor.h - Values of the reference interpreter ------*- C++ -*-===//
#ifndef VARVE_INTERPRET_HOSTTENSOR_H
#define VARVE_INTERPRET_HOSTTENSOR_H

#include "lib/Checkpoint/WeightSource.h"
#include "mlir/IR/Types.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <memory>
#include <variant>
#include <vector>

namespace varve {

/// A tensor in row-major order. Whatever the element type, numbers are held as
/// float and integers as int32; every element is a value of the element type,
/// and low-precision codes are held as the numbers they stand for.
///
/// A weight may stay in its checkpoint and be decoded row by row. Copies share
/// their elements: an op makes a new tensor and never changes an old one.
class HostTensor {
public:
  HostTensor() = default;

  static HostTensor ofFloats(mlir::Type elementType,
                             llvm::ArrayRef<int64_t> shape);
  static HostTensor ofFloats(mlir::Type elementType,
                             llvm::ArrayRef<int64_t> shape,
                             std::vector<float> elements);
  static HostTensor ofNumbers(mlir::Type elementType,
                              llvm::ArrayRef<int64_t> shape,
                              std::vector<int32_t> elements);
  static HostTensor ofWeight(mlir::Type elementType,
                             llvm::ArrayRef<int64_t> shape,
                             std::shared_ptr<const WeightTensor> weight);

  mlir::Type getElementType() const { return elementType; }
  llvm::ArrayRef<int64_t> getShape() const { return shape; }
  int64_t getDim(size_t i) const { return shape[i]; }
  int64_t getNumElements() const;
  /// Size of the first dimension.
  int64_t getNumRows() const { return shape.empty() ? 1 : shape.front(); }
  /// Elements of one row along the first dimension.
  int64_t getRowSize() const;

  bool holdsFloats() const { return std::holds_alternative<Floats>(elements); }
  bool holdsNumbers() const {
    return std::holds_alternative<Numbers>(elements);
  }
  bool holdsWeight() const { return std::holds_alternative<Weight>(elements); }

  llvm::ArrayRef<float> floats() const { return *std::get<Floats>(elements); }
  llvm::MutableArrayRef<float> floats() { return *std::get<Floats>(elements); }
  llvm::ArrayRef<int32_t> numbers() const {
    return *std::get<Numbers>(elements);
  }
  llvm::MutableArrayRef<int32_t> numbers() {
    return *std::get<Numbers>(elements);
  }

  /// Row i along the first dimension, flattened.
  llvm::ArrayRef<float> row(int64_t i) const {
    return floats().slice(i * getRowSize(), getRowSize());
  }
  llvm::MutableArrayRef<float> row(int64_t i) {
    return floats().slice(i * getRowSize(), getRowSize());
  }

  /// Row i along the last dimension; decoded into `scratch` if this is a
  /// weight that stayed in its checkpoint.
  llvm::ArrayRef<float> innerRow(int64_t i, std::vector<float> &scratch) const;

  /// The same for integer tensors.
  void readInnerRow(int64_t i, llvm::MutableArrayRef<int64_t> out) const;

  /// All elements; decodes a weight.
  std::vector<float> allFloats() const;

  /// This tensor with its elements in memory.
  HostTensor decoded() const;

private:
  using Floats = std::shared_ptr<std::vector<float>>;
  using Numbers = std::shared_ptr<std::vector<int32_t>>;
  using Weight = std::shared_ptr<const WeightTensor>;

  mlir::Type elementType;
  llvm::SmallVector<int64_t, 4> shape;
  std::variant<std::monostate, Floats, Numbers, Weight> elements;
};

/// Rounds every element of a float tensor to its element type. Codes are values
/// of their type already.
void roundToElementType(HostTensor &tensor);

} // namespace varve

#endif // VARVE_INTERPRET_HOSTTENSOR_H
