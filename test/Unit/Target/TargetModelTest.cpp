//===- TargetModelTest.cpp - Target files and look-up ----------*- C++ -*-===//
#include "lib/Target/Model/TargetModel.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace varve;
using llvm::StringRef;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
const TargetModel &get(StringRef name) {
  return *llvm::cantFail(TargetModel::lookup(name));
}

std::string lookupError(StringRef name) {
  llvm::Expected<const TargetModel *> model = TargetModel::lookup(name);
  return model ? "" : llvm::toString(model.takeError());
}

TEST(TargetModelTest, everyTargetOfTheDesignIsThere) {
  for (StringRef name : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a",
                         "sm_120a", "sm_121a", "x86-64"})
    EXPECT_EQ(get(name).getName(), name);
}

TEST(TargetModelTest, unknownNamesGetTheNearestOne) {
  EXPECT_THAT(lookupError("sm_90"), HasSubstr("did you mean 'sm_90a'?"));
  EXPECT_THAT(lookupError("x86_64"), HasSubstr("did you mean 'x86-64'?"));
  // Nothing is near: all are listed, none is suggested.
  std::string error = lookupError("gfx942");
  EXPECT_THAT(error, HasSubstr("unknown target 'gfx942' (known targets: sm_80,"
                               " sm_86,"));
  EXPECT_EQ(error.find("did you mean"), std::string::npos);
}

// Compute capabilities: CUDA programming guide.
TEST(TargetModelTest, devicesGetTheirArchitectureOrOlderPortableCode) {
  auto pick = [](unsigned major, unsigned minor) {
    return llvm::cantFail(TargetModel::forComputeCapability(major, minor))
        ->getName();
  };
  EXPECT_EQ(pick(8, 0), "sm_80");
  EXPECT_EQ(pick(8, 6), "sm_86");
  EXPECT_EQ(pick(9, 0), "sm_90a");
  EXPECT_EQ(pick(12, 1), "sm_121a");
  // 8.7 and 10.3 have no model. Code with an `a` runs on its own
  // architecture only, so the newest portable one is taken.
  EXPECT_EQ(pick(8, 7), "sm_86");
  EXPECT_EQ(pick(10, 3), "sm_89");
  llvm::Expected<const TargetModel *> old =
      TargetModel::forComputeCapability(7, 5);
  ASSERT_FALSE(old);
  EXPECT_THAT(llvm::toString(old.takeError()),
              HasSubstr("no target for compute capability 7.5: expected 8.0"));
}

TEST(TargetModelTest, featuresFollowTheGenerations) {
  EXPECT_FALSE(get("sm_80").supports(Feature::CvtFp8));
  EXPECT_FALSE(get("sm_86").supports(Feature::MmaSyncFp8));
  EXPECT_TRUE(get("sm_89").supports(Feature::MmaSyncFp8));
  EXPECT_FALSE(get("sm_89").supports(Feature::Tma));
  EXPECT_TRUE(get("sm_90a").supports(Feature::Wgmma));
  EXPECT_FALSE(get("sm_100a").supports(Feature::Wgmma));
  EXPECT_TRUE(get("sm_100a").supports(Feature::Tcgen05));
  EXPECT_FALSE(get("sm_120a").supports(Feature::Tcgen05));
  EXPECT_TRUE(get("sm_120a").supports(Feature::MmaBlockScale));
  EXPECT_EQ(get("sm_80").getAsyncCopyKind(), AsyncCopyKind::CpAsync);
  EXPECT_EQ(get("sm_120a").getAsyncCopyKind(), AsyncCopyKind::Tma);
  EXPECT_EQ(get("x86-64").getAsyncCopyKind(), AsyncCopyKind::None);
  EXPECT_EQ(listTargetsWith(Feature::Wgmma), "sm_90a");
}

