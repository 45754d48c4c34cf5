//===- TensorNames.h - Official tensor names and their variants -*- C++ -*-===//
//
// Varve knows tensors by the names of the official checkpoints
// ("layers.3.attn.wq_a.weight", specification section 2.1). The same tensors
// travel under other names: those of transformers' modules, older spellings of
// these, and the mixture that transformers writes when it maps its own names
// back. One table holds all of them (specification section 2.4).
//
// The experts of a layer are one stacked weight in the IR, named by a pattern
// in which `*` stands for the expert ("layers.3.ffn.experts.*.w1.weight").
//
// Standard library only: the runtime shares this file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_TENSORNAMES_H
#define VARVE_CHECKPOINT_TENSORNAMES_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve {

/// How a stored tensor holds what the official name stands for.
enum class TensorLayout {
  /// The tensor itself, or one expert's.
  Single,
  /// All experts along a leading dimension.
  Stacked,
  /// All experts along a leading dimension, and in each the rows of w1, then
  /// those of w3; the name says w1.
  StackedPair,
};

/// A stored name, understood.
struct TensorName {
  /// The official name, with `*` for the expert number.
  std::string pattern;
  /// The number in place of `*`; -1 for tensors that belong to no single
  /// expert.
  int64_t expert = -1;
  TensorLayout layout = TensorLayout::Single;
};

/// Spellings in circulation.
enum class NamingScheme {
  /// As released.
  Official,
  /// What transformers 5.17 writes by default: official names below "model.",
  /// except where its mapping is not its own inverse.
  Saved,
  /// Names of transformers' modules, experts fused.
  Modules,
};

/// Understands `name` in any scheme; mixtures are fine. No value: not a tensor
/// of this family.
std::optional<TensorName> parseTensorName(std::string_view name);

/// What `official`, a name with an expert number or `*`, is called in
/// `scheme`; of fused experts, the tensor that holds it. No value: not a
/// tensor of this family, or (draft blocks outside Official) one that the
/// scheme leaves out.
std::optional<std::string> spellTensorName(std::string_view official,
                                           NamingScheme scheme);

/// The name of the scale of `weight` ("….wq_a.weight" to "….wq_a.scale").
std::string scaleNameOf(std::string_view weight);

/// `pattern` with `expert` for `*`.
std::string expertName(std::string_view pattern, int64_t expert);

} // namespace varve

#endif // VARVE_CHECKPOINT_TENSORNAMES_H
