//===- MeasureMixes.h - Packages of mixes, and what they take --*- C++ -*-===//
#ifndef VARVE_TOOLS_MEASUREMIXES_H
#define VARVE_TOOLS_MEASUREMIXES_H

#include "lib/Explore/Measurements.h"

namespace varve {

/// Writes a package for every mix that was not refused, and the script that
/// measures them, to a folder, which is made. `target` is a target's name.
/// Mixes that do not compile are refused.
llvm::Error writePackages(mlir::MLIRContext &context, ExploreResult &result,
                          LoadBaseFn loadBase, llvm::StringRef target,
                          llvm::StringRef folder);

/// Compiles every mix for the best device of this machine and measures its
/// steps. Mixes that the device refuses are left without measurements.
llvm::Error measureHere(mlir::MLIRContext &context, ExploreResult &result,
                        LoadBaseFn loadBase, Measurements &measurements);

} // namespace varve

#endif // VARVE_TOOLS_MEASUREMIXES_H
