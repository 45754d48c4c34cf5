//===- HfConfigErrorsTest.cpp - Configurations that are refused -*- C++ -*-===//
//
// Each message in full: what users read is part of the interface.
//
//===----------------------------------------------------------------------===//
#include "lib/Model/HfConfig.h"
#include "test/Unit/Model/ModelTesting.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gmock/gmock.h"

using namespace varve;
using llvm::StringRef;
using llvm::Twine;
using testing::HasSubstr;
using testing::StartsWith;

namespace {
std::string parseError(StringRef text) {
  return messageOf(parseHfConfig(text, "config.json"));
}

/// The error after merging `changes` into the file of `caseName`; the value
/// "absent" removes a field.
std::string errorOf(StringRef caseName, StringRef changes) {
  auto buffer =
      llvm::cantFail(llvm::errorOrToExpected(llvm::MemoryBuffer::getFile(
          VARVE_TEST_DATA "/" + Twine(caseName) + "/config.json")));
  llvm::json::Value text =
      llvm::cantFail(llvm::json::parse(buffer->getBuffer()));
  llvm::json::Value edits = llvm::cantFail(llvm::json::parse(changes));
  for (auto &[name, value] : *edits.getAsObject())
    if (value == llvm::json::Value("absent"))
      text.getAsObject()->erase(name);
    else
      (*text.getAsObject())[name] = value;
  return parseError(llvm::formatv("{0}", text).str());
}

struct Refused {
  const char *changes;
  const char *message;
};

/// Checks every message, without the leading "config.json: field ".
template <size_t N> void check(StringRef caseName, const Refused (&table)[N]) {
  for (const Refused &entry : table)
    EXPECT_EQ(errorOf(caseName, entry.changes),
              std::string("config.json: field ") + entry.message)
        << entry.changes;
}

TEST(HfConfigErrorsTest, files) {
  EXPECT_EQ(messageOf(readHfConfig("/does/not/exist")),
            "/does/not/exist: No such file or directory");
  EXPECT_EQ(messageOf(readHfConfig(VARVE_TEST_DATA)),
            VARVE_TEST_DATA ": expected a config.json file, got a folder");
  EXPECT_EQ(messageOf(readHfConfig("/dev/zero")),
            "/dev/zero: expected a regular file");
}

TEST(HfConfigErrorsTest, json) {
  EXPECT_EQ(parseError(""), "config.json: expected JSON: [1:0, byte=0]: "
                            "Unexpected EOF");
  EXPECT_EQ(parseError("[1, 2]"),
            "config.json: expected a JSON object, got an array of 2");
  EXPECT_EQ(parseError("{\"a\": NaN}"),
            "config.json: expected JSON: [1:7, byte=7]: Invalid JSON value");
  EXPECT_EQ(parseError(R"({"hc_eps": 1, "x": {"hc_eps": 1}, "hc_eps": 2})"),
            "config.json: field 'hc_eps': expected one value, got two; "
            "remove one");
  EXPECT_EQ(parseError(R"({"x": [{"y": {"a": 1, "\u0061" : 2}}]})"),
            "config.json: field 'x.y.a': expected one value, got two; remove "
            "one");
  EXPECT_EQ(parseError(std::string(100000, '[')),
            "config.json: expected JSON nested at most 32 deep");
}

// Every prefix of a file is refused, and none of them hurts.
TEST(HfConfigErrorsTest, truncation) {
  auto buffer = llvm::cantFail(llvm::errorOrToExpected(
      llvm::MemoryBuffer::getFile(VARVE_TEST_DATA "/flash-tiny/config.json")));
  StringRef text = buffer->getBuffer().rtrim();
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_THAT(parseError(text.take_front(length)),
                StartsWith("config.json: expected JSON: "));
  EXPECT_EQ(parseError(text), "");
}

TEST(HfConfigErrorsTest, otherModels) {
  const Refused table[] = {
      {R"({"model_type": "llama"})",
       "'model_type': expected \"deepseek_v4\", got \"llama\""},
      {R"({"model_type": "absent"})",
       "'model_type': required, but missing: expected a string"},
      {R"({"architectures": ["LlamaForCausalLM"]})",
       "'architectures': expected [\"DeepseekV4ForCausalLM\"], got an "
       "array that begins with \"LlamaForCausalLM\""},
      {R"({"architectures": []})",
       "'architectures': expected [\"DeepseekV4ForCausalLM\"], got an empty "
       "array"},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, unknownFields) {
  const Refused table[] = {
      {R"({"index_top_k": 3})",
       "'index_top_k': unknown field; did you mean 'index_topk'?"},
      {R"({"hiden_size": 3, "hidden_size": "absent"})",
       "'hiden_size': unknown field; did you mean 'hidden_size'?"},
      {R"({"engram_layers": [1]})", "'engram_layers': unknown field"},
      {R"({"rope_scaling": {"type": "yarn", "facter": 2}})",
       "'rope_scaling.facter': unknown field; did you mean 'factor'?"},
      {R"({"quantization_config": {"quant_metod": "fp8"}})",
       "'quantization_config.quant_metod': unknown field; did you mean "
       "'quant_method'?"},
      {R"({"compress_rates": {"heavily_compresed_attention": 128}})",
       "'compress_rates.heavily_compresed_attention': unknown field; did you "
       "mean 'heavily_compressed_attention'?"},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, missingFields) {
  for (StringRef name : {"vocab_size",
                         "hidden_size",
                         "num_hidden_layers",
                         "num_attention_heads",
                         "head_dim",
                         "qk_rope_head_dim",
                         "q_lora_rank",
                         "o_groups",
                         "o_lora_rank",
                         "sliding_window",
                         "index_n_heads",
                         "index_head_dim",
                         "index_topk",
                         "n_routed_experts",
                         "n_shared_experts",
                         "num_experts_per_tok",
                         "moe_intermediate_size",
                         "hc_mult",
                         "hc_sinkhorn_iters",
                         "max_position_embeddings",
                         "num_hash_layers"})
    EXPECT_EQ(errorOf("native-flash-tiny",
                      llvm::formatv("{{\"{0}\": \"absent\"}", name).str()),
              "config.json: field '" + name.str() +
                  "': required, but missing: expected an integer");
  for (StringRef name : {"rms_norm_eps", "hc_eps", "routed_scaling_factor",
                         "swiglu_limit", "rope_theta", "compress_rope_theta"})
    EXPECT_EQ(errorOf("native-flash-tiny",
                      llvm::formatv("{{\"{0}\": \"absent\"}", name).str()),
              "config.json: field '" + name.str() +
                  "': required, but missing: expected a finite number");
  const Refused table[] = {
      {R"({"scoring_func": "absent"})",
       "'scoring_func': required, but missing: expected a string"},
      {R"({"compress_ratios": "absent"})",
       "'compress_ratios': expected one compression ratio per layer "
       "('layer_types' serves, too), got nothing"},
      {R"({"head_dim": null})", "'head_dim': expected an integer, got null"},
  };
  check("native-flash-tiny", table);
}

// Sizes have no defaults, in no dialect.
TEST(HfConfigErrorsTest, missingSizesInTheTransformersDialect) {
  for (StringRef name :
       {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "head_dim", "q_lora_rank", "o_groups", "o_lora_rank", "sliding_window",
        "index_n_heads", "index_head_dim", "index_topk", "n_routed_experts",
        "num_experts_per_tok", "moe_intermediate_size", "hc_mult"})
    EXPECT_EQ(errorOf("flash-tiny",
                      llvm::formatv("{{\"{0}\": \"absent\"}", name).str()),
              "config.json: field '" + name.str() +
                  "': required, but missing: expected an integer");
}

TEST(HfConfigErrorsTest, wrongTypes) {
  const Refused table[] = {
      {R"({"head_dim": "192"})",
       "'head_dim': expected an integer, got \"192\""},
      {R"({"head_dim": 192.5})", "'head_dim': expected an integer, got 192.5"},
      {R"({"head_dim": true})", "'head_dim': expected an integer, got true"},
      {R"({"head_dim": [192]})",
       "'head_dim': expected an integer, got an array of 1"},
      {R"({"head_dim": 1e300})", "'head_dim': expected an integer, got 1e+300"},
      {R"({"hc_eps": "1e-6"})",
       "'hc_eps': expected a finite number, got \"1e-6\""},
      {R"({"hc_eps": {"__float__": "NaN"}})",
       "'hc_eps': expected a finite number, got an object"},
      {R"({"norm_topk_prob": 1})",
       "'norm_topk_prob': expected true or false, got 1"},
      {R"({"scoring_func": 1})", "'scoring_func': expected a string, got 1"},
      {R"({"compress_ratios": 4})",
       "'compress_ratios': expected an array of integers, got 4"},
      {R"({"compress_ratios": [0, 0, "4", 128, 4]})",
       "'compress_ratios[2]': expected an integer, got \"4\""},
      {R"({"layer_types": "csa"})",
       "'layer_types': expected an array of strings, got \"csa\""},
      {R"({"rope_scaling": 16})", "'rope_scaling': expected an object, got 16"},
      {R"({"quantization_config": "fp8"})",
       "'quantization_config': expected an object, got \"fp8\""},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, sizesOutOfRange) {
  const Refused table[] = {
      {R"({"hidden_size": 0})",
       "'hidden_size': expected an integer in [1, 131072], got 0"},
      {R"({"hidden_size": -128})",
       "'hidden_size': expected an integer in [1, 131072], got -128"},
      {R"({"vocab_size": 1000000000000})",
       "'vocab_size': expected an integer in [1, 16777216], got "
       "1000000000000"},
      {R"({"num_hidden_layers": 100000})",
       "'num_hidden_layers': expected an integer in [1, 1024], got 100000"},
      {R"({"sliding_window": 0})",
       "'sliding_window': expected an integer in [1, 1048576], got 0"},
      {R"({"num_experts_per_tok": 9})",
       "'num_experts_per_tok': expected an integer in [1, 8], got 9"},
      {R"({"qk_rope_head_dim": 256})",
       "'qk_rope_head_dim': expected an integer in [2, 192], got 256"},
      {R"({"qk_rope_head_dim": 63})",
       "'qk_rope_head_dim': expected an even number, got 63"},
      {R"({"o_groups": 3})",
       "'o_groups': expected a divisor of num_attention_heads (8), got 3"},
      {R"({"index_head_dim": 32})",
       "'index_head_dim': expected at least qk_rope_head_dim (64), which are "
       "rotated, got 32"},
      {R"({"index_topk": 0})",
       "'index_topk': expected an integer in [1, 1048576], got 0"},
      {R"({"n_shared_experts": 2})", "'n_shared_experts': expected 1, got 2"},
      {R"({"hc_eps": -1e-6})",
       "'hc_eps': expected a number in [0, 1], got -1e-06"},
      {R"({"swiglu_limit": -1})",
       "'swiglu_limit': expected a number in [0, 1e+30], got -1"},
      {R"({"rope_theta": 1})",
       "'rope_theta': expected a number in (1, 1e15], got 1"},
      {R"({"eos_token_id": 256})",
       "'eos_token_id': expected an integer in [-1, 255], got 256"},
      {R"({"eos_token_id": [1, -4]})",
       "'eos_token_id[1]': expected an integer in [0, 255], got -4"},
  };
  check("native-flash-tiny", table);
}

// Legal JSON, but no double holds it.
TEST(HfConfigErrorsTest, numbersBeyondDouble) {
  EXPECT_EQ(parseError(R"({"model_type": "deepseek_v4", "layer_types": ["moe"],
                           "num_hidden_layers": 1e400})"),
            "config.json: field 'num_hidden_layers': expected an integer, got "
            "inf");
}

TEST(HfConfigErrorsTest, unsupportedValues) {
  const Refused table[] = {
      {R"({"num_key_value_heads": 8})",
       "'num_key_value_heads': expected 1: all heads share one key and value, "
       "got 8"},
      {R"({"tie_word_embeddings": true})",
       "'tie_word_embeddings': expected false: the head has its own weight, "
       "got true"},
      {R"({"attention_bias": true})",
       "'attention_bias': expected false: linears have no bias, got true"},
      {R"({"mlp_bias": true})",
       "'mlp_bias': expected false: linears have no bias, got true"},
      {R"({"hidden_act": "gelu"})",
       "'hidden_act': expected \"silu\", got \"gelu\""},
      {R"({"topk_method": "greedy"})",
       "'topk_method': expected \"noaux_tc\", got \"greedy\""},
      {R"({"scoring_func": "tanh"})",
       "'scoring_func': expected \"sqrtsoftplus\", \"sigmoid\" or "
       "\"softmax\", got \"tanh\""},
      {R"({"n_group": 8})",
       "'n_group': expected 1: experts are not grouped, got 8"},
      {R"({"first_k_dense_replace": 3})",
       "'first_k_dense_replace': expected 0: every layer has experts, got 3"},
      {R"({"v_head_dim": 128})",
       "'v_head_dim': expected 192, which is head_dim, got 128"},
      {R"({"per_layer_config": {"0": {"head_dim": 3}}})",
       "'per_layer_config': expected nothing: layers differ by layer_types "
       "only, got an object"},
      {R"({"intermediate_size": 64})",
       "'intermediate_size': expected 128, which is moe_intermediate_size, got "
       "64"},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, layerLists) {
  const Refused table[] = {
      {R"({"compress_ratios": [0, 0, 4, 128]})",
       "'compress_ratios': expected num_hidden_layers (5) entries, then one "
       "per draft block, got 4"},
      {R"({"compress_ratios": [0, 0, 4, 128, 4, 128]})",
       "'compress_ratios[5]': expected 0: only draft blocks follow the 5 "
       "layers, got 128"},
      {R"({"compress_ratios": [0, -1, 4, 128, 4]})",
       "'compress_ratios[1]': expected an integer in [0, 1048576], got -1"},
      {R"({"compress_rate_hca": 64})",
       "'compress_ratios[3]': expected 64, the rate given for "
       "heavily_compressed_attention, got 128"},
      {R"({"layer_types": ["sliding_attention"]})",
       "'layer_types': expected num_hidden_layers (5) entries, got 1"},
      {R"({"layer_types": ["sliding_attention", "sliding_attention",
                           "heavily_compressed_attention",
                           "heavily_compressed_attention",
                           "compressed_sparse_attention"]})",
       "'layer_types[2]': expected \"compressed_sparse_attention\", as "
       "compress_ratios[2] = 4 says, got \"heavily_compressed_attention\""},
      {R"({"num_hash_layers": -1})",
       "'num_hash_layers': expected 0 or more, got -1"},
      {R"({"mlp_layer_types": ["moe", "moe", "moe", "moe", "moe"]})",
       "'mlp_layer_types[0]': expected \"hash_moe\", as num_hash_layers = 1 "
       "says, got \"moe\""},
      {R"({"mlp_layer_types": ["hash_moe"]})",
       "'mlp_layer_types': expected num_hidden_layers (5) entries, got 1"},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, layerListsOfTransformers) {
  const Refused table[] = {
      {R"({"num_hidden_layers": 5})",
       "'layer_types': expected num_hidden_layers (5) entries, got 6"},
      {R"({"layer_types": ["sliding_atention", "", "", "", "", ""]})",
       "'layer_types[0]': expected a kind of attention layer, got "
       "\"sliding_atention\"; did you mean 'sliding_attention'?"},
      {R"({"layer_types": ["full_attention", "", "", "", "", ""]})",
       "'layer_types[0]': expected a kind of attention layer, got "
       "\"full_attention\""},
      {R"({"compress_rates": {"compressed_sparse_attention": 4}})",
       "'compress_rates.heavily_compressed_attention': expected a ratio for "
       "layer_types[3], got nothing"},
      {R"({"compress_rates": {"compressed_sparse_attention": 0,
                              "heavily_compressed_attention": 32}})",
       "'compress_rates.compressed_sparse_attention': expected an integer in "
       "[1, 1048576], got 0"},
      {R"({"compress_rate_csa": 8})",
       "'compress_rate_csa': expected 4, which is "
       "compress_rates.compressed_sparse_attention, got 8"},
      {R"({"mlp_layer_types": ["hash", "moe", "moe", "moe", "moe", "moe"]})",
       "'mlp_layer_types[0]': expected \"moe\" or \"hash_moe\", got \"hash\""},
      {R"({"swiglu_limit": 0})",
       "'swiglu_limit': expected a positive number or {\"__float__\": "
       "\"Infinity\"} (0 makes transformers clamp every value to 0, where "
       "others clamp none), got 0"},
  };
  check("flash-tiny", table);
}

