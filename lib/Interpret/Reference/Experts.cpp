//===- Experts.cpp - The expert's activation and the experts' sum ---------===//

#include "lib/Interpret/Reference/Experts.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace varve::reference {

static float silu(float z) {
  double x = z;
  return static_cast<float>(x / (1.0 + std::exp(-x)));
}

void swiglu(ArrayRef<float> u1, ArrayRef<float> u3, float limit,
            std::optional<float> g, MutableArrayRef<float> v) {
  VARVE_ASSERT(u1.size() == v.size() && u3.size() == v.size(),
               "gate, up and result have the same size");
  VARVE_ASSERT(limit >= 0, "a limit is not negative");
  for (size_t i = 0; i < v.size(); ++i) {
    float gate = u1[i], up = u3[i];
    if (limit > 0) {
      gate = std::min(gate, limit);
      up = std::clamp(up, -limit, limit);
    }
    v[i] = silu(gate) * up;
    if (g)
      v[i] *= *g;
  }
}

void combine(ArrayRef<ArrayRef<float>> x, ArrayRef<int32_t> ids,
             ArrayRef<float> shared, MutableArrayRef<float> y) {
  VARVE_ASSERT(x.size() == ids.size(), "one result per expert");
  VARVE_ASSERT(shared.empty() || shared.size() == y.size(),
               "the shared expert's result has the size of the sum");
  llvm::SmallVector<size_t, 8> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) { return ids[a] < ids[b]; });

  llvm::fill(y, 0.0f);
  auto add = [&](ArrayRef<float> row) {
    VARVE_ASSERT(row.size() == y.size(),
                 "an expert's result has the size of the sum");
    for (size_t c = 0; c < y.size(); ++c)
      y[c] += row[c];
  };
  for (size_t a : order)
    add(x[a]);
  if (!shared.empty())
    add(shared);
}

} // namespace varve::reference
