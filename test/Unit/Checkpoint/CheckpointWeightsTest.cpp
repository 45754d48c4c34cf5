//===- CheckpointWeightsTest.cpp - Weights of a checkpoint by name --------===//

#include "lib/Checkpoint/CheckpointWeights.h"
#include "lib/Model/HfConfig.h"
#include "test/Unit/Checkpoint/CheckpointTestUtils.h"
#include "gmock/gmock.h"

using namespace varve;
using namespace varve::test;

namespace {

class CheckpointWeightsTest : public testing::Test {
protected:
  std::unique_ptr<CheckpointWeights> open(const StoredTensors &tensors,
                                          const ModelConfig &config) {
    folder.write("model.safetensors", fileBytes(tensors));
    auto weights = CheckpointWeights::open(folder.path(), config);
    if (weights)
      return std::move(*weights);
    error = errorText(weights.takeError(), folder);
    return nullptr;
  }

  /// The problems that opening reports, without the headline.
  std::string problemsOf(const StoredTensors &tensors,
                         const ModelConfig &config) {
    if (open(tensors, config))
      return "no error";
    llvm::StringRef text = error;
    EXPECT_TRUE(text.consume_front("folder: the tensors do not match the "
                                   "model's configuration\n  "))
        << error;
    return text.str();
  }

  std::vector<float> row(const CheckpointWeights &weights, llvm::StringRef name,
                         int64_t number) {
    auto info = weights.lookup(name);
    if (!info) {
      ADD_FAILURE() << llvm::toString(info.takeError());
      return {};
    }
    auto tensor = weights.open(name, info->type, info->shape);
    if (!tensor) {
      ADD_FAILURE() << llvm::toString(tensor.takeError());
      return {};
    }
    std::vector<float> values(info->shape.back());
    (*tensor)->readRow(number, llvm::MutableArrayRef<float>(values));
    return values;
  }

