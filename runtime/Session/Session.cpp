//===- Session.cpp - Sequences on a loaded model --------------------------===//

#include "runtime/Session/Session.h"
#include "runtime/Error.h"
#include "runtime/Session/RowFormat.h"
#include "varve/Support/Assert.h"
#include "varve/Support/SeededState.h"
#include <algorithm>
#include <array>
#include <chrono>
#include <map>

namespace varve::runtime {

namespace {

/// Inputs of a step, in the order in which they are packed.
constexpr std::array<std::string_view, 6> inputNames = {
    "ids", "positions", "slots", "starts", "ends", "logit_rows"};
enum Input { kIds, kPositions, kSlots, kStarts, kEnds, kRows };

/// Counts to which small steps are padded, so that they are replayed.
constexpr int64_t paddedCounts[] = {1, 2, 4, 8, 16, 24, 32, 48, 64};
constexpr int64_t mostPadded = 64;

Bytes bytesOf(std::span<const int32_t> numbers) {
  return {reinterpret_cast<const uint8_t *>(numbers.data()),
          numbers.size_bytes()};
}

} // namespace

Session::Session(std::shared_ptr<Model> loaded, Code::Use small)
    : model(std::move(loaded)), small(small),
      pages(model->getCapacity().maxSequences,
            largestSizes(model->getCapacity(),
                         model->getPlan())[Symbol::SequencePages],
            model->getCapacity().pages, pageOf(model->getPlan())),
      sequences(model->getCapacity().maxSequences) {}

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

void Session::checkSlot(int32_t slot) const {
  if (slot < 0 || slot >= static_cast<int32_t>(sequences.size()) ||
      !sequences[slot].used)
    fail("slot {} has no sequence; add one first", slot);
}

int64_t Session::getLength(int32_t slot) const {
  checkSlot(slot);
  return sequences[slot].length;
}

int32_t Session::add() {
  auto it = std::find_if(sequences.begin(), sequences.end(),
                         [](const Sequence &s) { return !s.used; });
  if (it == sequences.end())
    fail("all {} sequences are in use; drop one, or raise --max-sequences",
         sequences.size());
  *it = {true, 0};
  return static_cast<int32_t>(it - sequences.begin());
}

void Session::drop(int32_t slot) {
  checkSlot(slot);
  pages.release(slot);
  sequences[slot] = {};
}

int32_t Session::fork(int32_t slot) {
  checkSlot(slot);
  int64_t length = sequences[slot].length;
  if (pages.neededToFork(length) > pages.getFree())
    fail("no page is free for a fork; drop a sequence, or raise --pages");
  int32_t copy = add();
  copyPages(pages.fork(slot, copy, length));
  copyRows(slot, copy);
  sequences[copy].length = length;
  return copy;
}

/// Rings and states lie slot by slot.
void Session::copyRows(int32_t from, int32_t to) {
  const std::vector<Pool> &pools = model->getPlan().pools;
  for (size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].kind == PoolKind::Entries)
      continue;
    int64_t bytes = pools[i].rowsEach * pools[i].rowBytes;
    uint64_t base = model->getPool(i);
    model->getDevice().copy(base + to * bytes, base + from * bytes, bytes);
  }
}

void Session::copyPages(const std::vector<PageTable::Copy> &copies) {
  const std::vector<Pool> &pools = model->getPlan().pools;
  for (const PageTable::Copy &copy : copies)
    for (size_t i = 0; i < pools.size(); ++i) {
      if (pools[i].kind != PoolKind::Entries)
        continue;
      int64_t bytes = pools[i].rowsEach * pools[i].rowBytes;
      uint64_t base = model->getPool(i);
      model->getDevice().copy(base + copy.to * bytes, base + copy.from * bytes,
                              bytes);
    }
}

