//===- Roofline.cpp - How long work takes on a device ---------------------===//

#include "lib/CostModel/Roofline.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"

using mlir::varve::OpCost;

namespace varve {

llvm::StringRef getBoundName(Bound bound) {
  static constexpr llvm::StringRef names[kNumBounds] = {
      "weights", "pools",  "activations", "f32",   "bf16",     "f8",
      "f4",      "launch", "waits",       "lanes", "products", "cache"};
  return names[static_cast<unsigned>(bound)];
}

/// Operations per second of the first of `types` whose rate is known.
static double firstRate(const DeviceModel &model,
                        llvm::ArrayRef<NumericType> types) {
  for (NumericType type : types)
    if (std::optional<double> tflops = model.getCeilingTflops(type))
      return *tflops * 1e12;
  return 0;
}

Roofline::Roofline(Device device) : device(device) {
  VARVE_ASSERT(device.model, "a roofline needs a device");
  const DeviceModel &model = *device.model;
  bandwidth = model.getCeilingGBps() * 1e9;
  launch = model.launch.graph * 1e-6;
  streamLaunch = model.launch.stream * 1e-6;
  cachedBytes = static_cast<int64_t>(model.l2Bytes / 2);
  auto setRate = [&](Bound precision, llvm::ArrayRef<NumericType> types) {
    rates[static_cast<unsigned>(precision)] = firstRate(model, types);
  };
  using enum NumericType;
  setRate(Bound::F32, {NumericType::F32});
  setRate(Bound::BF16, {BF16, F16, TF32, NumericType::F32});
  setRate(Bound::F8, {F8E4M3FN, BF16, F16, TF32, NumericType::F32});
  setRate(Bound::F4, {F4E2M1FN, F8E4M3FN, BF16, F16, TF32, NumericType::F32});
}

OpTime Roofline::getTime(const OpCost &cost, bool launches) const {
  OpTime time;
  int64_t values = cost.activationBytesRead + cost.activationBytesWritten;
  if (values <= cachedBytes)
    values = 0;
  int64_t pools = cost.poolBytesRead + cost.poolBytesWritten;
  time.memory =
      (static_cast<double>(cost.weightBytes) + pools + values) / bandwidth;

  // Products below f32 run beside the arithmetic of the f32 units.
  double products = 0;
  Bound slowest = Bound::F32;
  double slowestTime = 0;
  for (auto [precision, flops] : {std::pair(Bound::BF16, cost.flopsBF16),
                                  std::pair(Bound::F8, cost.flopsF8),
                                  std::pair(Bound::F4, cost.flopsF4)}) {
    double seconds = flops ? flops / getRate(precision) : 0;
    products += seconds;
    if (seconds > slowestTime) {
      slowest = precision;
      slowestTime = seconds;
    }
  }
  double scalar = cost.flopsF32 ? cost.flopsF32 / getRate(Bound::F32) : 0;
  if (scalar > products)
    slowest = Bound::F32;
  time.compute = std::max(products, scalar);
  time.launch = launches ? launch : 0;

  if (time.launch >= time.getRoof())
    time.bound = Bound::Launch;
  else if (time.compute > time.memory)
    time.bound = slowest;
  else
    time.bound = cost.weightBytes >= std::max(pools, values) ? Bound::Weights
                 : pools >= values ? Bound::Pools
                                   : Bound::Activations;
  return time;
}

} // namespace varve
