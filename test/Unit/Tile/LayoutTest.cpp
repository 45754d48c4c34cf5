//===- LayoutTest.cpp - Where elements of a tile live ---------------------===//
//
// Fragments are compared with the formulas of the PTX manual ("Matrix Fragments
// for mma.m16n8k16", "... mma.m16n8k32", "wgmma D fragment"), written here as
// the manual writes them; swizzles with its byte address patterns.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;
using namespace mlir::varve::tile;

namespace {

class LayoutTest : public ::testing::Test {
protected:
  LayoutTest() { context.loadDialect<TileDialect>(); }

  /// Every element of a tile of `shape` is held somewhere, by all warps
  /// together.
  void expectCovers(LayoutAttrInterface layout, ArrayRef<int64_t> shape) {
    std::set<std::vector<int64_t>> seen;
    for (int64_t warp = 0; warp < layout.getNumWarps(); ++warp)
      for (int64_t lane = 0; lane < kWarpLanes; ++lane)
        for (int64_t reg = 0; reg < layout.getRegistersPerLane(shape); ++reg) {
          auto element = layout.getCoordinates(shape, warp, lane, reg);
          ASSERT_EQ(element.size(), shape.size());
          for (size_t dim = 0; dim < shape.size(); ++dim) {
            ASSERT_GE(element[dim], 0);
            ASSERT_LT(element[dim], shape[dim]);
          }
          seen.insert(std::vector<int64_t>(element.begin(), element.end()));
        }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), llvm::product_of(shape));
  }

  SmallVector<int64_t> at(Attribute layout, ArrayRef<int64_t> shape,
                          int64_t warp, int64_t lane, int64_t reg) {
    return cast<LayoutAttrInterface>(layout).getCoordinates(shape, warp, lane,
                                                            reg);
  }

  MLIRContext context;
};

using Coordinates = SmallVector<int64_t>;

TEST_F(LayoutTest, BlockedNumbersTheFirstDimensionOfTheOrderFirst) {
  auto layout =
      BlockedLayoutAttr::get(&context, {1, 4}, {2, 16}, {4, 1}, {1, 0});
  EXPECT_EQ(layout.getNumWarps(), 4);
  EXPECT_EQ(layout.getRegistersPerLane({8, 64}), 4);
  EXPECT_EQ(at(layout, {8, 64}, 0, 0, 3), Coordinates({0, 3}));
  EXPECT_EQ(at(layout, {8, 64}, 0, 1, 0), Coordinates({0, 4}));
  EXPECT_EQ(at(layout, {8, 64}, 0, 16, 0), Coordinates({1, 0}));
  EXPECT_EQ(at(layout, {8, 64}, 3, 31, 3), Coordinates({7, 63}));
}

TEST_F(LayoutTest, BlockedRepeatsInRegistersAndReplicates) {
  auto layout =
      BlockedLayoutAttr::get(&context, {1, 4}, {2, 16}, {4, 1}, {1, 0});
  EXPECT_EQ(layout.getRegistersPerLane({16, 128}), 16);
  expectCovers(layout, {16, 128});
  EXPECT_EQ(layout.getRegistersPerLane({1, 16}), 4);
  EXPECT_EQ(at(layout, {1, 16}, 3, 5, 1), at(layout, {1, 16}, 0, 1, 1));
  expectCovers(layout, {1, 16});
}

TEST_F(LayoutTest, MmaAccumulatorIsThatOfM16N8) {
  auto layout = MmaLayoutAttr::get(&context, {1, 1});
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 4; ++i) {
      int64_t groupId = lane >> 2, threadIdInGroup = lane % 4;
      int64_t row = i < 2 ? groupId : groupId + 8;
      int64_t col = threadIdInGroup * 2 + (i & 0x1);
      EXPECT_EQ(at(layout, {16, 8}, 0, lane, i), Coordinates({row, col}));
    }
  expectCovers(MmaLayoutAttr::get(&context, {2, 4}), {64, 128});
}

TEST_F(LayoutTest, MmaOperandsOf16BitsAreThoseOfM16N8K16) {
  auto parent = MmaLayoutAttr::get(&context, {1, 1});
  auto a = OperandLayoutAttr::get(&context, 0, parent, 16);
  auto b = OperandLayoutAttr::get(&context, 1, parent, 16);
  ASSERT_EQ(a.getRegistersPerLane({16, 16}), 8);
  ASSERT_EQ(b.getRegistersPerLane({16, 8}), 4);
  for (int64_t lane = 0; lane < 32; ++lane) {
    int64_t groupId = lane >> 2, threadIdInGroup = lane % 4;
    for (int64_t i = 0; i < 8; ++i) {
      int64_t row = i < 2 || (4 <= i && i < 6) ? groupId : groupId + 8;
      int64_t col = threadIdInGroup * 2 + (i & 0x1) + (i < 4 ? 0 : 8);
      EXPECT_EQ(at(a, {16, 16}, 0, lane, i), Coordinates({row, col}));
    }
    for (int64_t i = 0; i < 4; ++i) {
      int64_t row = threadIdInGroup * 2 + (i & 0x1) + (i < 2 ? 0 : 8);
      EXPECT_EQ(at(b, {16, 8}, 0, lane, i), Coordinates({row, groupId}));
    }
  }
}

