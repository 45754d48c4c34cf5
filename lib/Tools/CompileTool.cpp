//===- CompileTool.cpp - varve compile ------------------------------------===//

#include "lib/Pipelines/Phases.h"
#include "lib/Tools/ModelLoader.h"
#include "lib/Tools/Tool.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace varve;
namespace cl = llvm::cl;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

namespace {

cl::SubCommand command("compile",
                       "Compile a model, or carry on from a phase's artefact");
ModelOptions modelOptions(command, toolCategory());

std::string phaseNames() {
  std::string names;
  for (const Phase &phase : phases())
    names += "\n  " + phase.name.str() + ": " + phase.description.str();
  return names;
}

cl::opt<std::string> to(
    "to", cl::value_desc("phase"),
    cl::desc("stop at the end of a phase (default: the last):" + phaseNames()),
    cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> from("from", cl::value_desc("phase"),
                          cl::desc("MODEL is the .mlir artefact of this phase"),
                          cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    dump("dump", cl::value_desc("folder"),
         cl::desc("write the artefact of every phase to a folder"),
         cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> output("o", cl::value_desc("file"), cl::init("-"),
                            cl::desc("output ('-': standard output)"),
                            cl::sub(command), cl::cat(toolCategory()));

} // namespace

static void printModule(mlir::ModuleOp module, llvm::raw_ostream &os) {
  mlir::OpPrintingFlags flags;
  flags.enableDebugInfo();
  module.print(os, flags);
  os << '\n';
}

static Error dumpPhase(mlir::ModuleOp module, const Phase &phase,
                       StringRef model) {
  if (dump.empty())
    return Error::success();
  if (std::error_code error = llvm::sys::fs::create_directories(dump))
    return createStringError(error, "'" + dump + "': " + error.message());
  StringRef stem = llvm::sys::path::filename(model.rtrim('/'));
  stem.consume_back(".mlir");
  llvm::SmallString<256> file(dump.getValue());
  llvm::sys::path::append(file, stem + phase.extension);
  return writeOutput(file,
                     [&](llvm::raw_ostream &os) { printModule(module, os); });
}

/// The phases to run: behind `first` (null: from the import on) up to `last`.
static Expected<std::pair<const Phase *, const Phase *>> selectPhases() {
  const Phase *first = nullptr, *last = &phases().back();
  if (!to.empty()) {
    Expected<const Phase *> phase = findPhase(to);
    if (!phase)
      return createStringError("--to: " + llvm::toString(phase.takeError()));
    last = *phase;
  }
  if (from.empty())
    return std::pair(first, last);
  Expected<const Phase *> phase = findPhase(from);
  if (!phase)
    return createStringError("--from: " + llvm::toString(phase.takeError()));
  first = *phase;
  if (last < first)
    return createStringError("--to: expected '" + first->name +
                             "' or a later phase, got '" + last->name + "'");
  if (!StringRef(modelOptions.model).ends_with(".mlir"))
    return createStringError(
        "--from: expected MODEL to be the .mlir artefact of phase '" +
        first->name + "', got '" + modelOptions.model + "'");
  return std::pair(first, last);
}

static Expected<int> runCompile() {
  auto selected = selectPhases();
  if (!selected)
    return selected.takeError();
  auto [first, last] = *selected;
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  ToolContext context;
  auto module = loadModule(*context, modelOptions, *model);
  if (!module)
    return module.takeError();
  PhaseOptions options;
  options.precision = resolvePrecision(modelOptions, **module);
  if (Error error =
          runPhases(**module, first, *last, options, [&](const Phase &phase) {
            return dumpPhase(**module, phase, modelOptions.model);
          }))
    return std::move(error);
  if (Error error = writeOutput(
          output, [&](llvm::raw_ostream &os) { printModule(**module, os); }))
    return std::move(error);
  return kExitOk;
}

Command varve::compileCommand() { return {&command, runCompile}; }
