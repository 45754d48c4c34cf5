//===- RopeTable.cpp - Rotary frequencies ---------------------------------===//

#include "passes/Lower/RopeTable.h"
#include <cmath>
#include <numbers>

using namespace mlir;
using namespace mlir::varve;

/// The share of the interpolated frequency in pair i.
static float getRamp(int64_t pair, RopeAttr table) {
  YarnAttr yarn = table.getYarn();
  double theta = table.getTheta().getValueAsDouble();
  auto pairThatTurns = [&](FloatAttr times) {
    double turns = static_cast<double>(yarn.getOriginal()) /
                   (2 * std::numbers::pi * times.getValueAsDouble());
    return static_cast<double>(table.getDim()) * std::log(turns) /
           (2 * std::log(theta));
  };
  double low = std::max(0.0, std::floor(pairThatTurns(yarn.getBetaFast())));
  double high = std::min(static_cast<double>(table.getDim() - 1),
                         std::ceil(pairThatTurns(yarn.getBetaSlow())));
  // Both ends at one pair make a step there.
  auto width = static_cast<float>(low == high ? 0.001 : high - low);
  float ramp = (static_cast<float>(pair) - static_cast<float>(low)) / width;
  return std::min(std::max(ramp, 0.0f), 1.0f);
}

SmallVector<float> mlir::varve::getRopeFrequencies(RopeAttr table) {
  double theta = table.getTheta().getValueAsDouble();
  SmallVector<float> frequencies;
  for (int64_t pair = 0; pair < table.getDim() / 2; ++pair) {
    float exponent =
        static_cast<float>(2 * pair) / static_cast<float>(table.getDim());
    float f = 1.0f / static_cast<float>(std::pow(theta, exponent));
    if (table.getYarn()) {
      auto factor =
          static_cast<float>(table.getYarn().getFactor().getValueAsDouble());
      // The weight of the plain frequency, from which that of the other is
      // taken: the two roundings are the model's.
      float keep = 1.0f - getRamp(pair, table);
      f = f / factor * (1.0f - keep) + f * keep;
    }
    frequencies.push_back(f);
  }
  return frequencies;
}
