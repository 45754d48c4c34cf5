//===- Base.h - The models that mixes start from ---------------*- C++ -*-===//
#ifndef VARVE_EXPLORE_BASE_H
#define VARVE_EXPLORE_BASE_H

#include "lib/Model/ModelConfig.h"
#include "llvm/ADT/ArrayRef.h"

namespace varve {

/// A model whose layers mixes may change, or a module of the `varve` dialect
/// that is costed as it stands.
struct BaseModel {
  std::string name;   ///< as the user wrote it
  std::string source; ///< for messages and locations
  std::optional<ModelConfig> config;
  std::string text;      ///< without `config`: the module
  std::string precision; ///< to apply; empty for a module, which has its own
};

/// A module that Varve carries for comparison.
struct Baseline {
  llvm::StringRef name, description, text;
};

/// The modules of configs/baselines.
llvm::ArrayRef<Baseline> getBaselines();

} // namespace varve

#endif // VARVE_EXPLORE_BASE_H