TEST(TargetModelTest, dotEnginesAreListedBestFirst) {
  EXPECT_THAT(get("sm_90a").getDotEngines(NumericType::F8E4M3FN),
              ElementsAre(MatrixEngine::Wgmma, MatrixEngine::MmaSync));
  EXPECT_TRUE(get("sm_80").getDotEngines(NumericType::F8E4M3FN).empty());
  EXPECT_THAT(get("x86-64").getDotEngines(NumericType::F32),
              ElementsAre(MatrixEngine::Fma));
}

// The PTX version must be able to say what the file claims, and a lower one
// must not reach a file unnoticed.
TEST(TargetModelTest, everyFeatureIsWithinThePtxVersion) {
  for (const TargetModel &model : TargetModel::getAll())
    for (unsigned i = 0; i < kNumFeatures; ++i)
      if (auto feature = static_cast<Feature>(i); model.supports(feature)) {
        EXPECT_LE(getFeaturePtxVersion(feature), model.getPtxVersion())
            << model.getName().str() << " " << getFeatureName(feature).str();
      }
}

// Figures of the CUDA occupancy calculator.
TEST(TargetModelTest, residentBlocksMatchTheOccupancyCalculator) {
  const TargetModel &a100 = get("sm_80");
  EXPECT_EQ(a100.getResidentBlocks(256, 32, 0), 8u);     // warps: 64 / 8
  EXPECT_EQ(a100.getResidentBlocks(32, 32, 0), 32u);     // blocks
  EXPECT_EQ(a100.getResidentBlocks(128, 255, 0), 2u);    // registers
  EXPECT_EQ(a100.getResidentBlocks(256, 33, 0), 6u);     // rounded to 40
  EXPECT_EQ(a100.getResidentBlocks(128, 32, 65536), 2u); // shared memory
  EXPECT_EQ(get("sm_89").getResidentBlocks(256, 32, 0), 6u);
  EXPECT_EQ(get("sm_90a").getResidentBlocks(384, 168, 232448), 1u);
  EXPECT_EQ(get("sm_90a").getResidentBlocks(384, 168, 232449), 0u);
  EXPECT_EQ(get("sm_90a").getResidentBlocks(1056, 32, 0), 0u);
  EXPECT_EQ(get("x86-64").getResidentBlocks(32, 32, 0), 0u);
}

// A Hopper multiprocessor does 2048 dense bf16 multiply-adds per clock, counted
// as two operations each; the datasheet assumes 1.83 GHz.
TEST(TargetModelTest, devicePeaksAreConsistentWithTheSilicon) {
  const DeviceModel *h200 = get("sm_90a").findDevice("NVIDIA H200", 132);
  ASSERT_TRUE(h200);
  EXPECT_NEAR(*h200->getPeakTflops(NumericType::BF16),
              132 * 4096 * 1.83e9 / 1e12, 1.0);
  // Measured ceilings win over the datasheet.
  EXPECT_LT(*h200->getCeilingTflops(NumericType::BF16),
            *h200->getPeakTflops(NumericType::BF16));
  EXPECT_LT(h200->getCeilingGBps(), h200->bandwidthGBps);
  EXPECT_LT(h200->launch.dependent, h200->launch.graph);
  for (const TargetModel &model : TargetModel::getAll())
    for (const DeviceModel &device : model.getDevices()) {
      SCOPED_TRACE(device.name);
      EXPECT_FALSE(device.source.empty());
      EXPECT_GE(device.launch.graph, device.launch.dependent);
      auto peak = [&](NumericType t) { return device.getPeakTflops(t); };
      if (peak(NumericType::BF16) && peak(NumericType::F8E4M3FN)) {
        EXPECT_NEAR(*peak(NumericType::F8E4M3FN) / *peak(NumericType::BF16), 2,
                    0.03);
      }
      // A rate is promised only for a type that the architecture multiplies.
      for (unsigned i = 0; i < kNumNumericTypes; ++i)
        if (auto type = static_cast<NumericType>(i); peak(type)) {
          EXPECT_FALSE(model.getDotEngines(type).empty())
              << getNumericTypeName(type).str();
        }
    }
}

