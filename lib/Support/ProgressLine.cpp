//===- ProgressLine.cpp - What a long command is doing --------------------===//

#include "lib/Support/ProgressLine.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace varve;

/// Goes to the start of the line and clears it.
static constexpr char kClear[] = "\r\x1b[K";

ProgressLine::ProgressLine()
    : isShown(llvm::sys::Process::StandardErrIsDisplayed()) {}

ProgressLine::~ProgressLine() {
  if (isShown)
    llvm::errs() << kClear;
}

void ProgressLine::show(const llvm::Twine &text) {
  if (!isShown)
    return;
  std::lock_guard lock(mutex);
  llvm::errs() << kClear << text;
}
