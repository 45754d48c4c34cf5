//===- AppendTest.cpp - Programs that store rows in pools -----------------===//

#include "ProgramTesting.h"

#include "lib/Interpret/PoolStore.h"
#include "passes/Lower/Programs/Append.h"

using namespace varve;
using namespace varve::test;
using mlir::varve::PoolKind;
using mlir::varve::PoolShape;
using mlir::varve::TileProgram;

namespace {

const char *kFormats[] = {
    "<96 x f32>",
    "<96 x bf16>",
    "<96 x f16>",
    "<64 x f8E4M3FN scaled 32 x f8E8M0FNU, 32 x bf16>",
    "<64 x f4E2M1FN scaled 32 x f8E8M0FNU, 32 x f32>",
    "<96 x f4E2M1FN scaled 32 x f32>",
};

/// Rows of one scale each, so that every scale of a format is in use.
std::vector<float> getRows(int64_t rows, int64_t width) {
  Numbers numbers(rows);
  std::vector<float> values;
  for (int64_t i = 0; i < rows; ++i)
    for (float x : numbers.floats(width, std::ldexp(1.0f, i % 9 - 4)))
      values.push_back(x);
  // A row of zeros and one of values that codes cannot hold.
  for (int64_t c = 0; c < width && rows > 2; ++c) {
    values[width + c] = 0;
    values[2 * width + c] = c % 2 ? -3e4f : 1e-6f;
  }
  return values;
}

std::vector<float> rounded(mlir::varve::FormatAttr format, mlir::Type element,
                           const std::vector<float> &values, int64_t row) {
  int64_t width = format.getWidth();
  HostArray kept = HostArray::of(
      element, {width},
      {values.begin() + row * width, values.begin() + (row + 1) * width});
  std::vector<float> result = kept.floats();
  roundToFormat(format, result);
  return result;
}

TEST(AppendTest, WindowRowsAreStagedAndCommitted) {
  constexpr int64_t W = 8, kSlots = 3, kMaxTokens = 40;
  for (const char *text : kFormats) {
    SCOPED_TRACE(text);
    PoolShape shape;
    shape.format = parseFormat(text);
    shape.kind = PoolKind::Window;
    shape.size = W;
    mlir::Type bf16 = parseType("bf16");
    auto append =
        compileProgram([&](TileProgram &p) { buildAppend(p, bf16, shape); });
    auto commit =
        compileProgram([&](TileProgram &p) { buildCommitWindow(p, shape); });
    ASSERT_TRUE(append && commit);
    // A chunk longer than the window, padding, a short prompt, one token.
    Tokens tokens({{2, 5, 19}, {-1, 0, 2}, {0, 0, 3}, {1, 30, 1}});
    int64_t T = tokens.size(), width = shape.format.getWidth();
    std::vector<float> values = getRows(T, width);
    HostArray rows = HostArray::of(bf16, {T, width}, values);
    HostPool pool(shape.format, kSlots * W + kMaxTokens), before = pool;
    std::vector<Argument> arguments = {
        rows.view(), tokens.view(tokens.positions), tokens.view(tokens.slots)};
    llvm::append_range(arguments, pool.views());
    arguments.push_back(scalar(kSlots * W));
    append->run(arguments);
    for (int64_t t = 0; t < T; ++t)
      if (tokens.slots[t] >= 0)
        EXPECT_EQ(pool.read(kSlots * W + t),
                  rounded(shape.format, bf16, values, t))
            << "token " << t;
    size_t ringBytes = pool.bytes.size() / pool.rows * kSlots * W;
    EXPECT_TRUE(std::equal(pool.bytes.begin(), pool.bytes.begin() + ringBytes,
                           before.bytes.begin()));

    commit->run({tokens.view(tokens.positions), tokens.view(tokens.slots),
                 tokens.view(tokens.ends), pool.rawView(), scalar(kSlots * W)});
    for (int64_t t = 0; t < T; ++t)
      if (tokens.slots[t] >= 0 && tokens.positions[t] > tokens.ends[t] - W)
        EXPECT_EQ(pool.read(tokens.slots[t] * W + tokens.positions[t] % W),
                  rounded(shape.format, bf16, values, t))
            << "token " << t;
  }
}

TEST(AppendTest, EntriesGoToTheirPages) {
  PageTable table(2, 3);
  for (const char *text : kFormats) {
    SCOPED_TRACE(text);
    PoolShape shape;
    shape.format = parseFormat(text);
    shape.kind = PoolKind::Entries;
    shape.ratio = 4;
    shape.page = 16;
    mlir::Type f32 = parseType("f32");
    auto append =
        compileProgram([&](TileProgram &p) { buildAppend(p, f32, shape); });
    ASSERT_TRUE(append);
    std::vector<int32_t> starts = {0, 4, 0, 44, 8, 20, 0};
    std::vector<int32_t> slots = {1, 1, -1, 0, 0, 1, 0};
    int64_t E = starts.size(), width = shape.format.getWidth();
    std::vector<float> values = getRows(E, width);
    HostArray rows = HostArray::of(f32, {E, width}, values);
    HostPool pool(shape.format, 2 * 3 * 4), expected = pool;
    std::vector<Argument> arguments = {rows.view(), view(starts, {E}, {E}),
                                       view(slots, {E}, {E})};
    llvm::append_range(arguments, pool.views());
    arguments.push_back(table.view());
    append->run(arguments);
    for (int64_t i = 0; i < E; ++i)
      if (slots[i] >= 0)
        expected.write(
            table.getRow(slots[i], starts[i] / 4, 4),
            {values.begin() + i * width, values.begin() + (i + 1) * width});
    for (int64_t row = 0; row < pool.rows; ++row)
      for (int64_t c = 0; c < width; ++c) {
        float is = pool.read(row)[c], should = expected.read(row)[c];
        EXPECT_TRUE(is == should || (std::isnan(is) && std::isnan(should)))
            << "row " << row << " column " << c << ": " << is << ", expected "
            << should;
      }
  }
}

TEST(AppendTest, MisplacedSegmentsAreRefused) {
  mlir::ScopedDiagnosticHandler handler(&getContext(), [](mlir::Diagnostic &d) {
    EXPECT_EQ(d.str(), "a pool row of 26 bytes has 'f32' elements at byte 2; "
                       "expected a multiple of their size: order the segments "
                       "by element size or pad them");
  });
  auto emitError = [] {
    return mlir::emitError(mlir::UnknownLoc::get(&getContext()));
  };
  EXPECT_TRUE(mlir::failed(mlir::varve::verifyPoolParts(
      parseFormat("<1 x bf16, 4 x f32, 4 x f8E4M3FN scaled 4 x f8E8M0FNU>"),
      emitError)));
  for (const char *text : kFormats)
    EXPECT_TRUE(mlir::succeeded(
        mlir::varve::verifyPoolParts(parseFormat(text), emitError)));
}

} // namespace
