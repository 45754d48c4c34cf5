//===- Rope.cpp - Rotary position embedding with YaRN ---------------------===//

#include "lib/Interpret/Reference/Rope.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <numbers>

using llvm::MutableArrayRef;

namespace varve::reference {

/// c(b): the (fractional) pair that turns b times over the original context.
static double correctionPair(double rotations, const Yarn &yarn, double theta,
                             int64_t dims) {
  double turns = static_cast<double>(yarn.originalMaxPositions) /
                 (rotations * 2 * std::numbers::pi);
  return static_cast<double>(dims) * std::log(turns) / (2 * std::log(theta));
}

static void interpolate(MutableArrayRef<float> frequencies, const Yarn &yarn,
                        double theta, int64_t dims) {
  double lo = std::max(
      std::floor(correctionPair(yarn.betaFast, yarn, theta, dims)), 0.0);
  double hi =
      std::min(std::ceil(correctionPair(yarn.betaSlow, yarn, theta, dims)),
               static_cast<double>(dims - 1));
  float width = static_cast<float>(hi == lo ? 0.001 : hi - lo);
  float factor = static_cast<float>(yarn.factor);
  for (auto [i, f] : llvm::enumerate(frequencies)) {
    float distance = static_cast<float>(i) - static_cast<float>(lo);
    float ramp = std::clamp(distance / width, 0.0f, 1.0f);
    float keep = 1.0f - ramp;
    f = f / factor * (1.0f - keep) + f * keep;
  }
}

RopeTable::RopeTable(double theta, int64_t dims, std::optional<Yarn> yarn) {
  VARVE_ASSERT(theta > 1.0, "rope theta must exceed 1");
  VARVE_ASSERT(dims > 0 && dims % 2 == 0, "rotary dimensions come in pairs");
  for (int64_t i = 0; i < dims / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(dims);
    float power = static_cast<float>(std::pow(theta, exponent));
    frequencies.push_back(1.0f / power);
  }
  if (!yarn)
    return;
  VARVE_ASSERT(yarn->factor > 0 && yarn->betaFast > 0 && yarn->betaSlow > 0 &&
                   yarn->originalMaxPositions > 0,
               "YaRN parameters are positive");
  interpolate(frequencies, *yarn, theta, dims);
}

void RopeTable::rotate(MutableArrayRef<float> x, int64_t position,
                       bool inverse) const {
  VARVE_ASSERT(static_cast<int64_t>(x.size()) >= dims(),
               "the rotary slice must fit the row");
  MutableArrayRef<float> slice = x.take_back(dims());
  for (auto [i, f] : llvm::enumerate(frequencies)) {
    float angle = static_cast<float>(position) * f;
    float c = static_cast<float>(std::cos(static_cast<double>(angle)));
    float s = static_cast<float>(std::sin(static_cast<double>(angle)));
    if (inverse)
      s = -s;
    float a = slice[2 * i], b = slice[2 * i + 1];
    slice[2 * i] = a * c - b * s;
    slice[2 * i + 1] = a * s + b * c;
  }
}

} // namespace varve::reference
