//===- AttentionTest.cpp - Programs of sparse attention -------------------===//
//
// Against the reference's softmax over the keys that the op's description
// lists. Pools are filled by position, rings and pages included.
//
//===----------------------------------------------------------------------===//

#include "ProgramTesting.h"

#include "lib/Interpret/Reference/Attention.h"
#include "lib/Interpret/Reference/Compress.h"
#include "passes/Lower/Programs/Attention.h"

using namespace varve;
using namespace varve::test;
using mlir::varve::AttentionShape;
using mlir::varve::AttentionStrategy;
using mlir::varve::PoolKind;
using mlir::varve::PoolShape;
using mlir::varve::TileProgram;

namespace {

constexpr int64_t kSlots = 4, kMaxTokens = 160, kContext = 256;

PoolShape getWindow(const std::string &format, int64_t size) {
  PoolShape shape;
  shape.format = parseFormat(format);
  shape.kind = PoolKind::Window;
  shape.size = size;
  return shape;
}

PoolShape getEntries(const std::string &format, int64_t ratio) {
  PoolShape shape;
  shape.format = parseFormat(format);
  shape.kind = PoolKind::Entries;
  shape.ratio = ratio;
  shape.page = 16;
  return shape;
}

/// A pool and what it holds by position or entry number.
struct FilledPool {
  FilledPool(const PoolShape &shape, const PageTable &table, uint32_t seed)
      : shape(shape), table(&table) {
    bool isWindow = shape.kind == PoolKind::Window;
    int64_t rows = isWindow
                       ? kSlots * shape.size + kMaxTokens
                       : table.slots * table.pages * shape.getRowsPerPage();
    pool = HostPool(shape.format, rows);
    Numbers numbers(seed);
    for (int64_t row = 0; row < rows; ++row)
      pool.write(row, numbers.floats(shape.format.getWidth()));
  }

  /// The row of a window's position for token t.
  std::vector<float> readWindow(const Tokens &tokens, int64_t t,
                                int64_t position) const {
    if (position >= tokens.starts[t])
      return pool.read(kSlots * shape.size + t -
                       (tokens.positions[t] - position));
    return pool.read(tokens.slots[t] * shape.size + position % shape.size);
  }
  std::vector<float> readEntry(int64_t slot, int64_t entry) const {
    return pool.read(table->getRow(slot, entry, shape.getRowsPerPage()));
  }

  PoolShape shape;
  const PageTable *table;
  HostPool pool;
};

class AttentionData {
public:
  AttentionData(const AttentionShape &shape, Tokens tokens)
      : shape(shape), tokens(std::move(tokens)), table(kSlots, kContext / 16) {
    int64_t T = this->tokens.size();
    Numbers numbers(T);
    q = HostArray::of(shape.query, {T, shape.heads, shape.size},
                      numbers.floats(T * shape.heads * shape.size, 3));
    sink = HostArray::of(shape.sink ? shape.sink : parseType("f32"),
                         {shape.heads}, numbers.floats(shape.heads, 2));
    auto fill = [&](const std::optional<PoolShape> &pool, uint32_t seed) {
      return pool ? std::optional<FilledPool>(FilledPool(*pool, table, seed))
                  : std::nullopt;
    };
    window = fill(shape.window, 1);
    windowValues = fill(shape.windowValues, 2);
    entries = fill(shape.entries, 3);
    entryValues = fill(shape.entryValues, 4);
    indices.assign(T * std::max<int64_t>(shape.numIndices, 1), -1);
    for (int64_t t = 0; t < T && shape.numIndices; ++t) {
      int64_t visible = reference::visibleEntries(this->tokens.positions[t],
                                                  shape.entries->ratio);
      // Distinct entries in no order; holes where there are too few.
      for (int64_t i = 0; i < std::min(visible, shape.numIndices); ++i)
        if (this->tokens.slots[t] >= 0)
          indices[t * shape.numIndices + (i * 7 + 3) % shape.numIndices] =
              visible - 1 - i;
    }
  }

  std::vector<float> getExpected() const {
    reference::AttentionOptions options;
    options.scale = shape.scale;
    options.block = shape.block;
    if (shape.probabilities)
      options.probabilities = reference::Rounding::BF16;
    std::vector<float> result;
    for (int64_t t = 0; t < tokens.size(); ++t) {
      std::vector<std::vector<float>> keys, values;
      gather(t, keys, values);
      int64_t perHead = shape.heads / shape.kvHeads;
      for (int64_t h = 0; h < shape.heads; ++h) {
        auto cut = [&](const std::vector<float> &row, int64_t heads) {
          size_t width = row.size() / heads;
          return llvm::ArrayRef(row).slice(h / perHead * width, width);
        };
        std::vector<llvm::ArrayRef<float>> k, v;
        for (size_t i = 0; i < keys.size(); ++i) {
          k.push_back(cut(keys[i], shape.kvHeads));
          v.push_back(cut(values[i], shape.kvHeads));
        }
        std::vector<float> row(shape.size), o(shape.valueSize);
        for (int64_t c = 0; c < shape.size; ++c)
          row[c] = q.get((t * shape.heads + h) * shape.size + c);
        reference::sparseAttention(
            row, k, v, shape.sink ? std::optional(sink.get(h)) : std::nullopt,
            options, o);
        result.insert(result.end(), o.begin(), o.end());
      }
    }
    return result;
  }

