//===- Tool.cpp - What the commands of `varve` share ----------------------===//

#include "lib/Tools/Tool.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Tools/Registration.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "varve/Support/DiagnosedError.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileOutputBuffer.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/WithColor.h"

using namespace varve;
namespace cl = llvm::cl;
using llvm::Error;

cl::OptionCategory &varve::toolCategory() {
  static cl::OptionCategory category("Varve options");
  return category;
}

llvm::StringRef varve::modelKinds() {
  static const std::string text =
      "a Hugging Face folder, a config.json, an .mlir file, or a built-in "
      "configuration (" +
      llvm::join(llvm::map_range(
                     builtinConfigs(),
                     [](const BuiltinConfig &config) { return config.name; }),
                 ", ") +
      ")";
  return text;
}

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

/// "layers.2.attn.wq_a (model/config.json)", or "file.mlir:3:5".
static void printLocation(llvm::raw_ostream &os, mlir::Location location) {
  if (auto name = mlir::dyn_cast<mlir::NameLoc>(location)) {
    os << name.getName().getValue();
    if (auto file = mlir::dyn_cast<mlir::FileLineColLoc>(name.getChildLoc()))
      os << " (" << file.getFilename().getValue() << ")";
    return;
  }
  if (auto file = mlir::dyn_cast<mlir::FileLineColLoc>(location)) {
    os << file.getFilename().getValue();
    if (file.getLine())
      os << ':' << file.getLine() << ':' << file.getColumn();
    return;
  }
  os << location;
}

static void printDiagnostic(const mlir::Diagnostic &diagnostic) {
  llvm::raw_ostream &os =
      diagnostic.getSeverity() == mlir::DiagnosticSeverity::Note
          ? llvm::WithColor::note()
      : diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning
          ? llvm::WithColor::warning()
      : diagnostic.getSeverity() == mlir::DiagnosticSeverity::Remark
          ? llvm::WithColor::remark()
          : llvm::WithColor::error();
  if (!mlir::isa<mlir::UnknownLoc>(diagnostic.getLocation())) {
    printLocation(os, diagnostic.getLocation());
    os << ": ";
  }
  os << diagnostic.str() << '\n';
  for (const mlir::Diagnostic &note : diagnostic.getNotes())
    printDiagnostic(note);
}

ToolContext::ToolContext() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  context = std::make_unique<mlir::MLIRContext>(registry);
  context->printOpOnDiagnostic(false);
  context->getDiagEngine().registerHandler([](mlir::Diagnostic &diagnostic) {
    printDiagnostic(diagnostic);
    return mlir::success();
  });
}

ToolContext::~ToolContext() = default;

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

Error varve::writeOutput(llvm::StringRef path,
                         llvm::function_ref<void(llvm::raw_ostream &)> write) {
  if (path == "-") {
    write(llvm::outs());
    llvm::outs().flush();
    return Error::success();
  }
  Error error = llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
    write(os);
    return Error::success();
  });
  if (!error)
    return error;
  // The system's message alone does not say which file.
  std::string message = llvm::toString(std::move(error));
  llvm::StringRef reason = message;
  reason.consume_front("'" + path.str() + "': ");
  return llvm::createStringError("output '" + path + "': " + reason);
}

std::string varve::withCommas(int64_t number) {
  std::string digits = std::to_string(number);
  for (int place = static_cast<int>(digits.size()) - 3;
       place > (number < 0 ? 1 : 0); place -= 3)
    digits.insert(place, ",");
  return digits;
}

//===----------------------------------------------------------------------===//
// varve
//===----------------------------------------------------------------------===//

static void printVersion(llvm::raw_ostream &os) {
  os << "varve " << VARVE_VERSION << " (LLVM " << LLVM_VERSION_STRING << ")\n";
}

static void hideForeignOptions(llvm::ArrayRef<Command> commands) {
  // The shared LLVM libraries register hundreds of options for their own
  // tools; none of them is ours to document.
  for (const Command &command : commands)
    cl::HideUnrelatedOptions(toolCategory(), *command.options);
  cl::HideUnrelatedOptions(toolCategory());
}

/// Prints an error and returns the exit code.
static int reportError(Error error) {
  int code = kExitUserError;
  llvm::handleAllErrors(
      std::move(error),
      [](const DiagnosedError &diagnosed) {
        if (!diagnosed.getContext().empty())
          llvm::WithColor::note() << diagnosed.getContext() << '\n';
      },
      [&](const UsageError &usage) {
        llvm::WithColor::error() << usage.message() << '\n';
        code = kExitUsage;
      },
      [](const llvm::ErrorInfoBase &info) {
        llvm::WithColor::error() << info.message() << '\n';
      });
  return code;
}

int varve::varveMain(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::setBugReportMsg(
      "This is a bug in Varve. Please report it with the command "
      "and the lines below.\n");
  cl::SetVersionPrinter(printVersion);
  const Command commands[] = {
      compileCommand(), inspectCommand(), runCommand(),   checkCommand(),
      benchCommand(),   exploreCommand(), recordCommand()};
  hideForeignOptions(commands);
  std::string moreHelp = ("\nMODEL is " + modelKinds() + ".\n").str();
  cl::extrahelp modelHelp(moreHelp);
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Varve: a compiler for hybrid-attention language models\n",
          &llvm::errs()))
    return kExitUsage;
  for (const Command &command : commands) {
    if (!*command.options)
      continue;
    llvm::Expected<int> code = command.run();
    if (code)
      return *code;
    return reportError(code.takeError());
  }
  cl::PrintHelpMessage();
  return kExitUsage;
}
