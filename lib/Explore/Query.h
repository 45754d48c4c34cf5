//===- Query.h - What the explorer is asked --------------------*- C++ -*-===//
//
// A query is a set of mixes and of conditions; its rows are their product. A
// mix is a base model with other layers and other settings. Command lines and
// JSON files (`--mixes`) both become a Query.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_QUERY_H
#define VARVE_EXPLORE_QUERY_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace varve {

/// How costs are found.
enum class Level {
  ClosedForm, ///< E0: from the ops
  Kernels,    ///< E1: kernels formed, strategies chosen, programs known
  Compiled,   ///< E2: registers, occupancy and spills known
  Measured,   ///< E3: run on the device present
};

/// "e0", ...
llvm::StringRef getLevelName(Level level);
/// "closed form", ...
llvm::StringRef getLevelDescription(Level level);
llvm::Expected<Level> parseLevel(llvm::StringRef name);

/// name=value, of a model (`index_topk`) or of the explorer (`pool.keys`).
struct Setting {
  std::string name, value;
};

/// A base model, changed.
struct Mix {
  std::string model;
  std::string layers; ///< a pattern or ranges; empty: the model's own
  std::vector<Setting> settings;

  /// "deepseek-v4-flash SS(CH)*C ratio.csa=8".
  std::string getLabel() const;
};

/// The values of one setting.
struct Axis {
  std::string name;
  std::vector<std::string> values;
};

struct Query {
  std::vector<std::string> models;
  std::vector<std::string> layers; ///< empty: the models' own
  std::vector<Axis> axes;
  std::vector<Mix> mixes; ///< beside the product of the above
  std::vector<int64_t> contexts;
  std::vector<int64_t> batches;
  int64_t tokens = 1; ///< of each sequence in the step
  std::vector<std::string> targets;
  std::string precision; ///< empty: what suits the model
  Level level = Level::ClosedForm;

  /// Number of mixes, at most 2^62.
  int64_t countMixes() const;
  /// Calls `use` with every mix until it fails.
  llvm::Error forEachMix(llvm::function_ref<llvm::Error(Mix)> use) const;
};

/// More mixes than this are refused.
inline constexpr int64_t kMaxMixes = 2'000'000;

/// Numbers of a list like "4k,16k..1m": powers of two as k, m; ".." doubles
/// from its left to its right end, which is included.
llvm::Expected<std::vector<int64_t>> parseCounts(llvm::StringRef text);

/// "name=a,b,c".
llvm::Expected<Axis> parseAxis(llvm::StringRef text);

/// Adds what the JSON file at `path` asks to `query`. Fields: "models",
/// "layers" (patterns, or arrays with one element a layer), "set" (an object of
/// values or arrays), "mixes" (an array of {"model", "layers", "set"}),
/// "context", "batch", "tokens", "target", "precision".
llvm::Error readQueryFile(llvm::StringRef path, Query &query);
/// The same of a text; `source` is its name for messages.
llvm::Error parseQuery(llvm::StringRef text, llvm::StringRef source,
                       Query &query);

} // namespace varve

#endif // VARVE_EXPLORE_QUERY_H
