//===- IndexTest.cpp - Programs that select entries -----------------------===//

#include "ProgramTesting.h"

#include "lib/Interpret/Reference/Compress.h"
#include "lib/Interpret/Reference/Quantize.h"
#include "lib/Interpret/Reference/Select.h"
#include "passes/Lower/Programs/IndexTopk.h"

using namespace varve;
using namespace varve::test;
using mlir::varve::IndexShape;
using mlir::varve::IndexStrategy;
using mlir::varve::TileProgram;

namespace {

constexpr int64_t kSlots = 3, kContext = 1024;

struct IndexData {
  IndexData(const IndexShape &shape, Tokens tokens, bool hasTies)
      : shape(shape), tokens(std::move(tokens)),
        table(kSlots, kContext / shape.keys.page),
        pool(shape.keys.format, kSlots * kContext / shape.keys.ratio) {
    int64_t T = this->tokens.size(), H = shape.heads, d = shape.size;
    Numbers numbers(T + 5);
    // Small whole numbers are exact in any order of addition, and full of ties.
    auto draw = [&](size_t count) {
      std::vector<float> values = numbers.floats(count, 2);
      for (float &value : values)
        if (hasTies)
          value = std::round(value);
      return values;
    };
    weights = HostArray::of(shape.weights, {T, H}, draw(T * H));
    for (int64_t row = 0; row < pool.rows; ++row)
      pool.write(row, draw(d));
    std::vector<float> x = draw(T * H * d);
    if (!shape.queryScale) {
      q = HostArray::of(shape.query, {T, H, d}, x);
      return;
    }
    int64_t groups = (d + shape.queryBlock - 1) / shape.queryBlock;
    q = HostArray(shape.query, {T, H, d});
    scales = HostArray(shape.queryScale, {T, H, groups});
    auto code = mlir::isa<mlir::Float4E2M1FNType>(shape.query)
                    ? reference::CodeType::E2M1
                    : reference::CodeType::E4M3;
    for (int64_t row = 0; row < T * H; ++row) {
      std::vector<float> codes(d), s(groups);
      reference::quantize(llvm::ArrayRef(x).slice(row * d, d), shape.queryBlock,
                          code, codes, s);
      for (int64_t c = 0; c < d; ++c)
        q.set(row * d + c, codes[c]);
      for (int64_t g = 0; g < groups; ++g)
        scales.set(row * groups + g, s[g]);
    }
  }

  std::vector<float> getScores(int64_t t) const {
    int64_t H = shape.heads, d = shape.size;
    std::vector<float> x(H * d), w(H), result;
    for (int64_t i = 0; i < H * d; ++i) {
      x[i] = q.get(t * H * d + i);
      if (shape.queryScale) {
        int64_t groups = scales.shape[2], h = i / d,
                g = i % d / shape.queryBlock;
        x[i] *= scales.get((t * H + h) * groups + g);
      }
    }
    for (int64_t h = 0; h < H; ++h)
      w[h] = weights.get(t * H + h);
    if (tokens.slots[t] < 0)
      return result;
    auto rounding = shape.roundsEachStep ? reference::Rounding::BF16
                                         : reference::Rounding::None;
    for (int64_t s = 0;
         s < reference::visibleEntries(tokens.positions[t], shape.keys.ratio);
         ++s) {
      std::vector<float> key = pool.read(
          table.getRow(tokens.slots[t], s, shape.keys.getRowsPerPage()));
      float score = reference::indexScore(x, key, w, shape.scale, rounding);
      result.push_back(shape.scores.isBF16() ? roundToBf16(score) : score);
    }
    return result;
  }

  std::vector<int32_t> run(Kernel &kernel, Kernel *merge,
                           const IndexStrategy &strategy) {
    std::vector<Argument> arguments = {q.view()};
    if (shape.queryScale)
      arguments.push_back(scales.view());
    arguments.push_back(weights.view());
    arguments.push_back(tokens.view(tokens.positions));
    arguments.push_back(tokens.view(tokens.slots));
    llvm::append_range(arguments, pool.views());
    arguments.push_back(table.view());
    if (shape.stored == IndexShape::Stored::Result) {
      auto fill = compileProgram([&](TileProgram &p) { fillScores(p, shape); });
      stored.assign(tokens.size() * shape.columns, 77.0f);
      arguments.push_back(viewStored());
      fill->run({viewStored()});
    }
    return run(std::move(arguments), kernel, merge, strategy);
  }

