//===- Compress.cpp - Windows of tokens pooled into entries ---------------===//

#include "lib/Interpret/Reference/Compress.h"
#include "varve/Support/Assert.h"
#include <cmath>
#include <limits>

using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace varve::reference {

static constexpr float negativeInfinity =
    -std::numeric_limits<float>::infinity();

static float poolChannel(ArrayRef<CompressorRow> slots, size_t c) {
  float largest = negativeInfinity;
  for (const CompressorRow &slot : slots)
    largest = std::max(largest, slot.score[c]);
  double weighted = 0.0, mass = 0.0;
  for (const CompressorRow &slot : slots) {
    if (slot.score[c] == negativeInfinity)
      continue;
    double p = std::exp(static_cast<double>(slot.score[c]) -
                        static_cast<double>(largest));
    weighted += p * slot.kv[c];
    mass += p;
  }
  return mass == 0.0 ? 0.0f : static_cast<float>(weighted / mass);
}

void compressPool(ArrayRef<CompressorRow> slots, MutableArrayRef<float> P) {
  for (const CompressorRow &slot : slots)
    VARVE_ASSERT(slot.kv.size() == P.size() && slot.score.size() == P.size(),
                 "a slot has one value and one score per channel");
  for (size_t c = 0; c < P.size(); ++c)
    P[c] = poolChannel(slots, c);
}

void compressPoolOverlapping(ArrayRef<CompressorRow> previous,
                             ArrayRef<CompressorRow> current,
                             MutableArrayRef<float> P) {
  size_t dc = P.size();
  llvm::SmallVector<CompressorRow, 8> slots;
  for (const CompressorRow &row : previous)
    slots.push_back({row.kv.take_front(dc), row.score.take_front(dc)});
  for (const CompressorRow &row : current)
    slots.push_back({row.kv.drop_front(dc), row.score.drop_front(dc)});
  compressPool(slots, P);
}

} // namespace varve::reference
