//===- ProgramTesting.h - Run programs that builders write -----*- C++ -*-===//
//
// Builds a tile function, prints it, and compiles the text, so that what is run
// also parses and verifies.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_PROGRAMS_PROGRAMTESTING_H
#define VARVE_TEST_UNIT_PROGRAMS_PROGRAMTESTING_H

#include "passes/Lower/Programs/PoolRows.h"
#include "test/Unit/Engine/KernelHarness.h"

namespace varve::test {

/// A context with the dialects that programs need.
mlir::MLIRContext &getContext();

using BuildFn = mlir::function_ref<void(mlir::varve::TileProgram &)>;

std::unique_ptr<Kernel> compileProgram(BuildFn build, int64_t warps = 4);

/// An attribute or type from its text.
mlir::varve::FormatAttr parseFormat(const std::string &text);
mlir::Type parseType(const std::string &text);

/// A tensor of a step: numbers kept as an element type keeps them.
class HostArray {
public:
  HostArray() = default;
  HostArray(mlir::Type element, std::vector<int64_t> shape);
  static HostArray of(mlir::Type element, std::vector<int64_t> shape,
                      const std::vector<float> &values);

  float get(size_t i) const;
  void set(size_t i, float value);
  size_t size() const;
  std::vector<float> floats() const;
  /// As an argument: `dynamic` leading sizes are passed at run time.
  Argument view(size_t dynamic = 1);

  mlir::Type element;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

/// Memory of a pool, with the arguments that its views are.
class HostPool {
public:
  HostPool() = default;
  HostPool(mlir::varve::FormatAttr format, int64_t rows);
  std::vector<Argument> views();
  Argument rawView();
  /// The numbers of a row, dequantised.
  std::vector<float> read(int64_t row) const;
  /// Rounds a row and stores it.
  void write(int64_t row, std::vector<float> values);

  mlir::varve::FormatAttr format;
  int64_t rows = 0;
  std::vector<uint8_t> bytes;
};

/// Tokens of a step, as the runtime groups them: of each sequence `count`
/// tokens from position `begin`; a slot of -1 is padding.
struct Tokens {
  struct Sequence {
    int32_t slot;
    int64_t begin, count;
  };
  explicit Tokens(std::vector<Sequence> sequences);
  int64_t size() const { return static_cast<int64_t>(positions.size()); }
  Argument view(std::vector<int32_t> &numbers) {
    return test::view(numbers, {size()}, {size()});
  }
  std::vector<int32_t> positions, slots, starts, ends;
};

/// A page table of `slots` sequences with `pages` pages each, in a shuffled
/// order; the pool has slots * pages pages.
struct PageTable {
  PageTable(int64_t slots, int64_t pages);
  int64_t getRow(int64_t slot, int64_t entry, int64_t rowsPerPage) const;
  Argument view() { return test::view(table, {slots, pages}, {slots, pages}); }
  int64_t slots, pages;
  std::vector<int32_t> table;
};

} // namespace varve::test

#endif // VARVE_TEST_UNIT_PROGRAMS_PROGRAMTESTING_H
