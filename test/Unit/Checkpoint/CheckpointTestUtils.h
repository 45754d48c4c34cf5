//===- CheckpointTestUtils.h - Checkpoints made by tests -------*- C++ -*-===//
//
// Writes safetensors files, right ones and wrong ones, and describes the small
// and the released models by hand.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_CHECKPOINTTESTUTILS_H
#define VARVE_TEST_CHECKPOINTTESTUTILS_H

#include "lib/Checkpoint/TensorNames.h"
#include "lib/Checkpoint/WeightInventory.h"
#include "lib/Model/ModelConfig.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"
#include <map>
#include <set>
#include <string>
#include <vector>

namespace varve::test {

/// The bytes of a file with this header, as given, and this data.
inline std::string fileBytes(llvm::StringRef header, llvm::StringRef data) {
  std::string bytes(8, '\0');
  llvm::support::endian::write64le(bytes.data(), header.size());
  return bytes + header.str() + data.str();
}

/// Tensors to be written.
struct StoredTensor {
  std::string type;
  std::vector<int64_t> shape;
  std::string data;
};
using StoredTensors = std::map<std::string, StoredTensor>;

inline std::string fileBytes(const StoredTensors &tensors) {
  std::string header, data;
  llvm::raw_string_ostream os(header);
  llvm::json::OStream json(os);
  json.object([&] {
    json.attributeObject("__metadata__",
                         [&] { json.attribute("format", "pt"); });
    for (const auto &[name, tensor] : tensors)
      json.attributeObject(name, [&] {
        json.attribute("dtype", tensor.type);
        json.attribute("shape", llvm::json::Array(tensor.shape));
        json.attribute(
            "data_offsets",
            llvm::json::Array{
                static_cast<int64_t>(data.size()),
                static_cast<int64_t>(data.size() + tensor.data.size())});
        data += tensor.data;
      });
  });
  return fileBytes(header, data);
}

/// A folder that goes away with the test.
class TestFolder {
public:
  TestFolder() {
    std::error_code e =
        llvm::sys::fs::createUniqueDirectory("varve-checkpoint", folder);
    EXPECT_FALSE(e) << e.message();
  }
  ~TestFolder() { llvm::sys::fs::remove_directories(folder); }

  std::string path(llvm::StringRef name = "") const {
    llvm::SmallString<128> file(folder);
    if (!name.empty())
      llvm::sys::path::append(file, name);
    return file.str().str();
  }

