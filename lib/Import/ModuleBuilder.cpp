//===- ModuleBuilder.cpp - Functions, streams and shared pieces -----------===//

#include "lib/Import/ModuleBuilder.h"
#include "lib/Model/LayerPattern.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using namespace ::varve;
using llvm::Twine;

ModuleBuilder::ModuleBuilder(MLIRContext &context, const ModelConfig &config,
                             StringRef source, StoredTypeFn storedType)
    : context(context), config(config), source(source), storedType(storedType),
      b(&context) {
  context.loadDialect<VarveDialect, func::FuncDialect>();
}

OwningOpRef<ModuleOp> ModuleBuilder::build() {
  module = ModuleOp::create(b, FileLineColLoc::get(&context, source, 0, 0));
  (*module)->setAttr(kModelAttrName,
                     ModelAttr::get(&context, config.name, layerString(config),
                                    config.vocabSize, config.maxPositions,
                                    config.bosTokenId, config.eosTokenId));
  buildEmbed();
  for (int64_t layer = 0; layer < config.numLayers(); ++layer)
    buildLayer(layer);
  buildHead();
  buildStep();
  return std::move(module);
}

//===----------------------------------------------------------------------===//
// Types, names and weights
//===----------------------------------------------------------------------===//

Location ModuleBuilder::locate(const Twine &name) {
  return NameLoc::get(b.getStringAttr(prefix + name),
                      FileLineColLoc::get(&context, source, 0, 0));
}

Type ModuleBuilder::elementType(WeightType type) {
  switch (type) {
  case WeightType::F32:
    return b.getF32Type();
  case WeightType::BF16:
    return b.getBF16Type();
  case WeightType::F16:
    return b.getF16Type();
  case WeightType::F8E4M3:
    return Float8E4M3FNType::get(&context);
  case WeightType::F8E8M0:
    return Float8E8M0FNUType::get(&context);
  case WeightType::F4E2M1:
    return Float4E2M1FNType::get(&context);
  case WeightType::I64:
    return b.getI64Type();
  case WeightType::I32:
    return b.getI32Type();
  }
  llvm_unreachable("every weight type has an element type");
}

RankedTensorType ModuleBuilder::tensor(ArrayRef<int64_t> shape, Type element) {
  return RankedTensorType::get(shape, element ? element : b.getF32Type());
}

RankedTensorType ModuleBuilder::rows(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> full = {ShapedType::kDynamic};
  full.append(shape.begin(), shape.end());
  return tensor(full);
}

RankedTensorType ModuleBuilder::numbers() {
  return tensor({ShapedType::kDynamic}, b.getI32Type());
}

FloatAttr ModuleBuilder::f64(double value) { return b.getF64FloatAttr(value); }
IntegerAttr ModuleBuilder::i64(int64_t value) {
  return b.getI64IntegerAttr(value);
}

Value ModuleBuilder::weight(const Twine &name, ArrayRef<int64_t> shape,
                            WeightType implied) {
  std::string official = qualify(name);
  Type element = elementType(storedType(official, implied));
  return WeightOp::create(b, locate(name), tensor(shape, element), official);
}

ModuleBuilder::ScaledWeight ModuleBuilder::scaledWeight(const Twine &name,
                                                        ArrayRef<int64_t> shape,
                                                        WeightType implied) {
  ScaledWeight result;
  result.codes = weight(name + ".weight", shape, implied);
  Type stored = cast<RankedTensorType>(result.codes.getType()).getElementType();
  int64_t rowBlock = 0, columnBlock = 0;
  if (isa<Float4E2M1FNType>(stored)) {
    rowBlock = 1;
    columnBlock = config.storage.expertScaleBlock;
  } else if (isa<Float8E4M3FNType>(stored)) {
    rowBlock = config.storage.scaleBlockRows;
    columnBlock = config.storage.scaleBlockColumns;
  } else {
    return result;
  }
  SmallVector<int64_t> scaleShape(shape);
  size_t rank = shape.size();
  scaleShape[rank - 2] = llvm::divideCeil(shape[rank - 2], rowBlock);
  scaleShape[rank - 1] = llvm::divideCeil(shape[rank - 1], columnBlock);
  result.scale = weight(name + ".scale", scaleShape, WeightType::F8E8M0);
  result.block = b.getDenseI64ArrayAttr({rowBlock, columnBlock});
  return result;
}

static int64_t product(ArrayRef<int64_t> shape) {
  int64_t size = 1;
  for (int64_t dim : shape)
    size *= dim;
  return size;
}

