//===- LaunchTime.cpp - How long a launch takes on a device ---------------===//

#include "lib/CostModel/LaunchTime.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using mlir::varve::OpCost;
using mlir::varve::tile::DotKind;
using mlir::varve::tile::kWarpLanes;

namespace varve {

namespace {

/// What target files do not say: estimates for Hopper, corrected after a first
/// measurement on an H100 (docs/explore.md says which).
constexpr double kColdWait = 0.8e-6;    ///< a load of memory, some in flight
constexpr double kCachedWait = 0.35e-6; ///< a load of the second-level cache
constexpr double kBarrier = 40e-9;
constexpr double kBlockStart = 1.0e-6; ///< a block's launch and its end
/// A multiprocessor's schedulers, and bytes it takes from the cache per cycle.
constexpr double kSchedulers = 4, kBytesPerCycle = 64;
/// Second-level cache over memory bandwidth.
constexpr double kCacheFactor = 1.6;
/// Warp-level products reach this part of the rate of warpgroup products where
/// a device has both.
constexpr double kWarpProducts = 0.55;

} // namespace

double LaunchWork::getColdBytes() const {
  double bytes = 0;
  for (const BlockWork &sample : samples)
    bytes += sample.coldBytesRead;
  return samples.empty() ? 0 : bytes / samples.size() * blocks;
}

double LaunchWork::getProductFlops() const {
  double flops = 0;
  for (const BlockWork &sample : samples)
    for (const RoleWork &role : sample.roles)
      for (const ProductWork &product : role.products)
        flops += product.flops;
  return samples.empty() ? 0 : flops / samples.size() * blocks;
}

bool LaunchWork::isDataDependent() const {
  return llvm::any_of(samples,
                      [](const BlockWork &work) { return work.numUnknown; });
}

Bound LaunchTime::getBound() const {
  double total = getTotal();
  return total == waits      ? Bound::Waits
         : total == lanes    ? Bound::Lanes
         : total == products ? Bound::Products
                             : Bound::Cache;
}

/// Seconds of one multiprocessor's matrix units for a product.
static double getProductTime(const ProductWork &work, const Roofline &device) {
  const DeviceModel &model = *device.getDevice().model;
  Bound precision = work.type == NumericType::F8E4M3FN ? Bound::F8
                    : work.type == NumericType::BF16   ? Bound::BF16
                                                       : Bound::F32;
  double rate = work.kind == DotKind::Fma ? device.getRate(Bound::F32)
                                          : device.getRate(precision);
  bool hasWarpgroups = llvm::is_contained(
      device.getDevice().target->getDotEngines(NumericType::BF16),
      MatrixEngine::Wgmma);
  if (work.kind == DotKind::MmaSync && hasWarpgroups)
    rate *= kWarpProducts;
  return work.flops / (rate / model.multiprocessors);
}

/// Cycles per second of the lanes.
static double getClock(const Roofline &device) {
  const DeviceModel &model = *device.getDevice().model;
  return device.getRate(Bound::F32) /
         (2 * kSchedulers * kWarpLanes * model.multiprocessors);
}

/// Seconds of a role that has a multiprocessor for itself.
static double getRoleTime(const RoleWork &role, const Roofline &device) {
  // A scheduler with one warp begins an instruction every other cycle.
  double schedulers = std::min<double>(role.warps, kSchedulers);
  double perScheduler = std::ceil(role.warps / kSchedulers);
  double rate = schedulers * kWarpLanes * getClock(device) *
                std::min(1.0, 0.5 * perScheduler);
  double seconds = role.coldWaits * kColdWait + role.cachedWaits * kCachedWait +
                   role.barriers * kBarrier + role.laneOps / rate;
  for (const ProductWork &product : role.products)
    seconds += getProductTime(product, device) * kSchedulers / schedulers;
  return seconds;
}

LaunchTime getLaunchTime(const LaunchWork &launch, double share,
                         const Roofline &device) {
  LaunchTime time;
  if (launch.blocks == 0 || launch.samples.empty())
    return time;
  const DeviceModel &model = *device.getDevice().model;
  const TargetModel &target = *device.getDevice().target;
  time.residentBlocks =
      std::max(1u, target.getResidentBlocks(launch.threads, launch.registers,
                                            launch.sharedBytes));
  time.occupancy = static_cast<double>(time.residentBlocks) * launch.threads /
                   (target.getLimits().warpsPerSM * kWarpLanes);
  double active = std::max(1.0, std::round(launch.blocks * share));
  double each = std::ceil(active / model.multiprocessors);
  time.waves = std::ceil(each / time.residentBlocks);

  double mean = 0, longest = 0, lanes = 0, products = 0, bytes = 0;
  for (const BlockWork &sample : launch.samples) {
    double alone = 0;
    for (const RoleWork &role : sample.roles) {
      alone = std::max(alone, getRoleTime(role, device));
      lanes += role.laneOps;
      for (const ProductWork &product : role.products)
        products += getProductTime(product, device);
    }
    mean += alone;
    longest = std::max(longest, alone);
    bytes += sample.bytesRead + sample.bytesWritten;
  }
  double count = launch.samples.size();
  time.waits =
      std::max(longest, mean / count * time.waves) + kBlockStart * time.waves;
  double clock = getClock(device);
  time.lanes = lanes / count * each / (kSchedulers * kWarpLanes * clock);
  time.products = products / count * each;
  time.cache =
      std::max(bytes / count * each / (kBytesPerCycle * clock),
               bytes / count * active / (kCacheFactor * device.getBandwidth()));
  return time;
}

double getActiveShare(const LaunchWork &launch, const OpCost &cost) {
  double cold = launch.getColdBytes(), flops = launch.getProductFlops();
  if (!launch.isDataDependent() || cost.weightBytes == 0 || cold == 0)
    return 1;
  double share = cost.weightBytes / cold;
  if (flops)
    share = std::max(share, cost.productFlops / flops);
  return std::min(1.0, share);
}

} // namespace varve