TEST_F(LayoutTest, MmaOperandsOf8BitsAreThoseOfM16N8K32) {
  auto parent = MmaLayoutAttr::get(&context, {1, 1});
  auto a = OperandLayoutAttr::get(&context, 0, parent, 8);
  auto b = OperandLayoutAttr::get(&context, 1, parent, 8);
  ASSERT_EQ(a.getRegistersPerLane({16, 32}), 16);
  ASSERT_EQ(b.getRegistersPerLane({32, 8}), 8);
  for (int64_t lane = 0; lane < 32; ++lane) {
    int64_t groupId = lane >> 2, threadIdInGroup = lane % 4;
    for (int64_t i = 0; i < 16; ++i) {
      int64_t row =
          (0 <= i && i < 4) || (8 <= i && i < 12) ? groupId : groupId + 8;
      int64_t col = threadIdInGroup * 4 + (i & 0x3) + (i < 8 ? 0 : 16);
      EXPECT_EQ(at(a, {16, 32}, 0, lane, i), Coordinates({row, col}));
    }
    for (int64_t i = 0; i < 8; ++i) {
      int64_t row = threadIdInGroup * 4 + (i & 0x3) + (i < 4 ? 0 : 16);
      EXPECT_EQ(at(b, {32, 8}, 0, lane, i), Coordinates({row, groupId}));
    }
  }
}

TEST_F(LayoutTest, WgmmaAccumulatorIsTheDFragment) {
  auto layout = WgmmaLayoutAttr::get(&context, 256, {2, 1});
  ASSERT_EQ(layout.getNumWarps(), 8);
  ASSERT_EQ(layout.getRegistersPerLane({128, 256}), 128);
  for (int64_t thread = 0; thread < 256; ++thread)
    for (int64_t i = 0; i < 128; ++i) {
      int64_t warp = thread / 32, lane = thread % 32;
      int64_t row =
          (warp / 4) * 64 + (warp % 4) * 16 + lane / 4 + ((i / 2) % 2) * 8;
      int64_t col = (i / 4) * 8 + (lane % 4) * 2 + i % 2;
      EXPECT_EQ(at(layout, {128, 256}, warp, lane, i), Coordinates({row, col}));
    }
  expectCovers(WgmmaLayoutAttr::get(&context, 64, {2, 2}), {256, 256});
  expectCovers(OperandLayoutAttr::get(
                   &context, 0, WgmmaLayoutAttr::get(&context, 64, {2, 1}), 16),
               {128, 64});
}

TEST_F(LayoutTest, SliceHoldsEachElementOfALaneOnce) {
  auto parent = MmaLayoutAttr::get(&context, {4, 1});
  auto rows = SliceLayoutAttr::get(&context, 1, parent);
  EXPECT_EQ(rows.getLayoutRank(), 1);
  EXPECT_EQ(rows.getRegistersPerLane({64}), 2);
  EXPECT_EQ(at(rows, {64}, 1, 5, 0), Coordinates({16 + 1}));
  EXPECT_EQ(at(rows, {64}, 1, 5, 1), Coordinates({16 + 1 + 8}));
  expectCovers(rows, {64});
  auto columns = SliceLayoutAttr::get(&context, 0, parent);
  EXPECT_EQ(columns.getRegistersPerLane({8}), 2);
  expectCovers(columns, {8});
}

/// The patterns of the manual, on byte addresses of a panel: 128-byte swizzle
/// exchanges bits 4-6 by bits 7-9, 64-byte bits 4-5 by 7-8, 32-byte bit 4 by 7.
TEST_F(LayoutTest, SwizzlesExchangeAddressBits) {
  struct Case {
    int64_t swizzle, bits;
  };
  for (Case c : {Case{128, 7}, Case{64, 3}, Case{32, 1}}) {
    auto layout = SharedLayoutAttr::get(&context, c.swizzle);
    int64_t rows = 64, columns = 2 * c.swizzle;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        int64_t panel = column / c.swizzle;
        int64_t linear = row * c.swizzle + column % c.swizzle;
        int64_t expected =
            (linear ^ ((linear >> 7 & c.bits) << 4)) + panel * rows * c.swizzle;
        EXPECT_EQ(layout.getBitOffset({rows, columns}, 8, {row, column}),
                  8 * expected);
      }
  }
  auto plain = SharedLayoutAttr::get(&context, 0);
  EXPECT_EQ(plain.getBitOffset({2, 3, 4}, 16, {1, 2, 3}), 16 * 23);
}

TEST_F(LayoutTest, SizesCountPackedElements) {
  Type f4 = Float4E2M1FNType::get(&context);
  auto buffer = BufferType::get({128, 64}, f4);
  EXPECT_EQ(buffer.getSizeInBytes(), 128 * 64 / 2);
  auto ring = RingType::get(
      &context, 4, {buffer, BufferType::get({64}, Float32Type::get(&context))});
  EXPECT_EQ(ring.getStageSizeInBytes(), 128 * 64 / 2 + 64 * 4);
}

} // namespace