Value ModuleBuilder::linear(const Twine &name, Value x,
                            ArrayRef<int64_t> resultShape, WeightType implied) {
  int64_t K =
      product(cast<RankedTensorType>(x.getType()).getShape().drop_front());
  ScaledWeight w = scaledWeight(name, {product(resultShape), K}, implied);
  return LinearOp::create(b, locate(name), rows(resultShape), x,
                          /*x_scale=*/Value(), w.codes, w.scale,
                          /*x_block=*/IntegerAttr(), w.block);
}

Value ModuleBuilder::rmsNorm(const Twine &name, Value x, StringRef weightName) {
  auto type = cast<RankedTensorType>(x.getType());
  Value gain;
  if (!weightName.empty())
    gain = weight(weightName, {type.getShape().back()}, config.storage.dense);
  return RmsNormOp::create(b, locate(name), type, x, gain,
                           f64(config.normEpsilon),
                           RoundingAttr::get(&context, Rounding::Once));
}

RopeAttr ModuleBuilder::ropeAttr(const RopeConfig &rope) {
  YarnAttr yarn;
  if (rope.factor)
    yarn = YarnAttr::get(&context, f64(*rope.factor), f64(rope.betaFast),
                         f64(rope.betaSlow), rope.originalMaxPositions);
  return RopeAttr::get(&context, f64(rope.theta), config.ropeDim, yarn);
}

/// Tokens of a page: 256, or the next number that the ratio divides.
static int64_t pageTokens(int64_t ratio) { return llvm::alignTo(256, ratio); }

FlatSymbolRefAttr ModuleBuilder::pool(const Twine &name, PoolKind kind,
                                      int64_t sizeOrRatio, int64_t width) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(b.getInsertionBlock()->getParentOp());
  bool isEntries = kind == PoolKind::Entries;
  auto op = PoolOp::create(
      b, locate(name), qualify(name), kind,
      isEntries ? IntegerAttr() : i64(sizeOrRatio),
      isEntries ? i64(sizeOrRatio) : IntegerAttr(),
      isEntries ? i64(pageTokens(sizeOrRatio)) : IntegerAttr(),
      /*select=*/SelectAttr(), FormatAttr::getPlain(b.getF32Type(), width));
  return FlatSymbolRefAttr::get(op.getSymNameAttr());
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

func::FuncOp ModuleBuilder::beginFunction(StringRef name, ArrayRef<Type> inputs,
                                          ArrayRef<StringRef> inputNames,
                                          Type result, bool isPublic) {
  b.setInsertionPointToEnd(module->getBody());
  // The function's own name; `prefix` is the scope of its body.
  Location loc = NameLoc::get(b.getStringAttr(name),
                              FileLineColLoc::get(&context, source, 0, 0));
  auto function =
      func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, {result}));
  if (!isPublic)
    function.setPrivate();
  Block *body = b.createBlock(&function.getBody());
  for (auto [type, inputName] : llvm::zip_equal(inputs, inputNames))
    body->addArgument(type, NameLoc::get(b.getStringAttr(inputName)));
  return function;
}

void ModuleBuilder::buildEmbed() {
  int64_t D = config.hiddenSize, n = config.streams;
  prefix.clear();
  auto function = beginFunction("embed", {numbers()}, {"ids"}, rows({n, D}),
                                /*isPublic=*/false);
  Value table =
      weight("embed.weight", {config.vocabSize, D}, config.storage.dense);
  Value x = EmbedOp::create(b, locate("embed"), rows({D}),
                            function.getArgument(0), table);
  Value streams =
      StreamExpandOp::create(b, locate("embed.expand"), rows({n, D}), x);
  func::ReturnOp::create(b, function.getLoc(), streams);
}

void ModuleBuilder::buildLayer(int64_t layer) {
  Type streamsType = rows({config.streams, config.hiddenSize});
  std::string name = ("layers." + Twine(layer)).str();
  prefix.clear();
  auto function =
      beginFunction(name, {streamsType, numbers(), numbers(), numbers()},
                    {"streams", "ids", "positions", "slots"}, streamsType,
                    /*isPublic=*/false);
  prefix = name + ".";
  Value streams = function.getArgument(0);
  Tokens tokens = {function.getArgument(1), function.getArgument(2),
                   function.getArgument(3)};

  SubBlock attention = readStreams(streams, "hc_attn");
  Value x = rmsNorm("attn_norm", attention.hidden, "attn_norm.weight");
  streams = writeStreams(buildAttention(layer, x, tokens), streams, attention,
                         "hc_attn");

  SubBlock experts = readStreams(streams, "hc_ffn");
  x = rmsNorm("ffn_norm", experts.hidden, "ffn_norm.weight");
  streams =
      writeStreams(buildExperts(layer, x, tokens), streams, experts, "hc_ffn");
  func::ReturnOp::create(b, function.getLoc(), streams);
}

