//===- Common.h - What the commands share ----------------------*- C++ -*-===//
#ifndef VARVE_RUNTIME_TOOL_COMMON_H
#define VARVE_RUNTIME_TOOL_COMMON_H

#include "runtime/Error.h"
#include "runtime/Session/Session.h"
#include "runtime/Tool/Commands.h"
#include <chrono>
#include <cstdio>

namespace varve::runtime {

std::shared_ptr<const Package> openPackage(const RunTarget &options);

/// A package loaded on a device, and how long that took.
struct LoadedPackage {
  std::shared_ptr<Model> model;
  double packageSeconds = 0; ///< opening, verifying, choosing, loading code
  double weightSeconds = 0;
  int64_t freeBefore = 0; ///< bytes on the device, with nothing loaded
};

/// Opens, chooses, says on standard error what was chosen and how much memory
/// it takes, and loads with a progress bar if standard error is a terminal.
/// `capacity` holds what the command needs where the user gave nothing.
LoadedPackage loadPackage(const RunTarget &options, const Capacity &capacity);

/// How the launches of small steps run.
Code::Use smallStepsOf(const RunTarget &options);

/// Seconds since construction.
class Stopwatch {
public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
};

/// Prints to standard error.
template <typename... Args>
void note(fmt::format_string<Args...> pattern, Args &&...args) {
  std::string text = fmt::format(pattern, std::forward<Args>(args)...) + "\n";
  std::fputs(text.c_str(), stderr);
}

/// Prints to standard output.
void print(const std::string &text);

/// Runs `body`, which returns an exit code, and turns what it throws into a
/// message and an exit code.
template <typename Body> int guardedCommand(Body body) noexcept {
  try {
    return body();
  } catch (const Error &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.getCode());
  } catch (const std::bad_alloc &) {
    std::fputs("error: the host has too little memory\n", stderr);
    return static_cast<int>(ErrorCode::Device);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "internal error: %s\n", error.what());
    return static_cast<int>(ErrorCode::Internal);
  }
}

} // namespace varve::runtime

#endif // VARVE_RUNTIME_TOOL_COMMON_H
