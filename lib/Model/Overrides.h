//===- Overrides.h - Changing a configuration from the command line -*-C++-*-=//
//
// `--set name=value`: every scalar of a configuration under its official JSON
// name, so that a change means the same here and in the file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_OVERRIDES_H
#define VARVE_MODEL_OVERRIDES_H

#include "lib/Model/ModelConfig.h"
#include "llvm/ADT/ArrayRef.h"

namespace varve {

/// One name that an override may set.
struct OverrideName {
  llvm::StringRef name;
  /// What it takes and changes, one line.
  llvm::StringRef description;
};

/// All names, for help texts.
llvm::ArrayRef<OverrideName> overrideNames();

/// Applies one "name=value" and validates the result. On error `config` is
/// unchanged and the message starts "override '<name=value>': ".
llvm::Error applyOverride(ModelConfig &config, llvm::StringRef override);

/// Applies one "name=value" without validating, for callers that change more
/// before they validate. Fails on unknown names and malformed values, as
/// applyOverride does.
llvm::Error assignOverride(ModelConfig &config, llvm::StringRef override);

/// Applies all overrides in order, with `layers` (a layer pattern) where given,
/// and validates only the final result, so that sizes that depend on each
/// other can change together. `num_hidden_layers` among the overrides is the
/// number of layers that the pattern fills.
llvm::Error
applyOverrides(ModelConfig &config, llvm::ArrayRef<std::string> overrides,
               std::optional<llvm::StringRef> layers = std::nullopt);

} // namespace varve

#endif // VARVE_MODEL_OVERRIDES_H
