//===- Measurements.h - What steps of mixes took ---------------*- C++ -*-===//
//
// Level E3. A folder holds a package for each mix and, once they were measured
// (`varve-run bench` on any machine with the device), a JSON file beside each.
// Measuring on this machine goes the same way, through a temporary folder.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_MEASUREMENTS_H
#define VARVE_EXPLORE_MEASUREMENTS_H

#include "lib/Explore/Explorer.h"
#include "llvm/ADT/StringMap.h"
#include <array>
#include <map>

namespace varve {

/// What the files of a mix are called, without extension: its words, then a
/// digest that tells mixes with the same words apart.
std::string getPackageStem(const MixResult &mix);

/// The steps of `result` as arguments of `varve-run bench`. Fails where they
/// are none that it measures: several sequences with several tokens each.
struct MeasuredSteps {
  std::vector<int64_t> decode, prefill, contexts; ///< contexts: before the step
};
llvm::Expected<MeasuredSteps> getMeasuredSteps(const ExploreResult &result);

/// The script that measures the packages of its folder.
std::string makeMeasureScript(const MeasuredSteps &steps);

class Measurements {
public:
  /// Adds what `varve-run bench --format=json` wrote of one mix. Errors name
  /// `source`.
  llvm::Error add(llvm::StringRef stem, llvm::StringRef json,
                  llvm::StringRef source);
  /// Adds the files of a folder that belong to mixes of `result`.
  llvm::Error read(llvm::StringRef folder, const ExploreResult &result);

  /// Seconds of a step, if it was measured.
  std::optional<double> find(llvm::StringRef stem,
                             const mlir::varve::StepShape &step) const;
  /// Which device it was, as its driver says; empty before the first file.
  llvm::StringRef getDevice() const { return device; }

private:
  /// By stem, then tokens, sequences, context behind the step.
  llvm::StringMap<std::map<std::array<int64_t, 3>, double>> seconds;
  std::string device;
};

/// The device that a driver's description ("cuda:0 NVIDIA H200 ...") is of.
std::optional<Device> findMeasuredDevice(llvm::StringRef driverName);

/// Puts measured times in the place of the rows' times, which become
/// `predicted_ms` where they were predicted for that device. Mixes without a
/// measurement of all steps are refused; `where` says in the refusal what lacks
/// it.
void applyMeasurements(const Measurements &measurements, llvm::StringRef where,
                       ExploreResult &result);

/// Spearman's coefficient; equal values share the mean of their ranks. NaN for
/// fewer than two pairs, or if one side is constant.
double getRankCorrelation(llvm::ArrayRef<std::pair<double, double>> pairs);

} // namespace varve

#endif // VARVE_EXPLORE_MEASUREMENTS_H
