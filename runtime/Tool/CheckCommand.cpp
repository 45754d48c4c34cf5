//===- CheckCommand.cpp - Compare with a reference ------------------------===//

#include "runtime/Tool/Common.h"
#include "runtime/Tool/LayerChecks.h"
#include "runtime/Tool/ReferenceFile.h"
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace varve::runtime {

namespace {

/// A session as the comparison drives it.
class SessionRunner final : public SequenceRunner {
public:
  explicit SessionRunner(Session &session) : session(session) {}
  int32_t add() override { return session.add(); }
  void drop(int32_t slot) override { session.drop(slot); }
  bool step(std::span<const FedToken> fed,
            std::vector<float> &logits) override {
    std::vector<StepToken> tokens;
    for (const FedToken &token : fed)
      tokens.push_back({token.slot, token.id, true});
    session.step(tokens, logits);
    return true;
  }

private:
  Session &session;
};

nlohmann::json toJson(const CheckRow &row) {
  const Statistics &s = row.statistics;
  // JSON has no infinite numbers.
  auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
  };
  nlohmann::json object = {{"what", row.what},
                           {"passed", row.passed()},
                           {"positions", s.positions},
                           {"relative_rms", number(s.relativeRms)},
                           {"max", number(s.maxDifference)},
                           {"median", number(s.median)},
                           {"p90", number(s.p90)},
                           {"p99", number(s.p99)},
                           {"worst", number(s.worst)},
                           {"equal_elements", s.equalElements},
                           {"equal_argmax", s.equalArgmax},
                           {"finite", s.finite},
                           {"violations", row.violations}};
  if (row.layer)
    object["layer"] = *row.layer;
  return object;
}

/// Room for what the comparison runs.
Capacity capacityFor(const CheckOptions &options, const Plan &plan,
                     const ReferenceFile &reference) {
  const EndToEndReference &sequences = reference.getSequences();
  Schedule schedule{options.chunk, options.mixed};
  Capacity capacity;
  capacity.context =
      reference.getContext() + sequences.prompt + sequences.decode;
  if (options.layersAlone) {
    capacity.maxSequences = sequences.batch * options.repeat;
    int64_t tokens = options.chunk ? std::min(options.chunk, sequences.prompt)
                                   : sequences.prompt;
    capacity.maxTokens = capacity.maxSequences * tokens;
    capacity.maxRows = std::max<int64_t>(
        1, logitRowsOf(plan, reference, sequences.batch * tokens));
  } else {
    capacity.maxSequences = sequencesOf(sequences, schedule);
    capacity.maxTokens = mostTokensOf(sequences, schedule);
    capacity.maxRows = capacity.maxTokens;
  }
  return capacity;
}

int check(const CheckOptions &options) {
  if (options.chunk < 0)
    fail("--chunk: expected a number that is not negative, got {}",
         options.chunk);
  std::shared_ptr<const Package> package = openPackage(options);
  Plan first = package->loadPlan(package->getTargets().front());
  const ModelInfo &model = first.model;
  ReferenceFile reference(options.folder, model);
  const EndToEndReference &sequences = reference.getSequences();
  Schedule schedule{options.chunk, options.mixed};
  if (options.repeat < 1)
    fail("--repeat: expected a positive number, got {}", options.repeat);
  if (options.repeat > 1 && !options.layersAlone)
    fail("--repeat is for --layers; --mixed runs whole sequences twice");
  if (options.mixed && options.layersAlone)
    fail("--mixed is for whole sequences; with --layers, --repeat runs them "
         "side by side");
  if (reference.getContext() && !options.layersAlone)
    fail("{}: the reference begins behind {} tokens that it does not have; add "
         "--layers",
         inQuotes(options.folder), reference.getContext());
  Capacity capacity = capacityFor(options, first, reference);
  RunTarget target = options;
  if (target.weights.empty())
    target.weights = options.folder;
  LoadedPackage loaded = loadPackage(target, capacity);
  Session session(loaded.model, smallStepsOf(options));
  CheckLimits limits =
      chooseLimits(model.precision,
                   loaded.model->getPlan().isCpu() ? Accumulation::F32
                                                   : Accumulation::TensorCores,
                   options.rms, options.max);
  std::vector<CheckRow> rows;
  if (options.layersAlone) {
    rows = checkLayers(session, reference, options, limits);
  } else {
    SessionRunner runner(session);
    rows = *runEndToEnd(runner, sequences, schedule, limits);
  }
  bool passed = std::all_of(rows.begin(), rows.end(),
                            [](const CheckRow &row) { return row.passed(); });
  if (options.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const CheckRow &row : rows)
      all.push_back(toJson(row));
    print(nlohmann::json{{"model", model.name},
                         {"precision", model.precision},
                         {"target", loaded.model->getPlan().target},
                         {"passed", passed},
                         {"rows", all}}
              .dump(2) +
          "\n");
  } else {
    print(tableOf(rows));
  }
  note("{}", summaryOf(rows, options.layersAlone));
  return passed ? 0 : 1;
}

} // namespace

int checkCommand(const CheckOptions &options) noexcept {
  return guardedCommand([&] { return check(options); });
}

} // namespace varve::runtime
