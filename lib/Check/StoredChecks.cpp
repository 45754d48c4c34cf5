//===- StoredChecks.cpp - Single mechanisms from stored tensors -----------===//
//
// The sharpest comparisons: a stored tensor is put in the place of the value
// that the model computed, and what follows from it is compared. So an error
// has one mechanism to come from.
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Checker.h"
#include "lib/Interpret/Reference/Quantize.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace ::varve;
using llvm::ArrayRef;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using mlir::varve::IndexScoreOp;
using ::varve::Checker;
using ::varve::CheckRow;
using ::varve::HostTensor;

//===----------------------------------------------------------------------===//
// What the interpreter saw
//===----------------------------------------------------------------------===//

/// A value with a row for every token of the prompts.
LayerTensor Checker::observe(const HostTensor &value) {
  LayerTensor tensor;
  tensor.shape = {reference.getBatch(), reference.getPrompt()};
  llvm::append_range(tensor.shape, value.getShape().drop_front());
  if (value.getElementType().isInteger())
    tensor.choices.assign(value.numbers().begin(), value.numbers().end());
  else
    tensor.numbers.assign(value.floats().begin(), value.floats().end());
  return tensor;
}

void Checker::observeOps(Mechanism mechanism, int64_t layer, const Taps &taps,
                         LayerTensors &observed) {
  struct Place {
    Mechanism mechanism;
    const char *name, *op;
    unsigned result = 0;
  };
  static constexpr Place places[] = {
      {Mechanism::Attention, "attn.q_latent", "attn.q_norm"},
      {Mechanism::Attention, "attn.q", "attn.q_rope"},
      {Mechanism::Attention, "attn.o", "attn.core"},
      {Mechanism::Attention, "attn.output", "attn.wo_b"},
      {Mechanism::Attention, "indexer.scores", "attn.indexer.score"},
      {Mechanism::Attention, "indexer.topk", "attn.indexer.topk"},
      {Mechanism::Experts, "router.logits", "ffn.gate"},
      {Mechanism::Experts, "router.indices", "ffn.route", 0},
      {Mechanism::Experts, "router.weights", "ffn.route", 1},
      {Mechanism::Experts, "moe.output", "ffn.combine"},
  };
  std::string scope = "layers." + std::to_string(layer) + ".";
  for (const Place &place : places) {
    auto seen = taps.seen.find(scope + place.op);
    if (place.mechanism == mechanism && seen != taps.seen.end() &&
        place.result < seen->second.size())
      observed[place.name] = observe(seen->second[place.result]);
  }
}

/// The widest steps that a format's rows have.
static CodeKind codesOf(mlir::varve::FormatAttr format) {
  CodeKind codes = CodeKind::Plain;
  for (mlir::varve::SegmentAttr segment : format.getSegments())
    if (segment.getBlock())
      codes = std::max(codes, isa<Float4E2M1FNType>(segment.getElementType())
                                  ? CodeKind::E2M1
                                  : CodeKind::E4M3);
  return codes;
}

/// As many rows of a pool as the reference has.
Error Checker::observePool(StringRef name, StringRef pool,
                           const LayerTensors &expected,
                           LayerTensors &observed) {
  auto it = expected.find(std::string_view(name));
  auto op = interpreter.getModule().lookupSymbol<mlir::varve::PoolOp>(pool);
  if (it == expected.end() || !op)
    return Error::success();
  int64_t count = it->second.shape[1], width = op.getFormat().getWidth();
  LayerTensor rows;
  rows.shape = {reference.getBatch(), count, width};
  rows.codes = codesOf(op.getFormat());
  for (int64_t b = 0; b < reference.getBatch(); ++b)
    for (int64_t i = 0; i < count; ++i) {
      ArrayRef<float> row = interpreter.getPools().read(pool, b, i);
      if (row.empty())
        return llvm::createStringError(
            llvm::formatv("'{0}' of the reference has {1} rows, but @{2} has "
                          "no row {3} after the prompt",
                          name, count, pool, i)
                .str());
      llvm::append_range(rows.numbers, row);
    }
  observed[name.str()] = std::move(rows);
  return Error::success();
}

/// The queries that the index scores are computed from, as numbers.
std::optional<HostTensor> Checker::indexQueries(int64_t layer,
                                                const Taps &taps) {
  std::string name = "layers." + std::to_string(layer) + ".attn.indexer.score";
  IndexScoreOp score;
  interpreter.getModule().walk([&](IndexScoreOp op) {
    auto loc = dyn_cast<NameLoc>(op.getLoc());
    if (loc && loc.getName() == name)
      score = op;
  });
  auto seenValue = [&](Value value) -> std::optional<HostTensor> {
    auto result = dyn_cast_or_null<OpResult>(value);
    auto loc =
        result ? dyn_cast<NameLoc>(result.getOwner()->getLoc()) : NameLoc();
    auto seen = loc ? taps.seen.find(loc.getName()) : taps.seen.end();
    if (seen == taps.seen.end())
      return std::nullopt;
    return seen->second[result.getResultNumber()];
  };
  std::optional<HostTensor> q = score ? seenValue(score.getQ()) : std::nullopt;
  if (!q || !score.getQScale())
    return q;
  std::optional<HostTensor> scales = seenValue(score.getQScale());
  if (!scales)
    return std::nullopt;
  HostTensor numbers = HostTensor::ofFloats(q->getElementType(), q->getShape());
  int64_t width = q->getShape().back(), groups = scales->getShape().back();
  for (int64_t row = 0, count = q->getNumElements() / width; row < count; ++row)
    reference::dequantize(q->floats().slice(row * width, width),
                          scales->floats().slice(row * groups, groups),
                          *score.getQBlock(),
                          numbers.floats().slice(row * width, width));
  return numbers;
}

