//===- PoolStore.h - Pools of the reference interpreter --------*- C++ -*-===//
//
// Every row that a sequence has written, by position (windows and states) or
// entry number (entries). Nothing is evicted: the reference keeps what a real
// executor would overwrite, so that reading a row that should be gone is
// impossible to get wrong. A sequence of P tokens costs P rows per pool.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_POOLSTORE_H
#define VARVE_INTERPRET_POOLSTORE_H

#include "dialects/Varve/Varve.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <vector>

namespace varve {

class PoolStore {
public:
  /// Stores `row` rounded to the pool's format.
  void append(mlir::varve::PoolOp pool, int32_t slot, int64_t index,
              llvm::ArrayRef<float> row);

  /// The row, or an empty array if the sequence has not written it.
  llvm::ArrayRef<float> read(llvm::StringRef pool, int32_t slot,
                             int64_t index) const;

  /// Makes all rows of a slot absent, as when a sequence is added.
  void clear(int32_t slot);

  /// Gives `to` the rows of `from`.
  void copy(int32_t from, int32_t to);

private:
  struct Rows {
    int64_t width = 0;
    std::vector<float> elements;
    std::vector<bool> present;
  };
  llvm::StringMap<llvm::DenseMap<int32_t, Rows>> pools;
};

/// Rounds a row to a pool's format: codes with their scales and back, or the
/// segment's type.
void roundToFormat(mlir::varve::FormatAttr format,
                   llvm::MutableArrayRef<float> row);

} // namespace varve

#endif // VARVE_INTERPRET_POOLSTORE_H
