//===- AttentionTest.cpp - The softmax over listed keys -------------------===//

#include "lib/Interpret/Reference/Attention.h"
#include "test/Unit/Interpret/Inputs.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve;
using namespace varve::reference;
using llvm::ArrayRef;
using std::vector;

namespace {

/// Keys cut from a flat buffer.
struct KeyList {
  KeyList(vector<float> numbers, size_t width) : storage(std::move(numbers)) {
    for (size_t i = 0; i < storage.size(); i += width)
      rows.push_back(ArrayRef<float>(storage).slice(i, width));
  }
  vector<float> storage;
  vector<ArrayRef<float>> rows;
};

vector<float> attend(const vector<float> &q, const KeyList &keys,
                     std::optional<float> sink,
                     const AttentionOptions &options) {
  vector<float> o(q.size());
  sparseAttention(q, keys.rows, keys.rows, sink, options, o);
  return o;
}

/// `n` keys of 16 elements that grow, so that every block of 64 raises the
/// maximum: BF16(wave(n * 16, 37, 11)[s, c] * (1 + s / 64)).
KeyList growingKeys(int n) {
  vector<float> numbers = wave(n * 16, 37, 11);
  for (int i = 0; i < n * 16; ++i)
    numbers[i] =
        roundToBf16(numbers[i] * (1 + static_cast<float>(i / 16) / 64));
  return KeyList(std::move(numbers), 16);
}

/// 150 of them, four absent.
KeyList manyKeys() {
  KeyList keys = growingKeys(150);
  for (int absent : {3, 64, 65, 149})
    keys.rows[absent] = {};
  return keys;
}

const vector<float> query = wave(16, 19, 7);

// PyTorch 2.11: softmax in float64 over the present keys and a sink of 0.75.
TEST(AttentionTest, OnePassAsPyTorchInDouble) {
  const double expected[] = {
      -0.9121635891629815, -5.837194691644485, 0.9116163766575823,
      -4.012309702270054,  2.735665619126683,  -2.193805938157741,
      4.559721965813975,   -0.365104099549781, -5.289634520425634,
      1.459445699720114,   -3.46349794851911,  3.284570091937783,
      -1.6432582046948618, 5.10507686798252,   0.1820754921965608,
      -4.745060001767091};
  vector<float> o = attend(query, manyKeys(), 0.75f, {.scale = 0.25f});
  for (int c = 0; c < 16; ++c)
    EXPECT_NEAR(o[c], expected[c], 5e-7) << c;
}

// PyTorch 2.11, FP32: the same in blocks of 64 keys with BF16 probabilities
// (running maximum and rescaled FP32 state).
TEST(AttentionTest, BlocksAsPyTorchInFP32) {
  const double expected[] = {
      -0.9123442769050598, -5.838352203369141,  0.911797285079956,
      -4.01310920715332,   2.736207962036133,   -2.1942410469055176,
      4.560628890991211,   -0.3651764690876007, -5.290687084197998,
      1.4597352743148804,  -3.464183807373047,  3.285222053527832,
      -1.6435840129852295, 5.1060895919799805,  0.1821117401123047,
      -4.746004104614258};
  AttentionOptions native = {
      .scale = 0.25f, .block = 64, .probabilities = Rounding::BF16};
  vector<float> o = attend(query, manyKeys(), 0.75f, native);
  for (int c = 0; c < 16; ++c)
    EXPECT_NEAR(o[c], expected[c], 4e-6) << c;

  // What the blocks and the rounding do is well above that tolerance.
  auto distance = [&](const AttentionOptions &options) {
    vector<float> other = attend(query, manyKeys(), 0.75f, options);
    double largest = 0;
    for (int c = 0; c < 16; ++c)
      largest = std::max(largest, std::fabs(other[c] - expected[c]));
    return largest;
  };
  EXPECT_GT(distance({.scale = 0.25f, .block = 64}), 1e-3);
  EXPECT_GT(
      distance({.scale = 0.25f, .block = 0, .probabilities = Rounding::BF16}),
      1e-3);
  EXPECT_GT(
      distance({.scale = 0.25f, .block = 32, .probabilities = Rounding::BF16}),
      1e-4);
}

TEST(AttentionTest, EveryBlockSizeAgreesWithOnePass) {
  std::mt19937 generator(9);
  for (int n : {1, 2, 63, 64, 65, 200}) {
    KeyList keys(randomRow(n * 16, generator), 16);
    vector<float> q = randomRow(16, generator);
    vector<float> once = attend(q, keys, 0.5f, {.scale = 3.0f});
    for (int64_t block : {1, 7, 64, 1000}) {
      vector<float> o = attend(q, keys, 0.5f, {.scale = 3.0f, .block = block});
      for (int c = 0; c < 16; ++c)
        EXPECT_NEAR(o[c], once[c], 2e-6) << n << " " << block;
    }
  }
}

TEST(AttentionTest, ScaleBelongsToTheLogits) {
  // One channel: <q, k> = 2 and 0 with scale 1/2: weights e / (1 + e).
  KeyList keys({2, 0}, 1);
  vector<float> o = attend({1}, keys, std::nullopt, {.scale = 0.5f});
  double e = std::exp(1.0);
  EXPECT_NEAR(o[0], 2 * e / (1 + e), 1e-6);
}

TEST(AttentionTest, SinkTakesMassButAddsNothing) {
  KeyList keys({1, 1, 1}, 1);
  for (int64_t block : {0, 64}) {
    AttentionOptions options = {.scale = 1.0f, .block = block};
    EXPECT_EQ(attend({0}, keys, std::nullopt, options)[0], 1.0f);
    EXPECT_FLOAT_EQ(attend({0}, keys, 0.0f, options)[0], 0.75f);
    EXPECT_FLOAT_EQ(attend({0}, keys, std::log(3.0f), options)[0], 0.5f);
    EXPECT_EQ(attend({0}, keys, -INFINITY, options)[0], 1.0f);
    EXPECT_EQ(attend({0}, keys, 1000.0f, options)[0], 0.0f);
  }
}

TEST(AttentionTest, WithoutAnyKeyTheResultIsZero) {
  KeyList absent(vector<float>(140 * 2, 1.0f), 2), none({}, 2);
  std::fill(absent.rows.begin(), absent.rows.end(), ArrayRef<float>());
  for (int64_t block : {0, 64})
    for (std::optional<float> sink : {std::optional<float>(), {0.5f}}) {
      AttentionOptions options = {.scale = 1.0f, .block = block};
      EXPECT_EQ(attend({1, 2}, absent, sink, options), (vector<float>{0, 0}));
      EXPECT_EQ(attend({1, 2}, none, sink, options), (vector<float>{0, 0}));
    }
}

TEST(AttentionTest, BlocksWithoutKeysLeaveTheStateAlone) {
  // Keys only in the second of three blocks.
  KeyList keys(wave(12 * 4, 37, 11), 4);
  for (int s : {0, 1, 2, 3, 8, 9, 10, 11})
    keys.rows[s] = {};
  vector<float> q = wave(4, 19, 7);
  vector<float> once = attend(q, keys, 0.1f, {.scale = 1.0f});
  vector<float> blocks = attend(q, keys, 0.1f, {.scale = 1.0f, .block = 4});
  for (int c = 0; c < 4; ++c)
    EXPECT_NEAR(blocks[c], once[c], 1e-6);
}

TEST(AttentionTest, AbsentKeysKeepTheirPlaceInTheBlock) {
  // BF16 rounding of p is relative to the running maximum, so block borders
  // show: an absent key in front moves them by one.
  KeyList keys = growingKeys(64), shifted = growingKeys(64);
  shifted.rows.insert(shifted.rows.begin(), ArrayRef<float>());
  AttentionOptions options = {
      .scale = 0.25f, .block = 8, .probabilities = Rounding::BF16};
  EXPECT_NE(attend(query, keys, 0.75f, options),
            attend(query, shifted, 0.75f, options));
  options.block = 0;
  EXPECT_EQ(attend(query, keys, 0.75f, options),
            attend(query, shifted, 0.75f, options));
}

TEST(AttentionTest, DenominatorUsesUnroundedProbabilities) {
  // One key more than 8 below the maximum: p = e^-1.3 is not a BF16 number.
  KeyList keys({0, -1.3f}, 1);
  vector<float> ones(1, 1.0f);
  vector<ArrayRef<float>> values = {ones, ones};
  vector<float> o(1);
  sparseAttention({1.0f}, keys.rows, values, std::nullopt,
                  {.scale = 1.0f, .block = 64, .probabilities = Rounding::BF16},
                  o);
  double p = std::exp(-1.3), rounded = roundToBf16(static_cast<float>(p));
  ASSERT_NE(p, rounded);
  EXPECT_NEAR(o[0], (1 + rounded) / (1 + p), 1e-7);
  EXPECT_NE(o[0], 1.0f);
}

TEST(AttentionTest, ValuesMayBePrefixesOfKeysOrRowsOfTheirOwn) {
  KeyList keys({1, 0, 5, 1, 0, 7}, 3);
  vector<float> prefix(2);
  sparseAttention({0, 0, 0}, keys.rows, keys.rows, std::nullopt,
                  {.scale = 1.0f}, prefix);
  EXPECT_EQ(prefix, (vector<float>{1, 0}));
  KeyList values({10, 20, 30, 40}, 2);
  vector<float> o(2);
  sparseAttention({0, 0, 0}, keys.rows, values.rows, std::nullopt,
                  {.scale = 1.0f}, o);
  EXPECT_EQ(o, (vector<float>{20, 30}));
}

TEST(AttentionTest, NaNIsNotHidden) {
  KeyList keys({NAN, 1}, 1);
  keys.rows.push_back({});
  for (int64_t block : {0, 1, 64})
    EXPECT_TRUE(std::isnan(
        attend({1}, keys, 0.0f, {.scale = 1.0f, .block = block})[0]));
}

} // namespace
