//===- HfConfigTest.cpp - Configurations that are read ---------*- C++ -*-===//
#include "lib/Model/HfConfig.h"
#include "lib/Model/Validate.h"
#include "test/Unit/Model/ModelTesting.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gmock/gmock.h"

using namespace varve;
using llvm::StringRef;
using llvm::Twine;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
ModelConfig readCase(StringRef name) {
  return valueOf(
      readHfConfig((VARVE_TEST_DATA "/" + name + "/config.json").str()));
}

ModelConfig readInput(StringRef name) {
  return valueOf(readHfConfig((VARVE_MODEL_INPUTS "/" + name + ".json").str()));
}

TEST(HfConfigTest, readsTheOfficialDialect) {
  ModelConfig config = readCase("native-flash-tiny");
  EXPECT_EQ(config.name, "native-flash-tiny");
  // The sixth entry of compress_ratios belongs to the draft block.
  EXPECT_EQ(describeLayers(config), "S/hash S C4 H128 C4");
  EXPECT_EQ(config.vocabSize, 256);
  EXPECT_EQ(config.hiddenSize, 128);
  EXPECT_EQ(config.numHeads, 8);
  EXPECT_EQ(config.headDim, 192);
  EXPECT_EQ(config.ropeDim, 64);
  EXPECT_EQ(config.queryRank, 128);
  EXPECT_EQ(config.outputGroups, 2);
  EXPECT_EQ(config.outputRank, 64);
  EXPECT_EQ(config.window, 32);
  EXPECT_EQ(config.indexHeads, 4);
  EXPECT_EQ(config.indexHeadDim, 128);
  EXPECT_EQ(config.indexTopk, 16);
  EXPECT_EQ(config.numExperts, 8);
  EXPECT_EQ(config.numSharedExperts, 1);
  EXPECT_EQ(config.activeExperts, 2);
  EXPECT_EQ(config.expertSize, 128);
  EXPECT_EQ(config.streams, 4);
  EXPECT_EQ(config.sinkhornIterations, 20);
  EXPECT_EQ(config.streamEpsilon, 1e-6);
  EXPECT_EQ(config.normEpsilon, 1e-6);
  EXPECT_EQ(config.routeScale, 1.5);
  EXPECT_TRUE(config.normalizeRouteWeights);
  EXPECT_EQ(config.scoring, ScoringFunction::SqrtSoftplus);
  EXPECT_EQ(config.swigluLimit, 10);
  EXPECT_EQ(config.maxPositions, 1024);
  EXPECT_EQ(config.bosTokenId, 0);
  EXPECT_EQ(config.eosTokenId, 1);
  EXPECT_EQ(config.windowRope, RopeConfig{});
  EXPECT_EQ(config.compressRope, (RopeConfig{160000, 4, 32, 1, 256}));
  EXPECT_EQ(config.draft.mtpLayers, 0);
  EXPECT_EQ(config.storage.linear, WeightType::F8E4M3);
  EXPECT_EQ(config.storage.experts, WeightType::F4E2M1);
  EXPECT_EQ(config.storage.dense, WeightType::BF16);
  EXPECT_EQ(config.storage.scaleBlockRows, 128);
  EXPECT_EQ(config.storage.scaleBlockColumns, 128);
}

TEST(HfConfigTest, readsTheTransformersDialect) {
  ModelConfig config = readCase("flash-tiny");
  EXPECT_EQ(describeLayers(config), "S/hash S/hash C4 H32 C4 H32");
  EXPECT_EQ(config.headDim, 64);
  EXPECT_EQ(config.ropeDim, 16);
  EXPECT_EQ(config.windowRope, RopeConfig{});
  EXPECT_EQ(config.compressRope, (RopeConfig{160000, 4, 32, 1, 256}));
  EXPECT_EQ(config.storage.linear, WeightType::F32);
  EXPECT_EQ(config.storage.experts, WeightType::F32);
  EXPECT_EQ(config.storage.dense, WeightType::F32);
}

TEST(HfConfigTest, readsModelsWithoutSlidingLayers) {
  EXPECT_EQ(describeLayers(readInput("native-pro-tiny")),
            "H128/hash H128/hash C4/hash H128 C4");
  EXPECT_EQ(readInput("native-pro-tiny").swigluLimit, 3);
  EXPECT_EQ(describeLayers(readInput("pro-tiny")),
            "H32/hash H32/hash C4/hash H32 C4 H32");
}

TEST(HfConfigTest, readsEveryReferenceCase) {
  for (StringRef name : {"csa-first", "hca-only", "one-token-prompt",
                         "sliding-only", "tied-scores", "wide-topk"})
    EXPECT_EQ(messageOf(validate(readCase(name))), "") << name.str();
}

// Written by transformers 5.17 from a configuration without arguments. Its
// layer list is its own invention (specification 1.2), and read as such.
TEST(HfConfigTest, readsWhatTransformersWritesByDefault) {
  ModelConfig config = readInput("transformers-defaults");
  EXPECT_EQ(layerString(config), "H3(CH)20");
  EXPECT_EQ(config.compressRope, plainRope(160000));
  EXPECT_EQ(config.storage.dense, WeightType::F32);
  // transformers neither loads nor saves the block that the file counts.
  EXPECT_EQ(config.draft.mtpLayers, 0);
}