  TestFolder folder;
  std::string error;
};

using Floats = std::vector<float>;

TEST_F(CheckpointWeightsTest, AcceptsPlainAndQuantisedModels) {
  EXPECT_TRUE(open(storedTensors(smallConfig()), smallConfig())) << error;
  ModelConfig config = quantized(smallConfig());
  EXPECT_TRUE(open(storedTensors(config), config)) << error;
  config.storage.experts = WeightType::F8E4M3;
  EXPECT_TRUE(open(storedTensors(config), config)) << error;
}

// The files decide: a copy converted to BF16 keeps the FP8 configuration.
TEST_F(CheckpointWeightsTest, ReportsStoredTypesNotConfiguredOnes) {
  auto plain = open(storedTensors(smallConfig()), quantized(smallConfig()));
  ASSERT_TRUE(plain) << error;
  auto info = plain->lookup("layers.0.attn.wq_a.weight");
  ASSERT_TRUE(static_cast<bool>(info));
  EXPECT_EQ(info->type, WeightType::BF16);
  EXPECT_FALSE(plain->contains("layers.0.attn.wq_a.scale"));

  auto packed = open(storedTensors(quantized(smallConfig())), smallConfig());
  ASSERT_TRUE(packed) << error;
  info = packed->lookup("layers.0.ffn.experts.*.w1.weight");
  ASSERT_TRUE(static_cast<bool>(info));
  EXPECT_EQ(info->type, WeightType::F4E2M1);
  EXPECT_EQ(llvm::ArrayRef(info->shape), llvm::ArrayRef<int64_t>({3, 4, 8}));
  EXPECT_EQ(info->storedName, "layers.0.ffn.experts.0.w1.weight");
  EXPECT_EQ(info->storedType, SafetensorsType::I8);
  EXPECT_EQ(llvm::ArrayRef(info->storedShape), llvm::ArrayRef<int64_t>({4, 4}));
  EXPECT_EQ(llvm::sys::path::filename(info->file), "model.safetensors");
  info = packed->lookup("layers.0.ffn.experts.2.w1.scale");
  ASSERT_TRUE(static_cast<bool>(info));
  EXPECT_EQ(info->type, WeightType::F8E8M0);
  EXPECT_EQ(llvm::ArrayRef(info->shape), llvm::ArrayRef<int64_t>({4, 1}));
}

TEST_F(CheckpointWeightsTest, DecodesEveryType) {
  ModelConfig config = quantized(smallConfig());
  StoredTensors tensors = storedTensors(config);
  // One row of each, codes from the formats' definitions.
  tensors["embed.weight"].data.replace(16, 4, "\x80\x3F\x49\xC0", 4);
  tensors["norm.weight"] = {"F16", {8}, std::string(16, '\0')};
  tensors["norm.weight"].data.replace(0, 6, "\x00\x3C\x01\x00\xFF\xFB", 6);
  tensors["hc_head_base"].data = std::string("\0\0\x80\x3F\0\0\0\xC0", 8);
  tensors["layers.0.attn.wq_a.weight"].data.replace(8, 4, "\x38\xFE\x01\x80",
                                                    4);
  tensors["layers.0.attn.wq_a.scale"].data = "\x7D";
  tensors["layers.0.ffn.experts.1.w1.weight"].data =
      std::string(4, '\0') + "\x10\x32\x54\x76" + "\x98\xBA\xDC\xFE" +
      std::string(4, '\0');
  auto weights = open(tensors, config);
  ASSERT_TRUE(weights) << error;

  EXPECT_EQ(row(*weights, "embed.weight", 1),
            Floats({1.0f, -3.140625f, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(row(*weights, "norm.weight", 0),
            Floats({1.0f, 0x1p-24f, -65504.0f, 0, 0, 0, 0, 0}));
  EXPECT_EQ(row(*weights, "hc_head_base", 0), Floats({1.0f, -2.0f}));
  EXPECT_EQ(row(*weights, "layers.0.attn.wq_a.weight", 1),
            Floats({1.0f, -448.0f, 0x1p-9f, -0.0f, 0, 0, 0, 0}));
  EXPECT_EQ(row(*weights, "layers.0.attn.wq_a.scale", 0), Floats({0.25f}));
  // Low nibble first.
  EXPECT_EQ(row(*weights, "layers.0.ffn.experts.1.w1.weight", 1),
            Floats({0, 0.5f, 1, 1.5f, 2, 3, 4, 6}));
  EXPECT_EQ(row(*weights, "layers.0.ffn.experts.*.w1.weight", 4 + 2),
            Floats({-0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6}));

  auto table =
      weights->open("layers.0.ffn.gate.tid2eid", WeightType::I64, {6, 2});
  ASSERT_TRUE(static_cast<bool>(table)) << llvm::toString(table.takeError());
  std::vector<int64_t> ids(2);
  (*table)->readRow(5, llvm::MutableArrayRef<int64_t>(ids));
  EXPECT_EQ(ids, std::vector<int64_t>({0, 1}));
}

TEST_F(CheckpointWeightsTest, ReadsNarrowRoutingTables) {
  StoredTensors tensors = storedTensors(smallConfig());
  std::string data;
  for (int token = 0; token < 6; ++token)
    data += std::string("\2\0\0\0\1\0\0\0", 8);
  tensors["layers.0.ffn.gate.tid2eid"] = {"I32", {6, 2}, data};
  auto weights = open(tensors, smallConfig());
  ASSERT_TRUE(weights) << error;
  auto table =
      weights->open("layers.0.ffn.gate.tid2eid", WeightType::I32, {6, 2});
  ASSERT_TRUE(static_cast<bool>(table)) << llvm::toString(table.takeError());
  std::vector<int64_t> ids(2);
  (*table)->readRow(0, llvm::MutableArrayRef<int64_t>(ids));
  EXPECT_EQ(ids, std::vector<int64_t>({2, 1}));
}

/// `tensors` renamed to transformers' modules, experts fused.
StoredTensors fused(const StoredTensors &tensors, int64_t numExperts) {
  StoredTensors result;
  for (const auto &[name, tensor] : tensors) {
    TensorName parsed = *parseTensorName(name);
    std::string module = *spellTensorName(name, NamingScheme::Modules);
    if (parsed.expert < 0) {
      result[module] = tensor;
      continue;
    }
    // Map order is not expert order: place by number.
    llvm::StringRef pattern = parsed.pattern;
    bool isPair = !pattern.contains(".w2.");
    StoredTensor &stack = result[module];
    stack.type = tensor.type;
    stack.shape = {numExperts, (isPair ? 2 : 1) * tensor.shape[0],
                   tensor.shape[1]};
    size_t one = tensor.data.size();
    stack.data.resize(one * numExperts * (isPair ? 2 : 1));
    size_t at =
        isPair ? 2 * parsed.expert + pattern.contains(".w3.") : parsed.expert;
    stack.data.replace(at * one, one, tensor.data);
  }
  return result;
}

TEST_F(CheckpointWeightsTest, ReadsFusedExpertsAsSeparateOnes) {
  for (WeightType type :
       {WeightType::BF16, WeightType::F8E4M3, WeightType::F4E2M1}) {
    ModelConfig config = quantized(smallConfig());
    config.storage.experts = type;
    config.storage.scaleBlockRows = 2;
    config.storage.scaleBlockColumns = 4;
    config.storage.expertScaleBlock = 4;
    StoredTensors tensors = storedTensors(config);
    // Every byte different in the experts, and no NaN among them.
    unsigned next = 0;
    for (auto &[name, tensor] : tensors)
      if (llvm::StringRef(name).contains("experts."))
        for (char &byte : tensor.data)
          byte = static_cast<char>(next++ % 0x7E);
    auto separate = open(tensors, config);
    ASSERT_TRUE(separate) << error;
    std::vector<std::pair<std::string, std::vector<Floats>>> rows;
    for (const char *name : {"w1.weight", "w3.weight", "w2.weight", "w1.scale",
                             "w3.scale", "w2.scale"}) {
      std::string pattern = std::string("layers.1.ffn.experts.*.") + name;
      if (!separate->contains(pattern))
        continue;
      auto info = separate->lookup(pattern);
      ASSERT_TRUE(static_cast<bool>(info));
      auto &all = rows.emplace_back(pattern, std::vector<Floats>()).second;
      for (int64_t i = 0; i < info->shape[0] * info->shape[1]; ++i)
        all.push_back(row(*separate, pattern, i));
    }
    EXPECT_EQ(rows.size(), type == WeightType::BF16 ? 3u : 6u);
    separate.reset();

    auto stacked = open(fused(tensors, config.numExperts), config);
    ASSERT_TRUE(stacked) << error;
    EXPECT_EQ(stacked->lookup("layers.1.ffn.experts.1.w3.weight")->storedName,
              "model.layers.1.mlp.experts.gate_up_proj");
    for (const auto &[pattern, all] : rows)
      for (const auto &[i, expected] : llvm::enumerate(all))
        EXPECT_EQ(row(*stacked, pattern, i), expected) << pattern << " " << i;
    // One expert alone.
    auto info = stacked->lookup("layers.1.ffn.experts.2.w3.weight");
    ASSERT_TRUE(static_cast<bool>(info));
    EXPECT_EQ(row(*stacked, "layers.1.ffn.experts.2.w3.weight", 1),
              row(*stacked, "layers.1.ffn.experts.*.w3.weight",
                  2 * info->shape[0] + 1));
  }
}

TEST_F(CheckpointWeightsTest, RefusesFusedScalesThatSpanMatrices) {
  ModelConfig config = quantized(smallConfig());
  config.storage.experts = WeightType::F8E4M3;
  config.storage.scaleBlockRows = 3;
  EXPECT_THAT(
      problemsOf(fused(storedTensors(config), config.numExperts), config),
      testing::StartsWith(
          "'model.layers.0.mlp.experts.gate_up_proj_scale_inv' in "
          "'model.safetensors' holds scales that span w1 and w3, whose 4 rows "
          "are no multiple of a block's 3\n"));
}

TEST_F(CheckpointWeightsTest, RefusesWrongStacks) {
  ModelConfig config = smallConfig();
  StoredTensors tensors = fused(storedTensors(config), config.numExperts);
  tensors["model.layers.0.mlp.experts.gate_up_proj"] = {
      "BF16", {2, 8, 8}, std::string(256, '\0')};
  tensors["model.layers.1.mlp.experts.down_proj"] = {
      "BF16", {3, 4, 8}, std::string(192, '\0')};
  EXPECT_EQ(problemsOf(tensors, config),
            "'model.layers.0.mlp.experts.gate_up_proj' in 'model.safetensors' "
            "is BF16 [2, 8, 8] but expected a stack of 3 experts, w1 and w3 "
            "in each\n"
            "  'model.layers.1.mlp.experts.down_proj' in 'model.safetensors' "
            "is BF16 [4, 8] but expected [8, 4]");
}

TEST_F(CheckpointWeightsTest, ListsMissingTensorsWithNearestNames) {
  StoredTensors tensors = storedTensors(smallConfig());
  tensors["layers.0.attn.wqa.weight"] = tensors["layers.0.attn.wq_a.weight"];
  tensors.erase("layers.0.attn.wq_a.weight");
  tensors.erase("layers.1.ffn.experts.2.w3.weight");
  for (int expert = 0; expert < 3; ++expert)
    tensors.erase("layers.2.ffn.experts." + std::to_string(expert) +
                  ".w2.weight");
  EXPECT_EQ(problemsOf(tensors, smallConfig()),
            "missing 'layers.0.attn.wq_a.weight'; did you mean "
            "'layers.0.attn.wqa.weight'?\n"
            "  missing 'layers.2.ffn.experts.*.w2.weight', 3 tensors\n"
            "  missing 'layers.1.ffn.experts.2.w3.weight'\n"
            "  'layers.0.attn.wqa.weight' in 'model.safetensors' has a name "
            "that Varve does not know");
}

TEST_F(CheckpointWeightsTest, ListsSurplusTensors) {
  StoredTensors tensors = storedTensors(smallConfig());
  // Layer 0 routes by hash and has no compressor.
  tensors["layers.0.ffn.gate.bias"] = {"F32", {3}, std::string(12, '\0')};
  tensors["layers.0.attn.compressor.norm.weight"] = tensors["norm.weight"];
  for (int expert = 3; expert < 5; ++expert)
    tensors["layers.0.ffn.experts." + std::to_string(expert) + ".w1.weight"] =
        tensors["layers.0.ffn.experts.2.w1.weight"];
  tensors["layers.0.ffn.experts.*.w1.weight"] =
      tensors["layers.0.ffn.experts.2.w1.weight"];
  EXPECT_EQ(problemsOf(tensors, smallConfig()),
            "'layers.0.ffn.experts.3.w1.weight' in 'model.safetensors' belongs "
            "to expert 3 but the model has 3 experts\n"
            "  'layers.0.ffn.experts.4.w1.weight' in 'model.safetensors' "
            "belongs to expert 4 but the model has 3 experts\n"
            "  'layers.0.ffn.experts.*.w1.weight' in 'model.safetensors' has a "
            "name that Varve does not know\n"
            "  'layers.0.attn.compressor.norm.weight' in 'model.safetensors' "
            "is not part of the configured model\n"
            "  'layers.0.ffn.gate.bias' in 'model.safetensors' is not part of "
            "the configured model");
}

TEST_F(CheckpointWeightsTest, ListsScalesOfUnscaledExpertsOnce) {
  StoredTensors tensors = storedTensors(smallConfig());
  for (int expert = 0; expert < 3; ++expert)
    tensors["layers.0.ffn.experts." + std::to_string(expert) + ".w1.scale"] = {
        "F8_E8M0", {4, 1}, std::string(4, '\0')};
  EXPECT_EQ(problemsOf(tensors, smallConfig()),
            "'layers.0.ffn.experts.0.w1.scale' in 'model.safetensors' is the "
            "scale of a weight that is bf16 and needs none");
}

TEST_F(CheckpointWeightsTest, CountsLayers) {
  ModelConfig longer = smallConfig();
  longer.layers.push_back(longer.layers.back());
  longer.layers.push_back(longer.layers.back());
  EXPECT_EQ(problemsOf(storedTensors(longer), smallConfig()),
            "the checkpoint has 5 layers but the model has 3");
  EXPECT_EQ(problemsOf(storedTensors(smallConfig()), longer),
            "the checkpoint has 3 layers but the model has 5");
}

TEST_F(CheckpointWeightsTest, ListsSurplusDraftBlocksByKind) {
  ModelConfig one = smallConfig();
  one.draft.mtpLayers = 1;
  StoredTensors tensors = storedTensors(one);
  for (int expert = 0; expert < 3; ++expert)
    tensors["mtp.1.ffn.experts." + std::to_string(expert) + ".w1.weight"] =
        tensors["layers.0.ffn.experts.2.w1.weight"];
  EXPECT_EQ(problemsOf(tensors, one),
            "'mtp.1.ffn.experts.0.w1.weight' in 'model.safetensors' is not "
            "part of the configured model, nor are 2 other experts' tensors "
            "'mtp.1.ffn.experts.*.w1.weight'");
}

TEST_F(CheckpointWeightsTest, RefusesTheSameTensorTwice) {
  StoredTensors tensors = storedTensors(smallConfig());
  tensors["model.norm.weight"] = tensors["norm.weight"];
  tensors["model.layers.0.mlp.experts.down_proj"] = {
      "BF16", {3, 8, 4}, std::string(192, '\0')};
  EXPECT_EQ(problemsOf(tensors, smallConfig()),
            "'norm.weight' in 'model.safetensors' and 'model.norm.weight' in "
            "'model.safetensors' are the same tensor under two names\n"
            "  'model.layers.0.mlp.experts.down_proj' in 'model.safetensors' "
            "and 'layers.0.ffn.experts.0.w2.weight' in 'model.safetensors' "
            "both hold 'layers.0.ffn.experts.*.w2.weight'");
}

TEST_F(CheckpointWeightsTest, CutsLongReports) {
  std::string problems = problemsOf({}, smallConfig());
  EXPECT_THAT(problems, testing::StartsWith("missing 'embed.weight'\n"));
  EXPECT_THAT(problems, testing::EndsWith(" more"));
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 10);
}

TEST_F(CheckpointWeightsTest, RefusesWrongShapesAndTypes) {
  auto problemOf = [&](llvm::StringRef name, StoredTensor tensor) {
    ModelConfig config = quantized(smallConfig());
    StoredTensors tensors = storedTensors(config);
    EXPECT_TRUE(tensors.count(name.str())) << name.str();
    tensors[name.str()] = std::move(tensor);
    std::string problem = problemsOf(tensors, config);
    llvm::StringRef text = problem;
    std::string front =
        ("'" + name + "'").str() + " in 'model.safetensors' is ";
    EXPECT_TRUE(text.consume_front(front)) << problem;
    return text.str();
  };
  EXPECT_EQ(problemOf("norm.weight", {"BF16", {7}, std::string(14, '\0')}),
            "BF16 [7] but expected [8]");
  EXPECT_EQ(problemOf("norm.weight", {"BF16", {1, 8}, std::string(16, '\0')}),
            "BF16 [1, 8] but expected [8]");
  EXPECT_EQ(problemOf("norm.weight", {"F8_E4M3", {8}, std::string(8, '\0')}),
            "F8_E4M3 but expected F32, BF16 or F16");
  EXPECT_EQ(problemOf("layers.0.attn.wq_a.weight",
                      {"I8", {5, 4}, std::string(20, '\0')}),
            "I8 but expected F32, BF16, F16 or F8_E4M3");
  EXPECT_EQ(problemOf("layers.0.attn.wq_a.weight",
                      {"F8_E5M2", {5, 8}, std::string(40, '\0')}),
            "F8_E5M2 but expected F32, BF16, F16 or F8_E4M3");
  // Transposed.
  EXPECT_EQ(problemOf("layers.0.attn.wq_a.weight",
                      {"F8_E4M3", {8, 5}, std::string(40, '\0')}),
            "F8_E4M3 [8, 5] but expected [5, 8]");
  EXPECT_EQ(problemOf("layers.0.attn.wq_a.scale",
                      {"F8_E8M0", {1, 2}, std::string(2, '\0')}),
            "F8_E8M0 [1, 2] but expected [1, 1]");
  EXPECT_EQ(problemOf("layers.0.attn.wq_a.scale",
                      {"BF16", {1, 1}, std::string(2, '\0')}),
            "BF16 but expected F8_E8M0 or F32");
  EXPECT_EQ(problemOf("layers.0.ffn.experts.1.w1.weight",
                      {"I8", {4, 8}, std::string(32, '\0')}),
            "I8 [4, 8] but expected [4, 4]");
  EXPECT_EQ(problemOf("layers.0.ffn.experts.1.w1.weight",
                      {"F4", {4, 8}, std::string(16, '\0')}),
            "F4 but expected F32, BF16, F16, F8_E4M3 or I8 (packed FP4)");
  EXPECT_EQ(problemOf("layers.0.ffn.experts.1.w1.scale",
                      {"F32", {4, 1}, std::string(16, '\0')}),
            "F32 but expected F8_E8M0");
  EXPECT_EQ(problemOf("layers.0.ffn.gate.tid2eid",
                      {"U8", {6, 2}, std::string(12, '\0')}),
            "U8 but expected I64 or I32");
}

TEST_F(CheckpointWeightsTest, AcceptsFloat32ScalesOfFP8) {
  ModelConfig config = quantized(smallConfig());
  StoredTensors tensors = storedTensors(config);
  tensors["layers.0.attn.wq_a.scale"] = {
      "F32", {1, 1}, std::string("\0\0\0\x3F", 4)};
  auto weights = open(tensors, config);
  ASSERT_TRUE(weights) << error;
  EXPECT_EQ(weights->lookup("layers.0.attn.wq_a.scale")->type, WeightType::F32);
  EXPECT_EQ(row(*weights, "layers.0.attn.wq_a.scale", 0), Floats({0.5f}));
}

TEST_F(CheckpointWeightsTest, RefusesScalesThatDoNotFit) {
  ModelConfig config = quantized(smallConfig());
  StoredTensors tensors = storedTensors(config);
  tensors.erase("layers.0.attn.wq_a.scale");
  tensors["layers.0.attn.wq_b.weight"] = {
      "BF16", {24, 5}, std::string(240, '\0')};
  EXPECT_EQ(problemsOf(tensors, config),
            "missing 'layers.0.attn.wq_a.scale': 'layers.0.attn.wq_a.weight' "
            "in 'model.safetensors' is FP8 and needs a scale\n"
            "  'layers.0.attn.wq_b.scale' in 'model.safetensors' is the scale "
            "of a weight that is bf16 and needs none");
}

TEST_F(CheckpointWeightsTest, RefusesMixedExperts) {
  ModelConfig config = quantized(smallConfig());
  StoredTensors tensors = storedTensors(config);
  tensors["layers.0.ffn.experts.1.w1.weight"] = {
      "BF16", {4, 8}, std::string(64, '\0')};
  for (int expert = 0; expert < 3; ++expert) {
    std::string stem = "layers.1.ffn.experts." + std::to_string(expert);
    tensors[stem + ".w2.weight"] = {"BF16", {8, 4}, std::string(64, '\0')};
    tensors.erase(stem + ".w2.scale");
  }
  EXPECT_EQ(problemsOf(tensors, config),
            "expected the experts of a layer to have one type but "
            "'layers.0.ffn.experts.1.w1.weight' in 'model.safetensors' is BF16 "
            "and 'layers.0.ffn.experts.0.w1.weight' is I8\n"
            "  expected the experts of a layer to have one type but "
            "'layers.1.ffn.experts.*.w2.weight' is bf16 and "
            "'layers.1.ffn.experts.*.w1.weight' is f4E2M1");
}

TEST_F(CheckpointWeightsTest, RefusesPackedOddWidths) {
  ModelConfig config = smallConfig();
  config.expertSize = 5;
  StoredTensors tensors = storedTensors(config);
  for (int expert = 0; expert < 3; ++expert)
    tensors["layers.0.ffn.experts." + std::to_string(expert) + ".w2.weight"] = {
        "I8", {8, 3}, std::string(24, '\0')};
  EXPECT_EQ(problemsOf(tensors, config),
            "'layers.0.ffn.experts.0.w2.weight' in 'model.safetensors' is "
            "packed FP4, which needs an even number of columns, but the "
            "weight has 5");
}

TEST_F(CheckpointWeightsTest, IgnoresDraftBlocksThatTheModelLacks) {
  ModelConfig withDraft = smallConfig();
  withDraft.draft.mtpLayers = 1;
  StoredTensors tensors = storedTensors(withDraft);
  tensors["mtp.0.something.new"] = tensors["norm.weight"];
  auto weights = open(tensors, smallConfig());
  ASSERT_TRUE(weights) << error;
  EXPECT_FALSE(weights->hasDraft());
  EXPECT_FALSE(weights->contains("mtp.0.e_proj.weight"));
}

TEST_F(CheckpointWeightsTest, DraftBlocksMayBeAbsentAsAWhole) {
  ModelConfig withDraft = smallConfig();
  withDraft.draft.mtpLayers = 1;
  auto without = open(storedTensors(smallConfig()), withDraft);
  ASSERT_TRUE(without) << error;
  EXPECT_FALSE(without->hasDraft());

  StoredTensors tensors = storedTensors(withDraft);
  tensors["mtp.0.embed.weight"] = tensors["embed.weight"];
  auto with = open(tensors, withDraft);
  ASSERT_TRUE(with) << error;
  EXPECT_TRUE(with->hasDraft());
  EXPECT_TRUE(with->contains("mtp.0.e_proj.weight"));

  tensors.erase("mtp.0.e_proj.weight");
  tensors["mtp.0.something.new"] = tensors["norm.weight"];
  EXPECT_EQ(problemsOf(tensors, withDraft),
            "missing 'mtp.0.e_proj.weight'\n"
            "  'mtp.0.something.new' in 'model.safetensors' has a name that "
            "Varve does not know");
}

TEST_F(CheckpointWeightsTest, RefusesOpeningWhatIsNotDeclaredSo) {
  auto weights = open(storedTensors(smallConfig()), smallConfig());
  ASSERT_TRUE(weights) << error;
  auto errorOf = [&](llvm::StringRef name, WeightType type,
                     llvm::ArrayRef<int64_t> shape) {
    auto tensor = weights->open(name, type, shape);
    return tensor ? "no error" : errorText(tensor.takeError(), folder);
  };
  EXPECT_EQ(errorOf("norm.weight", WeightType::F32, {8}),
            "model.safetensors: tensor 'norm.weight' is bf16 [8] in the "
            "checkpoint but the module declares f32 [8]");
  EXPECT_EQ(
      errorOf("layers.0.ffn.experts.*.w1.weight", WeightType::BF16, {4, 8}),
      "model.safetensors: tensor 'layers.0.ffn.experts.*.w1.weight' is "
      "bf16 [3, 4, 8] in the checkpoint but the module declares bf16 "
      "[4, 8]");
  EXPECT_EQ(errorOf("layers.0.attn.wqa.weight", WeightType::BF16, {5, 8}),
            "folder: the checkpoint has no tensor 'layers.0.attn.wqa.weight'; "
            "did you mean 'layers.0.attn.wq_a.weight'?");
  EXPECT_EQ(errorOf("model.norm.weight", WeightType::BF16, {8}),
            "folder: the checkpoint has no tensor 'model.norm.weight'");
  EXPECT_EQ(
      errorOf("layers.0.ffn.experts.3.w1.weight", WeightType::BF16, {4, 8}),
      "folder: the checkpoint has no tensor "
      "'layers.0.ffn.experts.3.w1.weight': the model has 3 experts");
}

TEST_F(CheckpointWeightsTest, ChecksRoutingTablesOnOpening) {
  auto errorOf = [&](std::vector<int64_t> firstRow) {
    StoredTensors tensors = storedTensors(smallConfig());
    tensors["layers.0.ffn.gate.tid2eid"].data.replace(16, 16,
                                                      integers(firstRow));
    auto weights = open(tensors, smallConfig());
    EXPECT_TRUE(weights) << error;
    auto table =
        weights->open("layers.0.ffn.gate.tid2eid", WeightType::I64, {6, 2});
    EXPECT_FALSE(table);
    std::string text = errorText(table.takeError(), folder);
    EXPECT_EQ(
        errorText(weights->verifyValues("layers.0.ffn.gate.tid2eid"), folder),
        text);
    return text;
  };
  std::string front = "model.safetensors: tensor 'layers.0.ffn.gate.tid2eid': "
                      "token 1 is routed to ";
  EXPECT_EQ(errorOf({2, 3}), front + "expert 3, but the model has 3 experts");
  EXPECT_EQ(errorOf({-1, 0}), front + "expert -1, but the model has 3 experts");
  EXPECT_EQ(errorOf({2, 2}), front + "expert 2 twice");
}

TEST_F(CheckpointWeightsTest, VerifiesValuesWhenAsked) {
  ModelConfig config = quantized(smallConfig());
  auto errorOf = [&](llvm::StringRef name, size_t at, llvm::StringRef bytes) {
    StoredTensors tensors = storedTensors(config);
    tensors[name.str()].data.replace(at, bytes.size(), bytes.str());
    auto weights = open(tensors, config);
    EXPECT_TRUE(weights) << error;
    return errorText(weights->verifyValues(), folder);
  };
  EXPECT_EQ(errorOf("norm.weight", 0, llvm::StringRef("\0\0", 2)), "");
  std::string front =
      "folder: the checkpoint has values that no model can have\n"
      "  model.safetensors: tensor ";
  EXPECT_EQ(errorOf("layers.0.attn.wq_a.weight", 9, "\xFF"),
            front + "'layers.0.attn.wq_a.weight' "
                    "('layers.0.attn.wq_a.weight') has a NaN code (0x7F or "
                    "0xFF) in row 1, column 1");
  EXPECT_EQ(errorOf("layers.0.ffn.experts.2.w1.scale", 3, "\xFF"),
            front + "'layers.0.ffn.experts.2.w1.scale' "
                    "('layers.0.ffn.experts.2.w1.scale') has a NaN scale (code "
                    "255) in row 3, column 0");
  EXPECT_EQ(errorOf("embed.weight", 16, "\x80\x7F"),
            front + "'embed.weight' ('embed.weight') has a value that is not "
                    "finite in row 1, column 0");
  EXPECT_EQ(errorOf("hc_head_base", 4, llvm::StringRef("\0\0\xC0\xFF", 4)),
            front + "'hc_head_base' ('hc_head_base') has a value that is not "
                    "finite in row 0, column 1");
  // The byte is no NaN in FP4.
  EXPECT_EQ(errorOf("layers.0.ffn.experts.2.w1.weight", 0, "\xFF"), "");
}

TEST_F(CheckpointWeightsTest, ChecksScalesOnOpening) {
  ModelConfig config = quantized(smallConfig());
  StoredTensors tensors = storedTensors(config);
  tensors["layers.0.ffn.experts.2.w1.scale"].data[3] = '\xFF';
  auto weights = open(tensors, config);
  ASSERT_TRUE(weights) << error;
  auto errorOf = [&](llvm::StringRef name) {
    auto info = llvm::cantFail(weights->lookup(name));
    auto tensor = weights->open(name, info.type, info.shape);
    return errorText(tensor.takeError(), folder);
  };
  EXPECT_EQ(errorOf("layers.0.ffn.experts.*.w1.scale"),
            "model.safetensors: tensor 'layers.0.ffn.experts.2.w1.scale' "
            "('layers.0.ffn.experts.2.w1.scale') has a NaN scale (code 255) in "
            "row 3, column 0");
  EXPECT_EQ(errorOf("layers.0.ffn.experts.*.w3.scale"), "");
}

TEST_F(CheckpointWeightsTest, VerifiesFloat32Scales) {
  ModelConfig config = quantized(smallConfig());
  StoredTensors tensors = storedTensors(config);
  tensors["layers.0.attn.wq_a.scale"] = {
      "F32", {1, 1}, std::string("\0\0\0\xBF", 4)};
  auto weights = open(tensors, config);
  ASSERT_TRUE(weights) << error;
  EXPECT_EQ(
      errorText(weights->verifyValues("layers.0.attn.wq_a.scale"), folder),
      "model.safetensors: tensor 'layers.0.attn.wq_a.scale' "
      "('layers.0.attn.wq_a.scale') has a scale that is negative or not "
      "finite in row 0, column 0");
  EXPECT_EQ(
      errorText(weights->verifyValues("layers.0.attn.wq_b.scale"), folder), "");
}

// Configurations and weights as transformers and DeepSeek's program wrote them.
TEST_F(CheckpointWeightsTest, OpensWhatOtherProgramsWrote) {
  for (const char *name :
       {"flash-tiny", "csa-first", "hca-only", "one-token-prompt",
        "sliding-only", "tied-scores", "wide-topk", "native-flash-tiny"}) {
    std::string path = std::string(VARVE_TEST_DATA "/") + name;
    llvm::Expected<ModelConfig> config = readHfConfig(path + "/config.json");
    ASSERT_TRUE(static_cast<bool>(config))
        << llvm::toString(config.takeError());
    auto weights = CheckpointWeights::open(path, *config);
    ASSERT_TRUE(static_cast<bool>(weights))
        << llvm::toString(weights.takeError());
    EXPECT_EQ(llvm::toString((*weights)->verifyValues()), "");
    bool isNative = llvm::StringRef(name).starts_with("native");
    auto info = (*weights)->lookup("layers.0.ffn.experts.*.w1.weight");
    ASSERT_TRUE(static_cast<bool>(info)) << llvm::toString(info.takeError());
    EXPECT_EQ(info->type, isNative ? WeightType::F4E2M1 : WeightType::BF16);
    info = (*weights)->lookup("layers.0.attn.kv_norm.weight");
    ASSERT_TRUE(static_cast<bool>(info)) << llvm::toString(info.takeError());
    EXPECT_EQ(info->storedName, isNative ? "layers.0.attn.kv_norm.weight"
                                         : "model.layers.0.attn.norm.weight");
  }
}

} // namespace
