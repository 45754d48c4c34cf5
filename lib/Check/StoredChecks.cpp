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
#include <numeric>
#include <set>

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

/// Positions at the end of the prompt of which a `_tail` tensor tells.
static constexpr int64_t kTail = 8;

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

Error Checker::compareTap(StringRef stored, const Taps &taps, StringRef op,
                          Rows &rows, unsigned result) {
  if (!reference.has(stored))
    return Error::success();
  auto seen = taps.seen.find(op);
  if (seen == taps.seen.end() || seen->second.size() <= result)
    return llvm::createStringError("the model has no op named '" + op +
                                   "' to compare with '" + stored + "'");
  const HostTensor &value = seen->second[result];
  llvm::SmallVector<int64_t> shape = {reference.getBatch(),
                                      reference.getPrompt()};
  llvm::append_range(shape, value.getShape().drop_front());
  auto expected = reference.read(stored, shape);
  if (!expected)
    return expected.takeError();
  rows.push_back(
      makeRow(stored.str(),
              compare(value.floats(), expected->elements, value.getRowSize()),
              limits.stored));
  return Error::success();
}

Error Checker::compareTail(StringRef stored, const HostTensor &value,
                           Rows &rows) {
  if (!reference.has(stored))
    return Error::success();
  int64_t B = reference.getBatch(), P = reference.getPrompt();
  int64_t tail = std::min(kTail, P), width = value.getRowSize();
  llvm::SmallVector<int64_t> shape = {B, tail};
  llvm::append_range(shape, value.getShape().drop_front());
  auto expected = reference.read(stored, shape);
  if (!expected)
    return expected.takeError();
  std::vector<float> actual;
  for (int64_t b = 0; b < B; ++b)
    llvm::append_range(
        actual, value.floats().slice((b * P + P - tail) * width, tail * width));
  rows.push_back(makeRow(
      stored.str(), compare(actual, expected->elements, width), limits.stored));
  return Error::success();
}

/// Rows of a pool, after the prompt, against rows of a stored tensor.
Error Checker::comparePool(StringRef stored, StringRef pool, Rows &rows) {
  if (!reference.has(stored))
    return Error::success();
  auto expected = reference.read(stored, {reference.getBatch(), -1, -1});
  if (!expected)
    return expected.takeError();
  int64_t count = expected->shape[1], width = expected->shape[2];
  std::vector<float> actual;
  for (int64_t b = 0; b < reference.getBatch(); ++b)
    for (int64_t i = 0; i < count; ++i) {
      ArrayRef<float> row = interpreter.getPools().read(pool, b, i);
      if (static_cast<int64_t>(row.size()) != width)
        return llvm::createStringError(
            llvm::formatv(
                "'{0}': expected row {1} of @{2} to have {3} elements, got {4}",
                stored, i, pool, width, row.size())
                .str());
      llvm::append_range(actual, row);
    }
  rows.push_back(makeRow(
      stored.str(), compare(actual, expected->elements, width), limits.codes));
  return Error::success();
}

