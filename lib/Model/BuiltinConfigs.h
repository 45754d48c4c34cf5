//===- BuiltinConfigs.h - Configurations that Varve carries -----*- C++ -*-===//
//
// Model configurations that are usable by name, without a file: the released
// models, as their config.json files state them, and a small model of Varve's
// own. They are the files of `configs/`, embedded by the build and read by the
// same reader as anybody's file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_BUILTINCONFIGS_H
#define VARVE_MODEL_BUILTINCONFIGS_H

#include "lib/Model/ModelConfig.h"
#include "llvm/ADT/ArrayRef.h"

namespace varve {

struct BuiltinConfig {
  llvm::StringRef name;
  /// One line.
  llvm::StringRef description;
  /// The text of its config.json.
  llvm::StringRef json;
};

/// All of them, in the order of listings.
llvm::ArrayRef<BuiltinConfig> builtinConfigs();

/// The configuration called `name`; an unknown name is an error that offers
/// the nearest one and lists all.
llvm::Expected<ModelConfig> loadBuiltinConfig(llvm::StringRef name);

} // namespace varve

#endif // VARVE_MODEL_BUILTINCONFIGS_H