TEST(HfConfigErrorsTest, rope) {
  const Refused table[] = {
      {R"({"rope_scaling": {"type": "linear", "factor": 2}})",
       "'rope_scaling.type': expected \"default\" or \"yarn\", got "
       "\"linear\""},
      {R"({"rope_scaling": {"type": "yarm", "factor": 2}})",
       "'rope_scaling.type': expected \"default\" or \"yarn\", got \"yarm\"; "
       "did you mean 'yarn'?"},
      {R"({"rope_scaling": {"type": "yarn"}})",
       "'rope_scaling.factor': required, but missing: expected a finite "
       "number"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4}})",
       "'rope_scaling.original_max_position_embeddings': required, but "
       "missing: expected an integer"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 0.5,
                            "original_max_position_embeddings": 9}})",
       "'rope_scaling.factor': expected a number in [1, 1000000], got 0.5"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": 0.5,
                            "original_max_position_embeddings": 9}})",
       "'rope_scaling.beta_fast': expected a number in [beta_slow (1), "
       "1000000], got 0.5"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4,
                            "attention_factor": 1.277,
                            "original_max_position_embeddings": 9}})",
       "'rope_scaling.attention_factor': expected 1: cos and sin are not "
       "scaled, got 1.277"},
      {R"({"rope_scaling": {"factor": 4}})",
       "'rope_scaling.factor': expected nothing: it belongs to rope_type "
       "\"yarn\", which is not given, got 4"},
      {R"({"rope_scaling": {"type": "yarn", "rope_type": "default"}})",
       "'rope_scaling.type': expected \"default\", which is rope_type, got "
       "\"yarn\""},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "truncate": false,
                            "original_max_position_embeddings": 9}})",
       "'rope_scaling.truncate': expected true: YaRN's bounds are rounded to "
       "pairs, got false"},
      {R"({"rope_parameters": {"type": "yarn"}})",
       "'rope_scaling': expected nothing beside rope_parameters, got an "
       "object"},
      {R"({"partial_rotary_factor": 0.5})",
       "'partial_rotary_factor': expected qk_rope_head_dim / head_dim (64 / "
       "192), got 0.5"},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, nestedRope) {
  const Refused table[] = {
      {R"({"rope_parameters": {"main": {"rope_theta": 10000}}})",
       "'rope_parameters.compress': expected an object beside 'main', got "
       "nothing"},
      {R"({"rope_parameters": {"main": {"rope_theta": 10000},
                               "compress": {"rope_type": "default"}}})",
       "'rope_parameters.compress.rope_theta': required, but missing: expected "
       "a finite number"},
      {R"({"rope_parameters": {"main": {"rope_theta": 10000},
             "compress": {"rope_theta": 160000, "rope_type": "yarn",
                          "factor": 16}}})",
       "'rope_parameters.compress.attention_factor': expected 1, written out "
       "(transformers would derive another value from the factor), got "
       "nothing"},
      {R"({"rope_parameters": {"main": {"rope_theta": 5000},
                               "compress": {"rope_theta": 160000}},
           "rope_theta": 6000})",
       "'rope_theta': expected the value of 'rope_parameters.main.rope_theta' "
       "(5000), got 6000"},
      {R"({"rope_parameters": {"main": {"rope_theta": 10000,
                                        "partial_rotary_factor": 0.5},
                               "compress": {"rope_theta": 160000}}})",
       "'rope_parameters.main.partial_rotary_factor': expected "
       "qk_rope_head_dim / head_dim (16 / 64), got 0.5"},
  };
  check("flash-tiny", table);
}

