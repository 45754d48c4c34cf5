//===- Messages.h - How checkpoint errors are written ----------*- C++ -*-===//
//
// The pieces that error messages about files and tensors share: names that
// come from a file are quoted, escaped and cut, shapes are written "[2, 3]",
// and a report of many problems lists the first few and counts the rest.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_MESSAGES_H
#define VARVE_CHECKPOINT_MESSAGES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace varve {

/// `text` in single quotes, unprintable bytes escaped, cut after 200 bytes.
std::string quotedName(llvm::StringRef text);

/// "[2, 3]".
std::string shapeString(llvm::ArrayRef<int64_t> shape);

/// The error "`place`: `message`".
llvm::Error makeError(llvm::StringRef place, const llvm::Twine &message);

/// "; did you mean 'x'?" for the candidate closest to `name`; empty when none
/// is close, or when there are too many to compare. Candidates with unprintable
/// bytes are not offered.
std::string nearestNameHint(llvm::StringRef name,
                            llvm::ArrayRef<llvm::StringRef> candidates);

/// Problems of one file or folder, of which the first ten are written out.
class ProblemList {
public:
  /// Counts a problem; `describe` runs only if it will be shown.
  void add(llvm::function_ref<std::string()> describe);

  bool empty() const { return count == 0; }

  /// Adds the problems of `other` behind these.
  void append(ProblemList other);

  /// Success when there are no problems; otherwise one error with `headline`,
  /// a line for each problem shown, and the number of those that are not.
  llvm::Error take(llvm::StringRef place, llvm::StringRef headline);

private:
  static constexpr size_t limit = 10;
  size_t count = 0;
  std::vector<std::string> shown;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_MESSAGES_H
