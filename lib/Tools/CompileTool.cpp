//===- CompileTool.cpp - varve compile ------------------------------------===//

#include "lib/Package/Package.h"
#include "lib/Pipelines/Phases.h"
#include "lib/Support/ProgressLine.h"
#include "lib/Target/Model/TargetModel.h"
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

/// Help texts are referred to, not copied.
std::string describeTo() {
  std::string text = "stop at the end of a phase (default: the last):";
  for (const Phase &phase : phases())
    text += "\n  " + phase.name.str() + ": " + phase.description.str();
  return text;
}
const std::string toDescription = describeTo();

cl::opt<std::string> to("to", cl::value_desc("phase"), cl::desc(toDescription),
                        cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> from("from", cl::value_desc("phase"),
                          cl::desc("MODEL is the .mlir artefact of this phase"),
                          cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    dump("dump", cl::value_desc("folder"),
         cl::desc("write the artefact of every phase to a folder"),
         cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string>
    output("o", cl::value_desc("file"),
           cl::desc("output ('-': standard output; default: that, or "
                    "MODEL.varve in this folder for a package)"),
           cl::sub(command), cl::cat(toolCategory()));
cl::list<std::string> targets(
    "target", cl::value_desc("names"), cl::CommaSeparated,
    cl::desc("machines to compile for, such as sm_90a,x86-64; cpu or native: "
             "this machine's processor (default)"),
    cl::sub(command), cl::cat(toolCategory()));
cl::opt<bool> ptx("ptx",
                  cl::desc("leave NVIDIA kernels to the driver's assembler, "
                           "even if ptxas is here"),
                  cl::sub(command), cl::cat(toolCategory()));
cl::opt<bool>
    layerPrograms("layer-programs",
                  cl::desc("a program for every layer besides the step, for "
                           "varve-run check --layers"),
                  cl::sub(command), cl::cat(toolCategory()));
cl::opt<bool>
    storedPrograms("stored-programs",
                   cl::desc("with --layer-programs, programs that show the "
                            "values inside layers as well, to be compared with "
                            "those that a reference stores"),
                   cl::sub(command), cl::cat(toolCategory()));
cl::opt<ReportFormat>
    report("report",
           cl::desc("print a table of all kernels to standard output:"),
           cl::values(clEnumValN(ReportFormat::Markdown, "md", "Markdown"),
                      clEnumValN(ReportFormat::Json, "json", "JSON")),
           cl::sub(command), cl::cat(toolCategory()));

} // namespace

/// MODEL without folders and without what says which kind of file it is.
static StringRef getStem(StringRef model) {
  StringRef stem = llvm::sys::path::filename(model.rtrim('/'));
  stem.consume_back(".mlir");
  return stem;
}

/// Writes the whole artefact or, if it cannot be made, nothing.
static Error writeArtefactTo(StringRef path, mlir::ModuleOp module,
                             const Phase &phase) {
  std::string artefact;
  llvm::raw_string_ostream os(artefact);
  if (Error error = writeArtefact(module, phase, os))
    return error;
  return writeOutput(path, [&](llvm::raw_ostream &file) { file << artefact; });
}

static Error dumpPhase(mlir::ModuleOp module, const Phase &phase,
                       StringRef model) {
  if (dump.empty())
    return Error::success();
  if (std::error_code error = llvm::sys::fs::create_directories(dump))
    return createStringError(error, "'" + dump + "': " + error.message());
  llvm::SmallString<256> file(dump.getValue());
  llvm::sys::path::append(file, getStem(model) + phase.extension);
  return writeArtefactTo(file, module, phase);
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
  if (first->write)
    return createStringError("--from: '" + first->name +
                             "' is the last phase, nothing is behind it");
  if (last < first)
    return createStringError("--to: expected '" + first->name +
                             "' or a later phase, got '" + last->name + "'");
  if (!StringRef(modelOptions.model).ends_with(".mlir"))
    return createStringError(
        "--from: expected MODEL to be the .mlir artefact of phase '" +
        first->name + "', got '" + modelOptions.model + "'");
  return std::pair(first, last);
}

/// The names of the target models to compile for.
static Expected<std::vector<std::string>> selectTargets() {
  std::vector<std::string> names;
  if (targets.empty())
    targets.push_back("cpu");
  for (const std::string &name : targets) {
    bool isHost = name == "cpu" || name == "native";
    Expected<const TargetModel *> target =
        isHost ? TargetModel::forHost() : TargetModel::lookup(name);
    if (!target)
      return createStringError("--target: " +
                               llvm::toString(target.takeError()));
    if (llvm::is_contained(names, (*target)->getName()))
      return createStringError("--target: '" + (*target)->getName() +
                               "' is named twice");
    names.push_back((*target)->getName().str());
  }
  return names;
}

/// Where the artefact of `last` goes.
static std::string selectOutput(const Phase &last) {
  if (!output.empty())
    return output;
  if (!last.write)
    return "-";
  return (getStem(modelOptions.model) + last.extension).str();
}

/// Runs the phases and writes what was asked for.
static Error compile(mlir::ModuleOp module, const Phase *first,
                     const Phase &last, const PhaseOptions &options) {
  ProgressLine progress;
  auto showNext = [&](const Phase *phase) {
    if (phase <= &last)
      progress.show(phase->name + ": " + phase->description);
  };
  showNext(first ? first + 1 : phases().begin());
  if (Error error =
          runPhases(module, first, last, options, [&](const Phase &phase) {
            showNext(&phase + 1);
            return dumpPhase(module, phase, modelOptions.model);
          }))
    return error;
  return writeArtefactTo(selectOutput(last), module, last);
}

static Expected<int> runCompile() {
  auto selected = selectPhases();
  if (!selected)
    return selected.takeError();
  auto [first, last] = *selected;
  bool wantsReport = report.getNumOccurrences() > 0;
  if (wantsReport && last->name != "binary" && last->name != "package")
    return createStringError("--report: expected kernels to be compiled, but "
                             "--to stops before phase 'binary'");
  if (wantsReport && selectOutput(*last) == "-")
    return createStringError("--report: standard output is taken by the "
                             "artefact; name a file with -o");
  Expected<std::vector<std::string>> targetNames = selectTargets();
  if (!targetNames)
    return targetNames.takeError();
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  ToolContext context;
  auto module = loadModule(*context, modelOptions, *model);
  if (!module)
    return module.takeError();
  PhaseOptions options;
  options.precision = resolvePrecision(modelOptions, **module);
  options.ptx = ptx;
  options.layerPrograms = layerPrograms;
  options.storedPrograms = storedPrograms;
  // An artefact of the target phase has all kernels.
  options.recallKernels = dump.empty() && last->name != "target";
  for (const std::string &name : *targetNames)
    options.targets.push_back(name);
  if (Error error = compile(**module, first, *last, options))
    return std::move(error);
  if (wantsReport)
    writeKernelTable(**module, report, llvm::outs());
  return kExitOk;
}

Command varve::compileCommand() { return {&command, runCompile}; }