/// Selected entries or experts. `ordered` compares place by place, otherwise
/// the sets of each token count.
Error Checker::compareNumbers(StringRef stored, const HostTensor &actual,
                              double share, bool ordered, Rows &rows) {
  if (!reference.has(stored))
    return Error::success();
  int64_t B = reference.getBatch(), P = reference.getPrompt(),
          k = actual.getDim(1);
  auto expected = reference.readNumbers(stored, {B, P, -1});
  if (!expected)
    return expected.takeError();
  int64_t stride = expected->shape[2], shared = 0, wanted = 0;
  for (int64_t t = 0; t < B * P; ++t) {
    ArrayRef<int64_t> want =
        ArrayRef<int64_t>(expected->numbers).slice(t * stride, stride);
    ArrayRef<int32_t> got = actual.numbers().slice(t * k, k);
    std::set<int64_t> have(got.begin(), got.end());
    for (int64_t i = 0; i < stride; ++i) {
      if (want[i] < 0)
        continue;
      ++wanted;
      shared += ordered ? i < k && got[i] == want[i] : have.count(want[i]);
    }
  }
  Statistics statistics;
  statistics.positions = B * P;
  statistics.equalElements =
      wanted ? static_cast<double>(shared) / wanted : 1.0;
  Limits bounds;
  bounds.equalElements = share;
  rows.push_back(makeRow(stored.str(), statistics, bounds));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Attention and indexer
//===----------------------------------------------------------------------===//

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

Error Checker::checkIndexer(int64_t layer, const HostTensor &streams,
                            Taps &taps, Rows &rows) {
  std::string stored = "indexer." + std::to_string(layer);
  std::string scope = "layers." + std::to_string(layer) + ".attn.indexer";
  if (std::optional<HostTensor> q = indexQueries(layer, taps))
    if (Error error = compareTail(stored + ".q_tail", *q, rows))
      return error;
  if (Error error = comparePool(stored + ".keys", scope + ".keys", rows))
    return error;
  if (Error error =
          compareTap(stored + ".scores", taps, scope + ".score", rows))
    return error;
  if (!reference.has(stored + ".topk") || !reference.has(stored + ".scores"))
    return Error::success();
  if (Error error =
          compareNumbers(stored + ".topk", taps.seen[scope + ".topk"][0],
                         limits.sharedEntries, /*ordered=*/false, rows))
    return error;
  // From the stored scores the choice has no excuse.
  const HostTensor &own = taps.seen[scope + ".score"][0];
  auto scores = reference.read(
      stored + ".scores",
      {reference.getBatch(), reference.getPrompt(), own.getDim(1)});
  if (!scores)
    return scores.takeError();
  Taps fed;
  fed.replace[scope + ".score"] = HostTensor::ofFloats(
      own.getElementType(), own.getShape(), std::move(scores->elements));
  Expected<HostTensor> result = runLayer(layer, streams, &fed);
  if (!result)
    return result.takeError();
  if (Error error =
          compareNumbers(stored + ".topk", fed.seen[scope + ".topk"][0], 1.0,
                         /*ordered=*/true, rows))
    return error;
  rows.back().what += " from " + stored + ".scores";
  return Error::success();
}

Error Checker::checkAttention(int64_t layer, Rows &rows) {
  std::string stored = "attn." + std::to_string(layer);
  std::string scope = "layers." + std::to_string(layer);
  if (!reference.has(stored + ".input"))
    return Error::success();
  Expected<HostTensor> streams = readStreams(layer);
  if (!streams)
    return streams.takeError();
  int64_t B = reference.getBatch(), P = reference.getPrompt(),
          D = streams->getDim(2);
  auto input = reference.read(stored + ".input", {B, P, D});
  if (!input)
    return input.takeError();
  Taps taps;
  taps.replace[scope + ".attn_norm"] = HostTensor::ofFloats(
      streams->getElementType(), {B * P, D}, std::move(input->elements));
  Expected<HostTensor> result = runLayer(layer, *streams, &taps);
  if (!result)
    return result.takeError();
  size_t first = rows.size();
  if (Error error =
          compareTap(stored + ".q_latent", taps, scope + ".attn.q_norm", rows))
    return error;
  if (Error error = compareTail(stored + ".q_tail",
                                taps.seen[scope + ".attn.q_rope"][0], rows))
    return error;
  if (Error error =
          comparePool(stored + ".window_kv", scope + ".attn.window", rows))
    return error;
  if (Error error =
          comparePool(stored + ".entries", scope + ".attn.entries", rows))
    return error;
  if (Error error = compareTail(stored + ".o_tail",
                                taps.seen[scope + ".attn.core"][0], rows))
    return error;
  if (Error error =
          compareTap(stored + ".output", taps, scope + ".attn.wo_b", rows))
    return error;
  if (taps.seen.count(scope + ".attn.indexer.score"))
    if (Error error = checkIndexer(layer, *streams, taps, rows))
      return error;
  for (CheckRow &row : llvm::MutableArrayRef<CheckRow>(rows).drop_front(first))
    row.layer = layer;
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Router and experts
//===----------------------------------------------------------------------===//

Error Checker::checkExperts(int64_t layer, Rows &rows) {
  std::string number = std::to_string(layer), scope = "layers." + number;
  if (!reference.has("moe." + number + ".input"))
    return Error::success();
  Expected<HostTensor> streams = readStreams(layer);
  if (!streams)
    return streams.takeError();
  int64_t B = reference.getBatch(), P = reference.getPrompt(),
          D = streams->getDim(2);
  auto input = reference.read("moe." + number + ".input", {B, P, D});
  if (!input)
    return input.takeError();
  Taps taps;
  taps.replace[scope + ".ffn_norm"] = HostTensor::ofFloats(
      streams->getElementType(), {B * P, D}, std::move(input->elements));
  Expected<HostTensor> result = runLayer(layer, *streams, &taps);
  if (!result)
    return result.takeError();
  size_t first = rows.size();
  const auto &route = taps.seen[scope + ".ffn.route"];
  if (Error error = compareTap("router." + number + ".logits", taps,
                               scope + ".ffn.gate", rows))
    return error;
  if (Error error = compareNumbers("router." + number + ".indices", route[0],
                                   limits.sameRouting, /*ordered=*/true, rows))
    return error;
  size_t weightsRow = rows.size();
  if (Error error = compareTap("router." + number + ".weights", taps,
                               scope + ".ffn.route", rows, /*result=*/1))
    return error;
  if (rows.size() > weightsRow) {
    Limits bounds;
    bounds.worst = limits.routerWeights;
    rows.back() = makeRow(rows.back().what, rows.back().statistics, bounds);
  }
  if (Error error = compareTap("moe." + number + ".output", taps,
                               scope + ".ffn.combine", rows))
    return error;
  for (CheckRow &row : llvm::MutableArrayRef<CheckRow>(rows).drop_front(first))
    row.layer = layer;
  return Error::success();
}

Expected<std::vector<CheckRow>> Checker::checkStored() {
  Rows rows;
  for (int64_t layer = 0, L = getNumLayers(); layer < L; ++layer) {
    if (!reference.has("hidden." + std::to_string(layer)))
      continue;
    if (Error error = checkAttention(layer, rows))
      return std::move(error);
    if (Error error = checkExperts(layer, rows))
      return std::move(error);
  }
  return rows;
}
