//===- SessionTest.cpp - Sequences that share steps -----------------------===//
//
// A small model of all three kinds of layers with random weights. Whatever
// sequences run together, each has the logits, bit for bit, that it has alone.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Session.h"
#include "lib/Checkpoint/RandomWeights.h"
#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/Overrides.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace varve;

namespace {

using Ids = std::vector<int64_t>;
using Logits = std::vector<float>;

class SessionTest : public testing::Test {
protected:
  void SetUp() override {
    auto config = loadBuiltinConfig("tiny");
    ASSERT_TRUE(static_cast<bool>(config));
    // Ratio 8, so that a sequence of two dozen tokens has HCA entries.
    ASSERT_EQ(llvm::toString(
                  applyOverrides(*config,
                                 {"ratio.hca=8", "sliding_window=5",
                                  "index_topk=3", "max_position_embeddings=32"},
                                 llvm::StringRef("SCH"))),
              "");
    mlir::DialectRegistry registry;
    registerInterpretModels(registry);
    context.appendDialectRegistry(registry);
    module = importModel(context, *config, "tiny");
    RandomWeightsOptions options;
    options.seed = 11;
    options.numExperts = config->numExperts;
    weights.emplace(options);
    interpreter.emplace(*module, *weights);
    session = openSession();
  }

  std::optional<Session> openSession() {
    auto created = Session::create(*interpreter);
    EXPECT_TRUE(static_cast<bool>(created));
    return std::move(*created);
  }

  /// The logits of a step that succeeds.
  Logits step(const std::vector<StepToken> &tokens) {
    auto logits = session->step(tokens);
    if (!logits) {
      ADD_FAILURE() << llvm::toString(logits.takeError());
      return {};
    }
    return {logits->floats().begin(), logits->floats().end()};
  }

  /// The logits of all of `ids`, in steps of `length`.
  Logits run(int32_t slot, llvm::ArrayRef<int64_t> ids, size_t length = 1) {
    Logits all;
    while (!ids.empty()) {
      std::vector<StepToken> tokens;
      for (int64_t id : ids.take_front(length))
        tokens.push_back({slot, id});
      ids = ids.drop_front(tokens.size());
      llvm::append_range(all, step(tokens));
    }
    return all;
  }

  /// The logits of a sequence that has the session to itself.
  Logits alone(const Ids &ids) {
    int32_t slot = session->addSequence();
    Logits logits = run(slot, ids, ids.size());
    session->dropSequence(slot);
    return logits;
  }

  std::string errorOf(const std::vector<StepToken> &tokens) {
    auto logits = session->step(tokens);
    EXPECT_FALSE(static_cast<bool>(logits));
    return logits ? "" : llvm::toString(logits.takeError());
  }

  static Ids someIds(size_t count, int64_t seed) {
    Ids ids;
    for (size_t i = 0; i < count; ++i)
      ids.push_back((seed * 131 + i * i * 17 + i * 5) % 512);
    return ids;
  }

