//===- Tool.h - What the commands of `varve` share -------------*- C++ -*-===//
#ifndef VARVE_TOOLS_TOOL_H
#define VARVE_TOOLS_TOOL_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"

namespace varve {

/// Exit codes of every tool.
enum ExitCode {
  kExitOk = 0,
  kExitUserError = 1,
  kExitUsage = 2,
  kExitInternal = 3,
  kExitDevice = 4,
};

/// A command line that says too little: exits with kExitUsage.
class UsageError : public llvm::ErrorInfo<UsageError> {
public:
  static inline char ID = 0;
  explicit UsageError(std::string text) : text(std::move(text)) {}
  void log(llvm::raw_ostream &os) const override { os << text; }
  std::error_code convertToErrorCode() const override {
    return llvm::inconvertibleErrorCode();
  }

private:
  std::string text;
};

/// A command: `varve <name> ...`.
struct Command {
  llvm::cl::SubCommand *options;
  /// The exit code. An error is printed and exits with kExitUserError, a
  /// UsageError with kExitUsage; of a DiagnosedError only the context is
  /// printed, as a note.
  llvm::Expected<int> (*run)();
};

Command benchCommand();
Command compileCommand();
Command inspectCommand();
Command runCommand();
Command checkCommand();
Command exploreCommand();
Command recordCommand();

/// What a MODEL can be, as a phrase.
llvm::StringRef modelKinds();

/// The options that `--help` of a command shows.
llvm::cl::OptionCategory &toolCategory();

/// A context with Varve's dialects and the reference interpreter, whose
/// diagnostics are printed as "error: <op name>: <message>".
class ToolContext {
public:
  ToolContext();
  ~ToolContext();
  mlir::MLIRContext &operator*() { return *context; }

private:
  std::unique_ptr<mlir::MLIRContext> context;
};

/// Writes `text` to `path`, or to standard output if that is "-". The file
/// appears whole or not at all.
llvm::Error writeOutput(llvm::StringRef path,
                        llvm::function_ref<void(llvm::raw_ostream &)> write);

/// 159609485896 -> "159,609,485,896".
std::string withCommas(int64_t number);

/// The body of `varve`.
int varveMain(int argc, char **argv);

} // namespace varve

#endif // VARVE_TOOLS_TOOL_H
