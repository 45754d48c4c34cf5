//===- HfReader.h - State of reading one config.json ------------*- C++ -*-===//
//
// Private to the reader: HfConfig.cpp holds the flow and the plain fields,
// HfLayers.cpp the layer list, HfRope.cpp the rope tables, HfStorage.cpp the
// element types.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_HFREADER_H
#define VARVE_MODEL_HFREADER_H

#include "lib/Model/ModelConfig.h"
#include "lib/Support/JsonFields.h"

namespace varve {

/// The value of `scoring_func`.
std::optional<ScoringFunction> parseScoringFunction(llvm::StringRef name);

/// The value of `expert_dtype`: "fp4", "fp8" or a torch type.
std::optional<WeightType> parseExpertType(llvm::StringRef name);

class HfReader {
public:
  HfReader(const llvm::json::Object &root, llvm::StringRef fileName,
           llvm::StringRef modelName)
      : root(root), fileName(fileName), errors(fileName),
        fields(root, "", errors) {
    config.name = modelName.str();
  }

  llvm::Expected<ModelConfig> read();

private:
  void readIdentity();
  void checkPinned();
  void pinInteger(llvm::StringRef name, int64_t value, llvm::StringRef why);
  void pinFlag(llvm::StringRef name, bool value, llvm::StringRef why);

  int64_t readAliased(llvm::StringRef name, llvm::StringRef alias);
  double readNumber(llvm::StringRef name, double transformersDefault);
  int64_t readInteger(llvm::StringRef name, int64_t transformersDefault);
  void readSizes();
  void readRotarySize();
  void checkRotaryFraction(const JsonFields &in);
  void readNumbers();
  void readSwigluLimit();
  void readRouter();
  void readTokens();
  void readDraft();

  void readLayers();
  bool readRates();
  void readLayerTypes(const std::vector<llvm::StringRef> &types);
  void readRatios(const std::vector<int64_t> &ratios);
  void readRouting();

  void readRope();
  void readNestedRope(const JsonFields &rope);
  void readFlatRope(llvm::StringRef name, const JsonFields &rope);
  void readScaling(const JsonFields &in, RopeConfig &rope,
                   bool attentionFactorDefaultsToOne);
  void readNestedTheta(const JsonFields &in, RopeConfig &rope,
                       llvm::StringRef plainName, double transformersDefault);

  void readStorage();
  void readQuantization(const JsonFields &in);

  const llvm::json::Object &root;
  std::string fileName;
  FirstError errors;
  JsonFields fields;
  /// Written by transformers: see HfConfig.h.
  bool byTransformers = false;
  /// Ratios given per kind of layer, where given.
  std::optional<int64_t> csaRatio, hcaRatio;
  /// Entries of `compress_ratios` behind the layers.
  int64_t trailingRatios = 0;
  ModelConfig config;
};

} // namespace varve

#endif // VARVE_MODEL_HFREADER_H