void Session::pretendLength(int32_t slot, int64_t length) {
  checkSlot(slot);
  if (length < sequences[slot].length || length > model->getCapacity().context)
    fail("expected a length from {} to {}, got {}", sequences[slot].length,
         model->getCapacity().context, length);
  if (pages.missing(slot, length) > pages.getFree())
    fail("{} pages are free but the sequence needs {} more; raise --pages",
         pages.getFree(), pages.missing(slot, length));
  pages.grow(slot, length);
  sequences[slot].length = length;
}

/// The row of a pool's memory in which position or entry `row` of a sequence
/// lies.
int64_t Session::rowOf(const Pool &pool, int32_t slot, int64_t row) const {
  if (pool.kind != PoolKind::Entries)
    return slot * pool.rowsEach + row % pool.rowsEach;
  return pages.getPage(slot, row / pool.rowsEach) * pool.rowsEach +
         row % pool.rowsEach;
}

void Session::seedPool(size_t index, int32_t slot, int64_t length,
                       uint64_t seed, int64_t sequence) {
  const Pool &pool = model->getPlan().pools[index];
  RowFormat format(pool);
  RowRange rows = pool.kind == PoolKind::Entries
                      ? rememberedEntries(length, pool.page / pool.rowsEach)
                      : rememberedPositions(length, pool.rowsEach);
  std::vector<float> numbers(format.getWidth());
  std::vector<uint8_t> bytes;
  // Rows that lie behind one another are uploaded together.
  for (int64_t row = rows.first, begin = row; row < rows.end; ++row) {
    bytes.resize(bytes.size() + format.getBytes());
    fillSeededRow(seed, pool.name, sequence, row, numbers);
    format.encode(numbers, std::span(bytes).last(format.getBytes()));
    int64_t place = rowOf(pool, slot, row);
    if (row + 1 < rows.end && rowOf(pool, slot, row + 1) == place + 1)
      continue;
    int64_t first = place - (row - begin);
    model->getDevice().upload(model->getPool(index) + first * pool.rowBytes,
                              bytes);
    bytes.clear();
    begin = row + 1;
  }
}

void Session::seedState(int32_t slot, int64_t length, uint64_t seed,
                        int64_t sequence) {
  checkSlot(slot);
  if (sequences[slot].length)
    fail("slot {} holds {} tokens; only an empty sequence can be given a state",
         slot, sequences[slot].length);
  pretendLength(slot, length);
  for (size_t i = 0; i < model->getPlan().pools.size(); ++i)
    seedPool(i, slot, length, seed, sequence);
}

//===----------------------------------------------------------------------===//
// Looking at pools
//===----------------------------------------------------------------------===//

size_t Session::findPool(std::string_view name, PoolKind kind) const {
  const std::vector<Pool> &pools = model->getPlan().pools;
  auto it = std::find_if(pools.begin(), pools.end(), [&](const Pool &pool) {
    return pool.name == name && pool.kind == kind;
  });
  if (it == pools.end())
    fail("the package has no pool {} of that kind", inQuotes(name));
  return it - pools.begin();
}

/// Rows of a pool's memory from the row `first` on.
void Session::readRows(size_t index, int64_t first, std::span<float> out) {
  RowFormat format(model->getPlan().pools[index]);
  int64_t count = static_cast<int64_t>(out.size()) / format.getWidth();
  std::vector<uint8_t> bytes(count * format.getBytes());
  model->getDevice().download(bytes, model->getPool(index) +
                                         first * format.getBytes());
  for (int64_t row = 0; row < count; ++row)
    format.decode(
        std::span(bytes).subspan(row * format.getBytes(), format.getBytes()),
        out.subspan(row * format.getWidth(), format.getWidth()));
}

