//===- Ranges.h - Between what a scalar lies -------------------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_RANGES_H
#define VARVE_PASSES_ENGINE_NVIDIA_RANGES_H

#include "mlir/IR/Operation.h"
#include <optional>

namespace mlir::varve::nvidia {

/// Both ends included; nothing where nothing is known.
struct IntegerRange {
  std::optional<int64_t> low, high;
};

/// The values that an integer or index value of a tile function can have at
/// `user`, taken as signed, whatever the arguments are: conditions around
/// `user` count.
IntegerRange getRange(Value value, Operation *user);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_RANGES_H