// native-flash-tiny, read and written again by transformers 5.17.
TEST(HfConfigTest, transformersRewritingAFileDoesNotChangeTheModel) {
  ModelConfig ours = readCase("native-flash-tiny");
  ModelConfig theirs = readInput("transformers-resaved");
  EXPECT_EQ(theirs.layers, ours.layers);
  EXPECT_EQ(theirs.windowRope, ours.windowRope);
  EXPECT_EQ(theirs.compressRope, ours.compressRope);
  EXPECT_EQ(theirs.ropeDim, ours.ropeDim);
  EXPECT_EQ(theirs.storage.experts, WeightType::F4E2M1);
  EXPECT_EQ(theirs.storage.linear, WeightType::F8E4M3);
}

// Written by transformers 5.17 with every field away from its default.
TEST(HfConfigTest, readsEveryFieldThatTransformersWrites) {
  ModelConfig config = readInput("transformers-all-fields");
  EXPECT_EQ(describeLayers(config), "H10 S/hash C3 C3/hash S");
  EXPECT_EQ(config.ropeDim, 12);
  EXPECT_EQ(config.streams, 2);
  EXPECT_EQ(config.sinkhornIterations, 5);
  EXPECT_EQ(config.streamEpsilon, 1e-5);
  EXPECT_EQ(config.normEpsilon, 1e-5);
  EXPECT_EQ(config.scoring, ScoringFunction::Sigmoid);
  EXPECT_EQ(config.routeScale, 2.25);
  EXPECT_EQ(config.swigluLimit, 0) << "an infinite clamp is none";
  // Ignored by its model: it always normalises, and builds one expert.
  EXPECT_TRUE(config.normalizeRouteWeights);
  EXPECT_EQ(config.numSharedExperts, 1);
  // The nested tables count; the plain fields hold transformers' defaults.
  EXPECT_EQ(config.windowRope, plainRope(5000));
  EXPECT_EQ(config.compressRope, (RopeConfig{40000, 8, 24, 2, 256}));
  EXPECT_EQ(config.bosTokenId, -1);
  EXPECT_EQ(config.eosTokenId, 7);
  EXPECT_THAT(config.otherEosTokenIds, ElementsAre(8));
}

//===----------------------------------------------------------------------===//
// Variations on a file
//===----------------------------------------------------------------------===//

/// A released-style file with `changes` (an object) merged into it; null
/// removes a field.
ModelConfig parseChanged(StringRef caseName, StringRef changes) {
  auto buffer =
      llvm::cantFail(llvm::errorOrToExpected(llvm::MemoryBuffer::getFile(
          VARVE_TEST_DATA "/" + Twine(caseName) + "/config.json")));
  llvm::json::Value text =
      llvm::cantFail(llvm::json::parse(buffer->getBuffer()));
  llvm::json::Value edits = llvm::cantFail(llvm::json::parse(changes));
  for (auto &[name, value] : *edits.getAsObject())
    (*text.getAsObject())[name] = value;
  return valueOf(parseHfConfig(llvm::formatv("{0}", text).str(), "changed"));
}

TEST(HfConfigTest, takesTransformersDefaultsOnlyInItsDialect) {
  ModelConfig config = parseChanged("flash-tiny", R"({
    "hc_eps": null, "rms_norm_eps": null, "hc_sinkhorn_iters": null,
    "scoring_func": null, "routed_scaling_factor": null, "swiglu_limit": null,
    "max_position_embeddings": null, "mlp_layer_types": null,
    "compress_rates": null, "rope_parameters": null, "rope_theta": null,
    "compress_rope_theta": null, "n_shared_experts": null})");
  EXPECT_EQ(describeLayers(config), "S/hash S/hash C4/hash H128 C4 H128");
  EXPECT_EQ(config.sinkhornIterations, 20);
  EXPECT_EQ(config.routeScale, 1.5);
  EXPECT_EQ(config.swigluLimit, 10);
  EXPECT_EQ(config.maxPositions, 1048576);
  EXPECT_EQ(config.windowRope, RopeConfig{});
  EXPECT_EQ(config.compressRope, plainRope(160000));
}

TEST(HfConfigTest, everyOtherRatioIsHcaInTheOfficialDialect) {
  ModelConfig config = parseChanged("native-flash-tiny", R"({
    "compress_ratios": [1, 0, 4, 64, 5, 0, 0]})");
  EXPECT_EQ(describeLayers(config), "H1/hash S C4 H64 H5");
}

