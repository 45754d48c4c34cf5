//===- AttentionOpTest.cpp - sparse_attention with its pools --------------===//
//
// The expected result is a softmax over an explicit list of positions, in
// double; which positions are listed is written out anew for each form of the
// op.
//
//===----------------------------------------------------------------------===//

#include "test/Unit/Interpret/InterpreterTesting.h"
#include "varve/Support/Floats.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <numeric>

using namespace varve;
using namespace varve::test;

namespace {

/// Sizes of an attention and the rows of one sequence.
struct Attention {
  int64_t H, kvHeads, d, dv;
  std::vector<float> q, keys, values; ///< [T, ...]; values of width dv
  std::vector<float> sink;            ///< [H] or empty
  double scale = 0.5;

  Attention(int64_t T, int64_t H, int64_t kvHeads, int64_t d, int64_t dv,
            uint32_t seed)
      : H(H), kvHeads(kvHeads), d(d), dv(dv), q(randomFloats(T * H * d, seed)),
        keys(randomFloats(T * kvHeads * d, seed + 1)),
        values(randomFloats(T * kvHeads * dv, seed + 2)) {}

  /// Result of head h of the query at t over the rows `listed`. Without value
  /// rows of their own, values are the first dv elements of a key's head.
  std::vector<double> attend(int64_t t, int64_t h,
                             const std::vector<int64_t> &listed,
                             bool ownValues) const {
    int64_t g = h / (H / kvHeads);
    std::vector<double> o(dv, 0.0);
    double total = sink.empty() ? 0.0 : std::exp(double(sink[h]));
    for (int64_t s : listed) {
      double dot = 0;
      for (int64_t c = 0; c < d; ++c)
        dot += double(q[(t * H + h) * d + c]) * keys[(s * kvHeads + g) * d + c];
      double p = std::exp(scale * dot);
      total += p;
      for (int64_t c = 0; c < dv; ++c)
        o[c] += p * (ownValues ? values[(s * kvHeads + g) * dv + c]
                               : keys[(s * kvHeads + g) * d + c]);
    }
    for (double &x : o)
      x = listed.empty() ? 0.0 : x / total;
    return o;
  }
};

/// Positions begin ... end - 1.
std::vector<int64_t> range(int64_t begin, int64_t end) {
  std::vector<int64_t> positions;
  for (int64_t p = begin; p < end; ++p)
    positions.push_back(p);
  return positions;
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// A window of 3 with values of their own, two key heads for four heads.
const char *const kWindow = R"mlir(
  varve.pool @keys window size 3 : <4 x f32>
  varve.pool @values window size 3 : <6 x f32>
  func.func @f(%q: tensor<?x4x2xf32>, %k: tensor<?x4xf32>, %v: tensor<?x6xf32>,
               %positions: tensor<?xi32>, %slots: tensor<?xi32>)
      -> tensor<?x4x3xf32> {
    varve.append %k to @keys at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>
    varve.append %v to @values at(%positions, %slots)
        : tensor<?x6xf32>, tensor<?xi32>, tensor<?xi32>
    %o = varve.sparse_attention %q window @keys values @values scale 0.5
        at(%positions, %slots) kv_heads 2
        : (tensor<?x4x2xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x3xf32>
    return %o : tensor<?x4x3xf32>
  })mlir";

/// Runs tokens begin ... end - 1 of `a` in slot 0.
std::vector<float> runWindow(Program &program, const Attention &a,
                             int64_t begin, int64_t end, int32_t slot = 0) {
  int64_t T = end - begin;
  std::vector<int32_t> positions, slots(T, slot);
  for (int64_t t = begin; t < end; ++t)
    positions.push_back(t);
  auto results = program.call(
      "f", {program.floats({T, 4, 2}, slice(a.q, begin * 8, T * 8)),
            program.floats({T, 4}, slice(a.keys, begin * 4, T * 4)),
            program.floats({T, 6}, slice(a.values, begin * 6, T * 6)),
            program.numbers(std::move(positions)), program.numbers(slots)});
  return results.empty() ? std::vector<float>() : floatsOf(results[0]);
}

std::vector<double> expectedWindow(const Attention &a, int64_t T) {
  std::vector<double> expected;
  for (int64_t t = 0; t < T; ++t)
    for (int64_t h = 0; h < a.H; ++h)
      llvm::append_range(
          expected,
          a.attend(t, h, range(std::max<int64_t>(0, t - 2), t + 1), true));
  return expected;
}

TEST(AttentionOp, ReadsAWindowOfItsOwnKeysAndValues) {
  Attention a(7, 4, 2, 2, 3, 1);
  Program program(kWindow);
  expectNear(runWindow(program, a, 0, 7), expectedWindow(a, 7));
}

TEST(AttentionOp, IsTheSameInStepsOfAnyLength) {
  Attention a(7, 4, 2, 2, 3, 1);
  Program whole(kWindow);
  std::vector<float> expected = runWindow(whole, a, 0, 7);
  for (int64_t length = 1; length < 7; ++length) {
    Program program(kWindow);
    std::vector<float> o;
    for (int64_t t = 0; t < 7; t += length)
      llvm::append_range(
          o, runWindow(program, a, t, std::min<int64_t>(7, t + length)));
    EXPECT_EQ(o, expected) << "steps of " << length;
  }
}

TEST(AttentionOp, KeepsSequencesApart) {
  Attention a(5, 4, 2, 2, 3, 1), b(5, 4, 2, 2, 3, 50);
  Program alone(kWindow), both(kWindow);
  std::vector<float> expected = runWindow(alone, a, 0, 5), o;
  for (int64_t t = 0; t < 5; ++t) {
    runWindow(both, b, t, t + 1, 1);
    llvm::append_range(o, runWindow(both, a, t, t + 1, 0));
  }
  EXPECT_EQ(o, expected);
}

TEST(AttentionOp, LeavesPaddingTokensOut) {
  // The third of three tokens is none: it stores nothing, and its result is 0.
  Attention a(3, 4, 2, 2, 3, 1);
  Program program(kWindow);
  auto o = program.call(
      "f", {program.floats({3, 4, 2}, a.q), program.floats({3, 4}, a.keys),
            program.floats({3, 6}, a.values), program.numbers({0, 1, 1}),
            program.numbers({0, 0, -1})});
  ASSERT_EQ(o.size(), 1u);
  expectNear(o[0].floats().take_front(24), expectedWindow(a, 2));
  for (float x : o[0].floats().drop_front(24))
    EXPECT_EQ(x, 0.0f);
  EXPECT_TRUE(program.interpreter->getPools().read("keys", -1, 1).empty());
}

TEST(AttentionOp, DoesNotMindAWindowLargerThanMemory) {
  // In blocks, empty places before the first token only shift the borders.
  for (const char *block : {"", "block 2"}) {
    Program program(llvm::formatv(R"mlir(
      varve.pool @keys window size 2147483647 : <2 x f32>
      func.func @f(%q: tensor<?x1x2xf32>, %k: tensor<?x2xf32>,
                   %positions: tensor<?xi32>, %slots: tensor<?xi32>)
          -> tensor<?x1x2xf32> {{
        varve.append %k to @keys at(%positions, %slots)
            : tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>
        %o = varve.sparse_attention %q window @keys scale 0.5
            at(%positions, %slots) {0}
            : (tensor<?x1x2xf32>, tensor<?xi32>, tensor<?xi32>)
            -> tensor<?x1x2xf32>
        return %o : tensor<?x1x2xf32>
      })mlir",
                                  block)
                        .str());
    Attention a(5, 1, 1, 2, 2, 3);
    auto o = program.call("f", {program.floats({5, 1, 2}, a.q),
                                program.floats({5, 2}, a.keys),
                                program.numbers({0, 1, 2, 3, 4}),
                                program.numbers({0, 0, 0, 0, 0})});
    std::vector<double> expected;
    for (int64_t t = 0; t < 5; ++t)
      llvm::append_range(expected, a.attend(t, 0, range(0, t + 1), false));
    ASSERT_EQ(o.size(), 1u);
    expectNear(o[0].floats(), expected);
  }
}

/// The online softmax of one query over places in blocks, empty ones included,
/// with probabilities rounded to bf16: the description's recurrence in double.
double attendInBlocks(const std::vector<std::optional<double>> &logits,
                      const std::vector<double> &values, size_t block) {
  double m = -INFINITY, l = 0, A = 0;
  for (size_t begin = 0; begin < logits.size(); begin += block) {
    size_t end = std::min(begin + block, logits.size());
    double next = m;
    for (size_t s = begin; s < end; ++s)
      next = std::max(next, logits[s].value_or(-INFINITY));
    if (std::isinf(next))
      continue;
    double alpha = std::exp(m - next);
    l *= alpha;
    A *= alpha;
    for (size_t s = begin; s < end; ++s) {
      if (!logits[s])
        continue;
      double p = std::exp(*logits[s] - next);
      l += p;
      A += roundToBf16(static_cast<float>(p)) * values[s];
    }
    m = next;
  }
  return A / l;
}

TEST(AttentionOp, CountsEmptyPlacesOfAWindowInBlocks) {
  // What a place's block is shows in its probability's last bits, since they
  // round relative to the block's maximum. Windows around multiples of the
  // block of 4, with entries behind.
  for (int64_t window : {1, 3, 4, 5, 6, 8, 9, 13}) {
    Program program(llvm::formatv(R"mlir(
      varve.pool @window window size {0} : <1 x f32>
      varve.pool @entries entries ratio 1 page 64 : <1 x f32>
      func.func @f(%q: tensor<?x1x1xf32>, %k: tensor<?x1xf32>,
                   %e: tensor<?x1xf32>, %positions: tensor<?xi32>, %slots: tensor<?xi32>)
          -> tensor<?x1x1xf32> {{
        varve.append %k to @window at(%positions, %slots)
            : tensor<?x1xf32>, tensor<?xi32>, tensor<?xi32>
        varve.append %e to @entries at(%positions, %slots)
            : tensor<?x1xf32>, tensor<?xi32>, tensor<?xi32>
        %o = varve.sparse_attention %q window @window entries @entries scale 1.0
            at(%positions, %slots) block 4 probabilities bf16
            : (tensor<?x1x1xf32>, tensor<?xi32>, tensor<?xi32>)
            -> tensor<?x1x1xf32>
        return %o : tensor<?x1x1xf32>
      })mlir",
                                  window)
                        .str());
    constexpr int64_t T = 11;
    // Ascending, so that every block has a maximum of its own.
    std::vector<float> keys = randomFloats(T, 12);
    std::vector<float> entries = randomFloats(T, 13);
    llvm::sort(keys);
    llvm::sort(entries);
    std::vector<int32_t> positions(T);
    std::iota(positions.begin(), positions.end(), 0);
    auto o = program.call(
        "f", {program.floats({T, 1, 1}, std::vector<float>(T, 2.0f)),
              program.floats({T, 1}, keys), program.floats({T, 1}, entries),
              program.numbers(positions),
              program.numbers(std::vector<int32_t>(T, 0))});
    ASSERT_EQ(o.size(), 1u);
    for (int64_t t = 0; t < T; ++t) {
      std::vector<std::optional<double>> logits;
      std::vector<double> values;
      for (int64_t s : range(std::max<int64_t>(0, t - window + 1), t + 1)) {
        logits.push_back(2.0 * keys[s]);
        values.push_back(keys[s]);
      }
      logits.resize(window);
      values.resize(window);
      for (int64_t s : range(0, t + 1)) {
        logits.push_back(2.0 * entries[s]);
        values.push_back(entries[s]);
      }
      EXPECT_NEAR(o[0].floats()[t], attendInBlocks(logits, values, 4), 2e-7)
          << "window " << window << ", token " << t;
    }
  }
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

TEST(AttentionOp, OfRatioOneWithoutWindowIsCausalGroupedQueryAttention) {
  Program program(R"mlir(
    varve.pool @keys entries ratio 1 page 64 : <8 x f32>
    varve.pool @values entries ratio 1 page 64 : <6 x f32>
    func.func @f(%q: tensor<?x6x4xf32>, %k: tensor<?x8xf32>,
                 %v: tensor<?x6xf32>, %positions: tensor<?xi32>,
                 %slots: tensor<?xi32>) -> tensor<?x6x3xf32> {
      varve.append %k to @keys at(%positions, %slots)
          : tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>
      varve.append %v to @values at(%positions, %slots)
          : tensor<?x6xf32>, tensor<?xi32>, tensor<?xi32>
      %sink = varve.weight "sink" : tensor<6xf32>
      %o = varve.sparse_attention %q entries @keys values @values sink %sink
          scale 0.5 at(%positions, %slots) kv_heads 2
          : (tensor<?x6x4xf32>, tensor<6xf32>, tensor<?xi32>, tensor<?xi32>)
          -> tensor<?x6x3xf32>
      return %o : tensor<?x6x3xf32>
    })mlir");
  Attention a(9, 6, 2, 4, 3, 4);
  a.sink = randomFloats(6, 9);
  program.weights.add("sink", a.sink);
  auto o = program.call("f", {program.floats({9, 6, 4}, a.q),
                              program.floats({9, 8}, a.keys),
                              program.floats({9, 6}, a.values),
                              program.numbers({0, 1, 2, 3, 4, 5, 6, 7, 8}),
                              program.numbers(std::vector<int32_t>(9, 3))});
  std::vector<double> expected;
  for (int64_t t = 0; t < 9; ++t)
    for (int64_t h = 0; h < 6; ++h)
      llvm::append_range(expected, a.attend(t, h, range(0, t + 1), true));
  ASSERT_EQ(o.size(), 1u);
  expectNear(o[0].floats(), expected);
}

TEST(AttentionOp, TakesValuesFromTheFrontOfEachKeyHead) {
  // Latent attention: the value is a prefix of the key, here of two heads.
  Program program(R"mlir(
    varve.pool @rows entries ratio 1 page 64 : <10 x f32>
    func.func @f(%q: tensor<?x4x5xf32>, %k: tensor<?x10xf32>,
                 %positions: tensor<?xi32>, %slots: tensor<?xi32>)
        -> tensor<?x4x3xf32> {
      varve.append %k to @rows at(%positions, %slots)
          : tensor<?x10xf32>, tensor<?xi32>, tensor<?xi32>
      %o = varve.sparse_attention %q entries @rows scale 0.5
          at(%positions, %slots) kv_heads 2
          : (tensor<?x4x5xf32>, tensor<?xi32>, tensor<?xi32>)
          -> tensor<?x4x3xf32>
      return %o : tensor<?x4x3xf32>
    })mlir");
  Attention a(6, 4, 2, 5, 3, 5);
  auto o = program.call("f", {program.floats({6, 4, 5}, a.q),
                              program.floats({6, 10}, a.keys),
                              program.numbers({0, 1, 2, 3, 4, 5}),
                              program.numbers(std::vector<int32_t>(6, 0))});
  std::vector<double> expected;
  for (int64_t t = 0; t < 6; ++t)
    for (int64_t h = 0; h < 4; ++h)
      llvm::append_range(expected, a.attend(t, h, range(0, t + 1), false));
  ASSERT_EQ(o.size(), 1u);
  expectNear(o[0].floats(), expected);
}

/// A window of 2 and entries of ratio 3, chosen by indices or all visible.
std::string windowAndEntries(bool chosen) {
  return llvm::formatv(
             R"mlir(
    varve.pool @window window size 2 : <2 x f32>
    varve.pool @entries entries ratio 3 page 6 : <2 x f32>
    func.func @fill(%e: tensor<?x2xf32>, %starts: tensor<?xi32>,
                    %slots: tensor<?xi32>) {{
      varve.append %e to @entries at(%starts, %slots)
          : tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>
      return
    }
    func.func @f(%q: tensor<?x1x2xf32>, %k: tensor<?x2xf32>,
                 %indices: tensor<?x3xi32>, %positions: tensor<?xi32>,
                 %slots: tensor<?xi32>) -> tensor<?x1x2xf32> {{
      varve.append %k to @window at(%positions, %slots)
          : tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>
      %o = varve.sparse_attention %q window @window entries @entries {0}
          scale 0.5 at(%positions, %slots)
          : (tensor<?x1x2xf32>, {1} tensor<?xi32>, tensor<?xi32>)
          -> tensor<?x1x2xf32>
      return %o : tensor<?x1x2xf32>
    })mlir",
             chosen ? "indices %indices" : "", chosen ? "tensor<?x3xi32>," : "")
      .str();
}

/// Rows 0 ... 7 of `a` are the window's, 8 ... 11 the entries'.
HostTensor runWindowAndEntries(Program &program, const Attention &a,
                               std::vector<int32_t> indices) {
  program.call("fill",
               {program.floats({4, 2}, slice(a.keys, 16, 8)),
                program.numbers({0, 3, 6, 9}), program.numbers({0, 0, 0, 0})});
  auto results =
      program.call("f", {program.floats({8, 1, 2}, slice(a.q, 0, 16)),
                         program.floats({8, 2}, slice(a.keys, 0, 16)),
                         program.numbers({8, 3}, std::move(indices)),
                         program.numbers({0, 1, 2, 3, 4, 5, 6, 7}),
                         program.numbers(std::vector<int32_t>(8, 0))});
  return results.empty() ? HostTensor() : results[0];
}

TEST(AttentionOp, SeesTheEntriesWhoseTokensHavePassed) {
  Program program(windowAndEntries(/*chosen=*/false));
  Attention a(12, 1, 1, 2, 2, 6);
  HostTensor o = runWindowAndEntries(program, a, std::vector<int32_t>(24, -1));
  std::vector<double> expected;
  for (int64_t t = 0; t < 8; ++t) {
    std::vector<int64_t> rows = range(std::max<int64_t>(0, t - 1), t + 1);
    llvm::append_range(rows, range(8, 8 + (t + 1) / 3));
    llvm::append_range(expected, a.attend(t, 0, rows, false));
  }
  expectNear(o.floats(), expected);
}

TEST(AttentionOp, SeesTheEntriesThatIndicesNameAndNoneForMinusOne) {
  Program program(windowAndEntries(/*chosen=*/true));
  Attention a(12, 1, 1, 2, 2, 6);
  std::vector<int32_t> indices;
  for (int32_t t = 0; t < 8; ++t)
    llvm::append_range(indices, std::vector<int32_t>{-1, t % 4, -1});
  HostTensor o = runWindowAndEntries(program, a, indices);
  std::vector<double> expected;
  for (int64_t t = 0; t < 8; ++t) {
    std::vector<int64_t> rows = range(std::max<int64_t>(0, t - 1), t + 1);
    rows.push_back(8 + t % 4);
    llvm::append_range(expected, a.attend(t, 0, rows, false));
  }
  expectNear(o.floats(), expected);
}

} // namespace
