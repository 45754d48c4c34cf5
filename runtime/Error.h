//===- Error.h - What can go wrong, in one place ---------------*- C++ -*-===//
//
// The runtime reports what it cannot do by throwing `Error`. The decision, once
// and for all: exceptions are used inside the library, and none leaves it. The
// functions of varve/c/varve.h and of runtime/Tool/Commands.h catch everything
// that reaches them.
//
// A message says what is wrong, where, what was expected, what was found, and
// what to do next. Destructors release what was acquired, so nothing stays
// half-loaded.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_ERROR_H
#define VARVE_RUNTIME_ERROR_H

#include <fmt/format.h>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace varve::runtime {

/// Whose mistake it is; the exit codes of the tools.
enum class ErrorCode {
  User = 1,     ///< input: a file, a number, an order of calls
  Usage = 2,    ///< a command line that says too little
  Internal = 3, ///< ours
  Device = 4,   ///< the device: missing, too old, too small, broken
};

class Error : public std::runtime_error {
public:
  Error(ErrorCode code, const std::string &message)
      : std::runtime_error(message), code(code) {}
  ErrorCode getCode() const { return code; }

private:
  ErrorCode code;
};

/// Throws an error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> pattern,
                       Args &&...args) {
  throw Error(code, fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> pattern, Args &&...args) {
  throw Error(ErrorCode::User,
              fmt::format(pattern, std::forward<Args>(args)...));
}

/// `text` in single quotes, unprintable bytes escaped, cut after 200 bytes.
std::string inQuotes(std::string_view text);

/// "[2, 3]".
std::string shapeText(std::span<const int64_t> shape);

/// "12,345,678".
std::string withCommas(int64_t number);

/// "1.50 GiB".
std::string bytesText(int64_t bytes);

/// "; did you mean 'x'?" with the candidate closest to `name`, or nothing when
/// none is close.
std::string nearestName(std::string_view name,
                        std::span<const std::string> candidates);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_ERROR_H
