//===- WeightInventoryTest.cpp - Against the published checkpoints --------===//

#include "lib/Checkpoint/WeightInventory.h"
#include "lib/Checkpoint/Safetensors.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/HfConfig.h"
#include "test/Unit/Checkpoint/CheckpointTestUtils.h"
#include <chrono>

using namespace varve;
using namespace varve::test;

namespace {

WeightInventory inventoryOf(const ModelConfig &config) {
  llvm::Expected<WeightInventory> inventory = WeightInventory::create(config);
  if (!inventory) {
    ADD_FAILURE() << llvm::toString(inventory.takeError());
    llvm_unreachable("no inventory");
  }
  return std::move(*inventory);
}

bool isBackbone(const WeightSpec &spec) { return !spec.draft; }
bool isDraft(const WeightSpec &spec) { return spec.draft; }

std::map<WeightType, int64_t> countsByType(const WeightInventory &inventory) {
  std::map<WeightType, int64_t> counts;
  for (const WeightSpec &spec : inventory.getSpecs())
    counts[spec.type] += spec.count;
  return counts;
}

// Numbers of the released checkpoints: specification sections 1.3 and 2.1.
TEST(WeightInventory, MatchesFlash) {
  WeightInventory inventory = inventoryOf(flashConfig());
  EXPECT_EQ(inventory.getTotals().tensors, 69187);
  EXPECT_EQ(inventory.getTotals().bytes, 159609485896);
  EXPECT_EQ(inventory.getTotals(isBackbone).parameters, 284332240471);
  EXPECT_EQ(inventory.getTotals(isDraft).parameters, 6610048891);
  EXPECT_EQ(inventory.getTotals(isDraft).bytes, 3593787756);
  EXPECT_EQ(inventory
                .getTotals([](const WeightSpec &spec) {
                  return !spec.draft &&
                         spec.component == WeightComponent::RoutedExperts;
                })
                .bytes,
            147169738752);
  EXPECT_EQ(countsByType(inventory),
            (std::map<WeightType, int64_t>{{WeightType::BF16, 433},
                                           {WeightType::F32, 417},
                                           {WeightType::F8E4M3, 375},
                                           {WeightType::F8E8M0, 34167},
                                           {WeightType::I64, 3},
                                           {WeightType::F4E2M1, 33792}}));
}

TEST(WeightInventory, MatchesPro) {
  WeightInventory inventory = inventoryOf(proConfig());
  EXPECT_EQ(inventory.getTotals().tensors, 145116);
  EXPECT_EQ(inventory.getTotals().bytes, 864704792696);
  EXPECT_EQ(inventory.getTotals(isBackbone).parameters, 1572997201763);
  EXPECT_EQ(inventory.getTotals(isDraft).parameters, 25840145979);
  EXPECT_EQ(inventory.getTotals(isDraft).bytes, 13956587692);
  EXPECT_EQ(inventory
                .getTotals([](const WeightSpec &spec) {
                  return !spec.draft &&
                         spec.component == WeightComponent::RoutedExperts;
                })
                .bytes,
            822054223872);
  EXPECT_EQ(countsByType(inventory),
            (std::map<WeightType, int64_t>{{WeightType::BF16, 619},
                                           {WeightType::F32, 590},
                                           {WeightType::F8E4M3, 528},
                                           {WeightType::F8E8M0, 71952},
                                           {WeightType::I64, 3},
                                           {WeightType::F4E2M1, 71424}}));
}

// Specification section 10.2.
TEST(WeightInventory, MatchesFlashWithDspark) {
  ModelConfig config = flashConfig();
  config.draft.mtpLayers = 0;
  config.draft.dsparkStages = 3;
  config.draft.dsparkMarkovRank = 256;
  config.draft.dsparkTargetLayers = {40, 41, 42};
  WeightInventory inventory = inventoryOf(config);
  EXPECT_EQ(inventory.getTotals().tensors, 72317);
  EXPECT_EQ(inventory.getTotals().bytes, 166878536440);
  EXPECT_EQ(inventory.getTotals(isDraft).tensors, 4705);
  EXPECT_EQ(inventory.getTotals(isDraft).bytes, 10862838300);
}

// Specification section 1.3, breakdown of the traffic at batch 1, in MB.
TEST(WeightInventory, MatchesTheBreakdownByComponent) {
  auto megabytes = [](const ModelConfig &config,
                      std::initializer_list<WeightComponent> components) {
    return (inventoryOf(config)
                .getTotals([&](const WeightSpec &spec) {
                  return !spec.draft && spec.role != WeightRole::RoutingTable &&
                         llvm::is_contained(components, spec.component);
                })
                .bytes +
            500'000) /
           1'000'000;
  };
  using C = WeightComponent;
  for (auto [config, compressors, router, shared, head] :
       {std::tuple(flashConfig(), 526, 90, 1082, 1059),
        std::tuple(proConfig(), 1345, 336, 4030, 1853)}) {
    EXPECT_EQ(megabytes(config, {C::Compressor}), compressors);
    EXPECT_EQ(megabytes(config, {C::Router}), router);
    EXPECT_EQ(megabytes(config, {C::SharedExperts}), shared);
    EXPECT_EQ(megabytes(config, {C::Head}), head);
    EXPECT_EQ(megabytes(config, {C::Embedding}), head);
  }
}

// The configurations that Varve carries, read from their JSON.
TEST(WeightInventory, MatchesBuiltinConfigurations) {
  for (auto [name, tensors, bytes] :
       {std::tuple("deepseek-v4-flash", 69187, 159609485896),
        std::tuple("deepseek-v4-pro", 145116, 864704792696)}) {
    llvm::Expected<ModelConfig> config = loadBuiltinConfig(name);
    ASSERT_TRUE(static_cast<bool>(config))
        << llvm::toString(config.takeError());
    WeightTotals totals = inventoryOf(*config).getTotals();
    EXPECT_EQ(totals.tensors, tensors) << name;
    EXPECT_EQ(totals.bytes, bytes) << name;
  }
}

TEST(WeightInventory, IsFastAndSmallForPro) {
  auto start = std::chrono::steady_clock::now();
  WeightInventory inventory = inventoryOf(proConfig());
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 0.5);
  EXPECT_LT(inventory.getSpecs().size(), 4000u);
}

TEST(WeightInventory, FindsByName) {
  WeightInventory inventory = inventoryOf(flashConfig());
  const WeightSpec *spec = inventory.find("layers.5.ffn.experts.*.w2.weight");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->count, 256);
  EXPECT_EQ(llvm::ArrayRef(spec->shape), llvm::ArrayRef<int64_t>({4096, 2048}));
  EXPECT_EQ(spec->layer, 5);
  EXPECT_EQ(spec->getBytes(), 256 * 4096 * 1024);
  EXPECT_EQ(spec->component, WeightComponent::RoutedExperts);
  EXPECT_FALSE(inventory.find("layers.0.attn.compressor.ape"));
  EXPECT_FALSE(inventory.find("layers.0.ffn.gate.bias"));
  EXPECT_TRUE(inventory.find("layers.0.ffn.gate.tid2eid"));
  EXPECT_TRUE(inventory.find("mtp.0.ffn.gate.bias"));
}

