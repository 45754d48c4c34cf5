//===- HfRope.cpp - The rope tables of a config.json ----------------------===//
//
// Three forms: `rope_scaling` (official) or a flat `rope_parameters` describe
// what layers with compression add to `compress_rope_theta`; a nested
// `rope_parameters` {main, compress} describes both tables. cos and sin are
// never multiplied by an attention factor (specification 4.4).
//
//===----------------------------------------------------------------------===//

#include "lib/Model/HfFields.h"
#include "lib/Model/HfReader.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace llvm;

namespace varve {

static constexpr double defaultTheta = 10000, defaultCompressTheta = 160000;

void HfReader::readRope() {
  std::optional<JsonFields> scaling = fields.nested("rope_scaling");
  std::optional<JsonFields> parameters = fields.nested("rope_parameters");
  if (scaling && parameters) {
    fields.mismatch("rope_scaling", "nothing beside rope_parameters");
    return;
  }
  if (parameters && (parameters->has("main") || parameters->has("compress"))) {
    readNestedRope(*parameters);
    return;
  }
  bool compressed = any_of(
      config.layers, [](const LayerConfig &layer) { return layer.ratio != 0; });
  config.windowRope.theta = readNumber("rope_theta", defaultTheta);
  if (compressed || fields.has("compress_rope_theta"))
    config.compressRope.theta =
        readNumber("compress_rope_theta", defaultCompressTheta);
  if (scaling)
    readFlatRope("rope_scaling", *scaling);
  if (parameters)
    readFlatRope("rope_parameters", *parameters);
}

void HfReader::readFlatRope(StringRef name, const JsonFields &rope) {
  rope.refuseUnknown(knownRopeFields());
  checkRotaryFraction(rope);
  // Both tables have their own base outside; one given here again must be the
  // one of layers without compression.
  std::optional<double> theta = rope.number("rope_theta");
  if (theta && *theta != config.windowRope.theta)
    rope.mismatch("rope_theta",
                  "the value of the field outside " + name + " (" +
                      shortestDecimal(config.windowRope.theta) + ")");
  readScaling(rope, config.compressRope,
              /*attentionFactorDefaultsToOne=*/true);
}

void HfReader::readNestedRope(const JsonFields &rope) {
  // transformers drops flat fields beside the nested ones.
  std::vector<StringRef> known(knownRopeFields());
  known.push_back("main");
  known.push_back("compress");
  rope.refuseUnknown(known);
  std::optional<JsonFields> main = rope.nested("main");
  std::optional<JsonFields> compress = rope.nested("compress");
  if (!main)
    rope.mismatch("main", "an object beside 'compress'");
  if (!compress)
    rope.mismatch("compress", "an object beside 'main'");
  if (!main || !compress)
    return;
  for (const JsonFields &table : {*main, *compress}) {
    table.refuseUnknown(knownRopeFields());
    checkRotaryFraction(table);
  }
  readNestedTheta(*main, config.windowRope, "rope_theta", defaultTheta);
  readNestedTheta(*compress, config.compressRope, "compress_rope_theta",
                  defaultCompressTheta);
  readScaling(*main, config.windowRope,
              /*attentionFactorDefaultsToOne=*/false);
  readScaling(*compress, config.compressRope,
              /*attentionFactorDefaultsToOne=*/false);
}

/// The base of a nested table, and its agreement with the field outside.
void HfReader::readNestedTheta(const JsonFields &in, RopeConfig &rope,
                               StringRef plainName,
                               double transformersDefault) {
  rope.theta = in.requiredNumber("rope_theta");
  std::optional<double> plain = fields.number(plainName);
  // transformers writes its default outside whatever the nested value is.
  if (plain && *plain != rope.theta &&
      !(byTransformers && *plain == transformersDefault))
    fields.mismatch(plainName, "the value of '" + in.pathOf("rope_theta") +
                                   "' (" + shortestDecimal(rope.theta) + ")");
}

void HfReader::readScaling(const JsonFields &in, RopeConfig &rope,
                           bool attentionFactorDefaultsToOne) {
  static constexpr StringRef types[] = {"default", "yarn"};
  std::optional<StringRef> type = in.string("rope_type");
  std::optional<StringRef> oldType = in.string("type");
  if (type && oldType && *type != *oldType)
    in.mismatch("type", quoted(*type) + ", which is rope_type");
  StringRef typeName = type ? "rope_type" : "type";
  StringRef kind = type ? *type : oldType.value_or("default");
  if (!is_contained(types, kind)) {
    in.mismatch(typeName, "\"default\" or \"yarn\"",
                quoted(kind) + didYouMean(kind, types));
    return;
  }
  std::optional<double> attention = in.number("attention_factor");
  if (attention && *attention != 1)
    in.mismatch("attention_factor", "1: cos and sin are not scaled");
  if (kind == "default") {
    for (StringRef name : {"factor", "beta_fast", "beta_slow",
                           "original_max_position_embeddings"})
      if (in.has(name))
        in.mismatch(name, "nothing: it belongs to rope_type \"yarn\", which is "
                          "not given");
    return;
  }

  rope.factor = in.requiredNumber("factor");
  rope.betaFast = in.number("beta_fast").value_or(32);
  rope.betaSlow = in.number("beta_slow").value_or(1);
  if (byTransformers && !in.has("original_max_position_embeddings"))
    rope.originalMaxPositions = config.maxPositions;
  else
    rope.originalMaxPositions =
        in.requiredInteger("original_max_position_embeddings");
  if (in.boolean("truncate") == false)
    in.mismatch("truncate", "true: YaRN's bounds are rounded to pairs");
  // A nested table without the field gets 0.1 ln(factor) + 1 in transformers.
  if (!attention && !attentionFactorDefaultsToOne && *rope.factor > 1)
    in.mismatch("attention_factor", "1, written out (transformers would derive "
                                    "another value from the factor)");
}

} // namespace varve