TEST(TargetModelTest, devicesAreFoundByDriverNameOrSize) {
  const TargetModel &hopper = get("sm_90a");
  EXPECT_EQ(hopper.findDevice("NVIDIA H100 80GB HBM3", 132)->name,
            "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(hopper.findDevice("NVIDIA H20-3e", 78)->name, "NVIDIA H20");
  EXPECT_EQ(hopper.findDevice("NVIDIA H200 NVL", 132)->name, "NVIDIA H200");
  EXPECT_EQ(hopper.findDevice("some other product", 110)->name,
            "NVIDIA H100 PCIe");
  EXPECT_EQ(get("x86-64").findDevice("anything", 8), nullptr);
}

std::string parseError(std::string text, StringRef from, StringRef to) {
  size_t at = text.find(from.str());
  EXPECT_NE(at, std::string::npos) << "the test's pattern is gone";
  text.replace(at, from.size(), to.str());
  llvm::Expected<TargetModel> model = TargetModel::parse(text, "t.json");
  return model ? "accepted" : llvm::toString(model.takeError());
}

TEST(TargetModelTest, badTargetFilesNameTheFieldAtFault) {
  const std::string good = R"({
    "name": "sm_1", "summary": "s", "kind": "nvidia", "llvm_cpu": "sm_80",
    "compute_capability": [8, 0], "arch_specific": false, "ptx_version": 74,
    "ptx_reason": "r", "limits": {
      "registers_per_sm": 1, "max_registers_per_thread": 1,
      "register_allocation_unit": 1, "shared_bytes_per_sm": 1,
      "shared_bytes_per_block": 1, "static_shared_bytes_per_block": 1,
      "reserved_shared_bytes_per_block": 1, "warps_per_sm": 1,
      "blocks_per_sm": 1, "threads_per_block": 1, "threads_per_warp": 1,
      "blocks_per_cluster": 1},
    "limits_source": "l", "features": ["mma_sync"], "features_source": "f",
    "dot": {"bf16": ["mma.sync"]}, "devices": [{
      "name": "d", "multiprocessors": 1, "memory_gib": 1, "l2_mib": 1,
      "bandwidth_gbps": 1, "peak_tflops": {"bf16": 2}, "source": "s",
      "launch": {"stream_us": 1, "graph_us": 1, "dependent_us": 1,
                 "source": "s"}}]})";
  EXPECT_THAT(parseError(good, "sm_1", "sm_2"), "accepted");
  EXPECT_THAT(parseError(good, "\"warps_per_sm\": 1", "\"warps\": 1"),
              "target file t.json: limits.warps_per_sm: missing");
  EXPECT_THAT(
      parseError(good, "\"arch_specific\"", "\"x\": 1, \"arch_specific\""),
      "target file t.json: x: unknown key");
  EXPECT_THAT(parseError(good, "\"l2_mib\": 1", "\"l2_mib\": -1"),
              "target file t.json: devices[0].l2_mib: expected a positive "
              "number");
  EXPECT_THAT(parseError(good, "[\"mma_sync\"]", "[\"mma_sink\"]"),
              HasSubstr("unknown feature \"mma_sink\""));
  EXPECT_THAT(parseError(good, "[\"mma_sync\"]", "[\"tma\"]"),
              HasSubstr("\"tma\" needs PTX version 80 but ptx_version is 74"));
  EXPECT_THAT(parseError(good, "[\"mma.sync\"]", "[\"mma\"]"),
              HasSubstr("dot.bf16: unknown matrix engine"));
  EXPECT_THAT(parseError(good, "\"bf16\": 2", "\"bf17\": 2"),
              HasSubstr("devices[0].peak_tflops.bf17: unknown element type"));
  EXPECT_THAT(parseError(good, "[8, 0]", "[8]"),
              HasSubstr("compute_capability: expected [major, minor]"));
  EXPECT_THAT(parseError(good, "\"kind\": \"nvidia\"", "\"kind\": \"amd\""),
              HasSubstr("kind: expected \"nvidia\" or \"x86\", got \"amd\""));
  EXPECT_THAT(parseError(good, "{", "["), HasSubstr("target file t.json: ["));
}
} // namespace