  /// The logits behind the first `tokens` ones.
  Logits behind(const Logits &logits, size_t tokens) {
    return {logits.begin() + tokens * session->getVocabSize(), logits.end()};
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<RandomWeights> weights;
  std::optional<Interpreter> interpreter;
  std::optional<Session> session;
};

TEST_F(SessionTest, GivesTheSameLogitsInStepsOfAnyLength) {
  Ids ids = someIds(21, 1);
  Logits whole = alone(ids);
  ASSERT_EQ(whole.size(), ids.size() * session->getVocabSize());
  for (size_t length : {1, 2, 5, 8, 20}) {
    int32_t slot = session->addSequence();
    EXPECT_EQ(run(slot, ids, length), whole) << "steps of " << length;
    session->dropSequence(slot);
  }
}

TEST_F(SessionTest, KeepsInterleavedSequencesApart) {
  Ids a = someIds(17, 1), b = someIds(17, 2);
  Logits expectedA = alone(a), expectedB = alone(b);
  int32_t slotA = session->addSequence(), slotB = session->addSequence();
  EXPECT_NE(slotA, slotB);
  // Tokens of both alternate within a step; b starts later, with a chunk.
  Logits logitsA = run(slotA, llvm::ArrayRef(a).take_front(5)), logitsB;
  size_t doneA = 5, doneB = 0, V = session->getVocabSize();
  while (doneA < a.size() || doneB < b.size()) {
    std::vector<StepToken> tokens;
    std::vector<bool> isA;
    for (size_t i = 0; i < 3; ++i) {
      if (doneB < b.size())
        tokens.push_back({slotB, b[doneB++]}), isA.push_back(false);
      if (doneA < a.size() && i < 2)
        tokens.push_back({slotA, a[doneA++]}), isA.push_back(true);
    }
    Logits logits = step(tokens);
    ASSERT_EQ(logits.size(), tokens.size() * V);
    for (size_t i = 0; i < tokens.size(); ++i)
      llvm::append_range(isA[i] ? logitsA : logitsB,
                         llvm::ArrayRef(logits).slice(i * V, V));
  }
  EXPECT_EQ(logitsA, expectedA);
  EXPECT_EQ(logitsB, expectedB);
}

TEST_F(SessionTest, ForksGoOnIndependently) {
  Ids prefix = someIds(13, 1), left = someIds(6, 2), right = someIds(6, 3);
  auto joined = [&](const Ids &end) {
    Ids ids = prefix;
    llvm::append_range(ids, end);
    return behind(alone(ids), prefix.size());
  };
  Logits expectedLeft = joined(left), expectedRight = joined(right);
  ASSERT_NE(expectedLeft, expectedRight);
  int32_t slot = session->addSequence();
  run(slot, prefix, 4);
  int32_t fork = session->forkSequence(slot);
  EXPECT_EQ(session->getLength(fork), 13);
  Logits logitsLeft, logitsRight;
  for (size_t i = 0; i < left.size(); ++i) {
    llvm::append_range(logitsRight, run(fork, right[i]));
    llvm::append_range(logitsLeft, run(slot, left[i]));
  }
  EXPECT_EQ(logitsLeft, expectedLeft);
  EXPECT_EQ(logitsRight, expectedRight);
}

TEST_F(SessionTest, ForksOutliveWhatTheyCameFrom) {
  Ids prefix = someIds(9, 1), rest = someIds(4, 2), all = prefix;
  llvm::append_range(all, rest);
  Logits expected = behind(alone(all), prefix.size());
  int32_t slot = session->addSequence();
  run(slot, prefix, 9);
  int32_t fork = session->forkSequence(slot);
  session->dropSequence(slot);
  // The freed slot is another sequence's.
  int32_t other = session->addSequence();
  EXPECT_EQ(other, slot);
  EXPECT_EQ(session->getLength(other), 0);
  Ids ids = someIds(12, 7);
  EXPECT_EQ(run(other, ids, 5), alone(ids));
  EXPECT_EQ(run(fork, rest), expected);
}

TEST_F(SessionTest, GivesLogitsOnlyWhereTheyAreWanted) {
  Ids ids = someIds(6, 1);
  Logits all = alone(ids);
  size_t V = session->getVocabSize();
  int32_t slot = session->addSequence();
  std::vector<StepToken> tokens;
  for (size_t i = 0; i < ids.size(); ++i)
    tokens.push_back({slot, ids[i], i == 1 || i == 4});
  Logits expected(all.begin() + V, all.begin() + 2 * V);
  expected.insert(expected.end(), all.begin() + 4 * V, all.begin() + 5 * V);
  EXPECT_EQ(step(tokens), expected);
  EXPECT_EQ(step({}), Logits());
  EXPECT_EQ(step({{slot, 3, false}}), Logits());
  EXPECT_EQ(session->getLength(slot), 7);
}

TEST_F(SessionTest, RefusesWhatCannotBeAndGoesOnAsBefore) {
  Ids ids = someIds(10, 1);
  Logits expected = alone(ids);
  int32_t slot = session->addSequence();
  Logits logits = run(slot, llvm::ArrayRef(ids).take_front(6), 6);
  EXPECT_EQ(errorOf({{slot, 1}, {slot, 512}}),
            "token 1: expected an id below the vocabulary of 512, got 512");
  EXPECT_EQ(errorOf({{slot, -1}}),
            "token 0: expected an id below the vocabulary of 512, got -1");
  EXPECT_EQ(errorOf({{slot, 1}, {slot + 1, 1}}),
            "token 1: slot " + std::to_string(slot + 1) + " has no sequence");
  EXPECT_EQ(errorOf({{-1, 1}}), "token 0: slot -1 has no sequence");
  EXPECT_EQ(errorOf(std::vector<StepToken>(27, {slot, 1})),
            "token 26: expected a position below the model's maximum of 32, "
            "got 32");
  EXPECT_EQ(session->getLength(slot), 6);
  llvm::append_range(logits, run(slot, llvm::ArrayRef(ids).drop_front(6), 3));
  EXPECT_EQ(logits, expected);
  session->dropSequence(slot);
  EXPECT_EQ(errorOf({{slot, 1}}),
            "token 0: slot " + std::to_string(slot) + " has no sequence");
}

TEST_F(SessionTest, UsesAllPositions) {
  int32_t slot = session->addSequence();
  run(slot, someIds(32, 1), 32);
  EXPECT_EQ(session->getLength(slot), 32);
  EXPECT_EQ(errorOf({{slot, 1}}),
            "token 0: expected a position below the model's maximum of 32, "
            "got 32");
}

} // namespace
