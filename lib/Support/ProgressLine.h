//===- ProgressLine.h - What a long command is doing -----------*- C++ -*-===//
#ifndef VARVE_SUPPORT_PROGRESSLINE_H
#define VARVE_SUPPORT_PROGRESSLINE_H

#include "llvm/ADT/Twine.h"
#include <mutex>

namespace varve {

/// One line at the end of a terminal, which each text replaces and the end of
/// the object clears. Silent where standard error is not a terminal. Safe to
/// use from several threads.
class ProgressLine {
public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine &) = delete;

  void show(const llvm::Twine &text);

private:
  const bool isShown;
  std::mutex mutex;
};

} // namespace varve

#endif // VARVE_SUPPORT_PROGRESSLINE_H
