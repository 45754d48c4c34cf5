//===- TensorNames.cpp - Official tensor names and their variants ---------===//

#include "lib/Checkpoint/TensorNames.h"
#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <vector>

namespace varve {

namespace {

/// What follows a module's name in the names of its tensors.
enum class Leaves {
  None,   ///< nothing: the name is the tensor's
  Weight, ///< ".weight"
  Linear, ///< ".weight" and, when quantised, ".scale"
};

/// A module of a block or of the model under its names. `saved` is given only
/// where transformers writes something else than the official name.
struct NameRow {
  std::string_view official;
  std::string_view module;
  Leaves leaves = Leaves::Linear;
  std::string_view saved = "";
  /// A module name of earlier transformers.
  std::string_view older = "";
};

/// Below the model. Only `lm_head` stands outside "model." in module names.
constexpr NameRow topRows[] = {
    {"embed", "embed_tokens", Leaves::Weight, "embed_tokens"},
    {"head", "lm_head", Leaves::Weight},
    {"norm", "norm", Leaves::Weight},
    {"hc_head_fn", "hc_head.hc_fn", Leaves::None, "hc_head.hc_fn"},
    {"hc_head_base", "hc_head.hc_base", Leaves::None, "hc_head.hc_base"},
    {"hc_head_scale", "hc_head.hc_scale", Leaves::None, "hc_head.hc_scale"},
};

/// Below a layer or a draft block.
constexpr NameRow blockRows[] = {
    {"attn_norm", "input_layernorm", Leaves::Weight},
    {"ffn_norm", "post_attention_layernorm", Leaves::Weight},
    {"hc_attn_fn", "attn_hc.fn", Leaves::None},
    {"hc_attn_base", "attn_hc.base", Leaves::None},
    {"hc_attn_scale", "attn_hc.scale", Leaves::None},
    {"hc_ffn_fn", "ffn_hc.fn", Leaves::None},
    {"hc_ffn_base", "ffn_hc.base", Leaves::None},
    {"hc_ffn_scale", "ffn_hc.scale", Leaves::None},
    {"attn.attn_sink", "self_attn.sinks", Leaves::None},
    {"attn.wq_a", "self_attn.q_a_proj"},
    {"attn.q_norm", "self_attn.q_a_norm", Leaves::Weight},
    {"attn.wq_b", "self_attn.q_b_proj"},
    {"attn.wkv", "self_attn.kv_proj"},
    // The mapping sends any "norm" to "kv_norm" and any "kv_norm" back.
    {"attn.kv_norm", "self_attn.kv_norm", Leaves::Weight, "attn.norm"},
    {"attn.wo_a", "self_attn.o_a_proj"},
    {"attn.wo_b", "self_attn.o_b_proj"},
    {"attn.compressor.wkv", "self_attn.compressor.kv_proj", Leaves::Weight},
    {"attn.compressor.wgate", "self_attn.compressor.gate_proj", Leaves::Weight},
    {"attn.compressor.ape", "self_attn.compressor.position_bias", Leaves::None},
    {"attn.compressor.norm", "self_attn.compressor.kv_norm", Leaves::Weight},
    {"attn.indexer.wq_b", "self_attn.compressor.indexer.q_b_proj"},
    {"attn.indexer.weights_proj",
     "self_attn.compressor.indexer.scorer.weights_proj", Leaves::Weight, "",
     "self_attn.compressor.indexer.weights_proj"},
    {"attn.indexer.compressor.wkv", "self_attn.compressor.indexer.kv_proj",
     Leaves::Weight},
    {"attn.indexer.compressor.wgate", "self_attn.compressor.indexer.gate_proj",
     Leaves::Weight},
    {"attn.indexer.compressor.ape",
     "self_attn.compressor.indexer.position_bias", Leaves::None},
    {"attn.indexer.compressor.norm", "self_attn.compressor.indexer.kv_norm",
     Leaves::Weight},
    {"ffn.gate", "mlp.gate", Leaves::Weight},
    {"ffn.gate.bias", "mlp.gate.e_score_correction_bias", Leaves::None},
    {"ffn.gate.tid2eid", "mlp.gate.tid2eid", Leaves::None},
    {"ffn.shared_experts.w1", "mlp.shared_experts.gate_proj"},
    {"ffn.shared_experts.w3", "mlp.shared_experts.up_proj"},
    {"ffn.shared_experts.w2", "mlp.shared_experts.down_proj"},
    {"ffn.experts.*.w1", "mlp.experts.*.gate_proj"},
    {"ffn.experts.*.w3", "mlp.experts.*.up_proj"},
    {"ffn.experts.*.w2", "mlp.experts.*.down_proj"},
};

/// Below a draft block, besides a layer's. Transformers has no such modules.
constexpr NameRow draftRows[] = {
    {"e_proj", ""},
    {"h_proj", ""},
    {"enorm", "", Leaves::Weight},
    {"hnorm", "", Leaves::Weight},
    {"norm", "", Leaves::Weight},
    {"hc_head_fn", "", Leaves::None},
    {"hc_head_base", "", Leaves::None},
    {"hc_head_scale", "", Leaves::None},
    {"main_proj", ""},
    {"main_norm", "", Leaves::Weight},
    {"markov_head.markov_w1", "", Leaves::Weight},
    {"markov_head.markov_w2", "", Leaves::Weight},
    {"confidence_head.proj", "", Leaves::Weight},
};

/// Experts that transformers keeps in one parameter a layer. Parameters have
/// no ".weight", and their scales another suffix.
struct FusedRow {
  std::string_view official;
  std::string_view module;
  TensorLayout layout;
};
constexpr FusedRow fusedRows[] = {
    {"ffn.experts.*.w1.weight", "mlp.experts.gate_up_proj",
     TensorLayout::StackedPair},
    {"ffn.experts.*.w1.scale", "mlp.experts.gate_up_proj_scale_inv",
     TensorLayout::StackedPair},
    {"ffn.experts.*.w2.weight", "mlp.experts.down_proj", TensorLayout::Stacked},
    {"ffn.experts.*.w2.scale", "mlp.experts.down_proj_scale_inv",
     TensorLayout::Stacked},
};

/// The scale's last component in module names; a multiplier in spite of its
/// name. Only a final component counts: "hc_attn_scale" is no scale.
constexpr std::string_view moduleScale = "weight_scale_inv";

/// What a spelling below its block means.
struct Meaning {
  std::string official;
  TensorLayout layout = TensorLayout::Single;
};

template <typename Value>
using NameMap = std::map<std::string, Value, std::less<>>;

std::string join(std::string_view a, std::string_view b) {
  return std::string(a).append(b);
}

bool consumeFront(std::string_view &text, std::string_view prefix) {
  if (!text.starts_with(prefix))
    return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// The decimal digits at the start of `text`.
std::string_view leadingDigits(std::string_view text) {
  auto end = std::find_if(text.begin(), text.end(),
                          [](char c) { return c < '0' || c > '9'; });
  return text.substr(0, end - text.begin());
}

class NameTable {
public:
  NameTable() {
    for (const NameRow &row : topRows)
      addRow(top, row);
    for (const NameRow &row : blockRows)
      addRow(block, row);
    draft = block;
    for (const NameRow &row : draftRows)
      addRow(draft, row);
    for (const FusedRow &row : fusedRows) {
      block[std::string(row.module)] = {std::string(row.official), row.layout};
      modules[std::string(row.official)] = row.module;
    }
    // w1 and w3 share a parameter.
    modules["ffn.experts.*.w3.weight"] = modules["ffn.experts.*.w1.weight"];
    modules["ffn.experts.*.w3.scale"] = modules["ffn.experts.*.w1.scale"];
  }

  /// Spellings to meanings below the model, a layer, a draft block.
  NameMap<Meaning> top, block, draft;
  /// Official names below a layer or the model to the other schemes'. (No
  /// name is both a layer's and the model's.)
  NameMap<std::string> modules, saved;

private:
  void addRow(NameMap<Meaning> &spellings, const NameRow &row) {
    if (row.leaves == Leaves::None)
      return addTensor(spellings, row, "", {""});
    addTensor(spellings, row, ".weight", {".weight"});
    if (row.leaves == Leaves::Linear)
      addTensor(spellings, row, ".scale",
                {".scale", ".weight_scale", join(".", moduleScale)});
  }

  /// One tensor: every module name with every leaf means the official one.
  void addTensor(NameMap<Meaning> &spellings, const NameRow &row,
                 std::string_view leaf,
                 const std::vector<std::string> &leaves) {
    std::string official = join(row.official, leaf);
    for (std::string_view name :
         {row.official, row.module, row.saved, row.older})
      for (const std::string &spelling : leaves)
        if (!name.empty())
          spellings[join(name, spelling)] = {official};
    if (row.module.empty())
      return;
    modules.try_emplace(official, join(row.module, leaves.back()));
    saved.try_emplace(official,
                      join(row.saved.empty() ? row.official : row.saved, leaf));
  }
};

const NameTable &getTable() {
  static const NameTable table;
  return table;
}

/// Splits "layers.12.rest"; false when `name` does not start with `folder`,
/// a number and a dot.
bool splitBlock(std::string_view name, std::string_view folder,
                std::string_view &prefix, std::string_view &rest) {
  rest = name;
  if (!consumeFront(rest, folder))
    return false;
  std::string_view number = leadingDigits(rest);
  rest.remove_prefix(number.size());
  if (number.empty() || (number.size() > 1 && number.front() == '0') ||
      !consumeFront(rest, "."))
    return false;
  prefix = name.substr(0, name.size() - rest.size());
  return true;
}

/// Replaces the expert's number in `rest` by `*`; -1 when there is none.
int64_t takeExpert(std::string_view rest, std::string &pattern) {
  pattern = rest;
  size_t at = rest.find(".experts.");
  if (at == std::string_view::npos)
    return -1;
  at += std::string_view(".experts.").size();
  std::string_view number = leadingDigits(rest.substr(at));
  int64_t expert;
  if (number.empty() || (number.size() > 1 && number.front() == '0') ||
      std::from_chars(number.data(), number.data() + number.size(), expert)
              .ec != std::errc())
    return -1;
  pattern.replace(at, number.size(), "*");
  return expert;
}

} // namespace

std::optional<TensorName> parseTensorName(std::string_view name) {
  const NameTable &table = getTable();
  consumeFront(name, "model.");
  std::string_view prefix, rest;
  const NameMap<Meaning> *spellings = &table.top;
  if (splitBlock(name, "layers.", prefix, rest))
    spellings = &table.block;
  else if (splitBlock(name, "mtp.", prefix, rest))
    spellings = &table.draft;
  else
    rest = name;
  TensorName result;
  std::string pattern;
  result.expert = takeExpert(rest, pattern);
  auto it = spellings->find(pattern);
  if (it == spellings->end())
    return std::nullopt;
  result.pattern = join(prefix, it->second.official);
  result.layout = it->second.layout;
  return result;
}

std::optional<std::string> spellTensorName(std::string_view official,
                                           NamingScheme scheme) {
  std::optional<TensorName> parsed = parseTensorName(official);
  if (!parsed)
    return std::nullopt;
  bool hasExpert = parsed->expert >= 0;
  std::string canonical =
      hasExpert ? expertName(parsed->pattern, parsed->expert) : parsed->pattern;
  if (canonical != official)
    return std::nullopt;
  if (scheme == NamingScheme::Official)
    return canonical;
  std::string_view prefix, rest, pattern = parsed->pattern;
  if (pattern.starts_with("mtp."))
    return std::nullopt;
  if (!splitBlock(pattern, "layers.", prefix, rest)) {
    prefix = "";
    rest = pattern;
  }
  const NameTable &table = getTable();
  std::string spelled(prefix);
  const NameMap<std::string> &spellings =
      scheme == NamingScheme::Modules ? table.modules : table.saved;
  if (auto it = spellings.find(rest); it != spellings.end())
    spelled += it->second;
  if (hasExpert && spelled.find('*') != std::string::npos)
    spelled = expertName(spelled, parsed->expert);
  // The head is the only tensor outside the module "model".
  return rest == "head.weight" ? spelled : "model." + spelled;
}

std::string scaleNameOf(std::string_view weight) {
  if (weight.ends_with(".weight"))
    weight.remove_suffix(std::string_view(".weight").size());
  return join(weight, ".scale");
}

std::string expertName(std::string_view pattern, int64_t expert) {
  size_t star = pattern.find('*');
  if (star == std::string_view::npos)
    return join(pattern, std::to_string(expert));
  return join(pattern.substr(0, star), std::to_string(expert))
      .append(pattern.substr(star + 1));
}

} // namespace varve
