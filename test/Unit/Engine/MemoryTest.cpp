//===- MemoryTest.cpp - Views and buffers on x86 --------------------------===//

#include "KernelHarness.h"

#include "gmock/gmock.h"

using namespace varve;
using namespace varve::test;
using testing::HasSubstr;

namespace {

/// A tile along dimensions 0 and 2 of a view with run-time strides, at offsets
/// that may lie outside on either side, with a mask and a fill.
const char *kWindow = R"mlir(
tile.func @window(%x: !tile.view<?x5x?xf32, strides = [?, ?, ?]>, %row: i32,
                  %middle: index, %column: i64, %y: !tile.view<6x20xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %r = arith.index_cast %row : i32 to index
  %c = arith.index_cast %column : i64 to index
  %fill = arith.constant -7.0 : f32
  %i = tile.iota 1 : tensor<6x20xi32>
  %three = arith.constant dense<3> : tensor<6x20xi32>
  %mask = arith.cmpi ne, %i, %three : tensor<6x20xi32>
  %t = tile.load %x[%r, %middle, %c] dims [0, 2] mask %mask else %fill
      : !tile.view<?x5x?xf32, strides = [?, ?, ?]> -> tensor<6x20xf32>
  tile.store %t, %y[%c0, %c0] : tensor<6x20xf32> -> !tile.view<6x20xf32>
  tile.return
})mlir";

TEST(MemoryTest, LoadsReadTheFillOutside) {
  auto kernel = Kernel::compile(kWindow);
  ASSERT_TRUE(kernel);
  constexpr int64_t rows = 9, columns = 30;
  struct Case {
    int64_t row, middle, column;
  };
  // Dense along the last dimension, and along the first.
  for (std::vector<int64_t> strides :
       {std::vector<int64_t>{5 * columns, columns, 1},
        std::vector<int64_t>{1, rows, 5 * rows}})
    for (Case c : {Case{1, 2, 4},
                   {-2, 0, -3},
                   {6, 4, 15},
                   {0, 5, 0},
                   {0, -1, 0},
                   {100, 0, 100}}) {
      SCOPED_TRACE(std::to_string(c.row) + " " + std::to_string(c.middle) +
                   " " + std::to_string(c.column));
      std::vector<float> x = Numbers(1).floats(rows * 5 * columns), y(6 * 20);
      kernel->run(
          {view(x, {}, {rows, columns, strides[0], strides[1], strides[2]}),
           scalar(c.row), scalar(c.middle), scalar(c.column), view(y, {})});
      for (int64_t i = 0; i < 6; ++i)
        for (int64_t j = 0; j < 20; ++j) {
          int64_t row = c.row + i, column = c.column + j;
          bool inside = row >= 0 && row < rows && c.middle >= 0 &&
                        c.middle < 5 && column >= 0 && column < columns &&
                        j != 3;
          float expected = inside ? x[row * strides[0] + c.middle * strides[1] +
                                      column * strides[2]]
                                  : -7.0f;
          ASSERT_EQ(y[i * 20 + j], expected) << i << " " << j;
        }
    }
}

/// A store with a mask, at an offset that may lie outside.
const char *kStore = R"mlir(
tile.func @store(%x: !tile.view<?x?xbf16>, %row: index, %column: index)
    grid affine_map<() -> (1)> [] warps 1 {
  %i = tile.iota 1 : tensor<4x19xi32>
  %r = tile.iota 0 : tensor<4x19xi32>
  %s = arith.addi %i, %r : tensor<4x19xi32>
  %one = arith.constant dense<1> : tensor<4x19xi32>
  %odd = arith.andi %s, %one : tensor<4x19xi32>
  %mask = arith.trunci %odd : tensor<4x19xi32> to tensor<4x19xi1>
  %f = arith.sitofp %s : tensor<4x19xi32> to tensor<4x19xbf16>
  tile.store %f, %x[%row, %column] mask %mask : tensor<4x19xi1>
      : tensor<4x19xbf16> -> !tile.view<?x?xbf16>
  tile.return
})mlir";

