//===- LayerChecks.cpp - Layers and their insides, alone ------------------===//
//
// The programs are those that `varve compile --layer-programs` makes, and with
// --stored-programs those that begin at a stored value inside a layer and
// return more of them (ExposeStoredPass says which).
//
//===----------------------------------------------------------------------===//

#include "runtime/Tool/LayerChecks.h"
#include "lib/Check/StoredComparison.h"
#include "runtime/Session/Numbers.h"
#include "runtime/Session/RowFormat.h"
#include "runtime/Tool/Common.h"
#include "runtime/Tool/LayerRunner.h"
#include "varve/Support/Floats.h"
#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace varve::runtime {

namespace {

using Ports = LayerRunner::Ports;

/// `numbers`, `count` times one behind another.
template <typename Number>
std::vector<Number> repeated(const std::vector<Number> &numbers,
                             int64_t count) {
  std::vector<Number> result;
  result.reserve(numbers.size() * count);
  for (int64_t i = 0; i < count; ++i)
    result.insert(result.end(), numbers.begin(), numbers.end());
  return result;
}

bool isStream(Element element) {
  return element == Element::F32 || element == Element::BF16 ||
         element == Element::F16;
}

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

std::vector<float> decode(const std::vector<uint8_t> &bytes, Element element) {
  std::vector<float> numbers(bytes.size() * 8 / bitsOf(element));
  decodeNumbers(element, bytes, numbers);
  return numbers;
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

int64_t numLayersOf(const Plan &plan) {
  int64_t layers = 0;
  for (const Program &program : plan.programs)
    layers = std::max(layers, layerOf(program.name) + 1);
  return layers;
}

std::string hidden(int64_t layer) { return "hidden." + std::to_string(layer); }

/// The only input or output of streams that the runtime does not fill, and that
/// has no name of its own.
const Port &streamsOf(const Program &program, bool isOutput) {
  const Port *found = nullptr;
  for (const Port &port : program.ports) {
    if (port.isOutput != isOutput || !isStream(port.type.element) ||
        port.name.find('.') != std::string::npos)
      continue;
    if (found)
      fail("program {} has more than one input or output of streams",
           inQuotes(program.name));
    found = &port;
  }
  if (!found)
    fail("program {} has no input and output of streams",
         inQuotes(program.name));
  return *found;
}

class LayerCheck {
public:
  LayerCheck(Session &session, const ReferenceFile &reference,
             const CheckOptions &options, const CheckLimits &limits)
      : session(session), reference(reference), options(options),
        limits(limits), plan(session.getModel().getPlan()),
        sequences(reference.getSequences()), numLayers(numLayersOf(plan)) {}

  std::vector<CheckRow> run();

private:
  const Program *find(const std::string &name) const { return plan.find(name); }
  std::vector<float> readStreams(int64_t layer,
                                 std::vector<int64_t> *shape = nullptr) const;
  Ports streamsFor(const Program &program, int64_t layer) const;
  void checkLayer(const Program &program, int64_t layer);
  void checkHead(std::span<const float> streams, const std::string &from,
                 const Limits &bounds, std::optional<int64_t> layer);

  // Inside of layers.
  void checkMechanism(Mechanism mechanism, int64_t layer);
  LayerTensors readExpected(Mechanism mechanism, int64_t layer) const;
  LayerTensor observe(const LayerRunner &runner, const Port &port,
                      const std::vector<uint8_t> &bytes) const;
  void observePool(LayerRunner &runner, const std::string &name,
                   const std::string &pool, const LayerTensors &expected,
                   LayerTensors &observed) const;
  void chooseFromScores(int64_t layer, const LayerTensors &expected,
                        LayerTensors &observed) const;
  void noteOmissions() const;

  Session &session;
  const ReferenceFile &reference;
  const CheckOptions &options;
  const CheckLimits &limits;
  const Plan &plan;
  const EndToEndReference &sequences;
  int64_t numLayers;
  std::vector<CheckRow> rows;
  std::vector<std::string> omitted; ///< layers
  /// Stored tensors that no program of the package shows.
  std::vector<std::string> unseen;
  bool lacksPrograms = false;
};

} // namespace

//===----------------------------------------------------------------------===//
// Whole layers
//===----------------------------------------------------------------------===//

std::vector<float> LayerCheck::readStreams(int64_t layer,
                                           std::vector<int64_t> *shape) const {
  std::vector<int64_t> leading = {sequences.batch, sequences.prompt};
  return reference.read(hidden(layer), leading, shape);
}

/// The stored streams in front of a layer, for its program.
Ports LayerCheck::streamsFor(const Program &program, int64_t layer) const {
  const Port &port = streamsOf(program, /*isOutput=*/false);
  return {{port.name, repeated(encode(readStreams(layer), port.type.element),
                               options.repeat)}};
}

/// Runs a layer alone from its stored input, all prompts at once.
void LayerCheck::checkLayer(const Program &program, int64_t layer) {
  LayerRunner runner(session, reference, options.repeat, options.chunk);
  const Port &port = streamsOf(program, /*isOutput=*/true);
  Ports outputs = runner.run(program, streamsFor(program, layer));
  runner.drop();
  std::vector<float> result = decode(outputs.at(port.name), port.type.element);
  if (!reference.has(hidden(layer + 1)))
    return checkHead(result, hidden(layer), limits.layer, layer);
  std::vector<int64_t> shape;
  std::vector<float> expected =
      repeated(readStreams(layer + 1, &shape), options.repeat);
  int64_t width = 1;
  for (size_t i = 2; i < shape.size(); ++i)
    width *= shape[i];
  if (result.size() != expected.size())
    fail("program {}: its streams are not as wide as those of the reference",
         inQuotes(program.name));
  rows.push_back(makeRow(hidden(layer) + " -> " + hidden(layer + 1),
                         compare(result, expected, width), limits.layer,
                         layer));
}

/// The logits that follow from streams behind the last layer; of repeated
/// sequences from the first of each.
void LayerCheck::checkHead(std::span<const float> streams,
                           const std::string &from, const Limits &bounds,
                           std::optional<int64_t> layer) {
  const Program &program = *find("head");
  const Port &input = streamsOf(program, /*isOutput=*/false);
  const Port &output = streamsOf(program, /*isOutput=*/true);
  LayerRunner runner(session, reference, /*repeat=*/1, options.chunk);
  size_t count = sequences.batch * sequences.prompt *
                 (runner.getRowBytes(input) * 8 / bitsOf(input.type.element));
  if (streams.size() < count)
    fail("program 'head': its streams are not as wide as those in front of it");
  Ports outputs = runner.run(
      program,
      {{input.name, encode(streams.first(count), input.type.element)}});
  rows.push_back(
      makeRow(from + " -> prefill_logits",
              compare(decode(outputs.at(output.name), output.type.element),
                      sequences.prefillLogits, sequences.vocab),
              bounds, layer));
}

//===----------------------------------------------------------------------===//
// Inside of layers
//===----------------------------------------------------------------------===//

LayerTensors LayerCheck::readExpected(Mechanism mechanism,
                                      int64_t layer) const {
  LayerTensors tensors;
  std::vector<int64_t> leading = {sequences.batch};
  for (const StoredRule &rule : rulesOf(mechanism)) {
    std::string name = rule.nameIn(layer);
    if (!reference.has(name))
      continue;
    LayerTensor &tensor = tensors[std::string(rule.observed)];
    if (rule.isChoices())
      tensor.choices = repeated(
          reference.readChoices(name, leading, &tensor.shape), options.repeat);
    else
      tensor.numbers = repeated(reference.read(name, leading, &tensor.shape),
                                options.repeat);
    if (tensor.shape.size() < 3)
      fail("tensor {}: expected the shape [{}, rows, columns, ...], got {}",
           inQuotes(name), sequences.batch, shapeText(tensor.shape));
    tensor.shape[0] *= options.repeat;
  }
  return tensors;
}

LayerTensor LayerCheck::observe(const LayerRunner &runner, const Port &port,
                                const std::vector<uint8_t> &bytes) const {
  LayerTensor tensor;
  tensor.shape = {runner.getNumSequences(), sequences.prompt};
  std::vector<int64_t> row = runner.getRowShape(port);
  tensor.shape.insert(tensor.shape.end(), row.begin(), row.end());
  if (isNumber(port.type.element)) {
    tensor.numbers = decode(bytes, port.type.element);
  } else if (port.type.element == Element::I32) {
    std::vector<int32_t> numbers(bytes.size() / sizeof(int32_t));
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    tensor.choices.assign(numbers.begin(), numbers.end());
  } else {
    fail("port {} ({}) holds neither numbers nor choices", inQuotes(port.name),
         port.type.str());
  }
  return tensor;
}

/// As many rows of a pool as the reference has; nothing if the layer has no
/// such pool.
void LayerCheck::observePool(LayerRunner &runner, const std::string &name,
                             const std::string &poolName,
                             const LayerTensors &expected,
                             LayerTensors &observed) const {
  auto it = expected.find(name);
  auto pool =
      std::find_if(plan.pools.begin(), plan.pools.end(),
                   [&](const Pool &pool) { return pool.name == poolName; });
  if (it == expected.end() || pool == plan.pools.end())
    return;
  RowFormat format(*pool);
  LayerTensor &tensor = observed[name];
  tensor.codes = format.has(Element::F4E2M1)   ? CodeKind::E2M1
                 : format.has(Element::F8E4M3) ? CodeKind::E4M3
                                               : CodeKind::Plain;
  int64_t count = it->second.shape[1];
  if (pool->kind == PoolKind::Window) {
    count = sequences.prompt;
    tensor.numbers = runner.getAppended();
  } else {
    for (int64_t i = 0; i < runner.getNumSequences(); ++i) {
      std::vector<float> entries =
          session.readEntries(poolName, runner.getSlot(i), count);
      tensor.numbers.insert(tensor.numbers.end(), entries.begin(),
                            entries.end());
    }
  }
  tensor.shape = {runner.getNumSequences(), count, format.getWidth()};
}

/// Codes and their scales as numbers.
static void dequantize(LayerTensors &observed, const std::string &name) {
  auto scales = observed.find(name + "_scale");
  auto codes = observed.find(name);
  if (scales == observed.end() || codes == observed.end())
    return;
  int64_t width = codes->second.shape.back(),
          groups = scales->second.shape.back();
  int64_t block = (width + groups - 1) / groups;
  std::vector<float> &numbers = codes->second.numbers;
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] *=
        scales->second.numbers[i / width * groups + i % width / block];
  observed.erase(scales);
}

