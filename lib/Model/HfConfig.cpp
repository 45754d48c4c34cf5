//===- HfConfig.cpp - Reader of Hugging Face config.json ------------------===//
//
// Order matters for the messages: first what the file is, then unknown names
// (a misspelt field would otherwise show up as a missing one), then values.
//
//===----------------------------------------------------------------------===//

#include "lib/Model/HfConfig.h"
#include "lib/Model/HfFields.h"
#include "lib/Model/HfReader.h"
#include "lib/Model/Validate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace llvm;

namespace varve {

/// A configuration with the most layers allowed is below 100 KiB.
static constexpr uint64_t maxFileSize = 16 << 20;

//===----------------------------------------------------------------------===//
// What the file is
//===----------------------------------------------------------------------===//

void HfReader::readIdentity() {
  StringRef type = fields.requiredString("model_type");
  if (type != "deepseek_v4")
    fields.mismatch("model_type", "\"deepseek_v4\"");
  if (std::optional<std::vector<StringRef>> architectures =
          fields.strings("architectures"))
    if (!is_contained(*architectures, "DeepseekV4ForCausalLM"))
      fields.mismatch("architectures", "[\"DeepseekV4ForCausalLM\"]",
                      architectures->empty()
                          ? "an empty array"
                          : "an array that begins with " +
                                quoted(architectures->front()));
  byTransformers = fields.has("layer_types") && !fields.has("compress_ratios");
  if (!fields.has("layer_types") && !fields.has("compress_ratios"))
    fields.mismatch("compress_ratios",
                    "one compression ratio per layer ('layer_types' serves, "
                    "too)");
}

void HfReader::pinInteger(StringRef name, int64_t value, StringRef why) {
  std::optional<int64_t> found = fields.integer(name);
  if (found && *found != value)
    fields.mismatch(name, Twine(value) + why);
}

void HfReader::pinFlag(StringRef name, bool value, StringRef why) {
  std::optional<bool> found = fields.boolean(name);
  if (found && *found != value)
    fields.mismatch(name, Twine(value ? "true" : "false") + why);
}

/// Fields with one supported value.
void HfReader::checkPinned() {
  pinInteger("num_key_value_heads", 1, ": all heads share one key and value");
  pinFlag("attention_bias", false, ": linears have no bias");
  pinFlag("mlp_bias", false, ": linears have no bias");
  pinFlag("tie_word_embeddings", false, ": the head has its own weight");
  pinFlag("is_encoder_decoder", false, "");
  pinInteger("n_group", 1, ": experts are not grouped");
  pinInteger("topk_group", 1, ": experts are not grouped");
  pinInteger("first_k_dense_replace", 0, ": every layer has experts");
  pinInteger("moe_layer_freq", 1, ": every layer has experts");
  pinInteger("qk_head_dim", config.headDim, ", which is head_dim");
  pinInteger("v_head_dim", config.headDim, ", which is head_dim");
  pinInteger("qk_nope_head_dim", config.headDim - config.ropeDim,
             ", which is head_dim - qk_rope_head_dim");
  std::optional<StringRef> act = fields.string("hidden_act");
  if (act && *act != "silu" && *act != "swish")
    fields.mismatch("hidden_act", "\"silu\"");
  std::optional<StringRef> method = fields.string("topk_method");
  if (method && *method != "noaux_tc")
    fields.mismatch("topk_method", "\"noaux_tc\"");
  if (fields.has("per_layer_config"))
    fields.mismatch("per_layer_config",
                    "nothing: layers differ by layer_types only");
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

/// Reads a size that goes by two names.
int64_t HfReader::readAliased(StringRef name, StringRef alias) {
  std::optional<int64_t> other = fields.integer(alias);
  if (!other)
    return fields.requiredInteger(name);
  std::optional<int64_t> value = fields.integer(name);
  if (value && *value != *other)
    fields.mismatch(alias, Twine(*value) + ", which is " + name);
  return *other;
}

double HfReader::readNumber(StringRef name, double transformersDefault) {
  if (byTransformers && !fields.has(name))
    return transformersDefault;
  return fields.requiredNumber(name);
}

int64_t HfReader::readInteger(StringRef name, int64_t transformersDefault) {
  if (byTransformers && !fields.has(name))
    return transformersDefault;
  return fields.requiredInteger(name);
}

void HfReader::readSizes() {
  config.vocabSize = fields.requiredInteger("vocab_size");
  config.hiddenSize = fields.requiredInteger("hidden_size");
  config.numHeads = fields.requiredInteger("num_attention_heads");
  config.headDim = fields.requiredInteger("head_dim");
  config.queryRank = fields.requiredInteger("q_lora_rank");
  config.outputGroups = fields.requiredInteger("o_groups");
  config.outputRank = fields.requiredInteger("o_lora_rank");
  config.window = fields.requiredInteger("sliding_window");
  config.numExperts = readAliased("n_routed_experts", "num_local_experts");
  config.activeExperts = fields.requiredInteger("num_experts_per_tok");
  config.expertSize = readAliased("moe_intermediate_size", "intermediate_size");
  config.streams = fields.requiredInteger("hc_mult");
  readRotarySize();
  bool hasIndexer = any_of(config.layers, [](const LayerConfig &layer) {
    return layer.attention == AttentionKind::CSA;
  });
  auto indexSize = [&](StringRef name) {
    return hasIndexer ? fields.requiredInteger(name)
                      : fields.integer(name).value_or(0);
  };
  config.indexHeads = indexSize("index_n_heads");
  config.indexHeadDim = indexSize("index_head_dim");
  config.indexTopk = indexSize("index_topk");
}

void HfReader::readRotarySize() {
  std::optional<double> fraction = fields.number("partial_rotary_factor");
  if (fields.has("qk_rope_head_dim") || !fraction) {
    config.ropeDim = fields.requiredInteger("qk_rope_head_dim");
    checkRotaryFraction(fields);
    return;
  }
  // Rounded as transformers does; a bad fraction is refused by its result.
  double size = std::trunc(static_cast<double>(config.headDim) * *fraction);
  if (!(size >= 0 && size <= static_cast<double>(limits::headDim)))
    fields.mismatch("partial_rotary_factor", "a number in [0, 1]");
  else
    config.ropeDim = static_cast<int64_t>(size);
}

/// The rotary size that `in` states as a fraction must be the one read.
void HfReader::checkRotaryFraction(const JsonFields &in) {
  std::optional<double> fraction = in.number("partial_rotary_factor");
  if (!fraction)
    return;
  double size = std::trunc(static_cast<double>(config.headDim) * *fraction);
  if (size != static_cast<double>(config.ropeDim))
    in.mismatch("partial_rotary_factor", "qk_rope_head_dim / head_dim (" +
                                             Twine(config.ropeDim) + " / " +
                                             Twine(config.headDim) + ")");
}

void HfReader::readNumbers() {
  config.sinkhornIterations = readInteger("hc_sinkhorn_iters", 20);
  config.streamEpsilon = readNumber("hc_eps", 1e-6);
  config.normEpsilon = readNumber("rms_norm_eps", 1e-6);
  config.routeScale = readNumber("routed_scaling_factor", 1.5);
  config.maxPositions = readInteger("max_position_embeddings", 1048576);
  readSwigluLimit();
  readRouter();
}

void HfReader::readSwigluLimit() {
  // transformers writes an infinite number as {"__float__": "Infinity"}.
  if (const json::Object *object = root.getObject("swiglu_limit");
      object && byTransformers && object->size() == 1 &&
      object->getString("__float__") == "Infinity") {
    config.swigluLimit = 0;
    return;
  }
  config.swigluLimit = readNumber("swiglu_limit", 10);
  if (byTransformers && config.swigluLimit == 0)
    fields.mismatch("swiglu_limit",
                    "a positive number or {\"__float__\": \"Infinity\"} (0 "
                    "makes transformers clamp every value to 0, where others "
                    "clamp none)");
}

void HfReader::readRouter() {
  StringRef scoring = "sqrtsoftplus";
  if (!byTransformers || fields.has("scoring_func"))
    scoring = fields.requiredString("scoring_func");
  std::optional<ScoringFunction> function = parseScoringFunction(scoring);
  if (!function)
    fields.mismatch("scoring_func",
                    "\"sqrtsoftplus\", \"sigmoid\" or \"softmax\"");
  config.scoring = function.value_or(ScoringFunction::SqrtSoftplus);

  bool normalize = fields.boolean("norm_topk_prob").value_or(true);
  config.normalizeRouteWeights = normalize || byTransformers;
  int64_t shared = readInteger("n_shared_experts", 1);
  config.numSharedExperts = byTransformers ? 1 : shared;
}

std::optional<ScoringFunction> parseScoringFunction(StringRef name) {
  return StringSwitch<std::optional<ScoringFunction>>(name)
      .Case("sqrtsoftplus", ScoringFunction::SqrtSoftplus)
      .Case("sigmoid", ScoringFunction::Sigmoid)
      .Case("softmax", ScoringFunction::Softmax)
      .Default(std::nullopt);
}

//===----------------------------------------------------------------------===//
// Tokens and draft heads
//===----------------------------------------------------------------------===//

void HfReader::readTokens() {
  // transformers' own defaults, where it left the fields out.
  bool absent = byTransformers && !root.get("bos_token_id");
  config.bosTokenId = fields.integer("bos_token_id").value_or(absent ? 0 : -1);

  if (const json::Value *eos = root.get("eos_token_id");
      eos && eos->getAsArray()) {
    std::vector<int64_t> tokens =
        fields.integers("eos_token_id").value_or(std::vector<int64_t>());
    if (tokens.empty())
      return;
    config.eosTokenId = tokens.front();
    config.otherEosTokenIds.assign(tokens.begin() + 1, tokens.end());
    return;
  }
  absent = byTransformers && !root.get("eos_token_id");
  config.eosTokenId = fields.integer("eos_token_id").value_or(absent ? 1 : -1);
}

void HfReader::readDraft() {
  DraftConfig &draft = config.draft;
  int64_t blocks = fields.integer("num_nextn_predict_layers").value_or(0);
  bool dspark = any_of(
      ArrayRef<StringRef>{"dspark_block_size", "dspark_noise_token_id",
                          "dspark_target_layer_ids", "dspark_markov_rank"},
      [&](StringRef name) { return fields.has(name); });
  if (byTransformers)
    return;
  if (!dspark) {
    draft.mtpLayers = blocks;
    return;
  }
  draft.dsparkBlockSize = fields.requiredInteger("dspark_block_size");
  draft.dsparkNoiseTokenId = fields.requiredInteger("dspark_noise_token_id");
  draft.dsparkMarkovRank = fields.requiredInteger("dspark_markov_rank");
  std::vector<int64_t> targets = fields.integers("dspark_target_layer_ids")
                                     .value_or(std::vector<int64_t>());
  if (targets.empty())
    fields.mismatch("dspark_target_layer_ids", "at least one layer");
  draft.dsparkTargetLayers.assign(targets.begin(), targets.end());
  // Each stage has its own (zero) entry behind the layers' ratios.
  draft.dsparkStages = trailingRatios;
  if (!trailingRatios)
    fields.mismatch("compress_ratios",
                    "an entry of 0 per DSpark stage behind the layers' " +
                        Twine(config.numLayers()) + " entries",
                    "no further entry");
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

Expected<ModelConfig> HfReader::read() {
  readIdentity();
  fields.refuseUnknown(knownTopLevelFields());
  if (errors)
    return errors.take();
  readLayers();
  if (errors)
    return errors.take();
  readSizes();
  readNumbers();
  checkPinned();
  readRope();
  readTokens();
  readDraft();
  readStorage();
  if (errors)
    return errors.take();
  if (Error error = validate(config, fileName))
    return error;
  return std::move(config);
}

static Expected<ModelConfig> parse(StringRef text, StringRef fileName,
                                   StringRef modelName) {
  Expected<json::Object> root = parseJsonObject(text, fileName);
  if (!root)
    return root.takeError();
  return HfReader(*root, fileName, modelName).read();
}

Expected<ModelConfig> parseHfConfig(StringRef text, StringRef displayName) {
  return parse(text, displayName, displayName);
}

Expected<ModelConfig> readHfConfig(StringRef path) {
  sys::fs::file_status status;
  if (std::error_code error = sys::fs::status(path, status))
    return createStringError(path + ": " + error.message());
  if (sys::fs::is_directory(status))
    return createStringError(path + ": expected a config.json file, got a "
                                    "folder");
  if (!sys::fs::is_regular_file(status))
    return createStringError(path + ": expected a regular file");
  if (status.getSize() > maxFileSize)
    return createStringError(path + ": expected a file of at most " +
                             Twine(maxFileSize) + " bytes, got " +
                             Twine(status.getSize()));
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError(path + ": " + buffer.getError().message());

  SmallString<256> absolute(path);
  if (std::error_code error = sys::fs::make_absolute(absolute))
    return createStringError(path + ": " + error.message());
  sys::path::remove_dots(absolute, /*remove_dot_dot=*/true);
  StringRef folder = sys::path::filename(sys::path::parent_path(absolute));
  return parse((*buffer)->getBuffer(), path, folder);
}

} // namespace varve