TEST(MemoryTest, StoresWriteNothingOutside) {
  auto kernel = Kernel::compile(kStore);
  ASSERT_TRUE(kernel);
  constexpr int64_t rows = 8, columns = 40, guard = 64;
  struct Case {
    int64_t row, column;
  };
  for (Case c : {Case{2, 5}, {-2, -4}, {6, 30}, {8, 0}}) {
    std::vector<uint16_t> memory(rows * columns + 2 * guard, 0x1234);
    std::vector<uint16_t> expected = memory;
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t j = 0; j < 19; ++j) {
        int64_t row = c.row + i, column = c.column + j;
        if ((i + j) % 2 && row >= 0 && row < rows && column >= 0 &&
            column < columns)
          expected[guard + row * columns + column] =
              floatToBf16(static_cast<float>(i + j));
      }
    Argument x = view(memory, {}, {rows, columns});
    x.words[0] += guard * 2;
    kernel->run({x, scalar(c.row), scalar(c.column)});
    EXPECT_EQ(memory, expected) << c.row << " " << c.column;
  }
}

/// 4-bit elements at even and odd positions, to memory and back.
const char *kPacked = R"mlir(
tile.func @packed(%x: !tile.view<?x38xf4E2M1FN>, %column: index,
                  %y: !tile.view<?x40xf4E2M1FN, strides = [?, 1]>, %to: index,
                  %z: !tile.view<?x20xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %r = tile.program_id 0
  %t = tile.load %x[%r, %column] : !tile.view<?x38xf4E2M1FN> -> tensor<1x20xf4E2M1FN>
  %f = arith.extf %t : tensor<1x20xf4E2M1FN> to tensor<1x20xf32>
  tile.store %f, %z[%r, %c0] : tensor<1x20xf32> -> !tile.view<?x20xf32>
  %n = arith.negf %f : tensor<1x20xf32>
  %q = arith.truncf %n : tensor<1x20xf32> to tensor<1x20xf4E2M1FN>
  tile.store %q, %y[%r, %to] : tensor<1x20xf4E2M1FN> -> !tile.view<?x40xf4E2M1FN, strides = [?, 1]>
  tile.return
})mlir";

TEST(MemoryTest, PackedElementsMayStandAnywhere) {
  auto kernel = Kernel::compile(kPacked);
  ASSERT_TRUE(kernel);
  constexpr int64_t rows = 5, stride = 46;
  auto get = [](const std::vector<uint8_t> &data, int64_t i) -> uint8_t {
    return i % 2 ? data[i / 2] >> 4 : data[i / 2] & 15;
  };
  for (int64_t column : {0, 2, 3, 17, 18, 19, -1, -2})
    for (int64_t to : {0, 3, 20, 21, -2}) {
      SCOPED_TRACE(std::to_string(column) + " " + std::to_string(to));
      Numbers numbers(3);
      std::vector<uint8_t> x(rows * 38 / 2), y(rows * stride / 2);
      for (uint8_t &byte : x)
        byte = numbers.nextBelow(256);
      for (uint8_t &byte : y)
        byte = numbers.nextBelow(256);
      std::vector<uint8_t> before = y;
      std::vector<float> z(rows * 20);
      kernel->run({view(x, {rows}, {rows}), scalar(column),
                   view(y, {rows}, {rows, stride}), scalar(to),
                   view(z, {rows}, {rows})});
      for (int64_t r = 0; r < rows; ++r) {
        auto read = [&](int64_t j) {
          int64_t c = column + j;
          return c >= 0 && c < 38 ? e2m1ToFloat(get(x, r * 38 + c)) : 0.0f;
        };
        for (int64_t j = 0; j < 20; ++j)
          ASSERT_EQ(z[r * 20 + j], read(j)) << r << " " << j;
        for (int64_t c = 0; c < stride; ++c) {
          bool isWritten = c >= to && c < to + 20 && c < 40;
          uint8_t expected = isWritten ? floatToE2m1(-read(c - to))
                                       : get(before, r * stride + c);
          ASSERT_EQ(get(y, r * stride + c), expected) << r << " " << c;
        }
      }
    }
}

