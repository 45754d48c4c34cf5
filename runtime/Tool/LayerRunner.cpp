//===- LayerRunner.cpp - Programs of layers on a reference's prompts ------===//

#include "runtime/Tool/LayerRunner.h"
#include "runtime/Error.h"
#include <algorithm>
#include <cstring>
#include <numeric>

namespace varve::runtime {

/// Inputs that the session does not fill, and outputs, have their rows counted
/// by tokens or, behind the choice of rows, by rows of logits.
static bool hasTokenRows(const Port &port) {
  return !port.type.shape.empty() &&
         (port.type.shape.front() == Linear::ofSymbol(Symbol::Tokens) ||
          port.type.shape.front() == Linear::ofSymbol(Symbol::Rows));
}

int64_t LayerRunner::getRowBytes(const Port &port) const {
  std::optional<Linear> bytes = port.type.getBytes();
  if (!hasTokenRows(port) || !bytes)
    fail("port {} ({}) has no row for every token", inQuotes(port.name),
         port.type.str());
  return bytes->evaluate(session.getModel().sizesOf(1, 1));
}

std::vector<int64_t> LayerRunner::getRowShape(const Port &port) const {
  std::vector<int64_t> shape =
      port.type.evaluate(session.getModel().sizesOf(1, 1));
  shape.erase(shape.begin());
  return shape;
}

void LayerRunner::add() {
  for (int64_t i = 0; i < getNumSequences(); ++i) {
    slots.push_back(session.add());
    if (reference.getContext())
      session.seedState(slots.back(), reference.getContext(),
                        reference.getStateSeed(),
                        i % reference.getSequences().batch);
  }
}

void LayerRunner::drop() {
  for (int32_t slot : slots)
    session.drop(slot);
  slots.clear();
}

namespace {

/// Rows `begin` to `end - 1` of every sequence, among all rows.
struct Part {
  int64_t sequences, prompt, begin, end;

  template <typename Number>
  void take(const std::vector<Number> &all, int64_t width,
            std::vector<Number> &part) const {
    for (int64_t i = 0; i < sequences; ++i)
      std::copy_n(all.begin() + (i * prompt + begin) * width,
                  (end - begin) * width,
                  part.begin() + i * (end - begin) * width);
  }
  template <typename Number>
  void put(const std::vector<Number> &part, int64_t width,
           std::vector<Number> &all) const {
    for (int64_t i = 0; i < sequences; ++i)
      std::copy_n(part.begin() + i * (end - begin) * width,
                  (end - begin) * width,
                  all.begin() + (i * prompt + begin) * width);
  }
};

} // namespace

/// Tokens begin to end - 1 of every prompt.
void LayerRunner::runPart(const Program &program, const Ports &inputs,
                          Ports &outputs, int64_t begin, int64_t end) {
  const EndToEndReference &sequences = reference.getSequences();
  int64_t count = getNumSequences(), prompt = sequences.prompt;
  Part rows{count, prompt, begin, end};
  int64_t numTokens = count * (end - begin);
  bool wantsRows = false;
  Ports parts;
  for (const Port &port : program.ports) {
    bool isRows = !port.isOutput && port.name == "rows";
    wantsRows |= isRows;
    if (!port.isOutput && !isRows && !inputs.count(port.name))
      continue; // the session's, or it says that it is missing
    std::vector<uint8_t> &part = parts[port.name];
    int64_t width = getRowBytes(port);
    part.resize(numTokens * width);
    if (isRows) {
      std::vector<int32_t> numbers(numTokens);
      std::iota(numbers.begin(), numbers.end(), 0);
      std::memcpy(part.data(), numbers.data(), part.size());
    } else if (!port.isOutput) {
      rows.take(inputs.at(port.name), width, part);
    }
  }
  std::vector<PortData> data;
  for (auto &[name, bytes] : parts)
    data.push_back({name, bytes});
  std::vector<StepToken> tokens;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t p = begin; p < end; ++p)
      tokens.push_back(
          {slots[i], sequences.ids[i % sequences.batch][p], wantsRows});
  session.run(program.name, tokens, data);
  for (const Port &port : program.ports)
    if (port.isOutput)
      rows.put(parts.at(port.name), getRowBytes(port), outputs.at(port.name));
  if (watched.empty())
    return;
  std::vector<float> part = session.readAppended(watched, numTokens);
  int64_t width = static_cast<int64_t>(part.size()) / numTokens;
  appended.resize(count * prompt * width);
  rows.put(part, width, appended);
}

LayerRunner::Ports LayerRunner::run(const Program &program,
                                    const Ports &inputs) {
  int64_t prompt = reference.getSequences().prompt;
  Ports outputs;
  for (const Port &port : program.ports)
    if (port.isOutput)
      outputs[port.name].resize(getNumSequences() * prompt * getRowBytes(port));
  drop();
  add();
  int64_t step = chunk ? chunk : prompt;
  for (int64_t begin = 0; begin < prompt; begin += step)
    runPart(program, inputs, outputs, begin, std::min(prompt, begin + step));
  return outputs;
}

} // namespace varve::runtime
