//===- CheckTool.cpp - varve check ----------------------------------------===//

#include "lib/Check/Checker.h"
#include "lib/Tools/CompiledTarget.h"
#include "lib/Tools/Tool.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace varve;
namespace cl = llvm::cl;
namespace json = llvm::json;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;

namespace {

cl::SubCommand command("check",
                       "Compare with the reference.safetensors of a folder");
ModelOptions modelOptions(command, toolCategory(), /*hasLayerPattern=*/false);
TargetOption targetOption(command, toolCategory());
cl::opt<bool>
    layersAlone("layers",
                cl::desc("each layer alone from its stored input, and every "
                         "other stored tensor, instead of whole sequences"),
                cl::sub(command), cl::cat(toolCategory()));
cl::opt<double>
    rmsBound("rms", cl::value_desc("x"), cl::init(-1.0),
             cl::desc("bound on the RMS of the differences relative to the "
                      "reference's RMS (default 1e-4 in f32; other precisions "
                      "are held against quantiles of the positions)"),
             cl::sub(command), cl::cat(toolCategory()));
cl::opt<double>
    maxBound("max", cl::value_desc("x"), cl::init(-1.0),
             cl::desc("bound on the largest difference (default 2e-3 in "
                      "f32)"),
             cl::sub(command), cl::cat(toolCategory()));
cl::opt<unsigned> chunk("chunk", cl::value_desc("N"), cl::init(0),
                        cl::desc("prefill in steps of N tokens a sequence"),
                        cl::sub(command), cl::cat(toolCategory()));
cl::opt<bool>
    mixed("mixed",
          cl::desc("run every sequence twice, the second time later, so that "
                   "prefill and decode share steps"),
          cl::sub(command), cl::cat(toolCategory()));
cl::opt<bool> asJson("json", cl::desc("print JSON"), cl::sub(command),
                     cl::cat(toolCategory()));

} // namespace

static Error checkBounds() {
  for (const cl::opt<double> *bound : {&rmsBound, &maxBound})
    if (bound->getNumOccurrences() && !(bound->getValue() >= 0.0))
      return createStringError("--" + bound->ArgStr +
                               ": expected a number that is not negative");
  return Error::success();
}

/// Says of a comparison layer by layer what it left out.
static void printOmissions(llvm::ArrayRef<CheckRow> rows,
                           const ReferenceData &reference, int64_t numLayers) {
  std::vector<std::string> omitted;
  for (int64_t layer = 0; layer < numLayers; ++layer)
    if (llvm::none_of(rows,
                      [&](const CheckRow &row) { return row.layer == layer; }))
      omitted.push_back("layers." + std::to_string(layer));
  if (!omitted.empty())
    llvm::errs() << "note: not compared, since the reference lacks their "
                    "'hidden' tensors: "
                 << llvm::join(omitted, ", ") << '\n';
  for (const std::string &name : reference.getUnread())
    if (name != "decode_logits")
      llvm::errs() << "note: '" << name << "' was not compared\n";
}

/// Infinite numbers become null, since JSON has none.
static json::Value toJson(const CheckRow &row) {
  const Statistics &s = row.statistics;
  auto number = [](double value) -> json::Value {
    return std::isfinite(value) ? json::Value(value) : nullptr;
  };
  json::Object object{
      {"what", row.what},
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
      {"violations", json::Array(row.violations)},
  };
  if (row.layer)
    object["layer"] = *row.layer;
  return object;
}

static void printJson(llvm::ArrayRef<CheckRow> rows, llvm::StringRef model,
                      llvm::StringRef precision) {
  json::Array array;
  bool passed = true;
  for (const CheckRow &row : rows) {
    array.push_back(toJson(row));
    passed &= row.passed();
  }
  json::Value value = json::Object{{"model", model},
                                   {"precision", precision},
                                   {"passed", passed},
                                   {"rows", std::move(array)}};
  llvm::outs() << llvm::formatv("{0:2}\n", value);
}

static Expected<std::vector<CheckRow>> compareAll(Checker &checker) {
  if (!layersAlone)
    return checker.checkEndToEnd({static_cast<int64_t>(chunk), mixed});
  auto rows = checker.checkLayers();
  if (!rows)
    return rows;
  auto stored = checker.checkStored();
  if (!stored)
    return stored;
  llvm::append_range(*rows, *stored);
  if (rows->empty())
    return createStringError(
        "'" + modelOptions.model +
        "': the reference stores no 'hidden.0', so no layer can be "
        "checked alone");
  return rows;
}

/// Compiles for a device and compares there.
static Expected<int> checkCompiled(LoadedModel &model) {
  runtime::CheckOptions options;
  if (Error error = compileForRuntime(
          modelOptions, model, targetOption.getName(), options, layersAlone))
    return std::move(error);
  options.folder = modelOptions.model;
  options.chunk = chunk;
  options.mixed = mixed;
  options.layersAlone = layersAlone;
  options.rms = rmsBound;
  options.max = maxBound;
  options.json = asJson;
  return runtime::checkCommand(options);
}

static Expected<int> runCheck() {
  if (Error error = targetOption.check())
    return std::move(error);
  if (Error error = checkBounds())
    return std::move(error);
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  if (!model->config ||
      !llvm::sys::fs::is_directory(modelOptions.model.getValue()))
    return createStringError(
        "'" + modelOptions.model +
        "': expected a folder with config.json, weights and "
        "reference.safetensors");
  if (!targetOption.isReference())
    return checkCompiled(*model);
  if (layersAlone && (chunk || mixed))
    return createStringError("the interpreter runs layers on whole prompts; "
                             "--chunk and --mixed are for whole sequences");
  auto reference =
      ReferenceData::open(modelOptions.model, model->config->vocabSize,
                          model->config->maxPositions);
  if (!reference)
    return reference.takeError();
  ToolContext context;
  auto module = loadExecutable(*context, modelOptions, *model);
  if (!module)
    return module.takeError();
  std::string precision = resolvePrecision(modelOptions, **module);
  Interpreter interpreter(**module, *model->weights);
  CheckLimits limits =
      chooseLimits(precision, Accumulation::F32, rmsBound, maxBound);
  Checker checker(interpreter, *reference, limits);
  Expected<std::vector<CheckRow>> rows = compareAll(checker);
  if (!rows)
    return rows.takeError();
  if (asJson)
    printJson(*rows, model->config->name, precision);
  else
    llvm::outs() << tableOf(*rows);
  llvm::outs().flush();
  llvm::errs() << summaryOf(*rows, layersAlone) << '\n';
  if (layersAlone)
    printOmissions(*rows, *reference, model->config->numLayers());
  return llvm::all_of(*rows, [](const CheckRow &row) { return row.passed(); })
             ? kExitOk
             : kExitUserError;
}

Command varve::checkCommand() { return {&command, runCheck}; }
