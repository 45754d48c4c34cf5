//===- CompiledTarget.cpp - Compile here, run here ------------------------===//

#include "lib/Tools/CompiledTarget.h"
#include "lib/Target/Model/TargetModel.h"
#include "lib/Tools/Tool.h"
#include "runtime/Device/Probe.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>

using namespace varve;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

static Expected<RunnableTarget> chooseHost(std::string why) {
  Expected<const TargetModel *> host = TargetModel::forHost();
  if (!host)
    return host.takeError();
  return RunnableTarget{(*host)->getName().str(), "cpu", std::move(why)};
}

/// The target of the first GPU, or the processor.
static Expected<RunnableTarget> chooseBest() {
  std::string why;
  int capability = runtime::probeCudaCapability(0, why);
  if (capability < 0)
    return chooseHost(why);
  // The specific target of the architecture first, where there is one.
  for (const char *suffix : {"a", ""}) {
    std::string name = llvm::formatv("sm_{0}{1}", capability, suffix).str();
    Expected<const TargetModel *> target = TargetModel::lookup(name);
    if (target)
      return RunnableTarget{name, "cuda", ""};
    llvm::consumeError(target.takeError());
  }
  return chooseHost(llvm::formatv("there is no target for the GPU's compute "
                                  "capability {0}.{1}",
                                  capability / 10, capability % 10)
                        .str());
}

/// Names that stand for a target, besides those of targets.
static constexpr StringRef kHostName = "cpu", kBestName = "native";

Error varve::checkTarget(StringRef name) {
  if (name == kHostName || name == kBestName)
    return Error::success();
  Expected<const TargetModel *> found = TargetModel::lookup(name);
  if (found)
    return Error::success();
  return createStringError("--target: expected reference, native, cpu or a "
                           "target: " +
                           llvm::toString(found.takeError()));
}

Expected<RunnableTarget> varve::findRunnableTarget(StringRef name) {
  if (name == kHostName)
    return chooseHost("");
  if (name == kBestName)
    return chooseBest();
  Expected<const TargetModel *> target = TargetModel::lookup(name);
  if (!target)
    return target.takeError();
  return RunnableTarget{name.str(), (*target)->isGpu() ? "cuda" : "cpu", ""};
}

/// What the runtime is told about weights: `--weights`, or MODEL where that is
/// a checkpoint.
static std::string weightsOf(const ModelOptions &options) {
  if (options.weights.getNumOccurrences())
    return options.weights;
  return llvm::sys::fs::is_directory(options.model.getValue())
             ? options.model.getValue()
             : "";
}

static Expected<std::vector<uint8_t>>
compilePackage(const ModelOptions &options, LoadedModel &model,
               const std::string &target, bool layerPrograms) {
  ToolContext context;
  auto module = loadExecutable(*context, options, model);
  if (!module)
    return module.takeError();
  Expected<const Phase *> quantize = findPhase("quantize");
  if (!quantize)
    return quantize.takeError();
  PhaseOptions phaseOptions;
  phaseOptions.precision = resolvePrecision(options, **module);
  phaseOptions.targets = {target};
  phaseOptions.layerPrograms = layerPrograms;
  phaseOptions.storedPrograms = layerPrograms;
  phaseOptions.recallKernels = true;
  const Phase &last = phases().back();
  if (Error error = runPhases(**module, *quantize, last, phaseOptions,
                              [](const Phase &) { return Error::success(); }))
    return std::move(error);
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  if (Error error = writeArtefact(**module, last, os))
    return std::move(error);
  return std::vector<uint8_t>(bytes.begin(), bytes.end());
}

Error varve::compileForRuntime(const ModelOptions &options, LoadedModel &model,
                               StringRef target, runtime::RunTarget &run,
                               bool layerPrograms) {
  Expected<RunnableTarget> choice = findRunnableTarget(target);
  if (!choice)
    return choice.takeError();
  run.weights = weightsOf(options);
  if (run.weights.empty())
    return createStringError(
        "'" + options.model +
        "' has no weights; add --weights=random or the folder of a "
        "checkpoint");
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  Expected<std::vector<uint8_t>> package =
      compilePackage(options, model, choice->target, layerPrograms);
  if (!package)
    return package.takeError();
  llvm::errs() << llvm::formatv(
      "{0}: compiled for {1} in {2:f2} s, {3} bytes{4}\n",
      model.config ? model.config->name : model.source, choice->target,
      std::chrono::duration<double>(Clock::now() - start).count(),
      withCommas(package->size()),
      choice->why.empty() ? "" : " (" + choice->why + ")");
  run.path = model.config ? model.config->name : model.source;
  run.bytes = std::move(*package);
  run.device = choice->device;
  return Error::success();
}