  /// From the scores in `stored`.
  std::vector<int32_t> choose(Kernel &kernel, Kernel *merge,
                              const IndexStrategy &strategy) {
    return run({viewStored()}, kernel, merge, strategy);
  }

  Argument viewStored() {
    return view(stored, {tokens.size(), shape.columns}, {tokens.size()});
  }
  /// [T, columns], if scores are in memory.
  std::vector<float> stored;

private:
  std::vector<int32_t> run(std::vector<Argument> arguments, Kernel &kernel,
                           Kernel *merge, const IndexStrategy &strategy) {
    int64_t T = tokens.size(), kept = strategy.getKept(shape);
    std::vector<int32_t> indices(T * shape.k, 77),
        numbers(T * strategy.splits * kept);
    std::vector<float> scores(numbers.size());
    Argument result = view(indices, {T, shape.k}, {T});
    if (strategy.splits == 1) {
      arguments.push_back(result);
      kernel.run(arguments);
      return indices;
    }
    std::vector<int64_t> sizes = {T, strategy.splits, kept};
    arguments.push_back(view(scores, sizes, {T}));
    arguments.push_back(view(numbers, sizes, {T}));
    kernel.run(arguments, /*inReverse=*/true);
    merge->run({view(scores, sizes, {T}), view(numbers, sizes, {T}), result});
    return indices;
  }

