//===- FuzzConfig.cpp - Arbitrary text as a model configuration -----------===//
//
// Text that begins with '{' is read as a config.json. Any other text is a
// command line on the model `tiny`: a layer pattern on the first line, then
// overrides. Whatever is accepted must hold the promises of the library.
//
//   fuzz-config -dict=test/Fuzz/config.dict CORPUS configs test/data/*
//
//===----------------------------------------------------------------------===//

#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/HfConfig.h"
#include "lib/Model/LayerPattern.h"
#include "lib/Model/Overrides.h"
#include "lib/Model/Validate.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/StringExtras.h"

using namespace varve;
using llvm::StringRef;

/// Every error has a text, of a length that a terminal survives.
static void checkMessage(llvm::Error error) {
  std::string message = llvm::toString(std::move(error));
  VARVE_ASSERT(!message.empty(), "an error without a text");
}

static void checkAccepted(const ModelConfig &config) {
  VARVE_ASSERT(!llvm::errorToBool(validate(config)),
               "an invalid configuration was accepted");
  LayerKinds kinds;
  for (const LayerConfig &layer : config.layers)
    kinds.push_back(layer.attention);
  LayerKinds again = llvm::cantFail(expandLayerPattern(layerString(config)));
  VARVE_ASSERT(kinds == again, "a layer string stands for other layers");
}

static void readText(StringRef text) {
  llvm::Expected<ModelConfig> config = parseHfConfig(text, "input");
  if (config)
    checkAccepted(*config);
  else
    checkMessage(config.takeError());
}

static void changeTiny(StringRef text) {
  static const ModelConfig tiny = llvm::cantFail(loadBuiltinConfig("tiny"));
  auto [pattern, rest] = text.split('\n');
  std::vector<std::string> overrides;
  for (StringRef line : llvm::split(rest, '\n'))
    if (!line.empty())
      overrides.push_back(line.str());
  ModelConfig config = tiny;
  std::optional<StringRef> layers;
  if (!pattern.empty())
    layers = pattern;
  if (llvm::Error error = applyOverrides(config, overrides, layers)) {
    checkMessage(std::move(error));
    VARVE_ASSERT(config.layers == tiny.layers, "a failed change left traces");
    return;
  }
  checkAccepted(config);
  for (StringRef override : overrides)
    if (llvm::Error error = applyOverride(config, override))
      checkMessage(std::move(error));
  checkAccepted(config);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  StringRef text(reinterpret_cast<const char *>(data), size);
  if (text.starts_with("{"))
    readText(text);
  else
    changeTiny(text);
  return 0;
}
