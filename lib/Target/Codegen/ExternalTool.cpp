//===- ExternalTool.cpp - Running assemblers and linkers -------*- C++ -*-===//
//
// The wait is a poll: LLVM's own time limit uses the process-wide alarm, which
// several compiler threads cannot share.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/Codegen/ExternalTool.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

using namespace llvm;
using namespace varve;

Expected<TemporaryDirectory> TemporaryDirectory::create() {
  SmallString<128> path;
  if (std::error_code error = sys::fs::createUniqueDirectory("varve", path))
    return createStringError(error, "cannot create a temporary directory: " +
                                        error.message());
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path.empty())
    sys::fs::remove_directories(path);
}

std::string TemporaryDirectory::file(StringRef name) const {
  SmallString<128> result(path);
  sys::path::append(result, name);
  return result.str().str();
}

std::string varve::formatCommand(StringRef program,
                                 ArrayRef<std::string> arguments) {
  std::string text;
  raw_string_ostream os(text);
  sys::printArg(os, program, /*Quote=*/false);
  for (const std::string &argument : arguments) {
    os << ' ';
    sys::printArg(os, argument, /*Quote=*/false);
  }
  return text;
}

Expected<std::string> varve::readWholeFile(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(buffer.getError(),
                             "cannot read " + path + ": " +
                                 buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

Error varve::writeWholeFile(StringRef path, StringRef contents) {
  std::error_code error;
  raw_fd_ostream os(path, error);
  if (!error) {
    os << contents;
    os.close();
    error = os.error();
    os.clear_error();
  }
  if (error)
    return createStringError(error,
                             "cannot write " + path + ": " + error.message());
  return Error::success();
}

/// Waits for `process`; false if it was killed for running out of time.
static bool waitFor(sys::ProcessInfo &process, unsigned seconds,
                    std::string &message) {
  using namespace std::chrono;
  auto start = steady_clock::now();
  auto pause = microseconds(200);
  while (true) {
    sys::ProcessInfo state = sys::Wait(process, 0u, &message);
    if (state.Pid != sys::ProcessInfo::InvalidPid) {
      process = state;
      return true;
    }
    if (seconds &&
        steady_clock::now() - start > std::chrono::seconds(seconds)) {
      ::kill(process.Pid, SIGKILL);
      process = sys::Wait(process, std::nullopt, &message);
      return false;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min<microseconds>(pause * 2, milliseconds(5));
  }
}

Expected<ToolResult> varve::runTool(StringRef program,
                                    ArrayRef<std::string> arguments,
                                    const ToolLimits &limits) {
  Expected<TemporaryDirectory> directory = TemporaryDirectory::create();
  if (!directory)
    return directory.takeError();
  std::string out = directory->file("stdout"), err = directory->file("stderr");
  auto failed = [&](const Twine &what) {
    return createStringError(
        what + "; the command was: " + formatCommand(program, arguments));
  };

  SmallVector<StringRef> argv{program};
  argv.append(arguments.begin(), arguments.end());
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(out),
                                          StringRef(err)};
  std::string message;
  bool notStarted = false;
  sys::ProcessInfo process =
      sys::ExecuteNoWait(program, argv, /*Env=*/std::nullopt, redirects,
                         limits.memoryMiB, &message, &notStarted);
  if (notStarted || process.Pid == sys::ProcessInfo::InvalidPid)
    return failed("cannot start " + program + ": " + message);
  if (!waitFor(process, limits.seconds, message))
    return failed(program + " took more than " + Twine(limits.seconds) +
                  " s and was stopped");

  ToolResult result;
  result.exitCode = process.ReturnCode;
  for (auto [path, text] : {std::pair(&out, &result.standardOutput),
                            std::pair(&err, &result.standardError)}) {
    Expected<std::string> contents = readWholeFile(*path);
    if (!contents)
      return contents.takeError();
    *text = std::move(*contents);
  }
  // LLVM reports a program that could not be executed or was killed by a
  // negative code.
  if (process.ReturnCode < 0)
    return failed(program + " was killed" +
                  (message.empty() ? "" : " (" + message + ")") +
                  (limits.memoryMiB ? "; its memory limit was " +
                                          Twine(limits.memoryMiB) + " MiB"
                                    : Twine()) +
                  (result.standardError.empty()
                       ? ""
                       : "; it printed: " + result.standardError));
  return result;
}
