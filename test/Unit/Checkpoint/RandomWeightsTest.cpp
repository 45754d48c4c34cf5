//===- RandomWeightsTest.cpp - Weights from a seed ------------------------===//

#include "lib/Checkpoint/RandomWeights.h"
#include "lib/Checkpoint/PhiloxBlocks.h"
#include "lib/Checkpoint/RandomRows.h"
#include "lib/Checkpoint/WeightInventory.h"
#include "test/Unit/Checkpoint/CheckpointTestUtils.h"
#include "varve/Support/Floats.h"
#include "varve/Support/Philox.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"
#include <cmath>
#include <set>

using namespace varve;
using namespace varve::test;

namespace {

// Known answers published with Random123, file kat_vectors.
TEST(Philox, MatchesPublishedVectors) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            PhiloxCounter({0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                       {0xffffffff, 0xffffffff}),
            PhiloxCounter({0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            PhiloxCounter({0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Across the end of a word of the counter, and for runs that are no multiple
// of what is made at once.
TEST(Philox, RunsAreBlockByBlock) {
  PhiloxKey key = {0xa4093822, 0x299f31d0};
  uint64_t number = 0x0370734413198a2e;
  for (uint64_t first : {uint64_t(0), uint64_t(0xFFFFFFF8), uint64_t(-1)})
    for (size_t count : {1, 15, 16, 33}) {
      std::vector<uint32_t> words(4 * count);
      philoxBlocks(key, number, first, words);
      for (size_t i = 0; i < count; ++i) {
        uint64_t block = first + i;
        PhiloxCounter one = philox4x32({static_cast<uint32_t>(block),
                                        static_cast<uint32_t>(block >> 32),
                                        static_cast<uint32_t>(number),
                                        static_cast<uint32_t>(number >> 32)},
                                       key);
        for (size_t word = 0; word < 4; ++word)
          ASSERT_EQ(words[4 * i + word], one[word]) << first << " + " << i;
      }
    }
}

/// What a file stores of `numbers`, by the conversions that have tests of their
/// own.
std::vector<uint8_t> stored(WeightType type, std::vector<float> numbers) {
  std::vector<uint8_t> bytes;
  auto append = [&](auto code) {
    auto *begin = reinterpret_cast<const uint8_t *>(&code);
    bytes.insert(bytes.end(), begin, begin + sizeof(code));
  };
  for (size_t i = 0; i < numbers.size(); ++i)
    switch (type) {
    case WeightType::BF16:
      append(floatToBf16(numbers[i]));
      break;
    case WeightType::F16:
      append(floatToF16(numbers[i]));
      break;
    case WeightType::F8E4M3:
      append(floatToE4m3(numbers[i]));
      break;
    case WeightType::F8E8M0:
      append(e8m0FromPowerOfTwo(numbers[i]));
      break;
    case WeightType::F4E2M1:
      if (i % 2)
        bytes.back() |= floatToE2m1(numbers[i]) << 4;
      else
        append(floatToE2m1(numbers[i]));
      break;
    default:
      append(numbers[i]);
    }
  return bytes;
}

TEST(RandomWeights, StoredRowsAreTheSameNumbers) {
  struct Case {
    const char *name;
    WeightType type;
    int64_t columns;
  };
  // Rows that begin within a block of random words, and long ones.
  for (auto [name, type, columns] : {
           Case{"a.weight", WeightType::F32, 7},
           Case{"a.weight", WeightType::BF16, 7},
           Case{"a.weight", WeightType::F16, 129},
           Case{"a.weight", WeightType::F8E4M3, 301},
           Case{"b.norm.weight", WeightType::BF16, 1},
           Case{"a.weight", WeightType::F4E2M1, 34},
           Case{"a.weight", WeightType::F4E2M1, 4098},
           Case{"a.scale", WeightType::F8E8M0, 5},
           Case{"a.scale", WeightType::F8E8M0, 128},
           Case{"a.scale", WeightType::F32, 5},
       }) {
    std::string problem;
    RandomWeightsOptions options;
    options.seed = 3;
    auto rows = makeRandomRows(name, type, std::vector<int64_t>{9, columns},
                               options, problem);
    ASSERT_TRUE(rows) << problem;
    for (int64_t row = 0; row < 9; ++row) {
      std::vector<float> numbers(columns);
      rows->readRow(row, numbers);
      std::vector<uint8_t> expected = stored(type, numbers);
      std::vector<uint8_t> bytes(expected.size());
      rows->readStored(row, bytes);
      ASSERT_EQ(bytes, expected) << name << " row " << row;
    }
  }
}

// Weights change when LLVM's hash of names does; this one is XXH3's published
// value of the empty text.
TEST(RandomWeights, NamesAreHashedByXXH3) {
  EXPECT_EQ(llvm::xxh3_64bits(llvm::StringRef("")), 0x2d06800538d394c2u);
}

std::unique_ptr<WeightTensor> open(llvm::StringRef name, WeightType type,
                                   llvm::ArrayRef<int64_t> shape,
                                   uint64_t seed = 7, int64_t experts = 0) {
  auto tensor = RandomWeights({seed, experts}).open(name, type, shape);
  if (tensor)
    return std::move(*tensor);
  ADD_FAILURE() << llvm::toString(tensor.takeError());
  return nullptr;
}

template <typename T = float>
std::vector<T> row(const WeightTensor &tensor, int64_t number) {
  std::vector<T> values(tensor.getShape().back());
  tensor.readRow(number, llvm::MutableArrayRef<T>(values));
  return values;
}

std::vector<float> all(const WeightTensor &tensor) {
  int64_t rows = 1;
  for (int64_t extent : tensor.getShape().drop_back())
    rows *= extent;
  std::vector<float> values;
  for (int64_t i = 0; i < rows; ++i)
    llvm::append_range(values, row(tensor, i));
  return values;
}

struct Moments {
  double mean = 0, deviation = 0, kurtosis = 0;

  explicit Moments(llvm::ArrayRef<float> values) {
    for (float value : values)
      mean += value;
    mean /= values.size();
    double second = 0, fourth = 0;
    for (float value : values) {
      double square = (value - mean) * (value - mean);
      second += square;
      fourth += square * square;
    }
    second /= values.size();
    deviation = std::sqrt(second);
    kurtosis = fourth / values.size() / (second * second);
  }
};

// From a program in another language: its own Philox, the reference library's
// XXH3, and NumPy's float32.
TEST(RandomWeights, AreTheSameEverywhere) {
  EXPECT_EQ(
      row(*open("layers.0.attn.wq_a.weight", WeightType::F32, {9, 6}), 5),
      std::vector<float>({0x1.687dec0000000p-3f, -0x1.72e3780000000p-1f,
                          -0x1.13c58a0000000p-7f, -0x1.1fa61a0000000p-2f,
                          -0x1.3fe09e0000000p-2f, 0x1.4e0aaa0000000p-2f}));
  EXPECT_EQ(row(*open("layers.0.attn_norm.weight", WeightType::F32, {3}), 0),
            std::vector<float>({0x1.396b380000000p+0f, 0x1.0204800000000p+0f,
                                0x1.e428f60000000p-1f}));
  auto codes = open("layers.1.ffn.experts.5.w1.weight", WeightType::F4E2M1,
                    {4, 34}, (uint64_t(1) << 40) + 3);
  EXPECT_EQ(llvm::ArrayRef(row(*codes, 3)).take_front(6),
            llvm::ArrayRef<float>({0, 2, -2, -3, 4, -3}));
}

TEST(RandomWeights, RowsComeInAnyOrder) {
  for (WeightType type : {WeightType::F32, WeightType::F8E4M3,
                          WeightType::F4E2M1, WeightType::F8E8M0}) {
    // An odd number of blocks of random words a row.
    auto tensor = open("a.weight", type, {8, 22});
    auto last = row(*tensor, 7);
    std::vector<float> values = all(*tensor);
    EXPECT_EQ(llvm::ArrayRef(values).take_back(22), llvm::ArrayRef(last));
    // Rows are not repeated.
    std::set<std::vector<float>> rows;
    for (int64_t i = 0; i < 8; ++i)
      rows.insert(row(*tensor, i));
    EXPECT_EQ(rows.size(), 8u);
  }
}

TEST(RandomWeights, DependOnSeedAndName) {
  auto values = [](llvm::StringRef name, uint64_t seed) {
    return row(*open(name, WeightType::F32, {1, 64}, seed), 0);
  };
  EXPECT_EQ(values("a.weight", 1), values("a.weight", 1));
  EXPECT_NE(values("a.weight", 1), values("b.weight", 1));
  EXPECT_NE(values("a.weight", 1), values("a.weight", 2));
  EXPECT_NE(values("a.weight", 1), values("a.weight", (uint64_t(1) << 32) + 1));
}

TEST(RandomWeights, ExpertsAreTheSameAloneAndStacked) {
  for (WeightType type :
       {WeightType::BF16, WeightType::F8E4M3, WeightType::F4E2M1}) {
    auto stack = open("layers.1.ffn.experts.*.w1.weight", type, {5, 4, 32});
    auto alone = open("layers.1.ffn.experts.3.w1.weight", type, {4, 32});
    for (int64_t i = 0; i < 4; ++i)
      EXPECT_EQ(row(*stack, 3 * 4 + i), row(*alone, i));
  }
}

TEST(RandomWeights, HaveTheMomentsOfTheirRole) {
  struct Case {
    const char *name;
    llvm::SmallVector<int64_t, 2> shape;
    double mean, deviation;
  };
  const Case cases[] = {
      {"layers.0.attn.wq_a.weight", {400, 256}, 0, 1.0 / 16},
      {"layers.0.hc_attn_fn", {100, 1024}, 0, 1.0 / 32},
      {"layers.0.attn_norm.weight", {100000}, 1, 0.2},
      {"norm.weight", {100000}, 1, 0.2},
      {"embed.weight", {100, 1000}, 0, 1},
      {"head.weight", {100, 1024}, 0, 1.0 / 32},
      {"layers.2.attn.compressor.ape", {100, 1000}, 0, 1},
      {"layers.0.attn.attn_sink", {100000}, 0, 1},
      {"layers.0.hc_ffn_base", {100000}, 0, 1},
      {"hc_head_scale", {100000}, 1, 0.3},
      {"layers.3.ffn.gate.bias", {100000}, 0, 0.1},
      {"layers.3.ffn.gate.weight", {100, 1024}, 0, 1.0 / 32},
  };
  for (const Case &c : cases)
    for (WeightType type :
         {WeightType::F32, WeightType::BF16, WeightType::F16}) {
      Moments moments(all(*open(c.name, type, c.shape)));
      // Four deviations of the mean of 100,000 numbers, and of their deviation.
      EXPECT_NEAR(moments.mean, c.mean, 4 * c.deviation / 316) << c.name;
      EXPECT_NEAR(moments.deviation, c.deviation, 4 * c.deviation / 447)
          << c.name;
      // Of a sum of four uniform numbers: 3 - 6/5/4. (Rounding to BF16 moves
      // numbers around 1 by up to 2 % of the deviation.)
      EXPECT_NEAR(moments.kurtosis, 2.7, 0.05) << c.name;
    }
}

TEST(RandomWeights, NeighboursAreNotCorrelated) {
  std::vector<float> values =
      all(*open("a.weight", WeightType::F32, {1000, 100}));
  for (size_t lag : {1, 2, 4, 100}) {
    double sum = 0;
    for (size_t i = lag; i < values.size(); ++i)
      sum += values[i] * values[i - lag];
    EXPECT_NEAR(sum / values.size() * 100, 0, 4.0 / 316) << lag;
  }
}

TEST(RandomWeights, UsesAllCodesEquallyOften) {
  std::map<float, int> counts;
  for (float value : all(*open("a", WeightType::F4E2M1, {1000, 160})))
    ++counts[value];
  // Both zeros compare equal.
  EXPECT_EQ(counts.size(), 15u);
  for (auto [value, count] : counts)
    EXPECT_NEAR(count, value == 0 ? 20000 : 10000, 600) << value;
}

/// Deviation of weight times scale, `block` columns a scale.
double productDeviation(WeightType type, int64_t columns, int64_t block,
                        WeightType scaleType) {
  int64_t rows = 200000 / columns;
  auto weight = open("layers.0.ffn.experts.0.w1.weight", type, {rows, columns});
  // A scale a row also for FP8, whose blocks of rows are left out here.
  auto scale =
      open("layers.0.ffn.experts.0.w1.scale", scaleType,
           {rows, static_cast<int64_t>(llvm::divideCeil(columns, block))});
  std::vector<float> products;
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<float> values = row(*weight, i), scales = row(*scale, i);
    for (int64_t k = 0; k < columns; ++k) {
      int exponent;
      EXPECT_EQ(std::frexp(scales[k / block], &exponent), 0.5f);
      products.push_back(values[k] * scales[k / block]);
    }
  }
  return Moments(products).deviation;
}

TEST(RandomWeights, ScaledCodesHaveTheDeviationOfAMatrix) {
  for (int64_t columns : {32, 64, 96, 128, 1024, 4096})
    EXPECT_NEAR(
        productDeviation(WeightType::F4E2M1, columns, 32, WeightType::F8E8M0) *
            std::sqrt(columns),
        1, 0.03)
        << columns;
  for (int64_t columns : {40, 128, 192, 1024, 4096})
    for (WeightType scale : {WeightType::F8E8M0, WeightType::F32})
      EXPECT_NEAR(productDeviation(WeightType::F8E4M3, columns, 128, scale) *
                      std::sqrt(columns),
                  1, 0.05)
          << columns;
}

TEST(RandomWeights, RoutesToDistinctExpertsEquallyOften) {
  auto table =
      open("layers.0.ffn.gate.tid2eid", WeightType::I64, {20000, 6}, 7, 10);
  std::vector<int> counts(10);
  std::vector<int> firsts(10);
  for (int64_t token = 0; token < 20000; ++token) {
    std::vector<int64_t> ids = row<int64_t>(*table, token);
    EXPECT_EQ(std::set<int64_t>(ids.begin(), ids.end()).size(), 6u);
    for (int64_t id : ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, 10);
      ++counts[id];
    }
    ++firsts[ids.front()];
  }
  for (int expert = 0; expert < 10; ++expert) {
    EXPECT_NEAR(counts[expert], 12000, 4 * 70);
    EXPECT_NEAR(firsts[expert], 2000, 4 * 43);
  }
  // All experts, in a random order.
  auto full = open("layers.0.ffn.gate.tid2eid", WeightType::I32, {2, 3}, 7, 3);
  std::vector<int64_t> ids = row<int64_t>(*full, 1);
  EXPECT_EQ(std::set<int64_t>(ids.begin(), ids.end()),
            std::set<int64_t>({0, 1, 2}));
}

// The largest rows and numbers of rows that models have.
TEST(RandomWeights, ReachesTheEndOfLargeTensors) {
  auto stack = open("layers.60.ffn.experts.*.w2.weight", WeightType::F4E2M1,
                    {384, 7168, 3072});
  EXPECT_NE(row(*stack, 384 * 7168 - 1), row(*stack, 384 * 7168 - 2));
  auto huge = open("a", WeightType::BF16, {int64_t(1) << 40, 4});
  EXPECT_NE(row(*huge, (int64_t(1) << 40) - 1), row(*huge, 0));
}

TEST(RandomWeights, RefusesWhatCannotBeMade) {
  auto errorOf = [](llvm::StringRef name, WeightType type,
                    llvm::ArrayRef<int64_t> shape, int64_t experts = 0) {
    auto tensor = RandomWeights({0, experts}).open(name, type, shape);
    return tensor ? "no error" : llvm::toString(tensor.takeError());
  };
  EXPECT_EQ(errorOf("a", WeightType::F32, {}),
            "random weights: tensor 'a' f32 []: expected positive extents, "
            "with a product of at most 2^60");
  EXPECT_EQ(errorOf("a", WeightType::F32, {3, 0}),
            "random weights: tensor 'a' f32 [3, 0]: expected positive extents, "
            "with a product of at most 2^60");
  EXPECT_EQ(errorOf("a", WeightType::F32, {int64_t(1) << 40, 1 << 30}),
            "random weights: tensor 'a' f32 [1099511627776, 1073741824]: "
            "expected positive extents, with a product of at most 2^60");
  EXPECT_EQ(errorOf("a", WeightType::F4E2M1, {3, 5}),
            "random weights: tensor 'a' f4E2M1 [3, 5]: FP4 needs an even "
            "number of columns");
  EXPECT_EQ(errorOf("a.*.b", WeightType::F32, {3}),
            "random weights: tensor 'a.*.b' f32 [3]: expected the experts in a "
            "leading dimension");
  EXPECT_EQ(errorOf("t.tid2eid", WeightType::I64, {3, 6}, 5),
            "random weights: tensor 't.tid2eid' sends a token to 6 experts but "
            "the number of experts is given as 5");
}

TEST(WeightsOption, IsRandomOrAPath) {
  auto parse = [](llvm::StringRef text) {
    llvm::Expected<WeightsOption> option = parseWeightsOption(text);
    if (!option)
      return llvm::toString(option.takeError());
    return option->isRandom() ? "random " + llvm::utostr(option->seed)
                              : "path " + option->path;
  };
  EXPECT_EQ(parse("random"), "random 0");
  EXPECT_EQ(parse("random:7"), "random 7");
  EXPECT_EQ(parse("random:18446744073709551615"),
            "random 18446744073709551615");
  EXPECT_EQ(parse("./random"), "path ./random");
  EXPECT_EQ(parse("models/v4"), "path models/v4");
  EXPECT_EQ(parse(""), "expected weights: a checkpoint's folder, 'random' or "
                       "'random:SEED'");
  for (llvm::StringRef seed : {"", "x", "-1", "1.5", "18446744073709551616"})
    EXPECT_EQ(parse(("random:" + seed).str()),
              ("expected a seed from 0 to 18446744073709551615 after 'random:' "
               "but got '" +
               seed + "'")
                  .str());
}

} // namespace
