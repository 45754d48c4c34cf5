//===- HostTensor.cpp - Values of the reference interpreter ---------------===//

#include "lib/Interpret/HostTensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "varve/Support/Floats.h"
#include "llvm/Support/Parallel.h"
#include <functional>
#include <numeric>

using namespace ::varve;
using llvm::ArrayRef;

static int64_t product(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                         std::multiplies<>());
}

HostTensor HostTensor::ofFloats(mlir::Type elementType,
                                ArrayRef<int64_t> shape) {
  return ofFloats(elementType, shape, std::vector<float>(product(shape)));
}

HostTensor HostTensor::ofFloats(mlir::Type elementType, ArrayRef<int64_t> shape,
                                std::vector<float> elements) {
  VARVE_ASSERT(static_cast<int64_t>(elements.size()) == product(shape),
               "a tensor has as many elements as its shape says");
  HostTensor tensor;
  tensor.elementType = elementType;
  tensor.shape.assign(shape.begin(), shape.end());
  tensor.elements = std::make_shared<std::vector<float>>(std::move(elements));
  return tensor;
}

HostTensor HostTensor::ofNumbers(mlir::Type elementType,
                                 ArrayRef<int64_t> shape,
                                 std::vector<int32_t> elements) {
  VARVE_ASSERT(static_cast<int64_t>(elements.size()) == product(shape),
               "a tensor has as many elements as its shape says");
  HostTensor tensor;
  tensor.elementType = elementType;
  tensor.shape.assign(shape.begin(), shape.end());
  tensor.elements = std::make_shared<std::vector<int32_t>>(std::move(elements));
  return tensor;
}

HostTensor HostTensor::ofWeight(mlir::Type elementType, ArrayRef<int64_t> shape,
                                std::shared_ptr<const WeightTensor> weight) {
  HostTensor tensor;
  tensor.elementType = elementType;
  tensor.shape.assign(shape.begin(), shape.end());
  tensor.elements = std::move(weight);
  return tensor;
}

int64_t HostTensor::getNumElements() const { return product(shape); }

int64_t HostTensor::getRowSize() const {
  return shape.empty() ? 1 : product(getShape().drop_front());
}

ArrayRef<float> HostTensor::innerRow(int64_t i,
                                     std::vector<float> &scratch) const {
  int64_t width = shape.back();
  if (holdsFloats())
    return floats().slice(i * width, width);
  scratch.resize(width);
  std::get<Weight>(elements)->readRow(i, llvm::MutableArrayRef<float>(scratch));
  return scratch;
}

void HostTensor::readInnerRow(int64_t i,
                              llvm::MutableArrayRef<int64_t> out) const {
  if (holdsWeight()) {
    std::get<Weight>(elements)->readRow(i, out);
    return;
  }
  ArrayRef<int32_t> row = numbers().slice(i * out.size(), out.size());
  std::copy(row.begin(), row.end(), out.begin());
}

std::vector<float> HostTensor::allFloats() const {
  if (holdsFloats())
    return std::vector<float>(floats().begin(), floats().end());
  std::vector<float> all(getNumElements());
  int64_t width = shape.back();
  llvm::parallelFor(0, all.size() / std::max<int64_t>(width, 1), [&](size_t i) {
    llvm::MutableArrayRef<float> row(all.data() + i * width, width);
    std::get<Weight>(elements)->readRow(i, row);
  });
  return all;
}

HostTensor HostTensor::decoded() const {
  if (!holdsWeight())
    return *this;
  return ofFloats(elementType, shape, allFloats());
}

void ::varve::roundToElementType(HostTensor &tensor) {
  if (!tensor.holdsFloats())
    return;
  if (tensor.getElementType().isBF16()) {
    for (float &value : tensor.floats())
      value = roundToBf16(value);
  } else if (tensor.getElementType().isF16()) {
    for (float &value : tensor.floats())
      value = roundToF16(value);
  }
}
