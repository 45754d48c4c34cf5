//===- PoolRows.h - Rows of pools in tile programs -------------*- C++ -*-===//
//
// How a pool's memory is seen by kernels. A pool of one unscaled segment is a
// matrix of its element type. Rows of any other format are bytes, and a kernel
// gets one view per run of equal elements: the codes of each segment and its
// scales, at offsets that the host adds to the pool's address.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_POOLROWS_H
#define VARVE_PASSES_LOWER_PROGRAMS_POOLROWS_H

#include "dialects/Varve/Varve.h"
#include "passes/Lower/Programs/TileProgram.h"

namespace mlir::varve {

/// One view of a pool's memory.
struct PoolPart {
  int64_t byteOffset; ///< of the first row's first element
  Type element;
  int64_t width;     ///< elements of a row
  int64_t rowStride; ///< in elements
};

/// The views of a format in argument order: per segment its codes and, where it
/// has them, its scales.
SmallVector<PoolPart> getPoolParts(FormatAttr format);

/// The same memory as rows of equal words, for copies.
PoolPart getRawPart(FormatAttr format);

/// Whether every part lies at a multiple of its element's size; reports what
/// does not.
LogicalResult verifyPoolParts(FormatAttr format,
                              function_ref<InFlightDiagnostic()> emitError);

/// What a kernel has to know of a pool.
struct PoolShape {
  FormatAttr format;
  PoolKind kind;
  int64_t size = 0;  ///< positions of a window, rows of a state
  int64_t ratio = 1; ///< tokens of an entry
  int64_t page = 0;  ///< tokens of a page

  static PoolShape of(PoolOp pool);
  int64_t getRowsPerPage() const { return page / ratio; }
};

/// Rows by number: within the pool, or, with a table, entries of sequences.
struct RowNumbers {
  Value rows;  ///< i32 tile, negative where absent
  Value table; ///< [slots, pages of a sequence]; null for plain numbers
  Value sequences = {}; ///< i32 tile of slots, with a table
  int64_t pageSize = 0; ///< rows of a page, with a table
};

/// A run of columns that is read in one piece.
struct ColumnRun {
  int64_t begin, width;
};

class PoolRows {
public:
  PoolRows() = default;
  /// A pool whose views, one per part, are at hand.
  PoolRows(FormatAttr format, ArrayRef<Value> views);
  /// Adds the pool's views to the arguments of `program`.
  static PoolRows addTo(TileProgram &program, FormatAttr format);

  /// Cuts columns `begin ... begin + width - 1` of a row into runs of at most
  /// `limit` columns, within one block of scales each where there are scales.
  SmallVector<ColumnRun> getRuns(int64_t begin, int64_t width,
                                 int64_t limit) const;

  /// A run of columns of numbered rows, moved to the right by `shift` columns
  /// if given (only where all rows' columns are alike: one segment, and `shift`
  /// a multiple of its block). Absent rows are zeros.
  Value gather(TileProgram &program, const RowNumbers &numbers, ColumnRun run,
               Type element, Value shift = {}) const;

  /// Rounds `values`, an f32 tile of whole rows, to the format and stores them;
  /// absent rows are left out.
  void scatter(TileProgram &program, const RowNumbers &numbers,
               Value values) const;

  FormatAttr getFormat() const { return format; }
  /// The pool's number of rows at run time.
  Value getNumRows(TileProgram &program) const {
    return program.dim(views.front(), 0);
  }

private:
  struct Segment {
    SegmentAttr attr;
    int64_t begin;
    Value codes, scales;
  };
  const Segment &getSegment(int64_t column) const;

  FormatAttr format;
  SmallVector<Value> views;
  SmallVector<Segment> segments;
};

/// `varve.quantize` of an f32 tile [N, W]: codes [N, W] of type `code`, and f32
/// scales [N, W / block].
std::pair<Value, Value> emitQuantize(TileProgram &program, Value values,
                                     int64_t block, Type code);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_POOLROWS_H
