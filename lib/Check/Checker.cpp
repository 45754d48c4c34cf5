//===- Checker.cpp - Whole sequences and single layers --------------------===//

#include "lib/Check/Checker.h"
#include "lib/Check/SeededPools.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "varve/Support/DiagnosedError.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace ::varve;
using llvm::ArrayRef;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using ::varve::Checker;
using ::varve::CheckLimits;
using ::varve::CheckRow;
using ::varve::HostTensor;

//===----------------------------------------------------------------------===//
// End to end
//===----------------------------------------------------------------------===//

namespace {

/// The interpreter's session as the comparison drives it.
class SessionRunner final : public SequenceRunner {
public:
  explicit SessionRunner(Session &session) : session(session) {}
  Error takeError() { return std::move(error); }

  int32_t add() override { return session.addSequence(); }
  void drop(int32_t slot) override { session.dropSequence(slot); }
  bool step(std::span<const FedToken> fed,
            std::vector<float> &logits) override {
    std::vector<StepToken> tokens;
    for (const FedToken &token : fed)
      tokens.push_back({token.slot, token.id, true});
    Expected<HostTensor> result = session.step(tokens);
    if (!result) {
      error = llvm::joinErrors(std::move(error), result.takeError());
      return false;
    }
    logits.assign(result->floats().begin(), result->floats().end());
    return true;
  }

private:
  Session &session;
  Error error = Error::success();
};

} // namespace

