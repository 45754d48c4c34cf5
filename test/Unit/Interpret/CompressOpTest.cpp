//===- CompressOpTest.cpp - compress at any ratio, in any steps -----------===//

#include "test/Unit/Interpret/InterpreterTesting.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace varve;
using namespace varve::test;

namespace {

constexpr int64_t kChannels = 2;

struct Compressor {
  int64_t ratio;
  bool overlap;
  int64_t width() const { return kChannels * (overlap ? 2 : 1); }
};

std::string textOf(const Compressor &c) {
  return llvm::formatv(R"mlir(
    varve.pool @state state size {0} : <{1} x f32>
    func.func @f(%kv: tensor<?x{2}xf32>, %gate: tensor<?x{2}xf32>,
                 %positions: tensor<?xi32>, %slots: tensor<?xi32>)
        -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>) {{
      %bias = varve.weight "ape" : tensor<{3}x{2}xf32>
      %e, %starts, %eslots = varve.compress %kv, %gate, %bias in @state
          ratio {3} {4} at(%positions, %slots)
          : (tensor<?x{2}xf32>, tensor<?x{2}xf32>, tensor<{3}x{2}xf32>,
             tensor<?xi32>, tensor<?xi32>)
          -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>)
      return %e, %starts, %eslots
          : tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>
    })mlir",
                       c.ratio * (c.overlap ? 2 : 1), 2 * c.width(), c.width(),
                       c.ratio, c.overlap ? "overlap" : "")
      .str();
}

/// What one sequence's tokens bring.
struct Tokens {
  std::vector<float> kv, gate, bias;

  Tokens(int64_t T, const Compressor &c, uint32_t seed)
      : kv(randomFloats(T * c.width(), seed)),
        gate(randomFloats(T * c.width(), seed + 1)),
        bias(randomFloats(c.ratio * c.width(), 99)) {}

  /// Entry w by the description: for each channel a softmax over the window's
  /// tokens, each with the half of its row that counts there.
  std::vector<double> entry(int64_t w, const Compressor &c) const {
    std::vector<double> P;
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      double total = 0, sum = 0;
      auto add = [&](int64_t token, int64_t column) {
        double weight = std::exp(double(gate[token * c.width() + column]) +
                                 bias[token % c.ratio * c.width() + column]);
        total += weight;
        sum += weight * kv[token * c.width() + column];
      };
      if (c.overlap)
        for (int64_t t = c.ratio * (w - 1); t < c.ratio * w; ++t)
          if (t >= 0)
            add(t, channel);
      for (int64_t t = c.ratio * w; t < c.ratio * (w + 1); ++t)
        add(t, channel + (c.overlap ? kChannels : 0));
      P.push_back(sum / total);
    }
    return P;
  }
};

/// All entries that steps of `length` tokens emit, with starts and slots.
struct Emitted {
  std::vector<float> entries;
  std::vector<int32_t> starts, slots;
};

Emitted run(const Compressor &c, const Tokens &tokens, int64_t T,
            int64_t length) {
  Program program(textOf(c));
  program.weights.add("ape", tokens.bias);
  Emitted all;
  for (int64_t begin = 0; begin < T; begin += length) {
    int64_t count = std::min(length, T - begin), W = c.width();
    std::vector<int32_t> positions;
    for (int64_t t = begin; t < begin + count; ++t)
      positions.push_back(t);
    auto results = program.call(
        "f",
        {program.floats({count, W}, slice(tokens.kv, begin * W, count * W)),
         program.floats({count, W}, slice(tokens.gate, begin * W, count * W)),
         program.numbers(positions),
         program.numbers(std::vector<int32_t>(count, 5))});
    if (results.size() != 3)
      return all;
    llvm::append_range(all.entries, results[0].floats());
    llvm::append_range(all.starts, results[1].numbers());
    llvm::append_range(all.slots, results[2].numbers());
  }
  return all;
}

