//===- RowFormatTest.cpp - Rows of pools from the host --------------------===//

#include "runtime/Session/RowFormat.h"
#include "runtime/Error.h"
#include "varve/Support/Floats.h"
#include "varve/Support/SeededState.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>

using namespace varve;
using namespace varve::runtime;

namespace {

Pool poolOf(const std::string &format, int64_t rowBytes) {
  Pool pool;
  pool.name = "layers.2.attn.entries";
  pool.format = format;
  pool.rowBytes = rowBytes;
  return pool;
}

std::vector<uint8_t> encode(const RowFormat &format,
                            const std::vector<float> &row) {
  // Bytes that encode() leaves out would show.
  std::vector<uint8_t> bytes(format.getBytes(), 0xAA);
  format.encode(row, bytes);
  return bytes;
}

std::vector<float> seeded(int64_t width, int64_t row) {
  std::vector<float> numbers(width);
  fillSeededRow(7, "rows", 0, row, numbers);
  return numbers;
}

std::string refusalOf(const std::string &format, int64_t rowBytes) {
  try {
    RowFormat{poolOf(format, rowBytes)};
  } catch (const Error &error) {
    return error.what();
  }
  return "";
}

TEST(RowFormatTest, PlainRowsAreRoundedNumbers) {
  RowFormat format(poolOf("<3 x bf16>", 6));
  EXPECT_EQ(format.getWidth(), 3);
  // 1 + 2^-9 lies half way between two bf16 numbers and goes to the even one.
  std::vector<uint8_t> bytes = encode(format, {1.0f, -2.0f, 1.001953125f});
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x80, 0x3F, 0x00, 0xC0, 0x80, 0x3F}));
  EXPECT_EQ(encode(RowFormat(poolOf("1 x f32", 4)), {1.5f}),
            (std::vector<uint8_t>{0, 0, 0xC0, 0x3F}));
  EXPECT_EQ(encode(RowFormat(poolOf("1 x f16", 2)), {1.5f}),
            (std::vector<uint8_t>{0, 0x3E}));
}

// Specification 9.1: 448 codes, 64 bf16 numbers, 7 scales and a byte of
// padding.
TEST(RowFormatTest, EntriesOfTheReleasedModels) {
  RowFormat format(
      poolOf("448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16", 584));
  std::vector<float> row = seeded(512, 0);
  row[3] = 448.0f;  // largest of group 0: the scale is 1
  row[64] = 449.0f; // largest of group 1: the scale is 2
  std::vector<uint8_t> bytes = encode(format, row);
  EXPECT_EQ(bytes[576], 127);
  EXPECT_EQ(bytes[577], 128);
  EXPECT_EQ(bytes[583], 0);
  for (int i = 0; i < 448; ++i) {
    float scale = e8m0ToFloat(bytes[576 + i / 64]);
    float read = e4m3ToFloat(bytes[i]) * scale;
    // Half a step of a number with three bits behind the leading one, and of
    // the smallest numbers, whose step is 2^-9.
    float bound = std::max(std::fabs(row[i]) / 16, scale * 0x1p-10f);
    EXPECT_LE(std::fabs(read - row[i]), bound) << i;
  }
  for (int i = 0; i < 64; ++i) {
    uint16_t code;
    std::memcpy(&code, &bytes[448 + 2 * i], 2);
    EXPECT_EQ(bf16ToFloat(code), roundToBf16(row[448 + i]));
  }
}

TEST(RowFormatTest, FourBitCodesLieInPairsLowHalfFirst) {
  RowFormat format(poolOf("4 x f4E2M1FN scaled 2 x f32", 2 + 8));
  // Scales: 6 / 6 = 1 and 3 / 6 = 0.5.
  std::vector<uint8_t> bytes = encode(format, {6.0f, -1.0f, 3.0f, 0.25f});
  EXPECT_EQ(bytes[0], 0x7 | 0xA << 4);
  EXPECT_EQ(bytes[1], 0x7 | 0x1 << 4);
  float scales[2];
  std::memcpy(scales, &bytes[2], 8);
  EXPECT_EQ(scales[0], 1.0f);
  EXPECT_EQ(scales[1], 0.5f);
}

