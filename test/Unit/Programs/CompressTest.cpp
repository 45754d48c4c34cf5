//===- CompressTest.cpp - Programs of compressors -------------------------===//
//
// Sequences run through several steps, cut anywhere; what each step emits is
// compared with the reference, which sees the whole sequence.
//
//===----------------------------------------------------------------------===//

#include "ProgramTesting.h"

#include "lib/Interpret/Reference/Compress.h"
#include "passes/Lower/Programs/Compress.h"

using namespace varve;
using namespace varve::test;
using mlir::varve::CompressShape;
using mlir::varve::TileProgram;

namespace {

constexpr int64_t kSlots = 3, kLength = 300;

struct History {
  History(const CompressShape &shape) : shape(shape) {
    int64_t width = shape.getWidth();
    Numbers numbers(7);
    kv = numbers.floats(kSlots * kLength * width, 2);
    gate = numbers.floats(kSlots * kLength * width, 6);
    bias = HostArray::of(shape.bias, {shape.ratio, width},
                         numbers.floats(shape.ratio * width, 2));
    scores = gate;
    for (int64_t row = 0; row < kSlots * kLength; ++row)
      for (int64_t c = 0; c < width; ++c)
        scores[row * width + c] +=
            bias.get(row % kLength % shape.ratio * width + c);
  }

  reference::CompressorRow at(int64_t slot, int64_t position) const {
    size_t width = shape.getWidth(), at = (slot * kLength + position) * width;
    return {llvm::ArrayRef(kv).slice(at, width),
            llvm::ArrayRef(scores).slice(at, width)};
  }

  std::vector<float> getEntry(int64_t slot, int64_t position) const {
    llvm::SmallVector<reference::CompressorRow> previous, current;
    int64_t m = shape.ratio, begin = position + 1 - m;
    for (int64_t i = 0; i < m; ++i) {
      current.push_back(at(slot, begin + i));
      if (begin >= m)
        previous.push_back(at(slot, begin - m + i));
    }
    std::vector<float> entry(shape.channels);
    if (shape.overlap)
      reference::compressPoolOverlapping(previous, current, entry);
    else
      reference::compressPool(current, entry);
    return entry;
  }

  CompressShape shape;
  std::vector<float> kv, gate, scores;
  HostArray bias;
};

void checkSteps(const CompressShape &shape,
                const mlir::varve::CompressStrategy &strategy,
                std::vector<Tokens> steps) {
  auto compress = compileProgram(
      [&](TileProgram &p) { buildCompress(p, shape, strategy); });
  auto commit = compileProgram(
      [&](TileProgram &p) { buildCommitState(p, shape, strategy); });
  ASSERT_TRUE(compress && commit);
  History history(shape);
  int64_t width = shape.getWidth();
  mlir::Type f32 = parseType("f32");
  HostPool state(parseFormat("<" + std::to_string(2 * width) + " x f32>"),
                 kSlots * shape.stateRows);
  for (Tokens &tokens : steps) {
    int64_t T = tokens.size();
    SCOPED_TRACE("step of " + std::to_string(T));
    HostArray kv(f32, {T, width}), gate(f32, {T, width});
    for (int64_t t = 0; t < T; ++t)
      for (int64_t c = 0; c < width; ++c) {
        int64_t slot = std::max(tokens.slots[t], 0);
        int64_t at = (slot * kLength + tokens.positions[t]) * width + c;
        kv.set(t * width + c, history.kv[at]);
        gate.set(t * width + c, history.gate[at]);
      }
    HostArray entries(shape.entries, {T, shape.channels});
    std::vector<int32_t> starts(T, 77), slots(T, 77);
    compress->run({kv.view(), gate.view(), history.bias.view(0),
                   tokens.view(tokens.positions), tokens.view(tokens.slots),
                   tokens.view(tokens.starts), state.views()[0], entries.view(),
                   tokens.view(starts), tokens.view(slots)});
    for (int64_t t = 0; t < T; ++t) {
      int64_t position = tokens.positions[t];
      bool isComplete =
          tokens.slots[t] >= 0 && (position + 1) % shape.ratio == 0;
      EXPECT_EQ(slots[t], isComplete ? tokens.slots[t] : -1);
      EXPECT_EQ(starts[t], isComplete ? position + 1 - shape.ratio : 0);
      std::vector<float> expected(shape.channels);
      if (isComplete)
        expected = history.getEntry(tokens.slots[t], position);
      expectNear([&](size_t c) { return entries.get(t * shape.channels + c); },
                 [&](size_t c) { return expected[c]; }, shape.channels, 1e-5,
                 shape.entries.isBF16() ? 0x1p-8 : 1e-5);
    }
    commit->run({kv.view(), gate.view(), history.bias.view(0),
                 tokens.view(tokens.positions), tokens.view(tokens.slots),
                 tokens.view(tokens.ends), state.views()[0]});
    for (int64_t t = 0; t < T; ++t) {
      int64_t slot = tokens.slots[t], position = tokens.positions[t];
      if (slot < 0 || position <= tokens.ends[t] - shape.stateRows)
        continue;
      std::vector<float> row =
          state.read(slot * shape.stateRows + position % shape.stateRows);
      reference::CompressorRow expected = history.at(slot, position);
      EXPECT_TRUE(
          llvm::equal(llvm::ArrayRef(row).take_front(width), expected.kv));
      EXPECT_TRUE(
          llvm::equal(llvm::ArrayRef(row).drop_front(width), expected.score));
    }
  }
}

/// Prompt, chunk, decode, for sequences that join at different times.
std::vector<Tokens> getSteps() {
  std::vector<Tokens> steps = {
      Tokens({{0, 0, 1}}),
      Tokens({{0, 1, 2}, {1, 0, 17}}),
      Tokens({{1, 17, 129}, {-1, 0, 3}, {0, 3, 1}}),
      Tokens({{2, 0, 128}}),
  };
  for (int64_t i = 0; i < 6; ++i)
    steps.push_back(Tokens({{0, 4 + i, 1}, {1, 146 + i, 1}, {2, 128 + i, 1}}));
  steps.push_back(Tokens({{2, 134, 122}, {0, 10, 100}}));
  steps.push_back(Tokens({{0, 110, 1}, {1, 152, 104}}));
  return steps;
}

TEST(ProgramCompressTest, OverlappingWindows) {
  CompressShape shape = {4, 64, true, parseType("f32"), parseType("f32"), 8};
  checkSteps(shape, {}, getSteps());
}

TEST(ProgramCompressTest, LongWindowsArePooledInPieces) {
  CompressShape shape = {128, 80, false, parseType("bf16"), parseType("bf16"),
                         128};
  mlir::varve::CompressStrategy strategy;
  strategy.channels = 32;
  checkSteps(shape, strategy, getSteps());
}

TEST(ProgramCompressTest, OddRatiosAndRoomyStates) {
  CompressShape shape = {6, 24, true, parseType("f32"), parseType("bf16"), 19};
  mlir::varve::CompressStrategy strategy;
  strategy.channels = 16;
  strategy.tokens = 4;
  checkSteps(shape, strategy, getSteps());
}

} // namespace