class CompressOp : public testing::TestWithParam<Compressor> {};

TEST_P(CompressOp, PoolsEveryWindowThatAStepCompletes) {
  Compressor c = GetParam();
  constexpr int64_t T = 17;
  Tokens tokens(T, c, 3);
  Emitted emitted = run(c, tokens, T, T);
  std::vector<double> expected;
  std::vector<int32_t> starts;
  for (int64_t w = 0; w < T / c.ratio; ++w) {
    llvm::append_range(expected, tokens.entry(w, c));
    starts.push_back(w * c.ratio);
  }
  expectNear(emitted.entries, expected);
  EXPECT_EQ(emitted.starts, starts);
  EXPECT_EQ(emitted.slots, std::vector<int32_t>(starts.size(), 5));
}

TEST_P(CompressOp, IsTheSameInStepsOfAnyLength) {
  Compressor c = GetParam();
  constexpr int64_t T = 17;
  Tokens tokens(T, c, 3);
  Emitted whole = run(c, tokens, T, T);
  for (int64_t length = 1; length < T; ++length) {
    Emitted emitted = run(c, tokens, T, length);
    EXPECT_EQ(emitted.entries, whole.entries) << "steps of " << length;
    EXPECT_EQ(emitted.starts, whole.starts) << "steps of " << length;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ratios, CompressOp,
    testing::Values(Compressor{1, false}, Compressor{2, false},
                    Compressor{5, false}, Compressor{1, true},
                    Compressor{2, true}, Compressor{3, true},
                    Compressor{7, true}, Compressor{16, true}),
    [](const auto &info) {
      return std::to_string(info.param.ratio) +
             (info.param.overlap ? "Overlapping" : "Disjoint");
    });

TEST(CompressOp, EmitsEntriesInTokenOrderWithTheSlotOfEach) {
  // Two sequences whose tokens alternate, and one token that is none.
  Compressor c{2, false};
  Tokens a(4, c, 3), b(4, c, 30);
  std::vector<float> kv, gate;
  std::vector<int32_t> positions, slots;
  for (int64_t t = 0; t < 4; ++t)
    for (auto [tokens, slot] : {std::pair(&a, 1), std::pair(&b, 0)}) {
      llvm::append_range(kv, slice(tokens->kv, t * 2, 2));
      llvm::append_range(gate, slice(tokens->gate, t * 2, 2));
      positions.push_back(t);
      slots.push_back(slot);
    }
  llvm::append_range(kv, std::vector<float>{9, 9});
  llvm::append_range(gate, std::vector<float>{9, 9});
  positions.push_back(1);
  slots.push_back(-1);

  Program program(textOf(c));
  program.weights.add("ape", a.bias);
  auto results = program.call(
      "f", {program.floats({9, 2}, kv), program.floats({9, 2}, gate),
            program.numbers(positions), program.numbers(slots)});
  ASSERT_EQ(results.size(), 3u);
  std::vector<double> expected;
  for (int64_t w = 0; w < 2; ++w)
    for (const Tokens *tokens : {&a, &b})
      llvm::append_range(expected, tokens->entry(w, c));
  expectNear(results[0].floats(), expected);
  EXPECT_EQ(numbersIn(results[1]), (std::vector<int32_t>{0, 0, 2, 2}));
  EXPECT_EQ(numbersIn(results[2]), (std::vector<int32_t>{1, 0, 1, 0}));
}

TEST(CompressOp, RefusesNegativePositions) {
  Compressor c{2, false};
  Program program(textOf(c));
  program.weights.add("ape", randomFloats(4, 1));
  EXPECT_EQ(program.errorOf("f", {program.floats({1, 2}, {1, 2}),
                                  program.floats({1, 2}, {1, 2}),
                                  program.numbers({-1}), program.numbers({0})}),
            "'varve.compress' op expected positions from 0 but got -1\n");
}

} // namespace
