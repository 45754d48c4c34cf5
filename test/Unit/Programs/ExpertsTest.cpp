//===- ExpertsTest.cpp - Programs of experts' products --------------------===//

#include "ProgramTesting.h"

#include "lib/Interpret/Reference/Experts.h"
#include "lib/Interpret/Reference/Quantize.h"
#include "passes/Lower/Programs/Experts.h"

using namespace varve;
using namespace varve::test;
using mlir::varve::ExpertsShape;
using mlir::varve::ExpertsStrategy;
using mlir::varve::TileProgram;
using mlir::varve::tile::Quads;

namespace {

/// Numbers, or codes with their scales.
struct Matrix {
  HostArray numbers, scales;
  int64_t rows, columns, blockRows = 1, blockColumns = 0;

  /// All numbers, row by row.
  std::vector<float> decode() const {
    std::vector<float> values;
    for (size_t i = 0; i < numbers.size(); ++i)
      values.push_back(
          get(i / columns % rows, i % columns, i / columns / rows));
    return values;
  }

  float get(int64_t row, int64_t column, int64_t matrix) const {
    float value = numbers.get((matrix * rows + row) * columns + column);
    if (!blockColumns)
      return value;
    int64_t scaleRows = (rows + blockRows - 1) / blockRows;
    int64_t scaleColumns = (columns + blockColumns - 1) / blockColumns;
    return value *
           scales.get((matrix * scaleRows + row / blockRows) * scaleColumns +
                      column / blockColumns);
  }
};

Matrix draw(Numbers &numbers, mlir::Type element, mlir::Type scale,
            int64_t matrices, int64_t rows, int64_t columns, int64_t blockRows,
            int64_t blockColumns) {
  Matrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.numbers = HostArray::of(element, {matrices, rows, columns},
                                 numbers.floats(matrices * rows * columns, 2));
  if (!scale)
    return matrix;
  matrix.blockRows = blockRows;
  matrix.blockColumns = blockColumns;
  int64_t scaleRows = (rows + blockRows - 1) / blockRows;
  int64_t scaleColumns = (columns + blockColumns - 1) / blockColumns;
  matrix.scales = HostArray(scale, {matrices, scaleRows, scaleColumns});
  for (size_t i = 0; i < matrix.scales.size(); ++i)
    matrix.scales.set(i, std::ldexp(1.0f, numbers.nextBelow(5) - 3));
  return matrix;
}

class ExpertsData {
public:
  ExpertsData(const ExpertsShape &shape, int64_t tokens)
      : shape(shape), pairs(tokens * shape.active) {
    Numbers numbers(tokens + 1);
    int64_t rows = shape.hasRowPerExpert ? pairs : tokens;
    x = draw(numbers, shape.x, shape.xScale, 1, rows, shape.K, 1, shape.xBlock);
    x.numbers.shape.erase(x.numbers.shape.begin());
    if (shape.xScale)
      x.scales.shape.erase(x.scales.shape.begin());
    for (int64_t i = 0; i < shape.getNumWeights(); ++i)
      weights.push_back(draw(numbers, shape.weight, shape.weightScale,
                             shape.experts, shape.N, shape.K, shape.blockRows,
                             shape.blockColumns));
    routing = HostArray::of(parseType("f32"), {pairs}, numbers.floats(pairs));
    // Distinct experts per token; some experts are nobody's.
    for (int64_t t = 0; t < tokens; ++t) {
      std::set<int32_t> mine;
      while (static_cast<int64_t>(mine.size()) < shape.active) {
        int32_t expert = numbers.nextBelow(shape.experts);
        if (expert % 5 == 2 && shape.active + 3 < shape.experts)
          continue;
        if (mine.insert(expert).second)
          ids.push_back(expert);
      }
    }
  }

