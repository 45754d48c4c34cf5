//===- Manifest.h - What a package says about itself to people -*- C++ -*-===//
#ifndef VARVE_PACKAGE_MANIFEST_H
#define VARVE_PACKAGE_MANIFEST_H

#include "lib/Package/PlanEncoder.h"
#include "llvm/ADT/ArrayRef.h"
#include <string>

namespace varve {

/// A member as the manifest lists it.
struct ManifestMember {
  std::string name;
  uint64_t bytes = 0;
  /// XXH3-128.
  std::string digest;
};

/// manifest.json: format, compiler, model, targets, members. It contains
/// nothing that the program and the compiler's build do not determine.
std::string writeManifest(const ModelFacts &facts,
                          llvm::ArrayRef<std::string> targets,
                          llvm::ArrayRef<ManifestMember> members);

} // namespace varve

#endif // VARVE_PACKAGE_MANIFEST_H
