//===- Messages.cpp - How checkpoint errors are written -------------------===//

#include "lib/Checkpoint/Messages.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace varve {

std::string quotedName(llvm::StringRef text) {
  constexpr size_t limit = 200;
  std::string result = "'";
  llvm::raw_string_ostream os(result);
  llvm::printEscapedString(text.take_front(limit), os);
  os << (text.size() > limit ? "...'" : "'");
  return result;
}

std::string shapeString(llvm::ArrayRef<int64_t> shape) {
  std::string result = "[";
  llvm::raw_string_ostream os(result);
  llvm::interleaveComma(shape, os);
  os << ']';
  return result;
}

llvm::Error makeError(llvm::StringRef place, const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                 llvm::Twine(place) + ": " + message);
}

std::string nearestNameHint(llvm::StringRef name,
                            llvm::ArrayRef<llvm::StringRef> candidates) {
  // A comparison costs the product of the lengths.
  constexpr size_t mostCandidates = 8192;
  constexpr size_t longestName = 256;
  if (candidates.size() > mostCandidates || name.size() > longestName)
    return "";
  std::vector<llvm::StringRef> comparable(candidates);
  llvm::erase_if(comparable, [](llvm::StringRef candidate) {
    return candidate.size() > longestName ||
           !llvm::all_of(candidate, llvm::isPrint);
  });
  return didYouMean(name, comparable);
}

void ProblemList::add(llvm::function_ref<std::string()> describe) {
  ++count;
  if (shown.size() < limit)
    shown.push_back(describe());
}

void ProblemList::append(ProblemList other) {
  count += other.count;
  for (std::string &problem : other.shown)
    if (shown.size() < limit)
      shown.push_back(std::move(problem));
}

llvm::Error ProblemList::take(llvm::StringRef place, llvm::StringRef headline) {
  if (empty())
    return llvm::Error::success();
  std::string text;
  llvm::raw_string_ostream os(text);
  os << headline;
  for (const std::string &problem : shown)
    os << "\n  " << problem;
  if (count > shown.size())
    os << "\n  ... and " << count - shown.size() << " more";
  count = 0;
  shown.clear();
  return makeError(place, text);
}

} // namespace varve