/// The choice that follows from the stored scores.
Error Checker::chooseFromScores(int64_t layer, const HostTensor &streams,
                                const Taps &taps, LayerTensors &observed) {
  std::string scope = "layers." + std::to_string(layer) + ".attn.indexer";
  auto seen = taps.seen.find(scope + ".score");
  std::string name = "indexer." + std::to_string(layer) + ".scores";
  if (seen == taps.seen.end() || !reference.has(name))
    return Error::success();
  const HostTensor &own = seen->second.front();
  auto scores = reference.read(
      name, {reference.getBatch(), reference.getPrompt(), own.getDim(1)});
  if (!scores)
    return scores.takeError();
  Taps fed;
  fed.replace[scope + ".score"] = HostTensor::ofFloats(
      own.getElementType(), own.getShape(), std::move(scores->elements));
  Expected<HostTensor> result = runLayer(layer, streams, &fed);
  if (!result)
    return result.takeError();
  observed[std::string(kChoiceFromScores)] =
      observe(fed.seen[scope + ".topk"].front());
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

Expected<LayerTensors> Checker::readExpected(Mechanism mechanism,
                                             int64_t layer) {
  LayerTensors tensors;
  for (const StoredRule &rule : rulesOf(mechanism)) {
    std::string name = rule.nameIn(layer);
    if (!reference.has(name))
      continue;
    auto read = reference.readStored(name, rule.isChoices());
    if (!read)
      return read.takeError();
    LayerTensor &tensor = tensors[std::string(rule.observed)];
    tensor.shape.assign(read->shape.begin(), read->shape.end());
    tensor.numbers = std::move(read->elements);
    tensor.choices = std::move(read->numbers);
  }
  return tensors;
}

/// Runs a layer with the stored input of one of its halves in place and
/// compares what follows.
Error Checker::checkMechanism(Mechanism mechanism, int64_t layer, Rows &rows) {
  std::string name = inputOf(mechanism, layer);
  if (!reference.has(name))
    return Error::success();
  bool isAttention = mechanism == Mechanism::Attention;
  Expected<HostTensor> streams = readStreams(layer);
  if (!streams)
    return streams.takeError();
  int64_t B = reference.getBatch(), P = reference.getPrompt(),
          D = streams->getDim(2);
  auto input = reference.read(name, {B, P, D});
  if (!input)
    return input.takeError();
  std::string scope = "layers." + std::to_string(layer);
  Taps taps;
  taps.replace[scope + (isAttention ? ".attn_norm" : ".ffn_norm")] =
      HostTensor::ofFloats(streams->getElementType(), {B * P, D},
                           std::move(input->elements));
  Expected<HostTensor> result = runLayer(layer, *streams, &taps);
  if (!result)
    return result.takeError();
  Expected<LayerTensors> expected = readExpected(mechanism, layer);
  if (!expected)
    return expected.takeError();
  LayerTensors observed;
  observeOps(mechanism, layer, taps, observed);
  if (isAttention) {
    if (std::optional<HostTensor> q = indexQueries(layer, taps))
      observed["indexer.q"] = observe(*q);
    for (auto [stored, pool] :
         {std::pair("attn.window_kv", ".attn.window"),
          std::pair("attn.entries", ".attn.entries"),
          std::pair("indexer.keys", ".attn.indexer.keys")})
      if (Error error = observePool(stored, scope + pool, *expected, observed))
        return error;
    if (Error error = chooseFromScores(layer, *streams, taps, observed))
      return error;
  }
  std::vector<std::string> missing;
  std::string problem;
  llvm::append_range(rows, compareStored(mechanism, layer, *expected, observed,
                                         limits, missing, problem));
  if (!missing.empty())
    return llvm::createStringError("the model has no value to compare with '" +
                                   missing.front() + "'");
  if (!problem.empty())
    return llvm::createStringError(problem);
  return Error::success();
}

Expected<std::vector<CheckRow>> Checker::checkStored() {
  Rows rows;
  for (int64_t layer = 0, L = getNumLayers(); layer < L; ++layer) {
    if (!reference.has("hidden." + std::to_string(layer)))
      continue;
    for (Mechanism mechanism : {Mechanism::Attention, Mechanism::Experts})
      if (Error error = checkMechanism(mechanism, layer, rows))
        return std::move(error);
  }
  return rows;
}
