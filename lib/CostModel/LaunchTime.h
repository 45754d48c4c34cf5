//===- LaunchTime.h - How long a launch takes on a device ------*- C++ -*-===//
//
// From what one block does to the time of a grid: blocks are spread over the
// multiprocessors in waves of as many as fit; a block waits for its loads one
// after another; a multiprocessor's blocks share its lanes and matrix units;
// all share the second-level cache and memory. The longest of these is the
// time.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_COSTMODEL_LAUNCHTIME_H
#define VARVE_COSTMODEL_LAUNCHTIME_H

#include "lib/CostModel/BlockWork.h"
#include "lib/CostModel/Roofline.h"

namespace varve {

/// A launch of a tile program in a step.
struct LaunchWork {
  std::string kernel;
  int64_t blocks = 0, threads = 0;
  int64_t sharedBytes = 0; ///< of a block
  int64_t registers = 0;   ///< of a thread
  int64_t spillBytes = 0;
  /// Blocks that were walked: an even sample of the grid.
  std::vector<BlockWork> samples;

  /// Bytes of weights and pools that all blocks read, re-reads included, and
  /// the operations of their products.
  double getColdBytes() const;
  double getProductFlops() const;
  bool isDataDependent() const;
};

/// Seconds.
struct LaunchTime {
  double waits = 0, lanes = 0, products = 0, cache = 0;
  unsigned residentBlocks = 0; ///< of a multiprocessor
  double waves = 0;
  double occupancy = 0; ///< warps of those that fit a multiprocessor, 0 to 1

  double getTotal() const { return std::max({waits, lanes, products, cache}); }
  /// The longest: Waits, Lanes, Products or Cache.
  Bound getBound() const;
};

/// Time of a launch without memory's share. Of its blocks the part `share` does
/// anything (1 where conditions do not depend on data).
LaunchTime getLaunchTime(const LaunchWork &launch, double share,
                         const Roofline &device);

/// The part of a kernel's blocks that do anything, where that depends on data:
/// they read no more weights, and multiply no more, than `cost` says.
double getActiveShare(const LaunchWork &launch,
                      const mlir::varve::OpCost &cost);

} // namespace varve

#endif // VARVE_COSTMODEL_LAUNCHTIME_H
