//===- PoolStore.cpp - Pools of the reference interpreter -----------------===//

#include "lib/Interpret/PoolStore.h"
#include "lib/Interpret/Reference/Quantize.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"

using namespace ::varve;
using namespace mlir::varve;
using llvm::ArrayRef;
using llvm::MutableArrayRef;
using llvm::StringRef;

void PoolStore::append(PoolOp pool, int32_t slot, int64_t index,
                       ArrayRef<float> row) {
  Rows &rows = pools[pool.getSymName()][slot];
  rows.width = row.size();
  if (static_cast<int64_t>(rows.present.size()) <= index) {
    rows.present.resize(index + 1, false);
    rows.elements.resize((index + 1) * rows.width, 0.0f);
  }
  MutableArrayRef<float> stored(rows.elements.data() + index * rows.width,
                                rows.width);
  std::copy(row.begin(), row.end(), stored.begin());
  roundToFormat(pool.getFormat(), stored);
  rows.present[index] = true;
}

ArrayRef<float> PoolStore::read(StringRef pool, int32_t slot,
                                int64_t index) const {
  auto bySlot = pools.find(pool);
  if (bySlot == pools.end())
    return {};
  auto rows = bySlot->second.find(slot);
  if (rows == bySlot->second.end() || index < 0 ||
      index >= static_cast<int64_t>(rows->second.present.size()) ||
      !rows->second.present[index])
    return {};
  const Rows &r = rows->second;
  return ArrayRef<float>(r.elements).slice(index * r.width, r.width);
}

void PoolStore::clear(int32_t slot) {
  for (auto &pool : pools)
    pool.second.erase(slot);
}

void PoolStore::copy(int32_t from, int32_t to) {
  for (auto &pool : pools) {
    auto rows = pool.second.find(from);
    if (rows == pool.second.end())
      pool.second.erase(to);
    else
      pool.second[to] = Rows(rows->second);
  }
}

static void roundSegment(SegmentAttr segment, MutableArrayRef<float> row) {
  mlir::Type type = segment.getElementType();
  if (segment.getBlock()) {
    auto code = mlir::isa<mlir::Float4E2M1FNType>(type)
                    ? reference::CodeType::E2M1
                    : reference::CodeType::E4M3;
    std::vector<float> scales(segment.getNumScales());
    reference::quantize(row, segment.getBlock(), code, row, scales);
    reference::dequantize(row, scales, segment.getBlock(), row);
  } else if (type.isBF16()) {
    for (float &value : row)
      value = roundToBf16(value);
  } else if (type.isF16()) {
    for (float &value : row)
      value = roundToF16(value);
  }
}

void ::varve::roundToFormat(FormatAttr format, MutableArrayRef<float> row) {
  VARVE_ASSERT(static_cast<int64_t>(row.size()) == format.getWidth(),
               "a row is as wide as its pool");
  size_t begin = 0;
  for (SegmentAttr segment : format.getSegments()) {
    roundSegment(segment, row.slice(begin, segment.getSize()));
    begin += segment.getSize();
  }
}
