//===- ExploreTool.cpp - varve explore ------------------------------------===//

#include "lib/Cache/KernelCache.h"
#include "lib/Explore/Report.h"
#include "lib/Explore/Search.h"
#include "lib/Model/Overrides.h"
#include "lib/Target/NVPTX/Ptxas.h"
#include "lib/Tools/MeasureMixes.h"
#include "lib/Tools/ModelLoader.h"
#include "lib/Tools/Tool.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace varve;
namespace cl = llvm::cl;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

namespace {

/// Rows of a table on a terminal, and refused mixes beside it.
constexpr size_t kMaxTableRows = 60, kMaxRefusals = 12;

cl::SubCommand
    command("explore",
            "What mixes of layers cost: time, memory and work, from the ops "
            "(deepseek-v3.2 and gqa-8 are MODELs to compare with)");
cl::list<std::string> models(cl::Positional, cl::desc("MODEL..."),
                             cl::sub(command), cl::cat(toolCategory()));
cl::list<std::string>
    layers("layers", cl::CommaSeparated, cl::value_desc("mix,..."),
           cl::desc("layers instead of the model's: patterns like 'SS(CH)*C', "
                    "or ranges like 0-60/3:C (every third layer) or 2-9:C@8"),
           cl::sub(command), cl::cat(toolCategory()));
cl::list<std::string> settings(
    "set", cl::value_desc("name=a,b,..."),
    cl::desc("values of a field (index_topk=256,512, ratio.csa=4,8), of the "
             "format of pools (pool.keys=fp4,fp8), or of a selection "
             "(select.entries=4096:attention); several give the product"),
    cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> mixes("mixes", cl::value_desc("file.json"),
                           cl::desc("mixes and conditions from a file"),
                           cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    contexts("context", cl::value_desc("n,..."),
             cl::desc("tokens of a sequence behind the step: 128k, 4k..1m "
                      "(default 4k,128k,1m)"),
             cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> batches("batch", cl::value_desc("n,..."),
                             cl::desc("sequences in a step (default 1)"),
                             cl::sub(command), cl::cat(toolCategory()));
cl::opt<int64_t> tokens("tokens", cl::value_desc("n"), cl::init(1),
                        cl::desc("tokens of each sequence in a step: 1 is "
                                 "decode (default), more a prompt's chunk"),
                        cl::sub(command), cl::cat(toolCategory()));
cl::list<std::string> targets("target", cl::CommaSeparated,
                              cl::value_desc("device,..."),
                              cl::desc("devices: h200 (default), b200, ..."),
                              cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    precision("precision", cl::value_desc("policy"),
              cl::desc("f32, bf16, native, or a file of rules; without it what "
                       "suits the model"),
              cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> level("level", cl::value_desc("e0|e1|e2|e3"),
                           cl::init("e0"),
                           cl::desc("how costs are found: e0 in closed form, "
                                    "e1 from the kernels that are formed and "
                                    "their programs, e2 compiled, e3 measured "
                                    "on the best device of this machine"),
                           cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    packages("packages", cl::value_desc("folder"),
             cl::desc("instead of a report, write a package of every mix and "
                      "measure.sh, to measure them on another machine"),
             cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    measured("measured", cl::value_desc("folder"),
             cl::desc("with --level=e3: what measure.sh left in such a folder"),
             cl::sub(command), cl::cat(toolCategory()));
cl::list<std::string>
    minimise("minimise", cl::CommaSeparated, cl::value_desc("metric,..."),
             cl::desc("show the Pareto front of these figures: decode_ms, "
                      "kv_per_token, cache_bytes, ... (--format=csv has all "
                      "names)"),
             cl::sub(command), cl::cat(toolCategory()));
cl::list<std::string>
    limits("limit", cl::CommaSeparated, cl::value_desc("metric=n,..."),
           cl::desc("only rows with at most (=, <=) or at least (>=) this"),
           cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> format(
    "format", cl::value_desc("name"),
    cl::desc("table, jsonl, csv or html (default: by the end of -o's name, "
             "else table)"),
    cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> output("o", cl::value_desc("file"), cl::init("-"),
                            cl::desc("output ('-': standard output)"),
                            cl::sub(command), cl::cat(toolCategory()));

enum class Format { Table, JsonLines, Csv, Html };

/// Mixes that a page shows in detail, and rows that it lists.
constexpr size_t kMaxDetailed = 24, kMaxPageRows = 4000;

} // namespace

static Expected<Format> selectFormat() {
  constexpr std::pair<StringRef, Format> formats[] = {
      {"table", Format::Table},
      {"jsonl", Format::JsonLines},
      {"csv", Format::Csv},
      {"html", Format::Html},
  };
  StringRef name = format;
  if (name.empty()) {
    for (auto [extension, value] : formats)
      if (StringRef(output).ends_with(("." + extension).str()))
        return value;
    return Format::Table;
  }
  llvm::SmallVector<StringRef> names;
  for (auto [known, value] : formats) {
    if (known == name)
      return value;
    names.push_back(known);
  }
  return createStringError("--format: expected " + llvm::join(names, ", ") +
                           ", got '" + name + "'" + didYouMean(name, names));
}

//===----------------------------------------------------------------------===//
// The query
//===----------------------------------------------------------------------===//

static Error readCounts(const cl::opt<std::string> &option,
                        std::vector<int64_t> &counts, StringRef otherwise) {
  if (!option.getNumOccurrences() && !counts.empty())
    return Error::success();
  Expected<std::vector<int64_t>> parsed =
      parseCounts(option.getNumOccurrences() ? StringRef(option) : otherwise);
  if (!parsed)
    return createStringError("--" + option.ArgStr + ": " +
                             llvm::toString(parsed.takeError()));
  counts = std::move(*parsed);
  return Error::success();
}

/// The file's query, with what the command line says instead.
static Expected<Query> makeQuery() {
  Query query;
  query.tokens = tokens;
  if (!mixes.empty())
    if (Error error = readQueryFile(mixes, query))
      return std::move(error);
  auto replace = [](std::vector<std::string> &values,
                    const cl::list<std::string> &option) {
    if (!option.empty())
      values.assign(option.begin(), option.end());
  };
  replace(query.models, models);
  replace(query.layers, layers);
  replace(query.targets, targets);
  for (const std::string &setting : settings) {
    Expected<Axis> axis = parseAxis(setting);
    if (!axis)
      return axis.takeError();
    query.axes.push_back(std::move(*axis));
  }
  if (query.models.empty() && query.mixes.empty()) {
    query.models = {"deepseek-v4-flash", "deepseek-v4-pro"};
    // Baselines are for comparison only where they can be changed alike, and
    // where no kernels are formed, which they are not written for.
    if (query.layers.empty() && query.axes.empty() && level == "e0")
      for (const Baseline &baseline : getBaselines())
        query.models.push_back(baseline.name.str());
  }
  if (tokens.getNumOccurrences())
    query.tokens = tokens;
  if (query.tokens < 1)
    return createStringError("--tokens: expected a positive number, got " +
                             llvm::Twine(query.tokens));
  if (query.targets.empty())
    query.targets = {"h200"};
  if (precision.getNumOccurrences())
    query.precision = precision;
  if (Error error = readCounts(contexts, query.contexts, "4k,128k,1m"))
    return std::move(error);
  if (Error error = readCounts(batches, query.batches, "1"))
    return std::move(error);
  Expected<Level> parsed = parseLevel(level);
  if (!parsed)
    return parsed.takeError();
  query.level = *parsed;
  if (!measured.empty() && query.level != Level::Measured)
    return createStringError("--measured: expected --level=e3 beside it");
  if (query.level == Level::Compiled) {
    Expected<PtxasTool> assembler = PtxasTool::find();
    if (!assembler)
      return createStringError(
          "--level=e2: expected an assembler, which alone knows registers: " +
          llvm::toString(assembler.takeError()));
  }
  return query;
}

/// A built-in module, an .mlir file, or a configuration.
static Expected<BaseModel> loadBase(StringRef name, StringRef precision) {
  BaseModel base;
  base.name = base.source = name.str();
  for (const Baseline &baseline : getBaselines())
    if (baseline.name == name) {
      base.text = baseline.text.str();
      return base;
    }
  if (name.ends_with(".mlir")) {
    auto buffer = llvm::MemoryBuffer::getFile(name);
    if (!buffer)
      return createStringError("'" + name +
                               "': " + buffer.getError().message());
    base.text = (*buffer)->getBuffer().str();
    return base;
  }
  Expected<ModelConfig> config = loadConfig(name, base.source);
  if (!config)
    return config.takeError();
  base.precision = !precision.empty() ? precision.str()
                   : config->storage.linear == WeightType::F8E4M3 ? "native"
                                                                  : "f32";
  base.config = std::move(*config);
  return base;
}

//===----------------------------------------------------------------------===//
// The command
//===----------------------------------------------------------------------===//

static Expected<std::vector<Metric>>
parseObjectives(int64_t stepTokens, llvm::ArrayRef<Limit> parsedLimits) {
  std::vector<Metric> objectives;
  auto add = [&](Metric metric) {
    if (!llvm::is_contained(objectives, metric))
      objectives.push_back(metric);
  };
  for (const std::string &name : minimise) {
    if (name == "decode_ms" && stepTokens != 1)
      return createStringError(
          "--minimise=decode_ms: expected --tokens=1 beside it, got " +
          llvm::Twine(stepTokens) + "; step_ms is the time of any step");
    Expected<Metric> metric = parseMetric(name);
    if (!metric)
      return createStringError("--minimise: " +
                               llvm::toString(metric.takeError()));
    add(*metric);
  }
  // A front shows what a limited figure buys; one objective alone has one best
  // row.
  if (!objectives.empty())
    for (const Limit &limit : parsedLimits)
      add(limit.metric);
  return objectives;
}

static void printHints() {
  llvm::errs() << R"(
Level e0 is a floor: what no implementation on this device can beat, plus launches.
How to go on:
  varve explore deepseek-v4-flash --layers=0-42/3:C --set=ratio.csa=8 --context=256k
  varve explore deepseek-v4-flash --layers='SS(CH)*C,S*,SS(CCH)*CC' --batch=1,32
  varve explore deepseek-v4-flash --set=ratio.csa=4,8,16 --set=index_topk=256,512,1024 \
      --context=1m --minimise=decode_ms --limit=kv_per_token=4000
  varve explore deepseek-v4-flash --target=h200,b200,rtx-5090,gb10
  varve explore deepseek-v4-flash --level=e1        the kernels that Varve makes, instead of the floor
  varve explore --help                              all options; docs/explore.md
)";
}

/// Puts measured times into a result of level E3. Without `--target` the device
/// that was measured is the one to predict for.
static Error measure(ExploreResult &result, Query &query, LoadBaseFn loadBase,
                     mlir::MLIRContext &context) {
  Measurements measurements;
  std::string remedy = "make room for it on the device: fewer layers or "
                       "experts, smaller steps; its message is above";
  Error error = Error::success();
  if (measured.empty()) {
    error = measureHere(context, result, loadBase, measurements);
  } else {
    error = measurements.read(measured, result);
    remedy = "run " + measured +
             "/measure.sh on the device, after the same mixes and conditions "
             "with --packages=" +
             measured;
  }
  if (error)
    return error;
  std::optional<Device> device = findMeasuredDevice(measurements.getDevice());
  if (device && targets.empty() &&
      device->model != result.conditions.devices.front().getDevice().model) {
    query.targets = {getShortName(*device->model).lower()};
    Expected<ExploreResult> again =
        explore(context, query, loadBase, /*keepOps=*/false);
    if (!again)
      return again.takeError();
    result = std::move(*again);
  }
  applyMeasurements(measurements, remedy, result);
  result.measuredOn = measurements.getDevice().str();
  return Error::success();
}

/// Writes a page: the first mixes of the report in detail, which are costed
/// again, op by op.
static Error writePage(Report &report, Query query, LoadBaseFn loadBase,
                       mlir::MLIRContext &context) {
  if (report.rows.size() > kMaxPageRows)
    report.rows.resize(kMaxPageRows);
  std::vector<unsigned> detailed;
  for (const Row &row : report.rows)
    if (detailed.size() < kMaxDetailed &&
        !llvm::is_contained(detailed, row.mix))
      detailed.push_back(row.mix);
  llvm::sort(detailed);
  query.models.clear();
  query.mixes.clear();
  for (unsigned index : detailed)
    query.mixes.push_back(report.result.mixes[index].mix);
  Expected<ExploreResult> details =
      explore(context, query, loadBase, /*keepOps=*/true);
  if (!details)
    return details.takeError();
  return writeOutput(output, [&](llvm::raw_ostream &os) {
    writeHtml(report, *details, detailed, os);
  });
}

/// Writes the report in any other format.
static Error writeText(const Report &report, Format selected) {
  return writeOutput(output, [&](llvm::raw_ostream &os) {
    if (selected == Format::JsonLines)
      writeJsonLines(report, os);
    else if (selected == Format::Csv)
      writeCsv(report, os);
    else
      writeTable(report, os, kMaxTableRows);
  });
}

static Expected<int> runExplore() {
  Expected<Format> selected = selectFormat();
  if (!selected)
    return selected.takeError();
  Expected<Query> query = makeQuery();
  if (!query)
    return query.takeError();
  std::vector<Limit> parsedLimits;
  for (const std::string &text : limits) {
    Expected<Limit> limit = parseLimit(text);
    if (!limit)
      return limit.takeError();
    parsedLimits.push_back(*limit);
  }
  auto objectives = parseObjectives(query->tokens, parsedLimits);
  if (!objectives)
    return objectives.takeError();
  ToolContext context;
  auto load = [&](StringRef name) { return loadBase(name, query->precision); };
  Expected<ExploreResult> result =
      explore(*context, *query, load, /*keepOps=*/false);
  if (!result)
    return result.takeError();
  if (!packages.empty()) {
    StringRef target =
        result->conditions.devices.front().getDevice().target->getName();
    if (Error error = writePackages(*context, *result, load, target, packages))
      return std::move(error);
    writeRefusals(*result, llvm::errs(), kMaxRefusals);
    return kExitOk;
  }
  if (query->level == Level::Measured)
    if (Error error = measure(*result, *query, load, *context))
      return std::move(error);
  Report report{*result, {}, "", *objectives};
  report.build =
      (VARVE_VERSION "-" + getCompilerBuildId().take_front(16)).str();
  report.rows = findFront(result->rows, *objectives, parsedLimits);
  // Refused mixes are rows of JSON lines only.
  if (!report.rows.empty() || *selected == Format::JsonLines)
    if (Error error = *selected == Format::Html
                          ? writePage(report, *query, load, *context)
                          : writeText(report, *selected))
      return std::move(error);
  if (*selected != Format::JsonLines)
    writeRefusals(*result, llvm::errs(), kMaxRefusals);
  if (result->rows.empty())
    return createStringError("all mixes were refused");
  if (report.rows.empty())
    return createStringError("--limit: no mix of " +
                             llvm::Twine(result->mixes.size()) +
                             " is within the limits");
  if (models.empty() && mixes.empty() && *selected == Format::Table &&
      query->level == Level::ClosedForm)
    printHints();
  return kExitOk;
}

Command varve::exploreCommand() { return {&command, runExplore}; }
