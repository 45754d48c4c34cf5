//===- PageTable.cpp - Which pages a sequence has -------------------------===//

#include "runtime/Session/PageTable.h"
#include "varve/Support/Assert.h"
#include <utility>

namespace varve::runtime {

PageTable::PageTable(int64_t slots, int64_t sequencePages, int64_t pages,
                     int64_t page)
    : sequencePages(sequencePages), page(page), table(slots * sequencePages, 0),
      counts(slots, 0), references(pages, 0) {
  // The lowest page is taken first.
  for (int64_t i = pages; i-- > 0;)
    freePages.push_back(static_cast<int32_t>(i));
}

int64_t PageTable::missing(int32_t slot, int64_t length) const {
  return pagesOf(length) - counts[slot];
}

void PageTable::grow(int32_t slot, int64_t length) {
  for (int64_t need = missing(slot, length); need > 0; --need) {
    VARVE_ASSERT(!freePages.empty() && counts[slot] < sequencePages,
                 "the caller looked whether there is a page");
    int32_t taken = freePages.back();
    freePages.pop_back();
    references[taken] = 1;
    table[slot * sequencePages + counts[slot]++] = taken;
    changed = true;
  }
}

void PageTable::release(int32_t slot) {
  for (int64_t i = 0; i < counts[slot]; ++i) {
    int32_t &place = table[slot * sequencePages + i];
    if (--references[place] == 0)
      freePages.push_back(place);
    place = 0;
    changed = true;
  }
  counts[slot] = 0;
}

std::vector<PageTable::Copy> PageTable::fork(int32_t from, int32_t to,
                                             int64_t length) {
  VARVE_ASSERT(counts[to] == 0, "a fork begins without pages");
  std::vector<Copy> copies;
  int64_t full = page ? length / page : 0;
  for (int64_t i = 0; i < full; ++i) {
    int32_t shared = table[from * sequencePages + i];
    ++references[shared];
    table[to * sequencePages + i] = shared;
    changed = true;
  }
  counts[to] = full;
  grow(to, length);
  if (neededToFork(length))
    copies.push_back(
        {table[from * sequencePages + full], table[to * sequencePages + full]});
  return copies;
}

bool PageTable::takeChanged() { return std::exchange(changed, false); }

} // namespace varve::runtime
