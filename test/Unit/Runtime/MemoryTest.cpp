//===- MemoryTest.cpp - How much memory a model takes ---------------------===//

#include "runtime/Session/Memory.h"
#include "runtime/Error.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

namespace {

TEST(Memory, DefaultsFollowTheModel) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  Capacity capacity = resolve({}, plan);
  EXPECT_EQ(capacity.maxSequences, 4);
  EXPECT_EQ(capacity.context, kMaxPositions);
  EXPECT_EQ(capacity.maxTokens, kMaxPositions);
  EXPECT_EQ(capacity.maxRows, 16);
  EXPECT_EQ(capacity.pages, 4 * kMaxPositions / kPage);
  Sizes sizes = largestSizes(capacity, plan);
  EXPECT_EQ(sizes[Symbol::SequencePages], kMaxPositions / kPage);
  plan.model.maxPositions = 1 << 20;
  capacity = resolve({}, plan);
  EXPECT_EQ(capacity.context, 8192);
  EXPECT_EQ(capacity.maxTokens, 512);
}

TEST(Memory, NumbersBeyondTheModelAreRefused) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  auto resolves = [&](Capacity capacity) {
    return [&plan, capacity] { resolve(capacity, plan); };
  };
  EXPECT_THAT(resolves({0, kMaxPositions + 1, 0, 0, 0}),
              ThrowsMessage<Error>(HasSubstr(
                  "--context: expected 1 to 64 (the model's positions), got "
                  "65")));
  EXPECT_THAT(resolves({-1, 0, 0, 0, 0}),
              ThrowsMessage<Error>(HasSubstr("--max-sequences")));
  EXPECT_THAT(resolves({0, 0, 8, 9, 0}),
              ThrowsMessage<Error>(HasSubstr("--max-rows: expected 1 to 8")));
}

TEST(Memory, EveryPieceIsAligned) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  auto source = openWeights("random", plan.weights);
  Capacity capacity = resolve({3, 32, 10, 5, 7}, plan);
  MemoryLayout layout = layoutMemory(plan, capacity, *source, true, false);
  EXPECT_EQ(layout.weights, std::vector<int64_t>{0});
  // 15 + 10 rows, 7 * 2 rows, 12 rows of 4 bytes.
  EXPECT_EQ(layout.pools, (std::vector<int64_t>{0, 256, 512}));
  EXPECT_EQ(layout.poolBytes, 768);
  EXPECT_EQ(layout.scratchBytes, 256);
  EXPECT_EQ(layout.weightBytes, 256);
  EXPECT_EQ(layout.getTotal(), layout.weightBytes + layout.poolBytes +
                                   layout.scratchBytes + layout.portBytes);
  EXPECT_THAT(layout.describe(), HasSubstr("weights 256 bytes + pools"));
}

TEST(Memory, WeightsInAlignedFilesAreUsedThere) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  auto source = openWeights(writeCheckpoint(), plan.weights);
  Capacity capacity = resolve({}, plan);
  MemoryLayout mapped = layoutMemory(plan, capacity, *source, true, false);
  EXPECT_EQ(mapped.weights, std::vector<int64_t>{-1});
  EXPECT_EQ(mapped.weightBytes, 0);
  EXPECT_EQ(mapped.mappedBytes, kVocab * 2 * 4);
  EXPECT_THAT(mapped.describe(), HasSubstr("stay in the mapped files"));
  EXPECT_EQ(layoutMemory(plan, capacity, *source, false, false).weightBytes,
            256);
}

TEST(Memory, PiecesOfAGroupLieInOnePlace) {
  Program program;
  auto add = [&](int64_t factor, std::optional<uint32_t> group,
                 std::vector<Storage::Limit> limits = {}) {
    Linear bytes = Linear::ofSymbol(Symbol::Tokens, factor);
    program.storages.push_back({{{bytes, limits}}, group});
  };
  add(100, 7);
  add(1000, 7, {{Symbol::Tokens, 4}});
  add(300, std::nullopt);
  add(50, 3);
  add(10, 7);
  Sizes most;
  most[Symbol::Tokens] = 8;
  ScratchLayout shared = layoutScratch(program, most);
  // The second is largest, at its limit: 4000 bytes.
  EXPECT_EQ(shared.offsets, (std::vector<int64_t>{0, 0, 4096, 6656, 0}));
  EXPECT_EQ(shared.memories, (std::vector<uint32_t>{0, 0, 1, 2, 0}));
  EXPECT_EQ(shared.bytes, 6656 + 512);
  // Apart, and beyond its limit the second takes nothing.
  ScratchLayout apart = layoutApart(program, most);
  EXPECT_EQ(apart.offsets, (std::vector<int64_t>{0, 1024, 1024, 3584, 4096}));
  EXPECT_EQ(apart.memories, (std::vector<uint32_t>{0, 1, 2, 3, 4}));
  most[Symbol::Tokens] = 1;
  EXPECT_EQ(layoutApart(program, most).bytes, 256 + 1024 + 512 + 256 + 256);
}

TEST(Memory, OverflowIsAnError) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  plan.pools[0].bytes = Linear::ofSymbol(Symbol::Slots, INT64_MAX / 2);
  auto source = openWeights("random", plan.weights);
  EXPECT_THAT(
      [&] { layoutMemory(plan, resolve({}, plan), *source, true, false); },
      ThrowsMessage<Error>(HasSubstr("overflows 64 bits")));
  // So is a sum of parts that fit.
  plan.pools[0].bytes = Linear::ofConstant(INT64_MAX - (1 << 20));
  plan.programs[0].storages[0].terms[0].bytes = plan.pools[0].bytes;
  EXPECT_THAT(
      [&] { layoutMemory(plan, resolve({}, plan), *source, true, false); },
      ThrowsMessage<Error>(HasSubstr("overflows 64 bits")));
}

} // namespace
