//===- DiagnosedError.h - An error that has been reported ------*- C++ -*-===//
//
// MLIR reports through diagnostics, which carry locations; LLVM hands errors
// to the caller. Where a failure has been reported as a diagnostic, this error
// carries on without saying the same again.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_DIAGNOSEDERROR_H
#define VARVE_SUPPORT_DIAGNOSEDERROR_H

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <utility>

namespace varve {

/// A failure whose cause has been emitted as a diagnostic.
class DiagnosedError : public llvm::ErrorInfo<DiagnosedError> {
public:
  static inline char ID = 0;

  /// `context` says what failed ("phase 'import' failed"); empty if the
  /// diagnostic needs no context.
  explicit DiagnosedError(std::string context = "")
      : context(std::move(context)) {}

  const std::string &getContext() const { return context; }

  void log(llvm::raw_ostream &os) const override {
    os << (context.empty() ? "failed" : context)
       << "; see the diagnostics above";
  }

  std::error_code convertToErrorCode() const override {
    return llvm::inconvertibleErrorCode();
  }

private:
  std::string context;
};

} // namespace varve

#endif // VARVE_SUPPORT_DIAGNOSEDERROR_H
