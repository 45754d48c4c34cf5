//===- CheckCommand.cpp - Compare with a reference ------------------------===//

#include "runtime/Tool/Common.h"
#include "runtime/Tool/ReferenceFile.h"
#include "varve/Support/Floats.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
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

std::vector<uint8_t> encode(std::span<const float> numbers, Element element) {
  std::vector<uint8_t> bytes;
  auto append = [&](auto code) {
    size_t end = bytes.size();
    bytes.resize(end + sizeof(code));
    std::memcpy(bytes.data() + end, &code, sizeof(code));
  };
  for (float number : numbers) {
    if (element == Element::F32)
      append(number);
    else if (element == Element::BF16)
      append(floatToBf16(number));
    else
      append(floatToF16(number));
  }
  return bytes;
}

std::vector<float> decode(std::span<const uint8_t> bytes, Element element) {
  std::vector<float> numbers;
  size_t width = bitsOf(element) / 8;
  for (size_t i = 0; i + width <= bytes.size(); i += width) {
    uint32_t code = 0;
    std::memcpy(&code, bytes.data() + i, width);
    numbers.push_back(element == Element::F32 ? std::bit_cast<float>(code)
                      : element == Element::BF16
                          ? bf16ToFloat(static_cast<uint16_t>(code))
                          : f16ToFloat(static_cast<uint16_t>(code)));
  }
  return numbers;
}

/// The streams that a layer reads and writes: its only input and its only
/// output that the runtime does not fill.
struct LayerPorts {
  const Port *input = nullptr, *output = nullptr;
};
LayerPorts portsOf(const Program &program) {
  LayerPorts result;
  for (const Port &port : program.ports) {
    bool isFloat = port.type.element == Element::F32 ||
                   port.type.element == Element::BF16 ||
                   port.type.element == Element::F16;
    if (!isFloat)
      continue;
    const Port *&place = port.isOutput ? result.output : result.input;
    if (place)
      fail("program {} has more than one input or output of streams",
           inQuotes(program.name));
    place = &port;
  }
  if (!result.input || !result.output)
    fail("program {} has no input and output of streams",
         inQuotes(program.name));
  return result;
}

/// N of "layers.N"; -1 for other names.
int64_t layerOf(std::string_view name) {
  constexpr std::string_view prefix = "layers.";
  if (!name.starts_with(prefix))
    return -1;
  name.remove_prefix(prefix.size());
  int64_t layer = -1;
  auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), layer);
  bool whole = error == std::errc() && end == name.data() + name.size();
  return whole ? layer : -1;
}

/// `count` copies of `numbers`, one behind another.
template <typename Number>
std::vector<Number> repeated(const std::vector<Number> &numbers,
                             int64_t count) {
  std::vector<Number> result;
  result.reserve(numbers.size() * count);
  for (int64_t i = 0; i < count; ++i)
    result.insert(result.end(), numbers.begin(), numbers.end());
  return result;
}

/// Adds the reference's sequences, `repeat` times, with the state that it
/// begins with, and returns their prompts.
std::vector<StepToken>
addPrompts(Session &session, const ReferenceFile &reference, int64_t repeat) {
  const EndToEndReference &sequences = reference.getSequences();
  std::vector<StepToken> tokens;
  for (int64_t i = 0; i < sequences.batch * repeat; ++i) {
    int64_t b = i % sequences.batch;
    int32_t slot = session.add();
    if (reference.getContext())
      session.seedState(slot, reference.getContext(), reference.getStateSeed(),
                        b);
    for (int64_t p = 0; p < sequences.prompt; ++p)
      tokens.push_back({slot, sequences.ids[b][p], false});
  }
  return tokens;
}

/// Runs a layer alone from its stored input, all prompts at once.
CheckRow checkLayer(Session &session, const ReferenceFile &reference,
                    const Program &program, int64_t layer, int64_t repeat,
                    const CheckLimits &limits) {
  const EndToEndReference &sequences = reference.getSequences();
  std::vector<int64_t> leading = {sequences.batch, sequences.prompt}, shape;
  std::string from = "hidden." + std::to_string(layer),
              to = "hidden." + std::to_string(layer + 1);
  std::vector<float> input = reference.read(from, leading, &shape);
  std::vector<float> expected = repeated(reference.read(to, shape), repeat);
  LayerPorts ports = portsOf(program);
  std::vector<uint8_t> streams =
      repeated(encode(input, ports.input->type.element), repeat);
  std::vector<uint8_t> result(expected.size() *
                              bitsOf(ports.output->type.element) / 8);
  std::vector<StepToken> tokens = addPrompts(session, reference, repeat);
  session.run(program.name, tokens,
              std::vector<PortData>{{ports.input->name, streams},
                                    {ports.output->name, result}});
  for (int64_t i = 0; i < sequences.batch * repeat; ++i)
    session.drop(tokens[i * sequences.prompt].slot);
  int64_t width = 1;
  for (size_t i = 2; i < shape.size(); ++i)
    width *= shape[i];
  return makeRow(
      from + " -> " + to,
      compare(decode(result, ports.output->type.element), expected, width),
      limits.layer, layer);
}

std::vector<CheckRow> checkLayers(Session &session,
                                  const ReferenceFile &reference,
                                  int64_t repeat, const CheckLimits &limits) {
  std::vector<CheckRow> rows;
  std::vector<std::string> omitted;
  bool any = false;
  for (const Program &program : session.getModel().getPlan().programs) {
    int64_t layer = layerOf(program.name);
    if (layer < 0)
      continue;
    any = true;
    if (reference.has("hidden." + std::to_string(layer)) &&
        reference.has("hidden." + std::to_string(layer + 1)))
      rows.push_back(
          checkLayer(session, reference, program, layer, repeat, limits));
    else
      omitted.push_back(program.name);
  }
  if (!any)
    fail("the package has no programs of single layers; compile it with "
         "programs for layers");
  if (!omitted.empty())
    note("note: not compared, since the reference lacks their 'hidden' "
         "tensors: {}",
         fmt::join(omitted, ", "));
  return rows;
}

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
Capacity capacityFor(const CheckOptions &options,
                     const ReferenceFile &reference) {
  const EndToEndReference &sequences = reference.getSequences();
  Schedule schedule{options.chunk, options.mixed};
  Capacity capacity;
  capacity.context =
      reference.getContext() + sequences.prompt + sequences.decode;
  if (options.layersAlone) {
    capacity.maxSequences = sequences.batch * options.repeat;
    capacity.maxTokens = capacity.maxSequences * sequences.prompt;
    capacity.maxRows = 1;
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
  ModelInfo model = package->loadPlan(package->getTargets().front()).model;
  ReferenceFile reference(options.folder, model);
  const EndToEndReference &sequences = reference.getSequences();
  Schedule schedule{options.chunk, options.mixed};
  if (options.repeat < 1)
    fail("--repeat: expected a positive number, got {}", options.repeat);
  if (options.repeat > 1 && !options.layersAlone)
    fail("--repeat is for --layers; --mixed runs whole sequences twice");
  if (reference.getContext() && !options.layersAlone)
    fail("{}: the reference begins behind {} tokens that it does not have; add "
         "--layers",
         inQuotes(options.folder), reference.getContext());
  Capacity capacity = capacityFor(options, reference);
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
    rows = checkLayers(session, reference, options.repeat, limits);
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
