//===- FuzzSafetensors.cpp - Checkpoints written by strangers -------------===//
//
// Reads the input as a safetensors file; if it is one, as the checkpoint of a
// small model, whose values are then verified and read. Also compares the JSON
// scanner with llvm::json: it may be stricter, never more lenient.
//
//===----------------------------------------------------------------------===//

#include "lib/Checkpoint/CheckpointWeights.h"
#include "lib/Checkpoint/JsonScanner.h"
#include "varve/Support/Assert.h"
#include "llvm/Support/JSON.h"
#include <cstdint>

using namespace varve;

namespace {

/// One layer of each kind, as in the unit tests.
ModelConfig smallConfig() {
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

void readTensor(const CheckpointWeights &weights, llvm::StringRef name) {
  llvm::Expected<TensorInfo> info = weights.lookup(name);
  if (!info) {
    llvm::consumeError(info.takeError());
    return;
  }
  auto tensor = weights.open(name, info->type, info->shape);
  if (!tensor) {
    llvm::consumeError(tensor.takeError());
    return;
  }
  int64_t rows = 1;
  for (int64_t extent : llvm::ArrayRef(info->shape).drop_back())
    rows *= extent;
  std::vector<float> floats(info->shape.back());
  std::vector<int64_t> integers(info->shape.back());
  for (int64_t i = 0; i < rows; ++i)
    if (info->type == WeightType::I64 || info->type == WeightType::I32)
      (*tensor)->readRow(i, llvm::MutableArrayRef<int64_t>(integers));
    else
      (*tensor)->readRow(i, llvm::MutableArrayRef<float>(floats));
}

void readCheckpoint(std::unique_ptr<SafetensorsFile> file) {
  static const ModelConfig config = smallConfig();
  static const WeightInventory inventory =
      llvm::cantFail(WeightInventory::create(config));
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  files.push_back(std::move(file));
  auto weights = CheckpointWeights::create(
      Checkpoint::create("folder", std::move(files)), config);
  if (!weights) {
    llvm::consumeError(weights.takeError());
    return;
  }
  llvm::consumeError((*weights)->verifyValues());
  for (const WeightSpec &spec : inventory.getSpecs())
    readTensor(**weights, spec.name);
}

void compareScanner(llvm::StringRef text) {
  // llvm::json recurses once a bracket. Whether the text is UTF-8 is for the
  // scanner's callers to check.
  if (text.count('[') + text.count('{') > 1000 || !llvm::json::isUTF8(text))
    return;
  llvm::BumpPtrAllocator allocator;
  llvm::StringSaver saver(allocator);
  JsonScanner scanner(text, saver);
  llvm::Error e = scanner.skipValue();
  if (!e)
    e = scanner.expectEnd();
  bool scanned = !e;
  llvm::consumeError(std::move(e));
  llvm::Expected<llvm::json::Value> tree = llvm::json::parse(text);
  bool isJson = static_cast<bool>(tree);
  llvm::consumeError(tree.takeError());
  VARVE_ASSERT(isJson || !scanned, "the scanner accepts what is no JSON");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  compareScanner(bytes.drop_front(std::min<size_t>(size, 8)));
  auto file = SafetensorsFile::parse(llvm::MemoryBuffer::getMemBuffer(
      bytes, "fuzz", /*RequiresNullTerminator=*/false));
  if (!file) {
    llvm::consumeError(file.takeError());
    return 0;
  }
  for (const SafetensorsTensor &tensor : (*file)->getTensors()) {
    VARVE_ASSERT((*file)->find(tensor.name) == &tensor, "a name finds itself");
    llvm::ArrayRef<uint8_t> tensorData = (*file)->getData(tensor);
    VARVE_ASSERT(tensorData.size() <= size, "data lies in the file");
    // A read for the sanitizer to look at.
    volatile uint8_t sum = 0;
    for (uint8_t byte : tensorData)
      sum = sum ^ byte;
  }
  readCheckpoint(std::move(*file));
  return 0;
}
