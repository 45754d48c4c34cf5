//===- Assert.h - Checks of Varve's own invariants -------------*- C++ -*-===//
//
// The packaged MLIR makes every translation unit define NDEBUG, so `assert`
// never fires in Varve. VARVE_ASSERT does, in every build type, unless
// VARVE_NO_ASSERTS is defined. It is for our mistakes only: what a user can
// cause is an error or a diagnostic. Standard library only: the runtime
// includes this file too.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_ASSERT_H
#define VARVE_SUPPORT_ASSERT_H

#include <cstdio>
#include <cstdlib>

namespace varve::detail {

/// Prints where and which check failed, and aborts.
[[noreturn]] inline void assertionFailed(const char *condition,
                                         const char *message, const char *file,
                                         int line) {
  std::fprintf(stderr, "%s:%d: internal error: %s (%s does not hold)\n", file,
               line, message, condition);
  std::fflush(stderr);
  std::abort();
}

} // namespace varve::detail

/// Aborts with `message` and the place unless `condition` holds. Usable inside
/// constexpr functions.
#ifdef VARVE_NO_ASSERTS
#define VARVE_ASSERT(condition, message)                                       \
  static_cast<void>(sizeof(static_cast<bool>(condition)))
#else
#define VARVE_ASSERT(condition, message)                                       \
  (static_cast<bool>(condition)                                                \
       ? static_cast<void>(0)                                                  \
       : ::varve::detail::assertionFailed(#condition, message, __FILE__,       \
                                          __LINE__))
#endif

#endif // VARVE_SUPPORT_ASSERT_H