/// Rows of experts: each block handles one expert's rows, whose end bounds
/// loads and stores.
const char *kRagged = R"mlir(
tile.func @ragged(%x: !tile.view<?x24xf32>, %first: !tile.view<?xi32>,
                  %y: !tile.view<?x24xf32>)
    grid affine_map<()[s0] -> (s0 - 1)> [dim(%first, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %e = tile.program_id 0
  %e1 = arith.addi %e, %c1 : index
  %b32 = tile.load_scalar %first[%e] : !tile.view<?xi32>
  %n32 = tile.load_scalar %first[%e1] : !tile.view<?xi32>
  %b = arith.index_cast %b32 : i32 to index
  %n = arith.index_cast %n32 : i32 to index
  %count = arith.subi %n, %b : index
  %xe = tile.subview %x[%b, %c0] sizes [%count] : !tile.view<?x24xf32> -> !tile.view<?x24xf32>
  %ye = tile.subview %y[%b, %c0] sizes [%count] : !tile.view<?x24xf32> -> !tile.view<?x24xf32>
  %rows = tile.dim %xe, 0 : !tile.view<?x24xf32>
  %ei = arith.index_cast %e : index to i32
  %ef = arith.sitofp %ei : i32 to f32
  %et = tile.splat %ef : tensor<8x24xf32>
  scf.for %r = %c0 to %rows step %c8 {
    %t = tile.load %xe[%r, %c0] : !tile.view<?x24xf32> -> tensor<8x24xf32>
    %s = arith.addf %t, %et : tensor<8x24xf32>
    tile.store %s, %ye[%r, %c0] : tensor<8x24xf32> -> !tile.view<?x24xf32>
  }
  tile.return
})mlir";

TEST(MemoryTest, SubviewsBoundGroupsOfRows) {
  auto kernel = Kernel::compile(kRagged);
  ASSERT_TRUE(kernel);
  // The last group claims more rows than there are.
  std::vector<int32_t> first = {0, 3, 3, 20, 31, 60};
  constexpr int64_t rows = 40;
  std::vector<float> x = Numbers(1).floats(rows * 24), y(rows * 24, -1.0f);
  kernel->run({view(x, {rows}, {rows}), view(first, {6}, {6}),
               view(y, {rows}, {rows})});
  for (int64_t r = 0; r < rows; ++r) {
    int64_t expert = 0;
    while (first[expert + 1] <= r)
      ++expert;
    for (int64_t c = 0; c < 24; ++c)
      ASSERT_EQ(y[r * 24 + c], x[r * 24 + c] + expert) << r << " " << c;
  }
}

/// Appends rows to a paged pool; -1 stores nothing.
const char *kScatter = R"mlir(
tile.func @append(%x: !tile.view<?x18xbf16>, %position: !tile.view<?xi32>,
                  %slot: !tile.view<?xi32>, %table: !tile.view<?x?xi32>,
                  %pool: !tile.view<?x20xbf16, strides = [24, 1]>)
    grid affine_map<()[s0] -> (s0 ceildiv 4)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %none = arith.constant -1 : i32
  %i = tile.program_id 0
  %r = arith.muli %i, %c4 : index
  %p = tile.load %position[%r] else %none : !tile.view<?xi32> -> tensor<4xi32>
  %s = tile.load %slot[%r] else %none : !tile.view<?xi32> -> tensor<4xi32>
  %t = tile.load %x[%r, %c0] : !tile.view<?x18xbf16> -> tensor<4x18xbf16>
  tile.scatter %t, %pool[%p] at %c2 pages %table[%s] of 4
      : tensor<4x18xbf16>, !tile.view<?x20xbf16, strides = [24, 1]>,
        tensor<4xi32>, !tile.view<?x?xi32>, tensor<4xi32>
  tile.return
})mlir";

