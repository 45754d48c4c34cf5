//===- PoolOpTest.cpp - append, pool formats, rows of slots ---------------===//

#include "test/Unit/Interpret/InterpreterTesting.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace varve;
using namespace varve::test;
using llvm::APFloat;

namespace {

/// A pool and a function that appends to it.
std::string appendTo(const std::string &kind, const std::string &format,
                     int64_t width) {
  return llvm::formatv(R"mlir(
    varve.pool @pool {0} : {1}
    func.func @f(%rows: tensor<?x{2}xf32>, %positions: tensor<?xi32>,
                 %slots: tensor<?xi32>) {{
      varve.append %rows to @pool at(%positions, %slots)
          : tensor<?x{2}xf32>, tensor<?xi32>, tensor<?xi32>
      return
    })mlir",
                       kind, format, width)
      .str();
}

std::vector<float> rowOf(Program &program, int32_t slot, int64_t index) {
  llvm::ArrayRef<float> row =
      program.interpreter->getPools().read("pool", slot, index);
  return {row.begin(), row.end()};
}

TEST(AppendOp, StoresAtTheEntryOfThePosition) {
  Program program(appendTo("entries ratio 4 page 8", "<1 x f32>", 1));
  program.call("f", {program.floats({3, 1}, {1, 2, 3}),
                     program.numbers({0, 8, 4}), program.numbers({0, 0, 1})});
  EXPECT_EQ(rowOf(program, 0, 0), std::vector<float>{1});
  EXPECT_EQ(rowOf(program, 0, 2), std::vector<float>{2});
  EXPECT_EQ(rowOf(program, 1, 1), std::vector<float>{3});
  // Absent: between two rows, of another slot, behind the last.
  EXPECT_TRUE(rowOf(program, 0, 1).empty());
  EXPECT_TRUE(rowOf(program, 1, 0).empty());
  EXPECT_TRUE(rowOf(program, 0, 3).empty());
}

TEST(AppendOp, ReplacesWhatIsThere) {
  Program program(appendTo("window size 4", "<2 x f32>", 2));
  program.call("f", {program.floats({3, 2}, {1, 2, 3, 4, 5, 6}),
                     program.numbers({7, 6, 7}), program.numbers({0, 0, 0})});
  EXPECT_EQ(rowOf(program, 0, 7), (std::vector<float>{5, 6}));
  program.call("f", {program.floats({1, 2}, {7, 8}), program.numbers({7}),
                     program.numbers({0})});
  EXPECT_EQ(rowOf(program, 0, 7), (std::vector<float>{7, 8}));
  EXPECT_EQ(rowOf(program, 0, 6), (std::vector<float>{3, 4}));
}

TEST(AppendOp, DoesNotStoreRowsWithoutASlot) {
  Program program(appendTo("window size 4", "<1 x f32>", 1));
  program.call("f", {program.floats({2, 1}, {1, 2}), program.numbers({-5, 1}),
                     program.numbers({-1, 0})});
  EXPECT_TRUE(rowOf(program, 0, 0).empty());
  EXPECT_TRUE(rowOf(program, -1, 0).empty());
  EXPECT_EQ(rowOf(program, 0, 1), std::vector<float>{2});
}

TEST(AppendOp, RefusesNegativePositions) {
  Program program(appendTo("window size 4", "<1 x f32>", 1));
  EXPECT_EQ(program.errorOf("f", {program.floats({1, 1}, {1}),
                                  program.numbers({-2}), program.numbers({0})}),
            "'varve.append' op expected positions from 0 but got -2\n");
}

/// x in a format of LLVM's, as a number.
double rounded(double x, const llvm::fltSemantics &semantics) {
  APFloat value(x);
  bool inexact;
  value.convert(semantics, APFloat::rmNearestTiesToEven, &inexact);
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
  return value.convertToDouble();
}

/// Appends to `row` what a group of codes stands for: a shared power of two,
/// so that the largest element fits the largest code.
void roundGroup(llvm::ArrayRef<float> group, double largest,
                const llvm::fltSemantics &semantics, std::vector<float> &row) {
  double maximum = 0;
  for (float x : group)
    maximum = std::max(maximum, std::abs(double(x)));
  double scale = std::exp2(std::ceil(std::log2(maximum / largest)));
  for (float x : group)
    row.push_back(rounded(x / scale, semantics) * scale);
}

TEST(PoolFormat, RoundsEverySegmentToItsType) {
  Program program(appendTo(
      "window size 4",
      "<8 x f8E4M3FN scaled 4 x f8E8M0FNU, 4 x f4E2M1FN scaled 2 x f8E8M0FNU, "
      "3 x bf16, 3 x f16, 2 x f32>",
      20));
  std::mt19937 generator(7);
  for (int64_t i = 0; i < 200; ++i) {
    std::vector<float> x;
    for (int64_t c = 0; c < 20; ++c)
      x.push_back(std::ldexp(static_cast<int32_t>(generator()) / 0x1p31f,
                             static_cast<int>(generator() % 12) - 6));
    program.call("f", {program.floats({1, 20}, x),
                       program.numbers({static_cast<int32_t>(i)}),
                       program.numbers({0})});
    llvm::ArrayRef<float> all = x;
    std::vector<float> expected;
    for (int64_t group = 0; group < 2; ++group)
      roundGroup(all.slice(group * 4, 4), 448, APFloat::Float8E4M3FN(),
                 expected);
    for (int64_t group = 0; group < 2; ++group)
      roundGroup(all.slice(8 + group * 2, 2), 6, APFloat::Float4E2M1FN(),
                 expected);
    for (float value : all.slice(12, 3))
      expected.push_back(rounded(value, APFloat::BFloat()));
    for (float value : all.slice(15, 3))
      expected.push_back(rounded(value, APFloat::IEEEhalf()));
    llvm::append_range(expected, all.slice(18));
    ASSERT_EQ(rowOf(program, 0, i), expected) << "row " << i;
  }
}

TEST(PoolFormat, RoundsStoredRowsOnlyOnce) {
  // Every value of the format is stored as it is.
  Program program(
      appendTo("window size 4", "<4 x f8E4M3FN scaled 4 x f8E8M0FNU>", 4));
  program.call("f", {program.floats({1, 4}, {0.3f, -2.0f, 7.1f, 0.011f}),
                     program.numbers({0}), program.numbers({0})});
  std::vector<float> once = rowOf(program, 0, 0);
  program.call("f", {program.floats({1, 4}, once), program.numbers({1}),
                     program.numbers({0})});
  EXPECT_EQ(rowOf(program, 0, 1), once);
}

TEST(PoolStore, ClearsAndCopiesTheRowsOfASlot) {
  Program program(appendTo("window size 4", "<1 x f32>", 1));
  PoolStore &pools = program.interpreter->getPools();
  program.call("f", {program.floats({2, 1}, {1, 2}), program.numbers({0, 0}),
                     program.numbers({0, 1})});
  pools.copy(0, 2);
  pools.clear(0);
  EXPECT_TRUE(rowOf(program, 0, 0).empty());
  EXPECT_EQ(rowOf(program, 1, 0), std::vector<float>{2});
  EXPECT_EQ(rowOf(program, 2, 0), std::vector<float>{1});
  // A copy of nothing is nothing.
  pools.copy(0, 2);
  EXPECT_TRUE(rowOf(program, 2, 0).empty());
}

} // namespace
