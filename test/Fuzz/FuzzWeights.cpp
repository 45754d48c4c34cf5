//===- FuzzWeights.cpp - Safetensors files of any bytes, in the runtime ---===//

#include "runtime/Error.h"
#include "runtime/Weights/CheckpointSource.h"

using namespace varve::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    std::vector<std::unique_ptr<SafetensorsFile>> files;
    files.push_back(SafetensorsFile::parse(MappedFile::ofBytes(
        "fuzzed", std::vector<uint8_t>(data, data + size))));
    std::vector<Weight> wanted = {
        {"embed.weight", Element::BF16, {4, 2}},
        {"layers.0.ffn.experts.*.w3.weight", Element::F4E2M1, {2, 2, 4}}};
    CheckpointSource source("fuzzed", std::move(files));
    source.check(wanted);
    for (const Weight &weight : wanted) {
      std::vector<uint8_t> bytes(weight.getBytes());
      source.read(weight, 0, bytes);
    }
  } catch (const Error &) {
  }
  return 0;
}