/// The choice that follows from the stored scores.
void LayerCheck::chooseFromScores(int64_t layer, const LayerTensors &expected,
                                  LayerTensors &observed) const {
  std::string name = "layers." + std::to_string(layer) + ".stored.topk";
  const Program *program = find(name);
  auto scores = expected.find(kScores);
  if (!program || scores == expected.end())
    return;
  int input = program->findPort(std::string(kScores)),
      output = program->findPort(std::string(kChoice));
  if (input < 0 || output < 0)
    fail("program {} has no ports {} and {}", inQuotes(name), inQuotes(kScores),
         inQuotes(kChoice));
  LayerRunner runner(session, reference, options.repeat, options.chunk);
  const Port &port = program->ports[input];
  int64_t columns = runner.getRowShape(port).back(),
          stored = scores->second.shape.back();
  if (stored > columns)
    fail("tensor {}: expected scores of at most {} entries, which is what the "
         "model's positions have, got {}",
         inQuotes("indexer." + std::to_string(layer) + ".scores"), columns,
         stored);
  int64_t tokens = runner.getNumSequences() * sequences.prompt;
  std::vector<float> given(tokens * columns,
                           -std::numeric_limits<float>::infinity());
  for (int64_t t = 0; t < tokens; ++t)
    std::copy_n(scores->second.numbers.begin() + t * stored, stored,
                given.begin() + t * columns);
  Ports outputs =
      runner.run(*program, {{port.name, encode(given, port.type.element)}});
  const Port &choice = program->ports[output];
  observed[std::string(kChoiceFromScores)] =
      observe(runner, choice, outputs.at(choice.name));
}

