//===- Rules.h - Which mixes make sense ------------------------*- C++ -*-===//
#ifndef VARVE_EXPLORE_RULES_H
#define VARVE_EXPLORE_RULES_H

#include "lib/Explore/Query.h"
#include "lib/Model/ModelConfig.h"
#include <optional>

namespace varve {

/// Why a mix is not costed.
struct Refusal {
  std::string op;     ///< "layers.2.attn.indexer.score (varve.index_score)"
  std::string rule;   ///< what it expects, and what the mix has
  std::string remedy; ///< what to change

  /// "<op>: <rule>; <remedy>".
  std::string getText() const;
};

/// Tokens of a page. One page table serves all entry pools of a model, so each
/// ratio divides it.
inline constexpr int64_t kPageTokens = 256;

/// Checks a configuration with the settings `indexer.csa` and `indexer.hca`
/// that a mix may have. What is not refused satisfies `validate`.
std::optional<Refusal> checkMix(const ModelConfig &config,
                                llvm::ArrayRef<Setting> settings);

} // namespace varve

#endif // VARVE_EXPLORE_RULES_H