  /// Values before they are rounded to codes.
  std::vector<float> getExpected() const {
    std::vector<float> result, rows = x.decode();
    std::vector<std::vector<float>> matrices;
    for (const Matrix &w : weights)
      matrices.push_back(w.decode());
    for (int64_t pair = 0; pair < pairs; ++pair) {
      std::vector<std::vector<float>> products;
      for (const std::vector<float> &w : matrices) {
        std::vector<float> row;
        for (int64_t n = 0; n < shape.N; ++n) {
          double sum = 0;
          int64_t xRow = shape.hasRowPerExpert ? pair : pair / shape.active;
          for (int64_t k = 0; k < shape.K; ++k)
            sum += static_cast<double>(rows[xRow * shape.K + k]) *
                   w[(ids[pair] * shape.N + n) * shape.K + k];
          HostArray kept =
              HostArray::of(shape.product, {1}, {static_cast<float>(sum)});
          row.push_back(kept.get(0));
        }
        products.push_back(row);
      }
      std::vector<float> v = products[0];
      if (shape.isGated)
        reference::swiglu(products[0], products[1], shape.limit,
                          shape.isWeighted ? std::optional(routing.get(pair))
                                           : std::nullopt,
                          v);
      result.insert(result.end(), v.begin(), v.end());
    }
    return result;
  }

  struct Result {
    HostArray numbers, scales;
  };
  Result makeResult() const {
    if (!shape.code)
      return {HostArray(shape.getResult(), {pairs, shape.N}), HostArray()};
    return {HostArray(shape.code, {pairs, shape.N}),
            HostArray(shape.codeScale, {pairs, shape.N / shape.codeBlock})};
  }

  std::vector<Argument> getInputs() {
    std::vector<Argument> arguments = {x.numbers.view()};
    if (shape.xScale)
      arguments.push_back(x.scales.view());
    return arguments;
  }
  void addRest(std::vector<Argument> &arguments, Result &result) {
    for (Matrix &w : weights) {
      arguments.push_back(w.numbers.view(0));
      if (shape.weightScale)
        arguments.push_back(w.scales.view(0));
    }
    if (shape.isWeighted)
      arguments.push_back(routing.view());
    arguments.push_back(result.numbers.view());
    if (shape.code)
      arguments.push_back(result.scales.view());
  }

  ExpertsShape shape;
  int64_t pairs;
  Matrix x;
  std::vector<Matrix> weights;
  HostArray routing;
  std::vector<int32_t> ids;
};

class ExpertsKernels {
public:
  ExpertsKernels(const ExpertsShape &shape, const ExpertsStrategy &strategy)
      : shape(shape), strategy(strategy) {
    using Build =
        void (*)(TileProgram &, const ExpertsShape &, const ExpertsStrategy &);
    auto compile = [&](Build build) {
      return compileProgram([&](TileProgram &p) { build(p, shape, strategy); });
    };
    small = compile(mlir::varve::buildExperts);
    count = compile(mlir::varve::buildCountPairs);
    scan = compile(mlir::varve::buildScanPairs);
    order = compile(mlir::varve::buildOrderPairs);
    if (strategy.stages == 1) {
      grouped = compile(mlir::varve::buildGroupedExperts);
      return;
    }
    ExpertsShape arranged = getArrangedShape(shape, strategy);
    arrange = compile(strategy.hasSortedRows() ? mlir::varve::buildSortRows
                                               : mlir::varve::buildArrangeRows);
    auto stream = [&](bool isSorted) {
      ExpertsStrategy own = strategy;
      own.isSorted = isSorted;
      return compileProgram(
          [&](TileProgram &p) {
            mlir::varve::buildStreamedExperts(p, arranged, own);
          },
          strategy.warps + mlir::varve::kExpertsLoadWarps);
    };
    if (!strategy.hasSortedRows())
      small = stream(false);
    grouped = stream(true);
  }

  explicit operator bool() const {
    return (small || !hasSmall()) && count && scan && order && grouped &&
           (arrange || strategy.stages == 1);
  }

  /// Whether there is a program for unsorted pairs.
  bool hasSmall() const {
    return strategy.stages == 1 || !strategy.hasSortedRows();
  }

