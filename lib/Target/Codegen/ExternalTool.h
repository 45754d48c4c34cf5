//===- ExternalTool.h - Running assemblers and linkers ---------*- C++ -*-===//
//
// One program, its output, and limits on what it may take. Safe to call from
// several threads: no signal or alarm of the process is touched.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_CODEGEN_EXTERNALTOOL_H
#define VARVE_TARGET_CODEGEN_EXTERNALTOOL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace varve {

/// What a program may take before it is stopped; 0 means no limit.
struct ToolLimits {
  unsigned seconds = 300;
  /// Address space.
  unsigned memoryMiB = 0;
};

struct ToolResult {
  int exitCode = 0;
  std::string standardOutput;
  std::string standardError;
};

/// A directory that is deleted, with its contents, on destruction.
class TemporaryDirectory {
public:
  static llvm::Expected<TemporaryDirectory> create();
  TemporaryDirectory(TemporaryDirectory &&other) noexcept
      : path(std::move(other.path)) {
    other.path.clear();
  }
  TemporaryDirectory &operator=(TemporaryDirectory &&) = delete;
  ~TemporaryDirectory();

  /// The path of `name` inside the directory.
  std::string file(llvm::StringRef name) const;

private:
  explicit TemporaryDirectory(llvm::SmallString<128> path)
      : path(std::move(path)) {}
  llvm::SmallString<128> path;
};

/// Runs `program`, a path, with `arguments` (without the program's name) and
/// no input. An exit code other than 0 is a result, not an error; an error
/// means that it could not be started, was killed, or exceeded a limit, and
/// shows the command.
llvm::Expected<ToolResult> runTool(llvm::StringRef program,
                                   llvm::ArrayRef<std::string> arguments,
                                   const ToolLimits &limits);

/// The command line, quoted for a shell.
std::string formatCommand(llvm::StringRef program,
                          llvm::ArrayRef<std::string> arguments);

/// The whole of a file.
llvm::Expected<std::string> readWholeFile(llvm::StringRef path);
llvm::Error writeWholeFile(llvm::StringRef path, llvm::StringRef contents);

} // namespace varve

#endif // VARVE_TARGET_CODEGEN_EXTERNALTOOL_H
