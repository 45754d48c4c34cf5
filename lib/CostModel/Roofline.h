//===- Roofline.h - How long work takes on a device ------------*- C++ -*-===//
//
// The time below which a device cannot be, from its rates: bytes over the read
// bandwidth, operations over the ceiling of their precision, the larger of the
// two. Ceilings are measured ones where the target file has such, else the
// datasheet's. Arithmetic in a type that a device does not multiply, or for
// which no rate is known, runs at the rate of the next wider type that has one.
//
// Values between ops of at most half the second-level cache are taken to stay
// there and cost no memory time. Weights and pools are read from memory: a step
// touches far more of them than the cache holds before it returns to one.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_COSTMODEL_ROOFLINE_H
#define VARVE_COSTMODEL_ROOFLINE_H

#include "dialects/Varve/VarveCost.h"
#include "lib/CostModel/Devices.h"
#include <algorithm>

namespace varve {

/// What an op waits for.
enum class Bound {
  Weights,
  Pools,
  Activations,
  F32,
  BF16,
  F8,
  F4,
  Launch,
  // Of programs, where they take longer than the above.
  Waits,    ///< for memory, with too few blocks to hide it
  Lanes,    ///< instructions beside products
  Products, ///< matrix units, padding included
  Cache     ///< the second-level cache
};
inline constexpr unsigned kNumBounds = 12;

/// "weights", "pools", ..., "launch".
llvm::StringRef getBoundName(Bound bound);

/// Whether a bound is bytes from memory.
inline bool isMemoryBound(Bound bound) { return bound <= Bound::Activations; }

/// Seconds of one op.
struct OpTime {
  double memory = 0;
  double compute = 0;
  double launch = 0; ///< of its own launches, if it has some
  /// Of the programs that it became; 0 where they are not asked.
  double program = 0;
  Bound bound = Bound::Launch;

  /// The longer of memory and compute.
  double getRoof() const { return memory > compute ? memory : compute; }
  /// Without launches.
  double getKernel() const { return std::max(getRoof(), program); }
  double getTotal() const { return getKernel() + launch; }
};

/// The largest step that the runtime captures as a graph, in tokens.
inline constexpr int64_t kGraphTokens = 64;

class Roofline {
public:
  explicit Roofline(Device device);

  const Device &getDevice() const { return device; }

  /// Bytes per second.
  double getBandwidth() const { return bandwidth; }

  /// Operations per second of a product of operands of a precision: Bound::F32
  /// to Bound::F4.
  double getRate(Bound precision) const {
    return rates[static_cast<unsigned>(precision)];
  }

  /// Seconds between two dependent kernels of a graph.
  double getLaunch() const { return launch; }
  /// The same in a step of so many tokens: the runtime keeps graphs of small
  /// steps only.
  double getLaunch(int64_t tokens) const {
    return tokens <= kGraphTokens ? launch : streamLaunch;
  }

  /// Time of work that is a launch of its own (`launches` is true), or rides on
  /// a neighbour's.
  OpTime getTime(const mlir::varve::OpCost &cost, bool launches) const;

private:
  Device device;
  double bandwidth = 0;
  double rates[kNumBounds] = {};
  double launch = 0, streamLaunch = 0;
  int64_t cachedBytes = 0;
};

} // namespace varve

#endif // VARVE_COSTMODEL_ROOFLINE_H