void ModuleBuilder::buildHead() {
  int64_t D = config.hiddenSize, n = config.streams, V = config.vocabSize;
  prefix.clear();
  auto function =
      beginFunction("head", {rows({n, D}), numbers()}, {"streams", "rows"},
                    rows({V}), /*isPublic=*/false);
  Value streams =
      TakeOp::create(b, locate("head.take"), rows({n, D}),
                     function.getArgument(0), function.getArgument(1));
  Value fn = weight("hc_head_fn", {n, n * D}, WeightType::F32);
  Value base = weight("hc_head_base", {n}, WeightType::F32);
  Value scale = weight("hc_head_scale", {1}, WeightType::F32);
  auto project = StreamProjectOp::create(
      b, locate("hc_head.project"), rows({n}), Type(), Type(), streams, fn,
      base, scale, f64(config.normEpsilon), f64(config.streamEpsilon));
  Value z = StreamCollapseOp::create(b, locate("hc_head.collapse"), rows({D}),
                                     streams, project.getPre());
  Value x = rmsNorm("norm", z, "norm.weight");
  Value logits = linear("head", x, {V}, config.storage.dense);
  func::ReturnOp::create(b, function.getLoc(), logits);
}

void ModuleBuilder::buildStep() {
  prefix.clear();
  auto function =
      beginFunction("step", {numbers(), numbers(), numbers(), numbers()},
                    {"ids", "positions", "slots", "rows"},
                    rows({config.vocabSize}), /*isPublic=*/true);
  Value ids = function.getArgument(0), positions = function.getArgument(1);
  Value slots = function.getArgument(2), logitRows = function.getArgument(3);
  Type streamsType = rows({config.streams, config.hiddenSize});
  auto call = [&](StringRef callee, Type type, ValueRange operands) -> Value {
    return func::CallOp::create(b, locate(callee), callee, type, operands)
        .getResult(0);
  };
  Value streams = call("embed", streamsType, ids);
  for (int64_t layer = 0; layer < config.numLayers(); ++layer)
    streams = call(("layers." + Twine(layer)).str(), streamsType,
                   {streams, ids, positions, slots});
  Value logits = call("head", rows({config.vocabSize}), {streams, logitRows});
  func::ReturnOp::create(b, function.getLoc(), logits);
}

//===----------------------------------------------------------------------===//
// Residual streams (specification section 3)
//===----------------------------------------------------------------------===//

ModuleBuilder::SubBlock ModuleBuilder::readStreams(Value streams,
                                                   StringRef hc) {
  int64_t D = config.hiddenSize, n = config.streams;
  int64_t coefficients = n * (2 + n);
  Value fn = weight(hc + "_fn", {coefficients, n * D}, WeightType::F32);
  Value base = weight(hc + "_base", {coefficients}, WeightType::F32);
  Value scale = weight(hc + "_scale", {3}, WeightType::F32);
  auto project = StreamProjectOp::create(
      b, locate(hc + ".project"), rows({n}), rows({n}), rows({n, n}), streams,
      fn, base, scale, f64(config.normEpsilon), f64(config.streamEpsilon));
  Value comb = SinkhornOp::create(
      b, locate(hc + ".sinkhorn"), rows({n, n}), project.getLogits(),
      i64(config.sinkhornIterations), f64(config.streamEpsilon));
  Value hidden = StreamCollapseOp::create(b, locate(hc + ".collapse"),
                                          rows({D}), streams, project.getPre());
  return {hidden, project.getPost(), comb};
}

Value ModuleBuilder::writeStreams(Value y, Value streams, const SubBlock &block,
                                  StringRef hc) {
  return StreamMixOp::create(b, locate(hc + ".mix"), streams.getType(), y,
                             streams, block.post, block.comb);
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

namespace varve {

OwningOpRef<ModuleOp> importModel(MLIRContext &context,
                                  const ModelConfig &config,
                                  llvm::StringRef source,
                                  StoredTypeFn storedType) {
  return ModuleBuilder(context, config, source, storedType).build();
}

OwningOpRef<ModuleOp> importModel(MLIRContext &context,
                                  const ModelConfig &config,
                                  llvm::StringRef source) {
  return importModel(
      context, config, source,
      [](llvm::StringRef, WeightType implied) { return implied; });
}

} // namespace varve