Expected<std::vector<CheckRow>>
Checker::checkEndToEnd(const Schedule &schedule) {
  if (reference.getContext())
    return createStringError(
        llvm::formatv("the reference begins behind {0} tokens that it does not "
                      "have; add --layers",
                      reference.getContext())
            .str());
  Expected<Session> session = Session::create(interpreter);
  if (!session)
    return session.takeError();
  int64_t B = reference.getBatch(), P = reference.getPrompt(),
          N = reference.getDecode();
  int64_t V = session->getVocabSize();
  auto prefill = reference.read("prefill_logits", {B, P, V});
  if (!prefill)
    return prefill.takeError();
  Expected<ReferenceTensor> decode = ReferenceTensor();
  if (N)
    decode = reference.read("decode_logits", {B, N, V});
  if (!decode)
    return decode.takeError();

  SessionRunner runner(*session);
  EndToEndReference data{B, P, N, V, {}, prefill->elements, decode->elements};
  for (int64_t b = 0; b < B; ++b)
    data.ids.push_back(reference.getIds(b));
  std::optional<Rows> rows = runEndToEnd(runner, data, schedule, limits);
  if (!rows)
    return runner.takeError();
  return std::move(*rows);
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

int64_t Checker::getNumLayers() {
  int64_t layers = 0;
  while (
      interpreter.getModule().lookupSymbol("layers." + std::to_string(layers)))
    ++layers;
  return layers;
}

/// ids, positions and slots of all prompts, flattened.
std::vector<HostTensor> Checker::promptTokens() {
  std::vector<int32_t> ids, positions, slots;
  for (int64_t b = 0; b < reference.getBatch(); ++b)
    for (int64_t position = 0; position < reference.getPrompt(); ++position) {
      ids.push_back(reference.getIds(b)[position]);
      positions.push_back(reference.getContext() + position);
      slots.push_back(b);
    }
  return {numbersOf(getContext(), std::move(ids)),
          numbersOf(getContext(), std::move(positions)),
          numbersOf(getContext(), std::move(slots))};
}

/// The type of the streams: that of the first argument of a layer.
static RankedTensorType streamsType(ModuleOp module) {
  auto layer = module.lookupSymbol<func::FuncOp>("layers.0");
  return cast<RankedTensorType>(layer.getFunctionType().getInput(0));
}

Expected<HostTensor> Checker::readStreams(int64_t layer) {
  RankedTensorType type = streamsType(interpreter.getModule());
  int64_t B = reference.getBatch(), P = reference.getPrompt();
  int64_t n = type.getDimSize(1), D = type.getDimSize(2);
  auto tensor = reference.read("hidden." + std::to_string(layer), {B, P, n, D});
  if (!tensor)
    return tensor.takeError();
  return HostTensor::ofFloats(type.getElementType(), {B * P, n, D},
                              std::move(tensor->elements));
}

Expected<HostTensor> Checker::runLayer(int64_t layer, const HostTensor &streams,
                                       Taps *taps) {
  for (int64_t b = 0; b < reference.getBatch(); ++b) {
    interpreter.getPools().clear(b);
    seedPools(interpreter, b, reference.getContext(), reference.getStateSeed(),
              b);
  }
  if (taps)
    interpreter.setHook(
        [taps](StringRef name, unsigned result, HostTensor &value) {
          auto replacement = taps->replace.find(name);
          if (replacement != taps->replace.end() && result == 0)
            value = replacement->second;
          auto &seen = taps->seen[name];
          seen.resize(std::max<size_t>(seen.size(), result + 1));
          seen[result] = value;
        });
  std::vector<HostTensor> arguments = promptTokens();
  arguments.insert(arguments.begin(), streams);
  auto results = interpreter.call("layers." + std::to_string(layer), arguments);
  interpreter.setHook({});
  if (failed(results))
    return llvm::make_error<DiagnosedError>("layer " + std::to_string(layer) +
                                            " failed");
  return results->front();
}

Expected<HostTensor> Checker::runHead(const HostTensor &streams) {
  std::vector<int32_t> rows(streams.getNumRows());
  std::iota(rows.begin(), rows.end(), 0);
  auto results = interpreter.call(
      "head", {streams, numbersOf(getContext(), std::move(rows))});
  if (failed(results))
    return llvm::make_error<DiagnosedError>("the head failed");
  return results->front();
}

Error Checker::checkLogits(const HostTensor &streams, const Limits &bounds,
                           Rows &rows) {
  Expected<HostTensor> logits = runHead(streams);
  if (!logits)
    return logits.takeError();
  auto expected = reference.read(
      "prefill_logits",
      {reference.getBatch(), reference.getPrompt(), logits->getRowSize()});
  if (!expected)
    return expected.takeError();
  rows.push_back(makeRow(
      "prefill_logits",
      compare(logits->floats(), expected->elements, logits->getRowSize()),
      bounds));
  return Error::success();
}

Expected<std::vector<CheckRow>> Checker::checkLayers() {
  Rows rows;
  int64_t L = getNumLayers();
  for (int64_t layer = 0; layer < L; ++layer) {
    if (!reference.has("hidden." + std::to_string(layer)))
      continue;
    Expected<HostTensor> streams = readStreams(layer);
    if (!streams)
      return streams.takeError();
    Expected<HostTensor> result = runLayer(layer, *streams, nullptr);
    if (!result)
      return result.takeError();
    std::string next = "hidden." + std::to_string(layer + 1);
    if (reference.has(next)) {
      Expected<HostTensor> expected = readStreams(layer + 1);
      if (!expected)
        return expected.takeError();
      rows.push_back(makeRow(
          "hidden." + std::to_string(layer) + " -> " + next,
          compare(result->floats(), expected->floats(), result->getRowSize()),
          limits.layer, layer));
    } else if (layer == L - 1) {
      // The last layer's output was not stored: look at it through the head.
      if (Error error = checkLogits(*result, limits.layer, rows))
        return std::move(error);
      rows.back().what =
          "hidden." + std::to_string(layer) + " -> prefill_logits";
      rows.back().layer = layer;
    }
  }
  if (reference.has("hidden." + std::to_string(L))) {
    Expected<HostTensor> streams = readStreams(L);
    if (!streams)
      return streams.takeError();
    if (Error error = checkLogits(*streams, limits.logits, rows))
      return std::move(error);
    rows.back().what = "hidden." + std::to_string(L) + " -> prefill_logits";
  }
  return rows;
}