  /// x, and its scales, as the products take them.
  std::vector<Argument> getInputs(ExpertsData &data, const Argument &order) {
    if (!arrange)
      return data.getInputs();
    if (strategy.hasSortedRows())
      return getSortedInputs(data, order);
    ExpertsShape arranged = getArrangedShape(shape, strategy);
    int64_t columns = getArrangedColumns(shape);
    numbers = HostArray(arranged.x, {data.x.rows, columns});
    if (arranged.xScale)
      scales =
          HostArray(arranged.xScale, {data.x.rows, columns / arranged.xBlock});
    std::vector<Argument> rows = {numbers.view()};
    if (arranged.xScale)
      rows.push_back(scales.view());
    std::vector<Argument> arguments = data.getInputs();
    llvm::append_range(arguments, rows);
    arrange->run(arguments, true);
    return rows;
  }

  std::vector<Argument> getSortedInputs(ExpertsData &data,
                                        const Argument &order) {
    ExpertsShape arranged = getArrangedShape(shape, strategy);
    int64_t columns = getArrangedColumns(shape), P = data.pairs;
    int64_t groups = columns / arranged.xBlock, rows = data.x.rows;
    numbers = HostArray(arranged.x, {P, columns});
    scales = HostArray(arranged.xScale, {groups, P});
    // Four codes are a word.
    arrange->run({view(data.x.numbers.bytes, {rows, shape.K / 4}, {rows}),
                  data.x.scales.view(), order,
                  view(numbers.bytes, {P, columns / 4}, {P}),
                  view(scales.bytes, {groups, P}, {P})},
                 true);
    return {numbers.view(), view(scales.bytes, {groups * P}, {groups * P})};
  }

  void runSmall(ExpertsData &data, ExpertsData::Result &result) {
    std::vector<Argument> arguments = getInputs(data, Argument());
    arguments.push_back(view(data.ids, {data.pairs}, {data.pairs}));
    data.addRest(arguments, result);
    small->run(arguments);
  }

  void runLarge(ExpertsData &data, ExpertsData::Result &result) {
    int64_t P = data.pairs, X = shape.experts;
    std::vector<int32_t> counts(P * X, 0x55), ends(X), tileEnds(X), sorted(P);
    std::vector<int32_t> tiles(P + X, 0x55);
    Argument ids = view(data.ids, {P}, {P});
    Argument countsView = view(counts, {P, X}, {P});
    Argument endsView = view(ends, {X}), tileEndsView = view(tileEnds, {X});
    Argument orderView = view(sorted, {P}, {P});
    bool isStreamed = strategy.stages > 1;
    std::vector<Argument> places = {endsView, tileEndsView};
    if (isStreamed)
      places.push_back(view(tiles, {P + X}, {P + X}));
    count->run({ids, countsView}, true);
    std::vector<Argument> scanned = {ids, countsView};
    llvm::append_range(scanned, places);
    scan->run(scanned);
    order->run({ids, countsView, orderView}, true);
    // Ascending pairs within ascending experts.
    std::vector<int32_t> expected(P);
    for (int64_t i = 0; i < P; ++i)
      expected[i] = i;
    std::sort(expected.begin(), expected.end(), [&](int a, int b) {
      return std::pair(data.ids[a], a) < std::pair(data.ids[b], b);
    });
    EXPECT_EQ(sorted, expected);
    if (isStreamed)
      checkTiles(data, tiles, tileEnds);
    places.push_back(orderView);
    std::vector<Argument> arguments = getInputs(data, orderView);
    llvm::append_range(arguments, places);
    data.addRest(arguments, result);
    grouped->run(arguments, true);
  }

private:
  /// Each expert's tiles follow those of the expert before.
  void checkTiles(const ExpertsData &data, llvm::ArrayRef<int32_t> tiles,
                  llvm::ArrayRef<int32_t> tileEnds) const {
    std::vector<int32_t> expected;
    for (int64_t expert = 0; expert < shape.experts; ++expert) {
      expected.resize(
          expected.size() +
              llvm::divideCeil(llvm::count(data.ids, expert), strategy.rows),
          expert);
      EXPECT_EQ(tileEnds[expert], static_cast<int64_t>(expected.size()));
    }
    EXPECT_EQ(tiles.take_front(expected.size()),
              llvm::ArrayRef<int32_t>(expected));
  }