TEST(MemoryTest, ScatterSkipsAbsentRows) {
  auto kernel = Kernel::compile(kScatter);
  ASSERT_TRUE(kernel);
  constexpr int64_t rows = 11, sequences = 2, pages = 3, poolPages = 7;
  std::vector<uint16_t> x = Numbers(1).bf16(rows * 18);
  std::vector<int32_t> position = {0, 1, 5, 11, -1, 3, 12, 7, 2, 8, 4};
  std::vector<int32_t> slot = {0, 0, 0, 0, 0, 1, 0, -1, 2, 1, 1};
  std::vector<int32_t> table = {4, 0, 6, 2, 5, -1};
  std::vector<uint16_t> pool(poolPages * 4 * 24, 7), expected = pool;
  for (int64_t r = 0; r < rows; ++r) {
    if (position[r] < 0 || position[r] >= pages * 4 || slot[r] < 0 ||
        slot[r] >= sequences)
      continue;
    int32_t page = table[slot[r] * pages + position[r] / 4];
    if (page < 0)
      continue;
    for (int64_t c = 0; c < 18; ++c)
      expected[(page * 4 + position[r] % 4) * 24 + 2 + c] = x[r * 18 + c];
  }
  kernel->run({view(x, {rows}, {rows}), view(position, {}, {rows}),
               view(slot, {}, {rows}), view(table, {}, {sequences, pages}),
               view(pool, {}, {poolPages * 4})});
  EXPECT_EQ(pool, expected);
}

/// Single elements by number, through a table of one sequence.
const char *kElements = R"mlir(
tile.func @elements(%x: !tile.view<?xi32>, %table: !tile.view<?xi64>,
                    %rows: !tile.view<20xi64>, %y: !tile.view<20xi32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %fill = arith.constant -5 : i32
  %r = tile.load %rows[%c0] : !tile.view<20xi64> -> tensor<20xi64>
  %t = tile.gather %x[%r] pages %table of 3 else %fill
      : !tile.view<?xi32>, tensor<20xi64>, !tile.view<?xi64> -> tensor<20xi32>
  tile.store %t, %y[%c0] : tensor<20xi32> -> !tile.view<20xi32>
  tile.return
})mlir";

TEST(MemoryTest, GatherOfElements) {
  auto kernel = Kernel::compile(kElements);
  ASSERT_TRUE(kernel);
  std::vector<int32_t> x(12), y(20);
  for (int32_t i = 0; i < 12; ++i)
    x[i] = 100 + i;
  std::vector<int64_t> table = {2, 0, 9, 3}, rows(20);
  for (int64_t i = 0; i < 20; ++i)
    rows[i] = i - 4;
  kernel->run(
      {view(x, {}, {12}), view(table, {}, {4}), view(rows, {}), view(y, {})});
  for (int64_t i = 0; i < 20; ++i) {
    int64_t row = rows[i];
    int32_t expected = -5;
    if (row >= 0 && row < 12 && table[row / 3] * 3 + row % 3 < 12)
      expected = x[table[row / 3] * 3 + row % 3];
    EXPECT_EQ(y[i], expected) << row;
  }
}

const char *kAtomic = R"mlir(
tile.func @histogram(%x: !tile.view<?xi32>, %counts: !tile.view<8xi32>,
                     %largest: !tile.view<1xi64>, %tickets: !tile.view<?xi32>)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 1 {
  %c0 = arith.constant 0 : index
  %p = tile.program_id 0
  %v = tile.load_scalar %x[%p] : !tile.view<?xi32>
  %at = arith.index_cast %v : i32 to index
  %one = arith.constant dense<1> : tensor<1xi32>
  %old = tile.atomic add %one, %counts[%at] : tensor<1xi32>, !tile.view<8xi32>
  tile.store %old, %tickets[%p] : tensor<1xi32> -> !tile.view<?xi32>
  %w = arith.extsi %v : i32 to i64
  %wt = tile.splat %w : tensor<1xi64>
  %m = tile.atomic max %wt, %largest[%c0] : tensor<1xi64>, !tile.view<1xi64>
  tile.return
})mlir";

