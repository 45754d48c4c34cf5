//===- HfStorage.cpp - Element types that a config.json announces ---------===//

#include "lib/Model/HfFields.h"
#include "lib/Model/HfReader.h"
#include "lib/Model/Validate.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;

namespace varve {

static std::optional<WeightType> parsePlainType(StringRef name) {
  name.consume_front("torch.");
  return StringSwitch<std::optional<WeightType>>(name)
      .Case("float32", WeightType::F32)
      .Case("bfloat16", WeightType::BF16)
      .Case("float16", WeightType::F16)
      .Default(std::nullopt);
}

std::optional<WeightType> parseExpertType(StringRef name) {
  return StringSwitch<std::optional<WeightType>>(name)
      .Case("fp4", WeightType::F4E2M1)
      .Case("fp8", WeightType::F8E4M3)
      .Default(parsePlainType(name));
}

void HfReader::readStorage() {
  StorageConfig &storage = config.storage;
  std::optional<StringRef> type = fields.string("dtype");
  std::optional<StringRef> oldType = fields.string("torch_dtype");
  if (type && oldType && *type != *oldType)
    fields.mismatch("torch_dtype", quoted(*type) + ", which is dtype");
  // Without the field, transformers builds and saves float32.
  WeightType dense = byTransformers ? WeightType::F32 : WeightType::BF16;
  if (type || oldType) {
    std::optional<WeightType> parsed = parsePlainType(type ? *type : *oldType);
    if (!parsed)
      fields.mismatch(type ? "dtype" : "torch_dtype",
                      "\"bfloat16\", \"float16\" or \"float32\"");
    dense = parsed.value_or(dense);
  }
  storage.dense = storage.linear = storage.experts = dense;

  if (std::optional<JsonFields> quantization =
          fields.nested("quantization_config")) {
    readQuantization(*quantization);
    storage.linear = storage.experts = WeightType::F8E4M3;
  }
  std::optional<StringRef> expert = fields.string("expert_dtype");
  if (!expert)
    return;
  std::optional<WeightType> parsed = parseExpertType(*expert);
  if (!parsed)
    fields.mismatch("expert_dtype",
                    "\"fp4\", \"fp8\", \"bfloat16\", \"float16\" or "
                    "\"float32\"");
  // FP4 without FP8 linears occurs where linears were widened; FP8 experts
  // take their scale blocks from the quantisation.
  if (parsed == WeightType::F8E4M3 && !fields.has("quantization_config"))
    fields.mismatch("expert_dtype", "a quantization_config beside \"fp8\"");
  storage.experts = parsed.value_or(dense);
}

void HfReader::readQuantization(const JsonFields &in) {
  in.refuseUnknown(knownQuantizationFields());
  auto only = [&](StringRef name, StringRef value, bool required) {
    if (required)
      in.requiredString(name);
    std::optional<StringRef> found = in.string(name);
    if (found && *found != value)
      in.mismatch(name, "\"" + value + "\"");
  };
  only("quant_method", "fp8", /*required=*/true);
  only("fmt", "e4m3", /*required=*/false);
  only("activation_scheme", "dynamic", /*required=*/false);
  // Without it the scales would be F32.
  only("scale_fmt", "ue8m0", /*required=*/true);
  std::optional<std::vector<int64_t>> block = in.integers("weight_block_size");
  if (!block)
    return in.mismatch("weight_block_size", "[rows, columns]");
  if (block->size() != 2)
    return in.mismatch("weight_block_size", "[rows, columns]");
  config.storage.scaleBlockRows = block->front();
  config.storage.scaleBlockColumns = block->back();
}

} // namespace varve
