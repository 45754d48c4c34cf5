//===- SharedArena.h - A block's shared memory while lowering -*- C++ -*-===//
//
// Places areas, and knows which accesses no barrier separates yet. Areas are
// freed at the end of the region that made them; later ones may lie in the same
// bytes, which is why accesses are remembered by range and not by buffer.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_SHAREDARENA_H
#define VARVE_PASSES_ENGINE_NVIDIA_SHAREDARENA_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cstdint>
#include <limits>

namespace mlir::varve::nvidia {

/// Where swizzled buffers begin: a tensor copy's pattern repeats every 1024
/// bytes. Others begin where a tensor copy may write.
inline constexpr int64_t kSwizzledAlignment = 1024, kPlainAlignment = 128;

/// Bytes from the start of dynamic shared memory.
struct SharedRange {
  int64_t begin = 0, end = 0;

  static SharedRange all() { return {0, std::numeric_limits<int64_t>::max()}; }
  int64_t size() const { return end - begin; }
  bool overlaps(const SharedRange &other) const {
    return begin < other.end && other.begin < end;
  }
};

class SharedArena {
public:
  /// An area, until the scope ends.
  SharedRange allocate(int64_t bytes, int64_t alignment) {
    SharedRange range = place(bytes, alignment);
    top = range.end;
    return range;
  }
  /// Where an area would be now; the bytes are counted, not taken.
  SharedRange place(int64_t bytes, int64_t alignment);
  /// What the function needs in all.
  int64_t getBytes() const { return highest; }

  /// Frees, at its end, what was allocated since its beginning.
  class Scope {
  public:
    explicit Scope(SharedArena &memory) : memory(memory), top(memory.top) {}
    ~Scope() { memory.top = top; }

  private:
    SharedArena &memory;
    int64_t top;
  };
  /// From here on, areas lie above everything placed so far: for threads that
  /// run beside those lowered before.
  void raise() { top = highest; }

  //===--------------------------------------------------------------------===//
  // Accesses since the last barrier
  //===--------------------------------------------------------------------===//
  struct Accesses {
    SmallVector<SharedRange, 4> reads, writes;
    /// Whether there was any access at all since this record began.
    bool any = false;
  };
  Accesses accesses;

  bool mustWaitToRead(SharedRange range) const {
    return overlapsAny(accesses.writes, range);
  }
  bool mustWaitToWrite(SharedRange range) const {
    return overlapsAny(accesses.reads, range) ||
           overlapsAny(accesses.writes, range);
  }
  void noteRead(SharedRange range) { note(accesses.reads, range); }
  void noteWrite(SharedRange range) { note(accesses.writes, range); }
  void noteBarrier() {
    accesses.reads.clear();
    accesses.writes.clear();
  }
  /// At the start of a loop's body, where anything may have been accessed since
  /// the last barrier.
  void assumeAll();
  /// After branches: what either left.
  void merge(const Accesses &other);

private:
  static bool overlapsAny(ArrayRef<SharedRange> ranges, SharedRange range) {
    return llvm::any_of(ranges, [&](const SharedRange &other) {
      return other.overlaps(range);
    });
  }
  void note(SmallVectorImpl<SharedRange> &ranges, SharedRange range);

  int64_t top = 0, highest = 0;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_SHAREDARENA_H