  std::vector<float> run(Kernel &kernel, Kernel *maxima, Kernel *combine,
                         int64_t splits) {
    std::vector<Argument> arguments = {q.view(), tokens.view(tokens.positions),
                                       tokens.view(tokens.slots),
                                       tokens.view(tokens.starts)};
    int64_t T = tokens.size();
    if (shape.numIndices)
      arguments.push_back(view(indices, {T, shape.numIndices}, {T}));
    if (shape.sink)
      arguments.push_back(sink.view(0));
    auto add = [&](std::optional<FilledPool> &filled) {
      if (filled)
        llvm::append_range(arguments, filled->pool.views());
    };
    add(window);
    add(windowValues);
    if (window)
      arguments.push_back(scalar(kSlots * shape.window->size));
    add(entries);
    add(entryValues);
    if (entries)
      arguments.push_back(table.view());
    HostArray result(shape.result, {T, shape.heads, shape.valueSize});
    if (splits == 1) {
      arguments.push_back(result.view());
      kernel.run(arguments);
      return result.floats();
    }
    mlir::Type f32 = parseType("f32");
    HostArray before(f32, {T, splits, shape.heads});
    if (maxima) {
      arguments.push_back(before.view());
      maxima->run(arguments, /*inReverse=*/true);
    }
    HostArray largest(f32, {T, splits, shape.heads}),
        sums(f32, {T, splits, shape.heads}),
        parts(f32, {T, splits, shape.heads, shape.valueSize});
    for (HostArray *array : {&largest, &sums, &parts})
      arguments.push_back(array->view());
    kernel.run(arguments, /*inReverse=*/true);
    std::vector<Argument> rest = {largest.view(), sums.view(), parts.view()};
    if (shape.sink)
      rest.push_back(sink.view(0));
    rest.push_back(result.view());
    combine->run(rest);
    return result.floats();
  }

private:
  void gather(int64_t t, std::vector<std::vector<float>> &keys,
              std::vector<std::vector<float>> &values) const {
    int64_t position = tokens.positions[t], slot = tokens.slots[t];
    auto add = [&](std::vector<float> key, std::vector<float> value) {
      keys.push_back(std::move(key));
      values.push_back(std::move(value));
    };
    // Padding has no keys.
    if (slot < 0)
      return;
    if (window) {
      for (int64_t u :
           reference::windowPositions(position, shape.window->size)) {
        if (u < 0)
          add({}, {});
        else
          add(window->readWindow(tokens, t, u),
              (windowValues ? windowValues : window)->readWindow(tokens, t, u));
      }
    }
    if (!entries)
      return;
    int64_t visible = reference::visibleEntries(position, shape.entries->ratio);
    for (int64_t i = 0; i < (shape.numIndices ? shape.numIndices : visible);
         ++i) {
      int64_t s = shape.numIndices ? indices[t * shape.numIndices + i] : i;
      if (s < 0)
        add({}, {});
      else
        add(entries->readEntry(slot, s),
            (entryValues ? entryValues : entries)->readEntry(slot, s));
    }
  }