TEST(HfConfigTest, readsMixedForms) {
  ModelConfig config = parseChanged("native-flash-tiny", R"({
    "layer_types": ["sliding_attention", "sliding_attention",
                    "compressed_sparse_attention",
                    "heavily_compressed_attention",
                    "compressed_sparse_attention"],
    "compress_rate_csa": 4, "compress_rate_hca": 128,
    "mlp_layer_types": ["hash_moe", "moe", "moe", "moe", "moe"],
    "rope_scaling": null,
    "rope_parameters": {"rope_type": "yarn", "factor": 4,
                        "rope_theta": 10000,
                        "original_max_position_embeddings": 256}})");
  EXPECT_EQ(config.layers, readCase("native-flash-tiny").layers);
  EXPECT_EQ(config.compressRope, (RopeConfig{160000, 4, 32, 1, 256}));

  config = parseChanged("flash-tiny", R"({
    "compress_rates": null, "compress_rate_hca": 16,
    "mlp_layer_types": null, "num_hash_layers": 1})");
  EXPECT_EQ(describeLayers(config), "S/hash S C4 H16 C4 H16");
}

TEST(HfConfigTest, hashLayersBeyondTheLastMeanAll) {
  ModelConfig config =
      parseChanged("native-flash-tiny", R"({"num_hash_layers": 9})");
  EXPECT_EQ(describeLayers(config), "S/hash S/hash C4/hash H128/hash C4/hash");
}

TEST(HfConfigTest, readsDraftHeads) {
  ModelConfig config =
      parseChanged("native-flash-tiny", R"({"num_nextn_predict_layers": 1})");
  EXPECT_EQ(config.draft.mtpLayers, 1);
  EXPECT_EQ(config.draft.dsparkStages, 0);

  // Names and counts: specification 1.1 and 10.2.
  config = parseChanged("native-flash-tiny", R"({
    "num_nextn_predict_layers": 1,
    "compress_ratios": [0, 0, 4, 128, 4, 0, 0, 0],
    "dspark_block_size": 5, "dspark_noise_token_id": 255,
    "dspark_target_layer_ids": [2, 3, 4], "dspark_markov_rank": 16})");
  EXPECT_EQ(config.numLayers(), 5);
  EXPECT_EQ(config.draft.mtpLayers, 0);
  EXPECT_EQ(config.draft.dsparkStages, 3);
  EXPECT_EQ(config.draft.dsparkBlockSize, 5);
  EXPECT_EQ(config.draft.dsparkNoiseTokenId, 255);
  EXPECT_EQ(config.draft.dsparkMarkovRank, 16);
  EXPECT_THAT(config.draft.dsparkTargetLayers, ElementsAre(2, 3, 4));
}

TEST(HfConfigTest, derivesElementTypes) {
  // The released Base checkpoints have FP8 experts and no expert_dtype.
  StorageConfig storage =
      parseChanged("native-flash-tiny", R"({"expert_dtype": null})").storage;
  EXPECT_EQ(storage.experts, WeightType::F8E4M3);
  storage = parseChanged("native-flash-tiny", R"({
    "quantization_config": null, "expert_dtype": null,
    "torch_dtype": "float16"})")
                .storage;
  EXPECT_EQ(storage.linear, WeightType::F16);
  EXPECT_EQ(storage.experts, WeightType::F16);
  EXPECT_EQ(storage.dense, WeightType::F16);
  storage = parseChanged("native-flash-tiny", R"({
    "expert_dtype": "bfloat16", "dtype": "bfloat16"})")
                .storage;
  EXPECT_EQ(storage.linear, WeightType::F8E4M3);
  EXPECT_EQ(storage.experts, WeightType::BF16);
}

TEST(HfConfigTest, indexSizesMayBeAbsentWithoutIndexer) {
  ModelConfig config = parseChanged("native-flash-tiny", R"({
    "compress_ratios": [0, 0, 128, 128, 0],
    "index_topk": null, "index_n_heads": null, "index_head_dim": null})");
  EXPECT_EQ(describeLayers(config), "S/hash S H128 H128 S");
  EXPECT_EQ(config.indexTopk, 0);
}

TEST(HfConfigTest, rotarySizeMayBeGivenAsAFraction) {
  ModelConfig config = parseChanged("flash-tiny", R"({
    "qk_rope_head_dim": null, "partial_rotary_factor": 0.5,
    "rope_parameters": null})");
  EXPECT_EQ(config.ropeDim, 32);
}

TEST(HfConfigTest, ignoresWhatSaysNothingAboutTheModel) {
  EXPECT_EQ(describeLayers(parseChanged("native-flash-tiny", R"({
    "_name_or_path": "x", "_anything": [1], "auto_map": {"AutoConfig": "a.B"},
    "id2label": {"0": "a"}, "label2id": {"a": 0}, "return_dict": true,
    "chunk_size_feed_forward": 0, "output_hidden_states": true,
    "output_attentions": true, "problem_type": null, "is_encoder_decoder": false,
    "pad_token_id": -1, "temperature": 1.0, "max_length": 20,
    "name_or_path": "", "attn_implementation": "eager",
    "qk_head_dim": 192, "v_head_dim": 192, "qk_nope_head_dim": 128,
    "num_local_experts": 8, "intermediate_size": 128, "n_group": 1,
    "first_k_dense_replace": 0})")),
            "S/hash S C4 H128 C4");
}

} // namespace
