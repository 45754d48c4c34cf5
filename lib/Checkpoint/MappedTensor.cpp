//===- MappedTensor.cpp - Rows decoded from a file's bytes ----------------===//

#include "lib/Checkpoint/MappedTensor.h"
#include "lib/Checkpoint/WeightInventory.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"

namespace varve {

namespace endian = llvm::support::endian;

int64_t rowBytesOf(WeightType type, int64_t columns) {
  return columns * bitsOf(type) / 8;
}

MappedTensor::MappedTensor(WeightType type, llvm::ArrayRef<int64_t> shape,
                           std::vector<const uint8_t *> parts)
    : type(type), shape(shape), parts(std::move(parts)) {
  VARVE_ASSERT(!shape.empty() && !this->parts.empty(),
               "a tensor of rows has a dimension and data");
  for (int64_t extent : shape.drop_back())
    rows *= extent;
  rowsPerPart = rows / static_cast<int64_t>(this->parts.size());
  rowBytes = rowBytesOf(type, shape.back());
}

const uint8_t *MappedTensor::rowStart(int64_t row, size_t outSize) const {
  VARVE_ASSERT(row >= 0 && row < rows, "row out of range");
  VARVE_ASSERT(outSize == static_cast<size_t>(shape.back()),
               "a row is read whole");
  return parts[row / rowsPerPart] + row % rowsPerPart * rowBytes;
}

void MappedTensor::readRow(int64_t row,
                           llvm::MutableArrayRef<float> out) const {
  const uint8_t *bytes = rowStart(row, out.size());
  switch (type) {
  case WeightType::F32:
    for (auto [i, value] : llvm::enumerate(out))
      value = llvm::bit_cast<float>(endian::read32le(bytes + 4 * i));
    return;
  case WeightType::BF16:
    for (auto [i, value] : llvm::enumerate(out))
      value = bf16ToFloat(endian::read16le(bytes + 2 * i));
    return;
  case WeightType::F16:
    for (auto [i, value] : llvm::enumerate(out))
      value = f16ToFloat(endian::read16le(bytes + 2 * i));
    return;
  case WeightType::F8E4M3:
    for (auto [i, value] : llvm::enumerate(out))
      value = e4m3ToFloat(bytes[i]);
    return;
  case WeightType::F8E8M0:
    for (auto [i, value] : llvm::enumerate(out))
      value = e8m0ToFloat(bytes[i]);
    return;
  case WeightType::F4E2M1:
    // The first of two elements is in the low nibble.
    for (auto [i, value] : llvm::enumerate(out))
      value = e2m1ToFloat(bytes[i / 2] >> (i % 2 * 4) & 0xF);
    return;
  case WeightType::I64:
  case WeightType::I32:
    break;
  }
  VARVE_ASSERT(false, "integer tensors are read as integers");
}

void MappedTensor::readRow(int64_t row,
                           llvm::MutableArrayRef<int64_t> out) const {
  VARVE_ASSERT(type == WeightType::I64 || type == WeightType::I32,
               "only integer tensors are read as integers");
  const uint8_t *bytes = rowStart(row, out.size());
  for (auto [i, value] : llvm::enumerate(out))
    value = type == WeightType::I64
                ? static_cast<int64_t>(endian::read64le(bytes + 8 * i))
                : static_cast<int32_t>(endian::read32le(bytes + 4 * i));
}

} // namespace varve