  AttentionShape shape;
  Tokens tokens;
  PageTable table;
  HostArray q, sink;
  std::optional<FilledPool> window, windowValues, entries, entryValues;
  std::vector<int32_t> indices;
};

/// Every kind of step: one token, padding, prefill from nothing, a chunk that
/// is longer than the window, decode.
std::vector<Tokens> getSteps() {
  return {
      Tokens({{0, 0, 1}}),
      Tokens({{2, 77, 1}, {-1, 0, 2}}),
      Tokens({{1, 30, 3}, {3, 200, 1}, {0, 0, 13}}),
      Tokens({{3, 5, 128}, {-1, 0, 1}}),
  };
}

void check(const AttentionShape &shape, const AttentionStrategy &strategy,
           double tolerance) {
  auto emitError = [] {
    return mlir::emitError(mlir::UnknownLoc::get(&getContext()));
  };
  ASSERT_TRUE(mlir::succeeded(verifyAttention(shape, emitError)));
  auto kernel = compileProgram(
      [&](TileProgram &p) { buildAttention(p, shape, strategy); });
  ASSERT_TRUE(kernel);
  std::unique_ptr<Kernel> maxima, combine;
  if (strategy.splits > 1 && shape.probabilities) {
    maxima = compileProgram(
        [&](TileProgram &p) { buildAttentionMaxima(p, shape, strategy); });
    ASSERT_TRUE(maxima);
  }
  if (strategy.splits > 1) {
    combine = compileProgram(
        [&](TileProgram &p) { combineAttention(p, shape, strategy); });
    ASSERT_TRUE(combine);
  }
  for (Tokens &tokens : getSteps()) {
    SCOPED_TRACE(tokens.size());
    AttentionData data(shape, tokens);
    std::vector<float> expected = data.getExpected();
    std::vector<float> is =
        data.run(*kernel, maxima.get(), combine.get(), strategy.splits);
    expectNear([&](size_t i) { return is[i]; },
               [&](size_t i) { return expected[i]; }, expected.size(),
               tolerance, shape.result.isBF16() ? 0x1p-8 : tolerance);
  }
}

AttentionShape getShape(int64_t heads, int64_t size, const char *query,
                        const char *result) {
  AttentionShape shape;
  shape.heads = heads;
  shape.size = shape.valueSize = size;
  shape.query = parseType(query);
  shape.result = parseType(result);
  shape.scale = 1 / std::sqrt(static_cast<double>(size));
  shape.sink = parseType("f32");
  return shape;
}

TEST(ProgramAttentionTest, WindowAlone) {
  AttentionShape shape = getShape(5, 48, "f32", "f32");
  shape.window = getWindow("<48 x f32>", 12);
  AttentionStrategy strategy;
  strategy.keys = 8;
  check(shape, strategy, 1e-5);
  shape.sink = {};
  strategy.splits = 3;
  check(shape, strategy, 1e-5);
}

TEST(ProgramAttentionTest, WindowAndAllEntries) {
  AttentionShape shape = getShape(8, 64, "bf16", "bf16");
  shape.window = getWindow("<64 x bf16>", 32);
  shape.entries = getEntries("<64 x bf16>", 4);
  AttentionStrategy strategy;
  strategy.keys = 16;
  check(shape, strategy, 1e-4);
  strategy.narrow = false;
  strategy.headRows = 8;
  strategy.splits = 4;
  check(shape, strategy, 1e-4);
}

TEST(ProgramAttentionTest, SelectedEntries) {
  AttentionShape shape = getShape(20, 64, "bf16", "f32");
  shape.window = getWindow("<64 x bf16>", 32);
  shape.entries = getEntries("<64 x bf16>", 4);
  shape.numIndices = 24;
  AttentionStrategy strategy;
  strategy.keys = 16;
  // Weights are two bf16 numbers.
  check(shape, strategy, 1e-4);
  strategy.splits = 2;
  check(shape, strategy, 1e-4);
}

TEST(ProgramAttentionTest, ReleasedModelsRoundings) {
  AttentionShape shape = getShape(16, 192, "bf16", "bf16");
  std::string format = "<128 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>";
  shape.window = getWindow(format, 32);
  shape.entries = getEntries(format, 4);
  shape.numIndices = 24;
  shape.block = 16;
  shape.probabilities = parseType("bf16");
  check(shape, {}, 2e-3);
  // A block that straddles the window's end.
  shape.window = getWindow(format, 24);
  check(shape, {}, 2e-3);
  shape.numIndices = 0;
  check(shape, {}, 2e-3);
  AttentionStrategy strategy;
  strategy.splits = 3;
  check(shape, strategy, 2e-3);
}

TEST(ProgramAttentionTest, GroupedQueriesAndSeparateValues) {
  AttentionShape shape = getShape(12, 32, "f32", "f32");
  shape.kvHeads = 2;
  shape.sink = {};
  shape.valueSize = 16;
  shape.entries = getEntries("<64 x f32>", 1);
  shape.entryValues = getEntries("<32 x bf16>", 1);
  AttentionStrategy strategy;
  strategy.headRows = 4;
  strategy.keys = 32;
  check(shape, strategy, 1e-5);
  shape.window = getWindow("<64 x f16>", 20);
  shape.windowValues = getWindow("<32 x f32>", 20);
  check(shape, strategy, 1e-5);
}

TEST(ProgramAttentionTest, ValuesAreAPrefixOfTheKeys) {
  AttentionShape shape = getShape(16, 96, "bf16", "bf16");
  shape.sink = {};
  shape.valueSize = 64;
  shape.entries = getEntries("<64 x f8E4M3FN scaled 32 x f32, 32 x bf16>", 1);
  shape.numIndices = 40;
  check(shape, {}, 1e-3);
}

} // namespace