  void write(llvm::StringRef name, llvm::StringRef bytes) const {
    std::error_code e;
    llvm::raw_fd_ostream os(path(name), e);
    ASSERT_FALSE(e) << e.message();
    os << bytes;
  }

private:
  llvm::SmallString<128> folder;
};

/// The text of an error, with `folder` cut out of it.
inline std::string errorText(llvm::Error e, const TestFolder &folder) {
  std::string text = llvm::toString(std::move(e));
  std::string prefix = folder.path() + "/";
  for (size_t at; (at = text.find(prefix)) != std::string::npos;)
    text.erase(at, prefix.size());
  for (size_t at; (at = text.find(folder.path())) != std::string::npos;)
    text.replace(at, folder.path().size(), "folder");
  return text;
}

/// One layer of each kind, small enough to write in every test.
inline ModelConfig smallConfig() {
  ModelConfig config;
  config.name = "small";
  config.vocabSize = 6;
  config.hiddenSize = 8;
  config.numHeads = 4;
  config.headDim = 6;
  config.ropeDim = 2;
  config.queryRank = 5;
  config.outputGroups = 2;
  config.outputRank = 3;
  config.window = 4;
  config.indexHeads = 3;
  config.indexHeadDim = 4;
  config.indexTopk = 2;
  config.numExperts = 3;
  config.numSharedExperts = 1;
  config.activeExperts = 2;
  config.expertSize = 4;
  config.streams = 2;
  config.layers = {{AttentionKind::Sliding, 0, RoutingKind::Hash},
                   {AttentionKind::CSA, 2, RoutingKind::TopK},
                   {AttentionKind::HCA, 5, RoutingKind::TopK}};
  return config;
}

/// `config` stored as the released checkpoints are.
inline ModelConfig quantized(ModelConfig config) {
  config.storage.linear = WeightType::F8E4M3;
  config.storage.experts = WeightType::F4E2M1;
  return config;
}

inline llvm::StringRef safetensorsName(WeightType type) {
  switch (type) {
  case WeightType::F32:
    return "F32";
  case WeightType::BF16:
    return "BF16";
  case WeightType::F16:
    return "F16";
  case WeightType::F8E4M3:
    return "F8_E4M3";
  case WeightType::F8E8M0:
    return "F8_E8M0";
  case WeightType::F4E2M1:
    return "I8";
  case WeightType::I64:
    return "I64";
  case WeightType::I32:
    return "I32";
  }
  return "";
}

inline std::string integers(llvm::ArrayRef<int64_t> values) {
  std::string bytes(8 * values.size(), '\0');
  for (auto [i, value] : llvm::enumerate(values))
    llvm::support::endian::write64le(&bytes[8 * i], value);
  return bytes;
}

/// Every tensor of `config`, as configured, under official names: zeros, and
/// a routing table that sends every token to the first experts.
inline StoredTensors storedTensors(const ModelConfig &config) {
  StoredTensors tensors;
  llvm::Expected<WeightInventory> inventory = WeightInventory::create(config);
  if (!inventory) {
    ADD_FAILURE() << llvm::toString(inventory.takeError());
    return tensors;
  }
  for (const WeightSpec &spec : inventory->getSpecs())
    for (int64_t i = 0; i < spec.count; ++i) {
      std::string name = spec.name.find('*') == std::string::npos
                             ? spec.name
                             : expertName(spec.name, i);
      StoredTensor &tensor = tensors[name];
      tensor.type = safetensorsName(spec.type).str();
      tensor.shape.assign(spec.shape.begin(), spec.shape.end());
      if (spec.type == WeightType::F4E2M1)
        tensor.shape.back() /= 2;
      tensor.data.assign(spec.getBytes() / spec.count, '\0');
      if (spec.role == WeightRole::RoutingTable) {
        std::vector<int64_t> ids;
        for (int64_t row = 0; row < spec.shape[0]; ++row)
          for (int64_t k = 0; k < spec.shape[1]; ++k)
            ids.push_back(k);
        tensor.data = integers(ids);
      }
    }
  return tensors;
}

/// Specification section 1, preview checkpoints.
inline ModelConfig flashConfig() {
  ModelConfig config;
  config.name = "flash";
  config.vocabSize = 129280;
  config.hiddenSize = 4096;
  config.numHeads = 64;
  config.headDim = 512;
  config.ropeDim = 64;
  config.queryRank = 1024;
  config.outputGroups = 8;
  config.outputRank = 1024;
  config.window = 128;
  config.indexHeads = 64;
  config.indexHeadDim = 128;
  config.indexTopk = 512;
  config.numExperts = 256;
  config.numSharedExperts = 1;
  config.activeExperts = 6;
  config.expertSize = 2048;
  config.streams = 4;
  config.storage.linear = WeightType::F8E4M3;
  config.storage.experts = WeightType::F4E2M1;
  config.draft.mtpLayers = 1;
  for (int64_t i = 0; i < 43; ++i) {
    LayerConfig &layer = config.layers.emplace_back();
    if (i >= 2) {
      layer.attention = i % 2 ? AttentionKind::HCA : AttentionKind::CSA;
      layer.ratio = i % 2 ? 128 : 4;
    }
    layer.routing = i < 3 ? RoutingKind::Hash : RoutingKind::TopK;
  }
  return config;
}

inline ModelConfig proConfig() {
  ModelConfig config = flashConfig();
  config.name = "pro";
  config.hiddenSize = 7168;
  config.numHeads = 128;
  config.queryRank = 1536;
  config.outputGroups = 16;
  config.indexTopk = 1024;
  config.numExperts = 384;
  config.expertSize = 3072;
  config.layers.clear();
  for (int64_t i = 0; i < 61; ++i) {
    bool isCsa = i >= 2 && i % 2 == 0;
    config.layers.push_back({isCsa ? AttentionKind::CSA : AttentionKind::HCA,
                             isCsa ? 4 : 128,
                             i < 3 ? RoutingKind::Hash : RoutingKind::TopK});
  }
  return config;
}

} // namespace varve::test

#endif // VARVE_TEST_CHECKPOINTTESTUTILS_H
