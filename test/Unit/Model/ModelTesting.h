//===- ModelTesting.h - Shared by the tests of lib/Model -------*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_MODEL_MODELTESTING_H
#define VARVE_TEST_UNIT_MODEL_MODELTESTING_H

#include "lib/Model/LayerPattern.h"
#include "gtest/gtest.h"

namespace varve {

/// The message of a failed `result`, "" of a good one.
template <typename T> std::string messageOf(llvm::Expected<T> result) {
  return result ? "" : llvm::toString(result.takeError());
}
inline std::string messageOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}

/// The value of `result`; a failed test and a default value on error.
template <typename T> T valueOf(llvm::Expected<T> result) {
  if (result)
    return std::move(*result);
  ADD_FAILURE() << llvm::toString(result.takeError());
  return T();
}

inline RopeConfig plainRope(double theta) {
  RopeConfig rope;
  rope.theta = theta;
  return rope;
}

/// Kinds, ratios and routing of all layers, such as "S/hash C4 H128".
inline std::string describeLayers(const ModelConfig &config) {
  std::string text;
  for (const LayerConfig &layer : config.layers) {
    text += text.empty() ? "" : " ";
    text += layerString({layer.attention});
    if (layer.ratio)
      text += std::to_string(layer.ratio);
    if (layer.routing == RoutingKind::Hash)
      text += "/hash";
  }
  return text;
}

} // namespace varve

#endif // VARVE_TEST_UNIT_MODEL_MODELTESTING_H
