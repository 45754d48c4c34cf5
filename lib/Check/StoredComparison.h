//===- StoredComparison.h - Values inside layers ---------------*- C++ -*-===//
//
// What a reference stores of a layer's inside (docs/testing.md), held against
// what an executor of the model observed there. Standard library only: the
// interpreter's check and the runtime's share it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECK_STOREDCOMPARISON_H
#define VARVE_CHECK_STOREDCOMPARISON_H

#include "lib/Check/Comparison.h"
#include <map>
#include <span>
#include <string>
#include <vector>

namespace varve {

/// The two halves of a layer. Each begins at a stored tensor, `attn.X.input` or
/// `moe.X.input`, which takes the place of what the layer itself computes.
enum class Mechanism { Attention, Experts };
std::string inputOf(Mechanism mechanism, int64_t layer);

/// What the elements of a pool's rows are, for the size of a step.
enum class CodeKind { Plain, E4M3, E2M1 };

/// [sequences, rows, ...], row-major.
struct LayerTensor {
  std::vector<int64_t> shape;
  std::vector<float> numbers;
  /// Instead of numbers: entries or experts, -1 for none.
  std::vector<int64_t> choices;
  /// Of rows of pools.
  CodeKind codes = CodeKind::Plain;

  int64_t getWidth() const; ///< elements of a row
};

/// How a stored tensor lies beside what is observed.
enum class StoredForm {
  Tokens,    ///< a row for every token of the prompt
  Columns,   ///< the same, of which the reference may have fewer columns
  Tail,      ///< of the last tokens only
  Pool,      ///< rows of a pool after the prompt
  Set,       ///< choices, in any order
  InOrder,   ///< choices, the best first
  OwnWeights ///< weights of the choices
};

/// A stored tensor of a layer.
struct StoredRule {
  std::string_view scope, name; ///< "attn", "q_tail" of "attn.2.q_tail"
  std::string_view observed;    ///< what the executor calls it: "attn.q"
  StoredForm form;
  /// Comes behind choices that the reference has, under this name as an
  /// observed value: compared where those are the same.
  std::string_view behind = {};

  std::string nameIn(int64_t layer) const;
  bool isChoices() const {
    return form == StoredForm::Set || form == StoredForm::InOrder;
  }
};

/// In the order in which they are computed.
std::span<const StoredRule> rulesOf(Mechanism mechanism);

/// What executors call the scores of the index, and the choice that is made
/// from stored ones: there, nothing excuses a departure.
inline constexpr std::string_view kScores = "indexer.scores",
                                  kChoice = "indexer.topk",
                                  kChoiceFromScores =
                                      "indexer.topk from scores";

/// By what executors call them.
using LayerTensors = std::map<std::string, LayerTensor, std::less<>>;

/// Compares all of `expected`, whose keys are those of the rules' `observed`.
/// Adds to `missing` the names of those that were not observed. `error` is set
/// if shapes do not fit; the result is then of no use.
std::vector<CheckRow>
compareStored(Mechanism mechanism, int64_t layer, const LayerTensors &expected,
              const LayerTensors &observed, const CheckLimits &limits,
              std::vector<std::string> &missing, std::string &error);

} // namespace varve

#endif // VARVE_CHECK_STOREDCOMPARISON_H