  IndexShape shape;
  Tokens tokens;
  PageTable table;
  HostPool pool;
  HostArray q, scales, weights;
};

std::vector<Tokens> getSteps() {
  return {Tokens({{0, 0, 1}}), Tokens({{1, 1000, 1}, {0, 2, 3}, {-1, 0, 2}}),
          Tokens({{2, 500, 9}, {1, 3, 1}, {0, 900, 7}}), Tokens({{0, 0, 129}}),
          Tokens({{0, 100, 5}, {1, 50, 1}})};
}

void check(const IndexShape &shape, const IndexStrategy &strategy,
           bool hasTies) {
  auto kernel = compileProgram(
      [&](TileProgram &p) { buildIndexTopk(p, shape, strategy); });
  ASSERT_TRUE(kernel);
  std::unique_ptr<Kernel> merge;
  if (strategy.splits > 1) {
    merge = compileProgram(
        [&](TileProgram &p) { mergeIndices(p, shape, strategy); });
    ASSERT_TRUE(merge);
  }
  for (Tokens &tokens : getSteps()) {
    SCOPED_TRACE(tokens.size());
    IndexData data(shape, tokens, hasTies);
    std::vector<int32_t> is = data.run(*kernel, merge.get(), strategy);
    for (int64_t t = 0; t < tokens.size(); ++t) {
      std::vector<float> scores = data.getScores(t);
      std::vector<int32_t> expected(shape.k);
      reference::topk(scores, expected);
      llvm::ArrayRef<int32_t> row =
          llvm::ArrayRef(is).slice(t * shape.k, shape.k);
      if (hasTies) {
        EXPECT_EQ(row, llvm::ArrayRef(expected)) << "token " << t;
        continue;
      }
      // Other orders of addition may exchange scores that are nearly equal.
      std::set<int32_t> distinct;
      for (int64_t i = 0; i < shape.k; ++i) {
        ASSERT_EQ(row[i] < 0, expected[i] < 0) << "token " << t;
        if (row[i] < 0)
          continue;
        EXPECT_TRUE(distinct.insert(row[i]).second);
        ASSERT_LT(row[i], static_cast<int32_t>(scores.size()));
        float best = scores[expected[i]];
        EXPECT_NEAR(scores[row[i]], best,
                    shape.scores.isBF16() ? 0x1p-7 * std::fabs(best) + 1e-6
                                          : 1e-5)
            << "token " << t << ", place " << i;
      }
    }
  }
}

IndexShape getShape(int64_t heads, int64_t size, int64_t k, const char *query,
                    const char *keys, const char *scores, int64_t ratio) {
  IndexShape shape;
  shape.heads = heads;
  shape.size = size;
  shape.k = k;
  shape.query = parseType(query);
  shape.weights = parseType("bf16");
  shape.scores = parseType(scores);
  shape.keys.format = parseFormat(keys);
  shape.keys.kind = mlir::varve::PoolKind::Entries;
  shape.keys.ratio = ratio;
  shape.keys.page = 32;
  shape.scale = 0.0625;
  return shape;
}

TEST(ProgramIndexTest, TiesGoToTheLowerEntry) {
  IndexShape shape = getShape(4, 32, 16, "bf16", "<32 x bf16>", "f32", 4);
  IndexStrategy strategy;
  check(shape, strategy, true);
  strategy.tokens = 4;
  check(shape, strategy, true);
  strategy.splits = 3;
  strategy.tokens = 1;
  check(shape, strategy, true);
  // More than there ever are.
  shape.k = 300;
  strategy.selection = 64;
  check(shape, strategy, true);
  // Two splits at first, then the best of them and one more.
  strategy.merged = 1024;
  check(shape, strategy, true);
}

/// Scores beside the choice, and the choice from these scores.
void checkStored(IndexShape shape, const IndexStrategy &strategy) {
  shape.columns = 600;
  shape.stored = IndexShape::Stored::Result;
  IndexShape given = shape;
  given.stored = IndexShape::Stored::Given;
  auto build = [&](const IndexShape &shape) {
    return compileProgram(
        [&](TileProgram &p) { buildIndexTopk(p, shape, strategy); });
  };
  auto kernel = build(shape), choice = build(given);
  ASSERT_TRUE(kernel && choice);
  std::unique_ptr<Kernel> merge;
  if (strategy.splits > 1)
    merge = compileProgram(
        [&](TileProgram &p) { mergeIndices(p, shape, strategy); });
  for (Tokens &tokens : getSteps()) {
    SCOPED_TRACE(tokens.size());
    IndexData data(shape, tokens, /*hasTies=*/true);
    std::vector<int32_t> is = data.run(*kernel, merge.get(), strategy);
    std::vector<float> stored = data.stored;
    for (int64_t t = 0; t < tokens.size(); ++t) {
      std::vector<float> expected = data.getScores(t);
      ASSERT_LE(static_cast<int64_t>(expected.size()), shape.columns);
      expected.resize(shape.columns, -std::numeric_limits<float>::infinity());
      EXPECT_EQ(llvm::ArrayRef(stored).slice(t * shape.columns, shape.columns),
                llvm::ArrayRef(expected))
          << "token " << t;
    }
    EXPECT_EQ(data.choose(*choice, merge.get(), strategy), is);
    // Another choice, so that it is seen to follow from what is given.
    for (float &score : data.stored)
      score = std::isinf(score) ? 0.0f : -score;
    std::vector<int32_t> other = data.choose(*choice, merge.get(), strategy);
    for (int64_t t = 0; t < tokens.size(); ++t) {
      std::vector<int32_t> expected(shape.k);
      reference::topk(
          llvm::ArrayRef(data.stored).slice(t * shape.columns, shape.columns),
          expected);
      EXPECT_EQ(llvm::ArrayRef(other).slice(t * shape.k, shape.k),
                llvm::ArrayRef(expected))
          << "token " << t;
    }
  }
}

TEST(ProgramIndexTest, ScoresInMemory) {
  IndexShape shape = getShape(4, 32, 16, "bf16", "<32 x bf16>", "f32", 4);
  IndexStrategy strategy;
  checkStored(shape, strategy);
  // Tokens of several sequences in a block.
  strategy.tokens = 4;
  checkStored(shape, strategy);
  strategy.tokens = 2;
  strategy.splits = 3;
  strategy.entries = 16;
  strategy.selection = 32;
  checkStored(shape, strategy);
}

TEST(ProgramIndexTest, PlainNumbers) {
  IndexShape shape = getShape(5, 48, 11, "f32", "<48 x f32>", "f32", 2);
  IndexStrategy strategy;
  strategy.entries = 16;
  strategy.tokens = 3;
  check(shape, strategy, false);
}

TEST(ProgramIndexTest, CodesAndRoundedSteps) {
  IndexShape shape =
      getShape(8, 64, 32, "f4E2M1FN", "<64 x f4E2M1FN scaled 32 x f8E8M0FNU>",
               "bf16", 4);
  shape.queryScale = parseType("f8E8M0FNU");
  shape.queryBlock = 32;
  shape.roundsEachStep = true;
  check(shape, {}, true);
  check(shape, {}, false);
  shape.query = parseType("f8E4M3FN");
  IndexStrategy strategy;
  strategy.narrow = false;
  strategy.splits = 2;
  strategy.tokens = 2;
  check(shape, strategy, false);
}

} // namespace