TEST(MemoryTest, AtomicUpdates) {
  auto kernel = Kernel::compile(kAtomic);
  ASSERT_TRUE(kernel);
  // -1 and 8 are outside of the counts.
  std::vector<int32_t> x = {3, 3, -1, 0, 7, 8, 3, 0}, counts(8), tickets(8, -1);
  std::vector<int64_t> largest = {-100};
  Argument ticketView = view(tickets, {}, {8});
  ticketView.isUnordered = true;
  kernel->run(
      {view(x, {8}, {8}), view(counts, {}), view(largest, {}), ticketView});
  EXPECT_EQ(counts, (std::vector<int32_t>{2, 0, 0, 3, 0, 0, 0, 1}));
  EXPECT_EQ(tickets, (std::vector<int32_t>{0, 1, 0, 0, 0, 0, 2, 1}));
  EXPECT_EQ(largest[0], 8);
}

/// Shared buffers: copies with zero fill, parts, writes over what was read.
const char *kBuffers = R"mlir(
!b = !tile.buffer<16x64xbf16, #tile.shared<swizzle = 128>>
tile.func @buffers(%x: !tile.view<?x100xbf16>, %r: index, %y: !tile.view<16x64xbf16>,
                   %z: !tile.view<8x64xbf16>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %c50 = arith.constant 50 : index
  %b = tile.alloc : !b
  %t = tile.copy %x[%r, %c50] to %b : !tile.view<?x100xbf16> to !b
  tile.wait %t
  %v = tile.read %b : !b -> tensor<16x64xbf16>
  %part = tile.subbuffer %b[8, 0] : !b -> !tile.buffer<8x64xbf16, #tile.shared<swizzle = 128>>
  %zero = arith.constant dense<0.0> : tensor<8x64xbf16>
  tile.write %zero, %part : tensor<8x64xbf16> -> !tile.buffer<8x64xbf16, #tile.shared<swizzle = 128>>
  // What was read before is not what was written since.
  tile.store %v, %y[%c0, %c0] : tensor<16x64xbf16> -> !tile.view<16x64xbf16>
  tile.store %part, %z[%c0, %c0] : !tile.buffer<8x64xbf16, #tile.shared<swizzle = 128>> -> !tile.view<8x64xbf16>
  tile.return
})mlir";

TEST(MemoryTest, SharedBuffers) {
  auto kernel = Kernel::compile(kBuffers);
  ASSERT_TRUE(kernel);
  constexpr int64_t rows = 20;
  std::vector<uint16_t> x = Numbers(1).bf16(rows * 100), y(16 * 64, 1),
                        z(8 * 64, 1);
  for (int64_t r : {0, 10}) {
    kernel->run({view(x, {}, {rows}), scalar(r), view(y, {}), view(z, {})});
    for (int64_t i = 0; i < 16; ++i)
      for (int64_t j = 0; j < 64; ++j)
        ASSERT_EQ(y[i * 64 + j],
                  r + i < rows && 50 + j < 100 ? x[(r + i) * 100 + 50 + j] : 0);
    EXPECT_EQ(z, std::vector<uint16_t>(8 * 64));
  }
}

TEST(MemoryTest, UnknownOpsAreRefusedByName) {
  EXPECT_THAT(getLoweringError(R"mlir(
    tile.func @f(%x: !tile.view<4xf32>) grid affine_map<() -> (1)> [] warps 1 {
      %c0 = arith.constant 0 : index
      scf.execute_region {
        scf.yield
      }
      tile.return
    })mlir"),
              HasSubstr("'scf.execute_region' op cannot be lowered for x86: a "
                        "tile function holds tile, arith and math ops"));
}

TEST(MemoryTest, PipelinesAreCheckedFirst) {
  EXPECT_THAT(getLoweringError(R"mlir(
    !ring = !tile.ring<1, !tile.buffer<4xf32>>
    tile.func @f() grid affine_map<() -> (1)> [] warps 1 {
      tile.pipeline [#tile.role<"all", warps = 1>] {
        %ring = tile.ring : !ring
        tile.on "all" {
          %s, %b = tile.receive %ring : !ring
          tile.release %ring, %s : !ring
          %t, %c = tile.acquire %ring : !ring
          tile.commit %ring, %t : !ring
        }
      }
      tile.return
    })mlir"),
              HasSubstr("would wait forever"));
}

} // namespace
