//===- ExpertsBuilder.cpp - Router and experts of a layer -----------------===//
//
// Specification section 8. The routing weight is applied to the gated
// activation, before the down projection.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ModuleBuilder.h"

using namespace mlir;
using namespace mlir::varve;
using namespace ::varve;

static Scoring scoringOf(ScoringFunction function) {
  switch (function) {
  case ScoringFunction::SqrtSoftplus:
    return Scoring::SqrtSoftplus;
  case ScoringFunction::Sigmoid:
    return Scoring::Sigmoid;
  case ScoringFunction::Softmax:
    return Scoring::Softmax;
  }
  llvm_unreachable("every scoring function has an attribute");
}

std::pair<Value, Value> ModuleBuilder::buildRouter(int64_t layer,
                                                   StringRef scope, Value x,
                                                   const Tokens &tokens) {
  Value logits =
      linear(scope + ".gate", x, {config.numExperts}, config.storage.dense);
  auto scoring = ScoringAttr::get(&context, scoringOf(config.scoring));
  UnitAttr normalize =
      config.normalizeRouteWeights ? b.getUnitAttr() : UnitAttr();
  if (config.layers[layer].routing == RoutingKind::Hash) {
    Value table =
        weight(scope + ".gate.tid2eid",
               {config.vocabSize, config.activeExperts}, WeightType::I64);
    auto route =
        RouteHashOp::create(b, locate(scope + ".route"), logits, tokens.ids,
                            table, scoring, normalize, f64(config.routeScale));
    return {route.getIds(), route.getWeights()};
  }
  Value bias =
      weight(scope + ".gate.bias", {config.numExperts}, WeightType::F32);
  auto route = RouteTopkOp::create(b, locate(scope + ".route"), logits, bias,
                                   i64(config.activeExperts), scoring,
                                   normalize, f64(config.routeScale));
  return {route.getIds(), route.getWeights()};
}

Value ModuleBuilder::expertProduct(StringRef name, Value x, Value ids,
                                   int64_t N, int64_t K) {
  ScaledWeight w =
      scaledWeight(("ffn.experts.*." + name).str(), {config.numExperts, N, K},
                   config.storage.experts);
  return ExpertsOp::create(b, locate("ffn.experts." + name),
                           rows({config.activeExperts, N}), x,
                           /*x_scale=*/Value(), ids, w.codes, w.scale,
                           /*x_block=*/IntegerAttr(), w.block);
}

Value ModuleBuilder::buildSharedExpert(StringRef scope, Value x) {
  int64_t I = config.expertSize * config.numSharedExperts;
  Value gate = linear(scope + ".w1", x, {I}, config.storage.linear);
  Value up = linear(scope + ".w3", x, {I}, config.storage.linear);
  Value v = SwigluOp::create(b, locate(scope + ".act"), rows({I}), gate, up,
                             /*weights=*/Value(), f64(config.swigluLimit));
  return linear(scope + ".w2", v, {config.hiddenSize}, config.storage.linear);
}

Value ModuleBuilder::buildExperts(int64_t layer, Value x,
                                  const Tokens &tokens) {
  int64_t D = config.hiddenSize, I = config.expertSize,
          A = config.activeExperts;
  auto [ids, weights] = buildRouter(layer, "ffn", x, tokens);
  Value gate = expertProduct("w1", x, ids, I, D);
  Value up = expertProduct("w3", x, ids, I, D);
  Value v = SwigluOp::create(b, locate("ffn.experts.act"), rows({A, I}), gate,
                             up, weights, f64(config.swigluLimit));
  Value y = expertProduct("w2", v, ids, D, I);
  Value shared;
  if (config.numSharedExperts)
    shared = buildSharedExpert("ffn.shared_experts", x);
  return CombineOp::create(b, locate("ffn.combine"), rows({D}), y, ids, shared);
}
