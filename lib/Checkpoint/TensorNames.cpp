//===- TensorNames.cpp - Official tensor names and their variants ---------===//

#include "lib/Checkpoint/TensorNames.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

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
  llvm::StringLiteral official;
  llvm::StringLiteral module;
  Leaves leaves = Leaves::Linear;
  llvm::StringLiteral saved = "";
  /// A module name of earlier transformers.
  llvm::StringLiteral older = "";
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
  llvm::StringLiteral official;
  llvm::StringLiteral module;
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
constexpr llvm::StringLiteral moduleScale = "weight_scale_inv";

/// What a spelling below its block means.
struct Meaning {
  std::string official;
  TensorLayout layout = TensorLayout::Single;
};

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
      block[row.module] = {row.official.str(), row.layout};
      modules[row.official] = row.module.str();
    }
    // w1 and w3 share a parameter.
    modules["ffn.experts.*.w3.weight"] = modules["ffn.experts.*.w1.weight"];
    modules["ffn.experts.*.w3.scale"] = modules["ffn.experts.*.w1.scale"];
  }

  /// Spellings to meanings below the model, a layer, a draft block.
  llvm::StringMap<Meaning> top, block, draft;
  /// Official names below a layer or the model to the other schemes'. (No
  /// name is both a layer's and the model's.)
  llvm::StringMap<std::string> modules, saved;

private:
  void addRow(llvm::StringMap<Meaning> &spellings, const NameRow &row) {
    if (row.leaves == Leaves::None)
      return addTensor(spellings, row, "", {""});
    addTensor(spellings, row, ".weight", {".weight"});
    if (row.leaves == Leaves::Linear)
      addTensor(spellings, row, ".scale",
                {".scale", ".weight_scale", ("." + moduleScale).str()});
  }

  /// One tensor: every module name with every leaf means the official one.
  void addTensor(llvm::StringMap<Meaning> &spellings, const NameRow &row,
                 llvm::StringRef leaf, llvm::ArrayRef<std::string> leaves) {
    std::string official = (row.official + leaf).str();
    for (llvm::StringRef name :
         {row.official, row.module, row.saved, row.older})
      for (const std::string &spelling : leaves)
        if (!name.empty())
          spellings[(name + spelling).str()] = {official};
    if (row.module.empty())
      return;
    modules.try_emplace(official, (row.module + leaves.back()).str());
    saved.try_emplace(
        official,
        ((row.saved.empty() ? row.official : row.saved) + leaf).str());
  }
};

const NameTable &getTable() {
  static const NameTable table;
  return table;
}

/// Splits "layers.12.rest"; false when `name` does not start with `folder`,
/// a number and a dot.
bool splitBlock(llvm::StringRef name, llvm::StringRef folder,
                llvm::StringRef &prefix, llvm::StringRef &rest) {
  rest = name;
  if (!rest.consume_front(folder))
    return false;
  llvm::StringRef number = rest.take_while(llvm::isDigit);
  rest = rest.drop_front(number.size());
  if (number.empty() || (number.size() > 1 && number.front() == '0') ||
      !rest.consume_front("."))
    return false;
  prefix = name.drop_back(rest.size());
  return true;
}

/// Replaces the expert's number in `rest` by `*`; -1 when there is none.
int64_t takeExpert(llvm::StringRef rest, std::string &pattern) {
  pattern = rest.str();
  size_t at = rest.find(".experts.");
  if (at == llvm::StringRef::npos)
    return -1;
  at += llvm::StringRef(".experts.").size();
  llvm::StringRef number = rest.substr(at).take_while(llvm::isDigit);
  int64_t expert;
  if (number.empty() || (number.size() > 1 && number.front() == '0') ||
      number.getAsInteger(10, expert))
    return -1;
  pattern.replace(at, number.size(), "*");
  return expert;
}

} // namespace

std::optional<TensorName> parseTensorName(llvm::StringRef name) {
  const NameTable &table = getTable();
  name.consume_front("model.");
  llvm::StringRef prefix, rest;
  const llvm::StringMap<Meaning> *spellings = &table.top;
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
  result.pattern = prefix.str() + it->second.official;
  result.layout = it->second.layout;
  return result;
}

std::optional<std::string> spellTensorName(llvm::StringRef official,
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
  llvm::StringRef prefix, rest, pattern = parsed->pattern;
  if (pattern.starts_with("mtp."))
    return std::nullopt;
  if (!splitBlock(pattern, "layers.", prefix, rest)) {
    prefix = "";
    rest = pattern;
  }
  const NameTable &table = getTable();
  std::string spelled = prefix.str();
  spelled += scheme == NamingScheme::Modules ? table.modules.lookup(rest)
                                             : table.saved.lookup(rest);
  if (hasExpert && llvm::StringRef(spelled).contains('*'))
    spelled = expertName(spelled, parsed->expert);
  // The head is the only tensor outside the module "model".
  return rest == "head.weight" ? spelled : "model." + spelled;
}

std::string scaleNameOf(llvm::StringRef weight) {
  weight.consume_back(".weight");
  return weight.str() + ".scale";
}

std::string expertName(llvm::StringRef pattern, int64_t expert) {
  auto [before, after] = pattern.split('*');
  return (before + llvm::Twine(expert) + after).str();
}

} // namespace varve