/// Runs a layer with the stored input of one of its halves in place and
/// compares what follows.
void LayerCheck::checkMechanism(Mechanism mechanism, int64_t layer) {
  std::string input = inputOf(mechanism, layer);
  if (!reference.has(input) || !reference.has(hidden(layer)))
    return;
  bool isAttention = mechanism == Mechanism::Attention;
  std::string scope = "layers." + std::to_string(layer);
  const Program *program =
      find(scope + (isAttention ? ".stored.attn" : ".stored.moe"));
  if (!program) {
    lacksPrograms = true;
    return;
  }
  std::string portName = isAttention ? "attn.input" : "moe.input";
  int index = program->findPort(portName);
  if (index < 0)
    fail("program {} has no port {}", inQuotes(program->name),
         inQuotes(portName));
  const Port &port = program->ports[index];
  LayerTensors expected = readExpected(mechanism, layer), observed;
  LayerRunner runner(session, reference, options.repeat, options.chunk);
  std::vector<int64_t> leading = {sequences.batch, sequences.prompt};
  Ports inputs = streamsFor(*program, layer);
  inputs[portName] =
      repeated(encode(reference.read(input, leading), port.type.element),
               options.repeat);
  std::string window = scope + ".attn.window";
  if (isAttention && expected.count("attn.window_kv"))
    runner.watch(window);
  Ports outputs = runner.run(*program, inputs);
  for (const Port &each : program->ports)
    if (each.isOutput && each.name.find('.') != std::string::npos)
      observed[each.name] = observe(runner, each, outputs.at(each.name));
  dequantize(observed, "indexer.q");
  if (isAttention) {
    observePool(runner, "attn.window_kv", window, expected, observed);
    observePool(runner, "attn.entries", scope + ".attn.entries", expected,
                observed);
    observePool(runner, "indexer.keys", scope + ".attn.indexer.keys", expected,
                observed);
    runner.drop();
    chooseFromScores(layer, expected, observed);
  }
  std::string error;
  std::vector<CheckRow> compared = compareStored(
      mechanism, layer, expected, observed, limits, unseen, error);
  if (!error.empty())
    fail("{}", error);
  rows.insert(rows.end(), compared.begin(), compared.end());
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void LayerCheck::noteOmissions() const {
  if (!omitted.empty())
    note("note: not compared, since the reference lacks their 'hidden' "
         "tensors: {}",
         fmt::join(omitted, ", "));
  if (!unseen.empty())
    note("note: not compared, since no program of the package shows them: {}",
         fmt::join(unseen, ", "));
  if (lacksPrograms)
    note("note: values inside layers were not compared; compile the package "
         "with --stored-programs to see them");
  else
    for (const std::string &name : reference.getUnread())
      if (name != "decode_logits")
        note("note: {} was not compared", inQuotes(name));
}

std::vector<CheckRow> LayerCheck::run() {
  if (!numLayers)
    fail("the package has no programs of single layers; compile it with "
         "--layer-programs");
  bool hasHead = find("head") != nullptr;
  for (int64_t layer = 0; layer < numLayers; ++layer) {
    const Program *program = find("layers." + std::to_string(layer));
    bool isLast = layer + 1 == numLayers;
    if (program && reference.has(hidden(layer)) &&
        (reference.has(hidden(layer + 1)) || (isLast && hasHead)))
      checkLayer(*program, layer);
    else
      omitted.push_back("layers." + std::to_string(layer));
  }
  if (hasHead && reference.has(hidden(numLayers)))
    checkHead(readStreams(numLayers), hidden(numLayers), limits.logits,
              std::nullopt);
  for (int64_t layer = 0; layer < numLayers; ++layer)
    for (Mechanism mechanism : {Mechanism::Attention, Mechanism::Experts})
      checkMechanism(mechanism, layer);
  noteOmissions();
  return std::move(rows);
}

int64_t logitRowsOf(const Plan &plan, const ReferenceFile &reference,
                    int64_t tokens) {
  int64_t layers = numLayersOf(plan);
  bool needsHead =
      layers && plan.find("head") &&
      (reference.has(hidden(layers)) || reference.has(hidden(layers - 1)));
  return needsHead ? tokens : 0;
}

std::vector<CheckRow> checkLayers(Session &session,
                                  const ReferenceFile &reference,
                                  const CheckOptions &options,
                                  const CheckLimits &limits) {
  return LayerCheck(session, reference, options, limits).run();
}

} // namespace varve::runtime
