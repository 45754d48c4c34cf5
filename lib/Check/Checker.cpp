//===- Checker.cpp - Whole sequences and single layers --------------------===//

#include "lib/Check/Checker.h"
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

namespace varve {

CheckLimits plainLimits(double rms, double max) {
  CheckLimits limits;
  for (Limits *bounds : {&limits.prefill, &limits.decode, &limits.layer,
                         &limits.stored, &limits.codes, &limits.logits}) {
    bounds->relativeRms = rms;
    bounds->maxDifference = max;
  }
  return limits;
}

CheckLimits bf16Limits() {
  CheckLimits limits;
  for (Limits *bounds : {&limits.prefill, &limits.decode}) {
    bounds->median = 0.10;
    bounds->equalArgmax = 0.70;
  }
  // One layer rounds some twenty times, by 2^-9 relative each time.
  for (Limits *bounds :
       {&limits.layer, &limits.stored, &limits.codes, &limits.logits}) {
    bounds->median = 0.02;
    bounds->p90 = 0.04;
  }
  return limits;
}

CheckLimits nativeLimits() {
  CheckLimits limits;
  for (Limits *bounds : {&limits.prefill, &limits.decode}) {
    bounds->median = 0.10;
    bounds->p90 = 0.25;
    bounds->equalArgmax = 0.70;
  }
  limits.layer.median = limits.stored.median = 0.002;
  limits.layer.p99 = limits.stored.p99 = 0.03;
  limits.codes.equalElements = 0.998;
  limits.logits.maxDifference = 1e-4;
  limits.sameRouting = 0.97;
  limits.sharedEntries = 0.98;
  return limits;
}

} // namespace varve

//===----------------------------------------------------------------------===//
// End to end
//===----------------------------------------------------------------------===//

namespace {

/// One run of a sequence of the reference.
struct Job {
  int64_t batch;
  int64_t startStep;
  int32_t slot;
  int64_t done = 0;
  std::vector<float> logits; ///< [done, vocabulary]
};

/// Tokens that a job contributes to the next step: a chunk of its prompt, then
/// one token a step.
int64_t nextTokens(const Job &job, const ReferenceData &reference,
                   int64_t chunk) {
  int64_t prompt = reference.getPrompt();
  if (job.done < prompt)
    return chunk ? std::min(chunk, prompt - job.done) : prompt - job.done;
  return job.done < prompt + reference.getDecode() ? 1 : 0;
}

/// Runs the jobs to their ends, all that have started together in every step.
Error runJobs(Session &session, const ReferenceData &reference, int64_t chunk,
              std::vector<Job> &jobs) {
  for (int64_t step = 0;; ++step) {
    std::vector<StepToken> tokens;
    std::vector<std::pair<Job *, int64_t>> shares;
    bool waiting = false;
    for (Job &job : jobs) {
      waiting |= job.startStep > step;
      int64_t count =
          job.startStep > step ? 0 : nextTokens(job, reference, chunk);
      for (int64_t id : reference.getIds(job.batch).slice(job.done, count))
        tokens.push_back({job.slot, id, true});
      if (count)
        shares.emplace_back(&job, count);
    }
    if (tokens.empty() && !waiting)
      return Error::success();
    if (tokens.empty())
      continue;
    Expected<HostTensor> logits = session.step(tokens);
    if (!logits)
      return logits.takeError();
    ArrayRef<float> rest = logits->floats();
    for (auto [job, count] : shares) {
      ArrayRef<float> own = rest.take_front(count * session.getVocabSize());
      rest = rest.drop_front(own.size());
      job->logits.insert(job->logits.end(), own.begin(), own.end());
      job->done += count;
    }
  }
}

std::vector<Job> makeJobs(Session &session, const ReferenceData &reference,
                          const Schedule &schedule) {
  std::vector<Job> jobs;
  // A copy that starts when the first is in the middle of its prompt still
  // prefills while the first decodes.
  int64_t chunk = schedule.chunk ? schedule.chunk : reference.getPrompt();
  int64_t middle = (reference.getPrompt() + chunk - 1) / chunk / 2 + 1;
  for (int64_t copy = 0; copy < (schedule.mixed ? 2 : 1); ++copy)
    for (int64_t b = 0; b < reference.getBatch(); ++b)
      jobs.push_back({b,
                      copy * middle + (schedule.mixed ? b : 0),
                      session.addSequence(),
                      0,
                      {}});
  return jobs;
}

/// The row of the worst single decode step.
CheckRow worstStep(const std::string &what, ArrayRef<float> actual,
                   ArrayRef<float> expected, int64_t steps, int64_t vocab,
                   const Limits &bounds) {
  std::optional<CheckRow> worst;
  int64_t worstIndex = 0;
  for (int64_t i = 0; i < steps; ++i) {
    Statistics statistics = compare(actual.slice(i * vocab, vocab),
                                    expected.slice(i * vocab, vocab), vocab);
    if (worst && worst->statistics.relativeRms >= statistics.relativeRms)
      continue;
    worst = makeRow("", statistics, bounds);
    worstIndex = i;
  }
  worst->what = what + ", step " + std::to_string(worstIndex) + " (the worst)";
  return *worst;
}

} // namespace

Expected<std::vector<CheckRow>>
Checker::checkEndToEnd(const Schedule &schedule) {
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

  std::vector<Job> jobs = makeJobs(*session, reference, schedule);
  if (Error error = runJobs(*session, reference, schedule.chunk, jobs))
    return std::move(error);
  Rows rows;
  for (const Job &job : jobs) {
    std::string name = "sequence " + std::to_string(job.batch);
    if (job.startStep)
      name += " (from step " + std::to_string(job.startStep) + ")";
    ArrayRef<float> logits = job.logits;
    ArrayRef<float> expected =
        ArrayRef<float>(prefill->elements).slice(job.batch * P * V, P * V);
    rows.push_back(makeRow(name + ": prefill",
                           compare(logits.take_front(P * V), expected, V),
                           limits.prefill));
    session->dropSequence(job.slot);
    if (!N)
      continue;
    expected =
        ArrayRef<float>(decode->elements).slice(job.batch * N * V, N * V);
    logits = logits.drop_front(P * V);
    rows.push_back(makeRow(name + ": decode", compare(logits, expected, V),
                           limits.decode));
    // Single steps are held against bounds that mean something for one row.
    Limits single;
    single.relativeRms = limits.decode.relativeRms;
    single.maxDifference = limits.decode.maxDifference;
    rows.push_back(
        worstStep(name + ": decode", logits, expected, N, V, single));
  }
  return rows;
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
      positions.push_back(position);
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
  for (int64_t b = 0; b < reference.getBatch(); ++b)
    interpreter.getPools().clear(b);
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