TEST(RowFormatTest, RowsAreReadAsTheNumbersThatTheyHold) {
  RowFormat format(
      poolOf("64 x f8E4M3FN scaled 32 x f8E8M0FNU, 2 x bf16, 1 x f32", 76));
  EXPECT_TRUE(format.has(Element::F8E4M3));
  EXPECT_FALSE(format.has(Element::F4E2M1));
  std::vector<uint8_t> bytes(76, 0);
  bytes[0] = 0x38;  // 1
  bytes[1] = 0xB8;  // -1
  bytes[31] = 0x7E; // 448
  bytes[32] = 0x01; // 2^-9
  bytes[65] = 0x40; // bf16 2
  bytes[67] = 0xBF; // bf16 -1: 0xBF80
  bytes[66] = 0x80;
  bytes[71] = 0x3F;    // f32 0.5
  bytes[72] = 127 + 3; // 8
  bytes[73] = 127 - 1; // 1/2
  std::vector<float> numbers(67);
  format.decode(bytes, numbers);
  EXPECT_EQ(numbers[0], 8.0f);
  EXPECT_EQ(numbers[1], -8.0f);
  EXPECT_EQ(numbers[2], 0.0f);
  EXPECT_EQ(numbers[31], 3584.0f);
  EXPECT_EQ(numbers[32], 0x1p-10f);
  EXPECT_EQ(numbers[64], 2.0f);
  EXPECT_EQ(numbers[65], -1.0f);
  EXPECT_EQ(numbers[66], 0.5f);
  RowFormat pairs(poolOf("4 x f4E2M1FN scaled 2 x f32", 2 + 8));
  std::vector<uint8_t> row = encode(pairs, {6.0f, -1.0f, 3.0f, 0.25f});
  std::vector<float> read(4);
  pairs.decode(row, read);
  EXPECT_EQ(read, (std::vector<float>{6.0f, -1.0f, 3.0f, 0.25f}));
}

TEST(RowFormatTest, RefusesWhatItCannotWrite) {
  const std::string which = "pool 'layers.2.attn.entries': rows of the format ";
  EXPECT_EQ(refusalOf("", 4),
            which + "'' cannot be written or read by the host");
  EXPECT_EQ(refusalOf("4 x f8E4M3FN", 4),
            which + "'4 x f8E4M3FN' cannot be written or read by the host");
  EXPECT_EQ(
      refusalOf("4 x bf16 scaled 2 x f32", 16),
      which +
          "'4 x bf16 scaled 2 x f32' cannot be written or read by the host");
  EXPECT_EQ(refusalOf("4 x bf16", 9),
            which + "'4 x bf16' cannot be written or read by the host");
  EXPECT_EQ(refusalOf("4 x bf16 and more", 8),
            which +
                "'4 x bf16 and more' cannot be written or read by the host");
  // Numbers whose bits would wrap around, and half a byte.
  EXPECT_EQ(
      refusalOf("576460752303423488 x f32", 4),
      which +
          "'576460752303423488 x f32' cannot be written or read by the host");
  EXPECT_EQ(refusalOf("2147483647 x f32", 4),
            which + "'2147483647 x f32' cannot be written or read by the host");
  EXPECT_EQ(refusalOf("3 x f4E2M1FN scaled 1 x f8E8M0FNU", 5),
            which + "'3 x f4E2M1FN scaled 1 x f8E8M0FNU' cannot be written or "
                    "read by the host");
}

TEST(SeededStateTest, RowsAreTheSameEverywhereAndDiffer) {
  // Philox4x32-10 of counter (0, 5, 0, 2) under the key of seed and name.
  std::vector<float> row(6), again(6), other(6);
  fillSeededRow(1, "a", 2, 5, row);
  fillSeededRow(1, "a", 2, 5, again);
  EXPECT_EQ(row, again);
  for (float x : row)
    EXPECT_TRUE(x >= -1.0f && x < 1.0f);
  fillSeededRow(1, "b", 2, 5, other);
  EXPECT_NE(row, other);
  fillSeededRow(1, "a", 3, 5, other);
  EXPECT_NE(row, other);
  fillSeededRow(1, "a", 2, 6, other);
  EXPECT_NE(row, other);
  fillSeededRow(2, "a", 2, 5, other);
  EXPECT_NE(row, other);
}

} // namespace
