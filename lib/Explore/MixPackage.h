//===- MixPackage.h - A mix as a package -----------------------*- C++ -*-===//
#ifndef VARVE_EXPLORE_MIXPACKAGE_H
#define VARVE_EXPLORE_MIXPACKAGE_H

#include "lib/Explore/Explorer.h"

namespace varve {

/// Compiles a mix that the explorer costed. Failures have been reported as
/// diagnostics, but for settings of a module, which is the caller's to say.
llvm::Expected<std::string> compileMix(mlir::MLIRContext &context,
                                       const BaseModel &base, const Mix &mix,
                                       llvm::StringRef target);

} // namespace varve

#endif // VARVE_EXPLORE_MIXPACKAGE_H