std::vector<float> Session::readEntries(std::string_view name, int32_t slot,
                                        int64_t count) {
  size_t index = findPool(name, PoolKind::Entries);
  const Pool &pool = model->getPlan().pools[index];
  int64_t has = getLength(slot) / (pool.page / pool.rowsEach);
  if (count < 0 || count > has)
    fail("pool {}: the sequence has {} entries, not {}", inQuotes(name), has,
         count);
  int64_t width = RowFormat(pool).getWidth();
  std::vector<float> numbers(count * width);
  for (int64_t row = 0; row < count; ++row)
    readRows(index, rowOf(pool, slot, row),
             std::span(numbers).subspan(row * width, width));
  return numbers;
}

std::vector<float> Session::readAppended(std::string_view name, int64_t count) {
  size_t index = findPool(name, PoolKind::Window);
  const Pool &pool = model->getPlan().pools[index];
  if (count < 0 || count > model->getCapacity().maxTokens)
    fail("expected at most {} tokens of a step, got {}",
         model->getCapacity().maxTokens, count);
  std::vector<float> numbers(count * RowFormat(pool).getWidth());
  // Behind the rings of all slots.
  readRows(index, model->getCapacity().maxSequences * pool.rowsEach, numbers);
  return numbers;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

int64_t Session::paddedCount(int64_t count, int64_t most) const {
  if (!model->getDevice().wantsFewShapes() || count > mostPadded)
    return count;
  for (int64_t padded : paddedCounts)
    if (padded >= count)
      return padded <= most ? padded : count;
  return count;
}

/// Checks the tokens and lays them out: grouped by sequence, with the first and
/// last position of each group, then padding.
Session::Arranged Session::arrange(std::span<const StepToken> tokens,
                                   bool mustBeGrouped, bool padded) {
  const Capacity &capacity = model->getCapacity();
  int64_t count = tokens.size();
  if (count < 1 || count > capacity.maxTokens)
    fail("expected 1 to {} tokens in a step (--max-tokens), got {}",
         capacity.maxTokens, count);
  Arranged step;
  // Tokens by sequence, sequences in the order in which they appear.
  std::vector<std::vector<int64_t>> groups;
  std::map<int32_t, size_t> groupOf;
  for (int64_t i = 0; i < count; ++i) {
    const StepToken &token = tokens[i];
    checkSlot(token.slot);
    if (token.id < 0 || token.id >= getVocabSize())
      fail("token {}: expected an id below the vocabulary of {}, got {}", i,
           getVocabSize(), token.id);
    auto [it, isNew] = groupOf.try_emplace(token.slot, groups.size());
    if (isNew)
      groups.emplace_back();
    else if (mustBeGrouped && it->second + 1 != groups.size())
      fail("token {}: expected the tokens of slot {} to follow each other", i,
           token.slot);
    groups[it->second].push_back(i);
    step.realRows += token.wantsLogits;
  }
  if (step.realRows > capacity.maxRows)
    fail("expected at most {} tokens whose logits are wanted in a step "
         "(--max-rows), got {}",
         capacity.maxRows, step.realRows);
  step.lengths.resize(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i)
    step.lengths[i] = sequences[i].length;
  int64_t needed = 0;
  for (auto [slot, group] : groupOf) {
    int64_t length =
        sequences[slot].length + static_cast<int64_t>(groups[group].size());
    if (length > capacity.context)
      fail("slot {}: expected a position below the context of {}, got {}; "
           "raise --context",
           slot, capacity.context, length - 1);
    step.lengths[slot] = length;
    needed += std::max<int64_t>(pages.missing(slot, length), 0);
  }
  if (needed > pages.getFree())
    fail("the step needs {} pages but {} are free; drop a sequence, or raise "
         "--pages",
         needed, pages.getFree());

  step.tokens = padded ? paddedCount(count, capacity.maxTokens) : count;
  step.rows = padded && step.realRows
                  ? paddedCount(step.realRows, capacity.maxRows)
                  : step.realRows;
  step.stride = inputStride(step.tokens);
  int64_t words = step.stride / sizeof(int32_t);
  step.inputs.assign(inputNames.size() * words, 0);
  auto input = [&](Input which) { return step.inputs.data() + which * words; };
  std::vector<int32_t> rowOfToken(count);
  int64_t row = 0;
  for (const std::vector<int64_t> &group : groups) {
    int32_t slot = tokens[group.front()].slot;
    int64_t first = sequences[slot].length;
    int64_t last = first + static_cast<int64_t>(group.size()) - 1;
    for (size_t i = 0; i < group.size(); ++i, ++row) {
      rowOfToken[group[i]] = static_cast<int32_t>(row);
      input(kIds)[row] = static_cast<int32_t>(tokens[group[i]].id);
      input(kPositions)[row] = static_cast<int32_t>(first + i);
      input(kSlots)[row] = slot;
      input(kStarts)[row] = static_cast<int32_t>(first);
      input(kEnds)[row] = static_cast<int32_t>(last);
    }
  }
  // Padding has no slot, so that nothing of it is stored.
  for (; row < step.tokens; ++row)
    input(kSlots)[row] = -1;
  // Logits come in the caller's order.
  int32_t *rows = input(kRows);
  for (int64_t i = 0; i < count; ++i)
    if (tokens[i].wantsLogits)
      *rows++ = rowOfToken[i];
  return step;
}

void Session::upload(const Arranged &step) {
  for (size_t slot = 0; slot < sequences.size(); ++slot)
    if (sequences[slot].used)
      pages.grow(static_cast<int32_t>(slot), step.lengths[slot]);
  Device &device = model->getDevice();
  const MemoryLayout &layout = model->getLayout();
  if (pages.takeChanged() && !pages.getTable().empty())
    device.upload(model->getPorts() + layout.pageTable,
                  bytesOf(pages.getTable()));
  device.upload(model->getPorts() + layout.inputs, bytesOf(step.inputs));
}

uint64_t Session::runtimePort(const Port &port, const Arranged &step) const {
  if (port.isOutput)
    return 0;
  const MemoryLayout &layout = model->getLayout();
  if (port.name == "page_table")
    return model->getPorts() + layout.pageTable;
  auto *it = std::find(inputNames.begin(), inputNames.end(), port.name);
  if (it == inputNames.end())
    return 0;
  return model->getPorts() + layout.inputs +
         (it - inputNames.begin()) * step.stride;
}

std::vector<uint64_t> Session::stepPorts(const Program &program,
                                         const Arranged &step) {
  std::vector<uint64_t> addresses;
  for (const Port &port : program.ports) {
    uint64_t address = runtimePort(port, step);
    bool isLogits = port.isOutput && port.name == "logits";
    if (isLogits)
      address = model->getPorts() + model->getLayout().outputs;
    else if (!address)
      fail("program 'step' has a port {} that the runtime does not know; the "
           "package was made by another version of the compiler",
           inQuotes(port.name));
    addresses.push_back(address);
  }
  return addresses;
}

/// The program that makes logits out of tokens.
static const Program &stepOf(const Plan &plan) {
  const Program *program = plan.find("step");
  int port = program ? program->findPort("logits") : -1;
  if (port < 0)
    fail("the package has no program 'step' with an output 'logits': only "
         "whole models can be run");
  const TensorType expected{
      Element::F32,
      {Linear::ofSymbol(Symbol::Rows), Linear::ofConstant(plan.model.vocab)}};
  const TensorType &type = program->ports[port].type;
  if (type.element != expected.element || type.shape != expected.shape ||
      !program->ports[port].isOutput)
    fail("program 'step': expected the output 'logits' to be {}, got {}",
         expected.str(), type.str());
  return *program;
}

Batch &Session::begin(std::span<const StepToken> tokens, Code::Use use,
                      Arranged &step) {
  const Program &program = stepOf(model->getPlan());
  step = arrange(tokens, /*mustBeGrouped=*/false, /*padded=*/true);
  std::vector<uint64_t> addresses = stepPorts(program, step);
  upload(step);
  return model->prepare(program, model->sizesOf(step.tokens, step.rows),
                        addresses,
                        step.tokens <= mostPadded ? use : Code::Use::Once);
}

void Session::advance(const Arranged &step) {
  for (size_t i = 0; i < sequences.size(); ++i)
    sequences[i].length = step.lengths[i];
}

void Session::step(std::span<const StepToken> tokens,
                   std::vector<float> &logits) {
  Arranged step;
  begin(tokens, small, step).run();
  logits.resize(step.realRows * getVocabSize());
  model->getDevice().download({reinterpret_cast<uint8_t *>(logits.data()),
                               logits.size() * sizeof(float)},
                              model->getPorts() + model->getLayout().outputs);
  advance(step);
}

std::vector<std::pair<uint32_t, double>>
Session::profile(std::span<const StepToken> tokens) {
  Arranged step;
  Batch &batch = begin(tokens, Code::Use::Once, step);
  std::vector<double> seconds = batch.runTimed();
  std::vector<std::pair<uint32_t, double>> result;
  for (size_t i = 0; i < seconds.size(); ++i)
    result.emplace_back(batch.getLaunch(i), seconds[i]);
  advance(step);
  return result;
}

double Session::timeLaunches(std::span<const StepToken> tokens,
                             int64_t repetitions) {
  using Clock = std::chrono::steady_clock;
  Arranged step;
  Batch &batch = begin(tokens, small, step);
  model->getDevice().synchronize();
  Clock::time_point start = Clock::now();
  for (int64_t i = 0; i < repetitions; ++i)
    batch.run();
  model->getDevice().synchronize();
  advance(step);
  return std::chrono::duration<double>(Clock::now() - start).count() /
         static_cast<double>(repetitions);
}

void Session::run(std::string_view name, std::span<const StepToken> tokens,
                  std::span<const PortData> ports) {
  const Program *program = model->getPlan().find(name);
  if (!program) {
    std::vector<std::string> names;
    for (const Program &known : model->getPlan().programs)
      names.push_back(known.name);
    fail("the package has no program {}; it has {}", inQuotes(name),
         fmt::join(names, ", "));
  }
  Arranged step = arrange(tokens, /*mustBeGrouped=*/true, /*padded=*/false);
  Sizes sizes = model->sizesOf(step.tokens, step.rows);
  Device &device = model->getDevice();
  for (const PortData &data : ports)
    if (program->findPort(data.name) < 0)
      fail("program {} has no port {}", inQuotes(name), inQuotes(data.name));
  std::vector<uint64_t> addresses;
  std::vector<Buffer> buffers;
  std::vector<std::pair<const PortData *, uint64_t>> outputs;
  for (const Port &port : program->ports) {
    addresses.push_back(runtimePort(port, step));
    if (addresses.back())
      continue;
    auto data =
        std::find_if(ports.begin(), ports.end(), [&](const PortData &given) {
          return given.name == port.name;
        });
    if (data == ports.end())
      fail("program {}: port {} ({}) is missing", inQuotes(name),
           inQuotes(port.name), port.type.str());
    int64_t bytes = port.type.getBytes()->evaluate(sizes);
    if (static_cast<int64_t>(data->bytes.size()) != bytes)
      fail("program {}: expected {} bytes for port {} ({}), got {}",
           inQuotes(name), bytes, inQuotes(port.name), port.type.str(),
           data->bytes.size());
    buffers.emplace_back(device, bytes);
    addresses.back() = buffers.back().getAddress();
    if (port.isOutput)
      outputs.emplace_back(&*data, addresses.back());
    else
      device.upload(addresses.back(), data->bytes);
  }
  upload(step);
  model->prepare(*program, sizes, addresses, Code::Use::Once).run();
  for (auto [data, address] : outputs)
    device.download(data->bytes, address);
  device.synchronize();
  advance(step);
}

} // namespace varve::runtime
