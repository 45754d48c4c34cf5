//===- PageTable.h - Which pages a sequence has ----------------*- C++ -*-===//
//
// Entries of compressed pools lie in pages of a fixed number of tokens, the
// same pages in every pool. Sequences that were forked share the pages that
// were full at that time, which nobody writes again; a page in the middle is
// copied.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_SESSION_PAGETABLE_H
#define VARVE_RUNTIME_SESSION_PAGETABLE_H

#include <cstdint>
#include <span>
#include <vector>

namespace varve::runtime {

class PageTable {
public:
  /// `page` of 0: the model has no entries and sequences need no pages.
  PageTable(int64_t slots, int64_t sequencePages, int64_t pages, int64_t page);

  /// Pages that a sequence of `length` tokens needs beyond those that it has.
  int64_t missing(int32_t slot, int64_t length) const;
  int64_t getFree() const { return static_cast<int64_t>(freePages.size()); }

  /// Gives `slot` the pages for `length` tokens; there must be enough.
  void grow(int32_t slot, int64_t length);
  /// Gives back all pages of `slot`.
  void release(int32_t slot);

  struct Copy {
    int32_t from, to;
  };
  /// Gives `to`, which has none, the pages of `from` with `length` tokens.
  /// Returns the pages whose contents must be copied; there must be enough.
  std::vector<Copy> fork(int32_t from, int32_t to, int64_t length);
  /// Pages that fork() takes.
  int64_t neededToFork(int64_t length) const {
    return page && length % page ? 1 : 0;
  }

  /// The number of a page of a sequence that has it.
  int64_t getPage(int32_t slot, int64_t number) const {
    return table[slot * sequencePages + number];
  }
  /// [slots, sequence_pages]; places without page are 0.
  std::span<const int32_t> getTable() const { return table; }
  /// Whether the table changed since the last call.
  bool takeChanged();

private:
  int64_t pagesOf(int64_t length) const {
    return page ? (length + page - 1) / page : 0;
  }

  int64_t sequencePages, page;
  std::vector<int32_t> table;
  /// Pages of each slot.
  std::vector<int64_t> counts;
  /// Sequences that have a page.
  std::vector<int32_t> references;
  std::vector<int32_t> freePages;
  bool changed = true;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_PAGETABLE_H
