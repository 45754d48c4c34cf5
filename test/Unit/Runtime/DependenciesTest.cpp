//===- DependenciesTest.cpp - Which launches must wait for which ----------===//

#include "runtime/Session/Dependencies.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::ElementsAre;

namespace {

/// 200 pieces of scratch, each in a place of its own.
const std::vector<uint32_t> apart = [] {
  std::vector<uint32_t> memories(200);
  std::iota(memories.begin(), memories.end(), 0);
  return memories;
}();

Word scratch(uint32_t index) { return {Word::Kind::Scratch, index, 0}; }
Word pool(uint32_t index) { return {Word::Kind::Pool, index, 0}; }
Word port(uint32_t index) { return {Word::Kind::Port, index, 0}; }
Word weight(uint32_t index) { return {Word::Kind::Weight, index, 0}; }
Word number(int64_t value) { return {Word::Kind::Constant, 0, value}; }

/// A launch that reads some words, then writes others.
std::vector<uint32_t> add(Dependencies &dependencies, std::vector<Word> reads,
                          const std::vector<Word> &writes) {
  Launch launch;
  Kernel kernel;
  kernel.writes.emplace();
  for (size_t i = 0; i < writes.size(); ++i)
    kernel.writes->push_back(static_cast<uint32_t>(reads.size() + i));
  reads.insert(reads.end(), writes.begin(), writes.end());
  launch.words = std::move(reads);
  return dependencies.add(launch, kernel);
}

TEST(Dependencies, ReadersWaitForTheWriter) {
  Dependencies all(apart);
  EXPECT_THAT(add(all, {port(0), weight(0)}, {scratch(0)}), ElementsAre());
  EXPECT_THAT(add(all, {scratch(0), weight(1)}, {scratch(1)}), ElementsAre(0));
  EXPECT_THAT(add(all, {scratch(0), weight(1)}, {scratch(2)}), ElementsAre(0));
  EXPECT_THAT(add(all, {scratch(1), scratch(2)}, {scratch(3)}),
              ElementsAre(1, 2));
  // Nothing in common: equal numbers of another kind, or mere numbers.
  EXPECT_THAT(add(all, {port(3), number(3)}, {pool(3)}), ElementsAre());
}

TEST(Dependencies, WritersWaitForReadersAndWriters) {
  Dependencies all(apart);
  EXPECT_THAT(add(all, {}, {pool(0)}), ElementsAre());
  EXPECT_THAT(add(all, {pool(0)}, {scratch(0)}), ElementsAre(0));
  EXPECT_THAT(add(all, {pool(0)}, {scratch(1)}), ElementsAre(0));
  // Behind both readers, and so behind the writer.
  EXPECT_THAT(add(all, {}, {pool(0)}), ElementsAre(1, 2));
  EXPECT_THAT(add(all, {}, {pool(0)}), ElementsAre(3));
  // Reads and writes the same memory.
  EXPECT_THAT(add(all, {pool(0)}, {pool(0)}), ElementsAre(4));
}

TEST(Dependencies, PiecesInOnePlaceAreOneMemory) {
  std::vector<uint32_t> memories = {0, 1, 0};
  Dependencies all(memories);
  add(all, {}, {scratch(0)});
  add(all, {scratch(0)}, {scratch(1)});
  EXPECT_THAT(add(all, {}, {scratch(2)}), ElementsAre(1));
}

TEST(Dependencies, WhatIsImpliedIsLeftOut) {
  Dependencies all(apart);
  add(all, {}, {scratch(0)});
  add(all, {scratch(0)}, {scratch(1)});
  EXPECT_THAT(add(all, {scratch(0), scratch(1)}, {scratch(2)}), ElementsAre(1));
  // Over more launches than a word of a set has bits.
  for (uint32_t i = 3; i < 200; ++i)
    EXPECT_THAT(
        add(all, {scratch(0), scratch(i / 2), scratch(i - 1)}, {scratch(i)}),
        ElementsAre(i - 1));
  EXPECT_THAT(add(all, {scratch(0), scratch(100)}, {port(0)}),
              ElementsAre(100));
}

TEST(Dependencies, KernelsThatDoNotTellMayWriteEverything) {
  Dependencies all(apart);
  Launch launch;
  Kernel kernel;
  launch.words = {scratch(0), weight(0)};
  EXPECT_THAT(all.add(launch, kernel), ElementsAre());
  EXPECT_THAT(all.add(launch, kernel), ElementsAre(0));
  // Weights are never written.
  launch.words = {scratch(1), weight(0)};
  EXPECT_THAT(all.add(launch, kernel), ElementsAre());
}

TEST(Dependencies, ChainsAreCounted) {
  Plan plan = PackageBuilder().open()->loadPlan("x86-64");
  Sizes sizes;
  for (Symbol symbol : {Symbol::Tokens, Symbol::Rows, Symbol::Slots})
    sizes[symbol] = 1;
  const Program &step = *plan.find("step");
  // stage, compress, head, commit: each reads what the one before wrote.
  EXPECT_EQ(longestChain(plan, step, sizes), 4);
  // If nobody read what the others write, they would run side by side.
  for (Program &program : plan.programs)
    for (Launch &launch : program.launches)
      launch.words.clear();
  EXPECT_EQ(longestChain(plan, step, sizes), 1);
}

} // namespace
