//===- Linear.cpp - Matrix products, plain and block-scaled ---------------===//

#include "lib/Interpret/Reference/Linear.h"
#include "lib/Interpret/Reference/ProductCount.h"
#include "lib/Interpret/Reference/Rounding.h"
#include "varve/Support/Assert.h"
#include <algorithm>

using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace varve::reference {

double dot(ArrayRef<float> a, ArrayRef<float> b) {
  VARVE_ASSERT(a.size() == b.size(), "a dot product needs equal lengths");
  countProducts(static_cast<int64_t>(a.size()));
  const float *pa = a.data(), *pb = b.data();
  return orderedSum(a.size(), [pa, pb](size_t k) {
    return static_cast<double>(pa[k]) * static_cast<double>(pb[k]);
  });
}

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

ScaledRow ScaledMatrix::row(int64_t n) const {
  ScaledRow row;
  row.codes = codes.slice(n * columns, columns);
  if (scales.empty())
    return row;
  int64_t scaleColumns = ceilDiv(columns, blockColumns);
  row.scales = scales.slice(n / blockRows * scaleColumns, scaleColumns);
  row.block = blockColumns;
  return row;
}

float dotScaled(const ScaledRow &x, const ScaledRow &w) {
  int64_t size = static_cast<int64_t>(x.codes.size());
  VARVE_ASSERT(w.codes.size() == x.codes.size(),
               "a dot product needs equal lengths");
  if (x.scales.empty() && w.scales.empty())
    return static_cast<float>(dot(x.codes, w.codes));

  int64_t xBlock = x.scales.empty() ? w.block : x.block;
  int64_t wBlock = w.scales.empty() ? x.block : w.block;
  int64_t block = std::min(xBlock, wBlock);
  VARVE_ASSERT(block > 0 && std::max(xBlock, wBlock) % block == 0,
               "one scale block must divide the other");
  VARVE_ASSERT(
      (x.scales.empty() ||
       ceilDiv(size, xBlock) == static_cast<int64_t>(x.scales.size())) &&
          (w.scales.empty() ||
           ceilDiv(size, wBlock) == static_cast<int64_t>(w.scales.size())),
      "one scale per block");

  float total = 0.0f;
  for (int64_t k = 0; k < size; k += block) {
    int64_t count = std::min(block, size - k);
    float partial = static_cast<float>(
        dot(x.codes.slice(k, count), w.codes.slice(k, count)));
    float xScale = x.scales.empty() ? 1.0f : x.scales[k / xBlock];
    float wScale = w.scales.empty() ? 1.0f : w.scales[k / wBlock];
    total += partial * (xScale * wScale);
  }
  return total;
}

void linearRow(const ScaledRow &x, const ScaledMatrix &W,
               MutableArrayRef<float> y) {
  VARVE_ASSERT(W.rows() == static_cast<int64_t>(y.size()),
               "one output per weight row");
  for (int64_t n = 0; n < W.rows(); ++n)
    y[n] = dotScaled(x, W.row(n));
}

} // namespace varve::reference