  ExpertsShape shape;
  ExpertsStrategy strategy;
  std::unique_ptr<Kernel> small, count, scan, order, grouped, arrange;
  HostArray numbers, scales;
};

void check(const ExpertsShape &shape, const ExpertsStrategy &strategy,
           double relative) {
  auto emitError = [] {
    return mlir::emitError(mlir::UnknownLoc::get(&getContext()));
  };
  ASSERT_TRUE(mlir::succeeded(verifyExperts(shape, emitError)));
  ExpertsKernels kernels(shape, strategy);
  ASSERT_TRUE(kernels);
  for (int64_t tokens : {1, 3, 17, 129}) {
    SCOPED_TRACE(tokens);
    ExpertsData data(shape, tokens);
    std::vector<float> expected = data.getExpected();
    double largest = 0;
    for (float value : expected)
      largest = std::max<double>(largest, std::fabs(value));
    for (bool isLarge : {false, true}) {
      if (!isLarge && !kernels.hasSmall())
        continue;
      SCOPED_TRACE(isLarge ? "grouped" : "one by one");
      ExpertsData::Result result = data.makeResult();
      isLarge ? kernels.runLarge(data, result) : kernels.runSmall(data, result);
      std::vector<float> is = result.numbers.floats();
      if (shape.code)
        for (size_t i = 0; i < is.size(); ++i)
          is[i] *= result.scales.get(i / shape.codeBlock);
      // An e4m3 code is within 1/16 of its number, but small ones.
      expectNear([&](size_t i) { return is[i]; },
                 [&](size_t i) { return expected[i]; }, expected.size(),
                 largest * (shape.code ? 1e-3 : relative),
                 shape.code ? 1.0 / 15 : relative);
    }
  }
}

ExpertsShape getShape(int64_t experts, int64_t active, int64_t N, int64_t K,
                      const char *x, const char *weight, const char *product) {
  ExpertsShape shape;
  shape.experts = experts;
  shape.active = active;
  shape.N = N;
  shape.K = K;
  shape.x = parseType(x);
  shape.weight = parseType(weight);
  shape.product = parseType(product);
  return shape;
}

TEST(ProgramExpertsTest, PlainWeights) {
  ExpertsShape shape = getShape(5, 2, 40, 72, "f32", "f32", "f32");
  ExpertsStrategy strategy;
  strategy.rows = 16;
  strategy.columns = 16;
  strategy.depth = 32;
  strategy.pairs = 32;
  check(shape, strategy, 1e-5);
  shape.hasRowPerExpert = true;
  shape.x = parseType("bf16");
  shape.weight = parseType("bf16");
  check(shape, strategy, 1e-5);
}

TEST(ProgramExpertsTest, GatedPairOfFp4Weights) {
  ExpertsShape shape = getShape(20, 6, 96, 160, "bf16", "f4E2M1FN", "bf16");
  shape.weightScale = parseType("f8E8M0FNU");
  shape.blockRows = 1;
  shape.blockColumns = 32;
  shape.isGated = true;
  shape.isWeighted = true;
  shape.limit = 10;
  shape.gated = parseType("bf16");
  check(shape, {}, 1e-2);
  shape.weight = parseType("f8E4M3FN");
  shape.blockRows = 128;
  shape.blockColumns = 128;
  shape.isWeighted = false;
  ExpertsStrategy strategy;
  strategy.laneBytes = 16;
  check(shape, strategy, 1e-2);
}

/// The first product of FP4 experts: gated, weighted, to codes.
ExpertsShape getPairToCodes(int64_t width, int64_t depth, int64_t xBlock,
                            const char *type) {
  ExpertsShape shape =
      getShape(9, 3, width, depth, "f8E4M3FN", "f4E2M1FN", type);
  shape.xScale = parseType("f8E8M0FNU");
  shape.xBlock = xBlock;
  shape.weightScale = parseType("f8E8M0FNU");
  shape.blockRows = 1;
  shape.blockColumns = 32;
  shape.isGated = true;
  shape.isWeighted = true;
  shape.limit = 10;
  shape.gated = parseType(type);
  shape.code = parseType("f8E4M3FN");
  shape.codeScale = parseType("f8E8M0FNU");
  shape.codeBlock = 128;
  return shape;
}

TEST(ProgramExpertsTest, CodesTimesCodesToCodes) {
  ExpertsShape shape = getPairToCodes(128, 256, 128, "f32");
  check(shape, {}, 1e-5);
  // The second product: rows of pairs, plain results, wide weight blocks.
  shape = getShape(9, 3, 200, 128, "f8E4M3FN", "f8E4M3FN", "f32");
  shape.xScale = parseType("f32");
  shape.xBlock = 64;
  shape.weightScale = parseType("f32");
  shape.blockRows = 32;
  shape.blockColumns = 128;
  shape.hasRowPerExpert = true;
  check(shape, {}, 1e-5);
}

ExpertsStrategy getStream(int64_t rows, int64_t parts) {
  ExpertsStrategy strategy;
  strategy.rows = rows;
  strategy.columns = 128;
  strategy.depth = 128;
  strategy.warps = 8;
  strategy.stages = 2;
  strategy.parts = parts;
  strategy.blocks = 5;
  return strategy;
}

TEST(ProgramExpertsTest, StreamedPairToCodes) {
  ExpertsShape shape = getPairToCodes(256, 320, 64, "bf16");
  ASSERT_TRUE(canStreamExperts(shape));
  check(shape, getStream(8, 1), 1e-2);
  check(shape, getStream(64, 1), 1e-2);
}

TEST(ProgramExpertsTest, StreamedRowsOfCodes) {
  ExpertsShape shape = getPairToCodes(256, 384, 128, "bf16");
  ASSERT_TRUE(canKeepCodes(shape));
  ExpertsStrategy strategy = getStream(16, 1);
  for (Quads quads : {Quads::Words, Quads::Quarters}) {
    strategy.codes = quads;
    check(shape, strategy, 1e-2);
  }
  // Tiles of three sizes: of 129 tokens an expert gets some forty.
  strategy = getStream(48, 1);
  strategy.codes = Quads::Quarters;
  strategy.fewerRows = {8, 32};
  check(shape, strategy, 1e-2);
  // Scales for more columns than a block has, and a block that is not whole.
  shape = getShape(9, 3, 200, 352, "f8E4M3FN", "f4E2M1FN", "f32");
  shape.xScale = parseType("f8E8M0FNU");
  shape.xBlock = 256;
  shape.weightScale = parseType("f8E8M0FNU");
  shape.blockRows = 1;
  shape.blockColumns = 32;
  ASSERT_TRUE(canKeepCodes(shape));
  check(shape, strategy, 1e-5);
  shape.xBlock = 64;
  EXPECT_FALSE(canKeepCodes(shape));
}

TEST(ProgramExpertsTest, StreamedRowsOfPairs) {
  // Neither columns nor tiles of them divide the result.
  ExpertsShape shape = getShape(20, 6, 200, 160, "bf16", "f4E2M1FN", "f32");
  shape.weightScale = parseType("f8E8M0FNU");
  shape.blockRows = 1;
  shape.blockColumns = 32;
  shape.hasRowPerExpert = true;
  check(shape, getStream(8, 1), 1e-5);
  check(shape, getStream(16, 2), 1e-5);
}

TEST(ProgramExpertsTest, WhatIsStreamed) {
  ExpertsShape shape = getShape(4, 2, 128, 128, "bf16", "f4E2M1FN", "bf16");
  EXPECT_FALSE(canStreamExperts(shape));
  shape.weightScale = parseType("f8E8M0FNU");
  shape.blockRows = 1;
  shape.blockColumns = 32;
  EXPECT_TRUE(canStreamExperts(shape));
  shape.x = parseType("f8E4M3FN");
  shape.xBlock = 128;
  shape.xScale = parseType("f32");
  EXPECT_FALSE(canStreamExperts(shape));
  shape.xScale = parseType("f8E8M0FNU");
  EXPECT_TRUE(canStreamExperts(shape));
  shape.weight = parseType("f8E4M3FN");
  EXPECT_FALSE(canStreamExperts(shape));
}

} // namespace
