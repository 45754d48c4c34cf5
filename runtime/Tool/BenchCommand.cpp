//===- BenchCommand.cpp - How fast steps and kernels are ------------------===//
//
// Sequences are given their length without processing tokens: what a step costs
// does not depend on what the tokens were, except that the selection of entries
// sees equal scores.
//
//===----------------------------------------------------------------------===//

#include "runtime/Tool/Common.h"
#include "runtime/Tool/GenerationBench.h"
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace varve::runtime {

namespace {

struct StepRow {
  std::string kind; ///< decode or prefill
  int64_t tokens, context;
  double seconds; ///< median
};

struct KernelRow {
  std::string step, kernel, op;
  int64_t launches = 0;
  double seconds = 0;
  /// Bytes of weights that all of its launches read; 0 where routing decides.
  double weightBytes = 0;
  bool known = true;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The tokens of a step: one for each of `count` sequences, or `count` of one.
std::vector<StepToken> makeTokens(Session &session, bool decode, int64_t count,
                                  int64_t context,
                                  std::vector<int32_t> &slots) {
  std::vector<StepToken> tokens;
  for (int64_t i = 0; i < count; ++i) {
    if (decode || i == 0) {
      slots.push_back(session.add());
      session.pretendLength(slots.back(), context);
    }
    int64_t id = (7919 * i + 13) % session.getVocabSize();
    tokens.push_back({slots.back(), id, decode || i + 1 == count});
  }
  return tokens;
}

void dropAll(Session &session, std::vector<int32_t> &slots) {
  for (int32_t slot : slots)
    session.drop(slot);
  slots.clear();
}

double timeStep(Session &session, bool decode, int64_t count, int64_t context,
                int64_t repetitions) {
  constexpr int64_t warmUps = 2;
  std::vector<double> seconds;
  std::vector<float> logits;
  std::vector<int32_t> slots;
  for (int64_t i = 0; i < repetitions + warmUps; ++i) {
    std::vector<StepToken> tokens =
        makeTokens(session, decode, count, context, slots);
    Stopwatch time;
    session.step(tokens, logits);
    if (i >= warmUps)
      seconds.push_back(time.seconds());
    dropAll(session, slots);
  }
  return median(seconds);
}

/// Weight bytes of a launch; false if only some of a stack's experts are read.
bool weightBytesOf(const Plan &plan, const Launch &launch, double &bytes) {
  std::set<uint32_t> seen;
  bool known = true;
  for (const Word &word : launch.words) {
    if (word.kind != Word::Kind::Weight || !seen.insert(word.index).second)
      continue;
    const Weight &weight = plan.weights[word.index];
    // Stacks of experts and tables by token are read in part.
    known &= weight.name.find('*') == std::string::npos &&
             weight.name != "embed.weight" && !weight.name.ends_with("tid2eid");
    bytes += weight.getBytes();
  }
  return known;
}

std::vector<KernelRow> profileStep(Session &session, const std::string &name,
                                   bool decode, int64_t count, int64_t context,
                                   int64_t repetitions) {
  const Plan &plan = session.getModel().getPlan();
  std::vector<int32_t> slots;
  std::map<uint32_t, std::vector<double>> times;
  for (int64_t i = 0; i < repetitions; ++i) {
    std::vector<StepToken> tokens =
        makeTokens(session, decode, count, context, slots);
    for (auto [launch, seconds] : session.profile(tokens))
      times[launch].push_back(seconds);
    dropAll(session, slots);
  }
  const Program &program = *plan.find("step");
  std::map<uint32_t, KernelRow> rows;
  for (const auto &[index, seconds] : times) {
    const Launch &launch = program.launches[index];
    auto [it, isNew] = rows.try_emplace(launch.kernel);
    KernelRow &row = it->second;
    if (isNew) {
      row.step = name;
      row.kernel = plan.kernels[launch.kernel].name;
      row.op = launch.name;
    }
    ++row.launches;
    row.seconds += median(seconds);
    row.known &= weightBytesOf(plan, launch, row.weightBytes);
  }
  std::vector<KernelRow> sorted;
  for (auto &[kernel, row] : rows)
    sorted.push_back(row);
  std::sort(sorted.begin(), sorted.end(),
            [](auto &a, auto &b) { return a.seconds > b.seconds; });
  return sorted;
}

/// What reading the weights once takes, of what the kernel took; empty where
/// that says nothing.
std::string floorShare(const KernelRow &row, double bandwidth) {
  if (!row.known || row.weightBytes == 0)
    return "";
  return fmt::format("{:.0f}", 100 * row.weightBytes / bandwidth / row.seconds);
}

std::string stepTable(std::span<const StepRow> rows, bool csv) {
  std::string text =
      csv ? "step,tokens,context,milliseconds,tokens_per_second\n"
          : "| step | tokens | context | ms | tokens/s |\n"
            "|---|---:|---:|---:|---:|\n";
  for (const StepRow &row : rows)
    text +=
        fmt::format(fmt::runtime(csv ? "{},{},{},{:.4f},{:.1f}\n"
                                     : "| {} | {} | {} | {:.4f} | {:.1f} |\n"),
                    row.kind, row.tokens, row.context, 1e3 * row.seconds,
                    row.tokens / row.seconds);
  return text;
}

std::string kernelTable(std::span<const KernelRow> rows, double bandwidth,
                        bool csv) {
  std::map<std::string, double> totals;
  for (const KernelRow &row : rows)
    totals[row.step] += row.seconds;
  std::string text =
      csv ? "\nstep,kernel,op,launches,microseconds,share,floor_percent\n"
          : "\n| step | kernel | first op | launches | µs | share | % of floor "
            "|\n|---|---|---|---:|---:|---:|---:|\n";
  for (const KernelRow &row : rows)
    text += fmt::format(
        fmt::runtime(csv ? "{},{},{},{},{:.2f},{:.4f},{}\n"
                         : "| {} | {} | {} | {} | {:.2f} | {:.1f} % | {} |\n"),
        row.step, row.kernel, row.op, row.launches, 1e6 * row.seconds,
        (csv ? 1 : 100) * row.seconds / totals[row.step],
        floorShare(row, bandwidth));
  return text;
}

/// Memory as it was computed, as it was allocated, and as the device says.
struct MemoryFacts {
  int64_t needed = 0, allocated = 0, freeBefore = 0, freeAfter = 0;
};

nlohmann::json toJson(const GenerationReport &report) {
  nlohmann::json phases = nlohmann::json::array();
  for (const PhaseRow &row : report.phases)
    phases.push_back({{"phase", row.phase},
                      {"tokens", row.tokens},
                      {"steps", row.steps},
                      {"seconds", row.seconds},
                      {"weight_bytes", row.weightBytes},
                      {"cache_bytes", row.cacheBytes},
                      {"operations", row.operations}});
  return {{"phases", phases},
          {"distinct_tokens", report.distinctTokens},
          {"lowest_logit", report.lowest},
          {"highest_logit", report.highest},
          {"repeats", report.repeats},
          {"same_without_graphs", report.sameWithoutGraphs},
          {"experts_unknown", report.expertsUnknown}};
}

nlohmann::json asJson(const std::string &model, const std::string &device,
                      const MemoryFacts &memory, std::span<const StepRow> steps,
                      std::span<const KernelRow> kernels, double bandwidth) {
  nlohmann::json result = {{"model", model},
                           {"device", device},
                           {"memory",
                            {{"needed", memory.needed},
                             {"allocated", memory.allocated},
                             {"free_before", memory.freeBefore},
                             {"free_after", memory.freeAfter}}},
                           {"steps", nlohmann::json::array()},
                           {"kernels", nlohmann::json::array()}};
  for (const StepRow &row : steps)
    result["steps"].push_back({{"step", row.kind},
                               {"tokens", row.tokens},
                               {"context", row.context},
                               {"seconds", row.seconds}});
  for (const KernelRow &row : kernels) {
    nlohmann::json object = {{"step", row.step},
                             {"kernel", row.kernel},
                             {"op", row.op},
                             {"launches", row.launches},
                             {"seconds", row.seconds}};
    if (row.known && row.weightBytes > 0)
      object["floor_seconds"] = row.weightBytes / bandwidth;
    result["kernels"].push_back(object);
  }
  if (bandwidth > 0)
    result["copy_bandwidth"] = bandwidth;
  return result;
}

void checkNumbers(const BenchOptions &options) {
  if (options.format != "md" && options.format != "csv" &&
      options.format != "json")
    fail(ErrorCode::Usage, "--format: expected md, csv or json, got {}",
         inQuotes(options.format));
  if (options.prompt < 0 || options.generated < 0)
    fail("--prompt and --new: expected numbers that are not negative, got {} "
         "and {}",
         options.prompt, options.generated);
  if (options.repetitions < 1)
    fail("--repeat: expected at least 1, got {}", options.repetitions);
  for (const std::vector<int64_t> *counts : {&options.decode, &options.prefill})
    for (int64_t count : *counts)
      if (count < 1)
        fail("expected steps of at least 1 token, got {}", count);
  for (int64_t context : options.contexts)
    if (context < 0)
      fail("--contexts: expected at least 0 tokens, got {}", context);
}

int64_t largest(const std::vector<int64_t> &values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

Capacity capacityFor(const BenchOptions &options) {
  Capacity capacity;
  capacity.maxSequences = std::max<int64_t>(largest(options.decode), 1);
  // A long prompt is processed in steps of so many tokens.
  constexpr int64_t mostOfPrompt = 4096;
  capacity.maxTokens =
      std::max({capacity.maxSequences, largest(options.prefill),
                std::min(options.prompt, mostOfPrompt)});
  capacity.maxRows = capacity.maxSequences;
  capacity.context =
      std::max(largest(options.contexts) +
                   std::max<int64_t>(largest(options.prefill), 1),
               options.prompt ? options.prompt + options.generated : 0);
  return capacity;
}

MemoryFacts memoryOf(const LoadedPackage &loaded) {
  Device &device = loaded.model->getDevice();
  MemoryFacts facts{loaded.model->getLayout().getTotal(), device.getAllocated(),
                    loaded.freeBefore, device.getFreeMemory()};
  note("memory: needed {} bytes, allocated {}; free on the device before {}, "
       "after {}, with code and what the driver keeps {} less",
       withCommas(facts.needed), withCommas(facts.allocated),
       withCommas(facts.freeBefore), withCommas(facts.freeAfter),
       withCommas(facts.freeBefore - facts.freeAfter));
  return facts;
}

void describeGeneration(const GenerationReport &report) {
  note("generation: {} different tokens, logits from {:.3f} to {:.3f}, all "
       "finite; runs are {}, without graphs {}{}",
       report.distinctTokens, report.lowest, report.highest,
       report.repeats ? "the same to the bit" : "DIFFERENT",
       report.sameWithoutGraphs ? "too" : "DIFFERENT",
       report.expertsUnknown ? "; experts' bytes are not counted, for no layer "
                               "says how many a token takes"
                             : "");
}

/// To a file, or to standard output if `path` is empty.
void write(const std::string &path, const std::string &text) {
  if (path.empty())
    return print(text);
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file)
    fail("{}: cannot be written", inQuotes(path));
}

int bench(const BenchOptions &options) {
  checkNumbers(options);
  LoadedPackage loaded = loadPackage(options, capacityFor(options));
  MemoryFacts memory = memoryOf(loaded);
  std::optional<GenerationReport> generation;
  if (options.prompt) {
    constexpr int64_t mostPasses = 2;
    generation = measureGeneration(loaded, options.prompt, options.generated,
                                   std::min(options.repetitions, mostPasses),
                                   smallStepsOf(options));
    describeGeneration(*generation);
  }
  Session session(loaded.model, smallStepsOf(options));
  std::vector<StepRow> steps;
  std::vector<KernelRow> kernels;
  for (bool decode : {true, false})
    for (int64_t count : decode ? options.decode : options.prefill)
      for (int64_t context : options.contexts) {
        const char *kind = decode ? "decode" : "prefill";
        steps.push_back(
            {kind, count, context,
             timeStep(session, decode, count, context, options.repetitions)});
        if (!options.kernels)
          continue;
        std::vector<KernelRow> rows = profileStep(
            session, fmt::format("{} {} at {}", kind, count, context), decode,
            count, context, std::min<int64_t>(options.repetitions, 5));
        kernels.insert(kernels.end(), rows.begin(), rows.end());
      }
  Device &device = loaded.model->getDevice();
  double bandwidth = options.kernels ? device.measureCopyBandwidth() : 0;
  if (options.kernels)
    note("floor: weights read once at the copy bandwidth of {:.0f} GB/s; of "
         "stacks of experts it is not known",
         bandwidth * 1e-9);
  if (options.format == "json") {
    nlohmann::json result =
        asJson(loaded.model->getPlan().model.name, device.describe(), memory,
               steps, kernels, bandwidth);
    if (generation)
      result["generation"] = toJson(*generation);
    write(options.output, result.dump(2) + "\n");
    return 0;
  }
  bool csv = options.format == "csv";
  std::string text = stepTable(steps, csv);
  if (generation)
    text += generationTable(*generation, csv);
  if (options.kernels)
    text += kernelTable(kernels, bandwidth, csv);
  write(options.output, text);
  return 0;
}

} // namespace

int benchCommand(const BenchOptions &options) noexcept {
  return guardedCommand([&] { return bench(options); });
}

} // namespace varve::runtime