// A file that DeepSeek's program reads holds exactly the inventory of its
// configuration.
TEST(WeightInventory, MatchesRealFiles) {
  llvm::Expected<ModelConfig> config =
      readHfConfig(VARVE_TEST_DATA "/native-flash-tiny/config.json");
  ASSERT_TRUE(static_cast<bool>(config)) << llvm::toString(config.takeError());
  auto file = SafetensorsFile::open(VARVE_TEST_DATA
                                    "/native-flash-tiny/model.safetensors");
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  StoredTensors expected = storedTensors(*config);
  EXPECT_EQ((*file)->getTensors().size(), expected.size());
  for (const SafetensorsTensor &tensor : (*file)->getTensors()) {
    auto it = expected.find(tensor.name.str());
    ASSERT_NE(it, expected.end()) << tensor.name.str();
    EXPECT_EQ(stringifySafetensorsType(tensor.type), it->second.type)
        << tensor.name.str();
    EXPECT_EQ(llvm::ArrayRef<int64_t>(tensor.shape),
              llvm::ArrayRef<int64_t>(it->second.shape))
        << tensor.name.str();
  }
}

TEST(WeightInventory, PlainStorageHasNoScales) {
  WeightInventory inventory = inventoryOf(smallConfig());
  for (const WeightSpec &spec : inventory.getSpecs())
    EXPECT_TRUE(spec.type == WeightType::BF16 || spec.type == WeightType::F32 ||
                spec.role == WeightRole::RoutingTable)
        << spec.name;
}

TEST(WeightInventory, BaseCheckpointsHaveFP8Experts) {
  ModelConfig config = flashConfig();
  config.storage.experts = WeightType::F8E4M3;
  WeightInventory inventory = inventoryOf(config);
  const WeightSpec *scale = inventory.find("layers.5.ffn.experts.*.w2.scale");
  ASSERT_TRUE(scale);
  EXPECT_EQ(llvm::ArrayRef(scale->shape), llvm::ArrayRef<int64_t>({32, 16}));
}

TEST(WeightInventory, RefusesImpossibleSizes) {
  auto errorOf = [](auto change) {
    ModelConfig config = quantized(smallConfig());
    change(config);
    llvm::Expected<WeightInventory> inventory = WeightInventory::create(config);
    return inventory ? "no error" : llvm::toString(inventory.takeError());
  };
  EXPECT_EQ(errorOf([](ModelConfig &c) { c.hiddenSize = 0; }),
            "small: expected a hidden size from 1 to 16777216 but got 0");
  EXPECT_EQ(errorOf([](ModelConfig &c) { c.numExperts = int64_t(1) << 40; }),
            "small: expected a number of experts from 1 to 16777216 but got "
            "1099511627776");
  EXPECT_EQ(errorOf([](ModelConfig &c) { c.outputGroups = 5; }),
            "small: expected heads times head size, 24, to be a multiple of "
            "the number of output groups, 5");
  EXPECT_EQ(errorOf([](ModelConfig &c) { c.expertSize = 5; }),
            "small: FP4 experts need even sizes, two elements a byte, but the "
            "hidden size is 8 and the expert size 5");
  EXPECT_EQ(errorOf([](ModelConfig &c) {
              c.numHeads = c.headDim = c.queryRank = 1 << 24;
            }),
            "small: the sizes are absurd: up to 'layers.0.attn.wq_b.weight' "
            "the weights take more than 2^50 bytes");
  EXPECT_EQ(errorOf([](ModelConfig &c) {
              c.draft.mtpLayers = c.draft.dsparkStages = 1;
              c.draft.dsparkMarkovRank = 1;
            }),
            "small: expected MTP blocks or DSpark stages but got both");
}

} // namespace
