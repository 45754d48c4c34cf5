//===- SharedArena.cpp - A block's shared memory while lowering ----------===//

#include "passes/Engine/Nvidia/SharedArena.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::nvidia;

SharedRange SharedArena::place(int64_t bytes, int64_t alignment) {
  int64_t begin = llvm::alignTo(top, alignment);
  highest = std::max(highest, begin + bytes);
  return {begin, begin + bytes};
}

void SharedArena::note(SmallVectorImpl<SharedRange> &ranges,
                       SharedRange range) {
  accesses.any = true;
  for (SharedRange &other : ranges)
    if (other.begin <= range.begin && range.end <= other.end)
      return;
  ranges.push_back(range);
}

void SharedArena::assumeAll() {
  accesses.reads = {SharedRange::all()};
  accesses.writes = {SharedRange::all()};
}

void SharedArena::merge(const Accesses &other) {
  accesses.reads.append(other.reads);
  accesses.writes.append(other.writes);
  accesses.any |= other.any;
}