TEST(HfConfigErrorsTest, storage) {
  const Refused table[] = {
      {R"({"torch_dtype": "float64"})",
       "'torch_dtype': expected \"bfloat16\", \"float16\" or \"float32\", got "
       "\"float64\""},
      {R"({"dtype": "float32"})",
       "'torch_dtype': expected \"float32\", which is dtype, got "
       "\"bfloat16\""},
      {R"({"expert_dtype": "fp6"})",
       "'expert_dtype': expected \"fp4\", \"fp8\", \"bfloat16\", \"float16\" "
       "or \"float32\", got \"fp6\""},
      {R"({"expert_dtype": "fp8", "quantization_config": null})",
       "'expert_dtype': expected a quantization_config beside \"fp8\", got "
       "\"fp8\""},
      {R"({"quantization_config": {"quant_method": "awq"}})",
       "'quantization_config.quant_method': expected \"fp8\", got \"awq\""},
      {R"({"quantization_config": {"quant_method": "fp8",
                                   "weight_block_size": [128, 128]}})",
       "'quantization_config.scale_fmt': required, but missing: expected a "
       "string"},
      {R"({"quantization_config": {"quant_method": "fp8",
                                   "scale_fmt": "ue8m0",
                                   "weight_block_size": [128]}})",
       "'quantization_config.weight_block_size': expected [rows, columns], got "
       "an array of 1"},
      {R"({"quantization_config": {"quant_method": "fp8",
                                   "scale_fmt": "ue8m0",
                                   "weight_block_size": [0, 128]}})",
       "'quantization_config.weight_block_size[0]': expected an integer in [1, "
       "131072], got 0"},
  };
  check("native-flash-tiny", table);
}

TEST(HfConfigErrorsTest, draftHeads) {
  const Refused table[] = {
      {R"({"num_nextn_predict_layers": -1})",
       "'num_nextn_predict_layers': expected an integer in [0, 16], got -1"},
      {R"({"dspark_block_size": 5})",
       "'dspark_noise_token_id': required, but missing: expected an integer"},
      {R"({"dspark_block_size": 5, "dspark_noise_token_id": 1,
           "dspark_target_layer_ids": [5], "dspark_markov_rank": 16})",
       "'dspark_target_layer_ids[0]': expected an integer in [0, 4], got 5"},
      {R"({"dspark_block_size": 5, "dspark_noise_token_id": 1,
           "dspark_target_layer_ids": [4], "dspark_markov_rank": 16,
           "compress_ratios": [0, 0, 4, 128, 4]})",
       "'compress_ratios': expected an entry of 0 per DSpark stage behind the "
       "layers' 5 entries, got no further entry"},
  };
  check("native-flash-tiny", table);
}

} // namespace
