//===- SessionTest.cpp - Sequences on the CPU, against plain loops --------===//

#include "runtime/Session/Session.h"
#include "runtime/Error.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

namespace {

std::shared_ptr<Model> loadToy(const Capacity &capacity = {},
                               unsigned threads = 3) {
  std::shared_ptr<const Package> package = PackageBuilder().open();
  std::shared_ptr<Device> device = makeCpuDevice(threads);
  Plan plan = choosePlan(*package, *device);
  return std::make_shared<Model>(
      PlannedModel(package, plan, device, writeCheckpoint(), capacity));
}

/// A session and, beside it, the tokens of its sequences.
class Mirror {
public:
  explicit Mirror(Session &session) : session(session) {}

  int32_t add() {
    int32_t slot = session.add();
    tokens[slot].clear();
    return slot;
  }
  int32_t fork(int32_t slot) {
    int32_t copy = session.fork(slot);
    tokens[copy] = tokens[slot];
    return copy;
  }

  /// Runs a step of (slot, id) and compares every logit.
  void step(const std::vector<std::pair<int32_t, int64_t>> &fed) {
    std::vector<StepToken> step;
    std::vector<float> expected, actual;
    for (auto [slot, id] : fed) {
      step.push_back({slot, id, true});
      tokens[slot].push_back(id);
      std::vector<float> logits = expectedLogits(tokens[slot]);
      expected.insert(expected.end(), logits.begin(), logits.end());
    }
    session.step(step, actual);
    EXPECT_EQ(actual, expected);
    for (auto [slot, id] : fed)
      EXPECT_EQ(session.getLength(slot),
                static_cast<int64_t>(tokens[slot].size()));
  }

  /// `count` tokens of a slot at once.
  void feed(int32_t slot, int count) {
    std::vector<std::pair<int32_t, int64_t>> fed;
    for (int i = 0; i < count; ++i)
      fed.emplace_back(slot, next++ * 5 % kVocab);
    step(fed);
  }

private:
  Session &session;
  std::map<int32_t, std::vector<int64_t>> tokens;
  int64_t next = 1;
};

const Capacity wide = {/*maxSequences=*/4, /*context=*/48, /*maxTokens=*/40,
                       /*maxRows=*/40, /*pages=*/0};

TEST(Session, PrefillChunksAndDecodeGiveTheSameLogits) {
  Session session(loadToy(wide));
  Mirror mirror(session);
  for (int chunk : {1, 2, 3, 5, 8, 13, 30}) {
    int32_t slot = mirror.add();
    for (int done = 0; done < 30; done += chunk)
      mirror.feed(slot, std::min(chunk, 30 - done));
    session.drop(slot);
  }
}

TEST(Session, MixedBatchesKeepSequencesApart) {
  Session session(loadToy(wide));
  Mirror mirror(session);
  int32_t a = mirror.add(), b = mirror.add(), c = mirror.add();
  mirror.feed(b, 11);
  // Interleaved tokens are grouped; logits come back in the caller's order.
  mirror.step({{a, 1}, {b, 2}, {a, 3}, {c, 4}, {b, 5}, {a, 6}});
  mirror.step({{c, 0}, {c, 1}, {c, 2}, {a, 3}, {b, 4}});
  for (int i = 0; i < 20; ++i)
    mirror.step({{b, i % kVocab}, {a, (i + 1) % kVocab}, {c, 3}});
}

TEST(Session, LogitsAreThoseOfTheTokensThatWantThem) {
  Session session(loadToy(wide));
  int32_t slot = session.add();
  std::vector<float> logits;
  session.step(
      std::vector<StepToken>{
          {slot, 1, false}, {slot, 2, true}, {slot, 3, false}, {slot, 4, true}},
      logits);
  std::vector<float> expected = expectedLogits({1, 2});
  std::vector<float> last = expectedLogits({1, 2, 3, 4});
  expected.insert(expected.end(), last.begin(), last.end());
  EXPECT_EQ(logits, expected);
  session.step(std::vector<StepToken>{{slot, 5, false}}, logits);
  EXPECT_TRUE(logits.empty());
}

TEST(Session, ForksGoOnIndependently) {
  // At lengths at, before and behind a page's end, and in the middle.
  for (int length : {0, 1, 4, 7, 8, 9, 16, 21}) {
    Session session(loadToy(wide));
    Mirror mirror(session);
    int32_t slot = mirror.add();
    if (length)
      mirror.feed(slot, length);
    int32_t copy = mirror.fork(slot), third = mirror.fork(copy);
    for (int i = 0; i < 12; ++i)
      mirror.step({{slot, i % 7}, {copy, (i + 3) % 7}, {third, (5 * i) % 7}});
    session.drop(slot);
    mirror.feed(copy, 9);
    int32_t again = mirror.add();
    EXPECT_EQ(again, slot);
    mirror.feed(again, 10);
    mirror.feed(third, 5);
  }
}

TEST(Session, SharedPagesAreCountedOnce) {
  // 4 pages: 3 for the sequence, so a fork in the middle of a page fits only
  // because the two full ones are shared.
  Session session(loadToy({4, 32, 40, 40, 4}));
  Mirror mirror(session);
  int32_t slot = mirror.add();
  mirror.feed(slot, 20);
  int32_t copy = mirror.fork(slot);
  mirror.feed(copy, 4);
  EXPECT_THAT([&] { session.fork(slot); },
              ThrowsMessage<Error>(HasSubstr("no page is free for a fork")));
  session.drop(slot);
  mirror.feed(copy, 8);
}

TEST(Session, ResultsDoNotDependOnThreads) {
  std::vector<float> first;
  for (unsigned threads : {1u, 2u, 7u}) {
    Session session(loadToy(wide, threads));
    int32_t slot = session.add();
    std::vector<StepToken> tokens;
    for (int i = 0; i < 33; ++i)
      tokens.push_back({slot, i % kVocab, true});
    std::vector<float> logits;
    session.step(tokens, logits);
    if (first.empty())
      first = logits;
    EXPECT_EQ(logits, first);
  }
}

TEST(Session, PoolsCanBeLookedAt) {
  Session session(loadToy(wide));
  int32_t a = session.add(), b = session.add();
  auto feed = [&](std::vector<std::pair<int32_t, int64_t>> fed) {
    std::vector<StepToken> step;
    for (auto [slot, id] : fed)
      step.push_back({slot, id, false});
    std::vector<float> logits;
    session.step(step, logits);
  };
  // Values are ids plus 1; an entry is the sum of four.
  feed({{a, 0}, {b, 5}, {a, 1}, {a, 2}, {b, 6}, {a, 3}, {a, 4}});
  using Floats = std::vector<float>;
  // Grouped by sequence.
  EXPECT_EQ(session.readAppended("layers.0.window", 7),
            (Floats{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(session.readEntries("layers.0.entries", a, 1), (Floats{10}));
  for (int64_t id : {5, 6, 0, 1, 2, 3, 4, 5})
    feed({{a, id}});
  EXPECT_EQ(session.readAppended("layers.0.window", 1), (Floats{6}));
  // The third entry is on another page.
  EXPECT_EQ(session.readEntries("layers.0.entries", a, 3),
            (Floats{10, 5 + 6 + 7 + 1, 2 + 3 + 4 + 5}));
  EXPECT_EQ(session.readEntries("layers.0.entries", b, 0), Floats{});

  auto entries = [&](const char *pool, int32_t slot, int64_t count) {
    return [&session, pool, slot, count] {
      session.readEntries(pool, slot, count);
    };
  };
  EXPECT_THAT(
      entries("layers.0.entries", b, 1),
      ThrowsMessage<Error>(
          "pool 'layers.0.entries': the sequence has 0 entries, not 1"));
  EXPECT_THAT(entries("layers.0.window", a, 1),
              ThrowsMessage<Error>(
                  "the package has no pool 'layers.0.window' of that kind"));
  EXPECT_THAT(entries("layers.0.entries", 3, 0),
              ThrowsMessage<Error>(HasSubstr("slot 3 has no sequence")));
  EXPECT_THAT(
      [&] { session.readAppended("layers.0.window", 41); },
      ThrowsMessage<Error>("expected at most 40 tokens of a step, got 41"));
}

TEST(Session, ProgramsRunWithTensorsOfTheCaller) {
  Session session(loadToy(wide));
  int32_t a = session.add(), b = session.add();
  std::vector<float> streams = {1, 2, 3, 4, 5, 6}, result(6);
  auto bytes = [](std::vector<float> &v) {
    return std::span(reinterpret_cast<uint8_t *>(v.data()), v.size() * 4);
  };
  std::vector<StepToken> tokens = {{a, 0}, {a, 1}, {b, 2}};
  session.run("layers.0", tokens,
              std::vector<PortData>{{"streams", bytes(streams)},
                                    {"result", bytes(result)}});
  EXPECT_EQ(result, (std::vector<float>{2, 4, 7, 9, 10, 12}));
  EXPECT_EQ(session.getLength(a), 2);
  auto run = [&](std::string program, std::vector<StepToken> fed,
                 std::vector<PortData> ports) {
    return
        [&session, program, fed, ports] { session.run(program, fed, ports); };
  };
  EXPECT_THAT(run("layers.1", tokens, {}),
              ThrowsMessage<Error>(
                  HasSubstr("no program 'layers.1'; it has step, layers.0")));
  EXPECT_THAT(run("layers.0", tokens, {{"streams", bytes(streams)}}),
              ThrowsMessage<Error>(
                  HasSubstr("port 'result' (tokens x 2 x f32) is missing")));
  EXPECT_THAT(run("layers.0", {{a, 0}},
                  {{"streams", bytes(streams)}, {"result", bytes(result)}}),
              ThrowsMessage<Error>(HasSubstr(
                  "expected 8 bytes for port 'streams' (tokens x 2 x f32), "
                  "got 24")));
  EXPECT_THAT(run("layers.0", tokens, {{"other", bytes(streams)}}),
              ThrowsMessage<Error>(HasSubstr("has no port 'other'")));
  EXPECT_THAT(run("layers.0", {{a, 0}, {b, 0}, {a, 0}}, {}),
              ThrowsMessage<Error>(HasSubstr(
                  "expected the tokens of slot 0 to follow each other")));
}

TEST(Session, MisuseIsRefusedAndChangesNothing) {
  Session session(loadToy({2, 16, 6, 2, 3}));
  int32_t slot = session.add();
  std::vector<float> logits;
  auto step = [&](std::vector<StepToken> tokens) {
    return [&session, &logits, tokens] { session.step(tokens, logits); };
  };
  EXPECT_THAT(step({}), ThrowsMessage<Error>(
                            HasSubstr("expected 1 to 6 tokens in a step")));
  EXPECT_THAT(step(std::vector<StepToken>(7, {slot, 0, false})),
              ThrowsMessage<Error>(HasSubstr("got 7")));
  EXPECT_THAT(step({{1, 0}}),
              ThrowsMessage<Error>(HasSubstr("slot 1 has no sequence")));
  EXPECT_THAT(step({{-1, 0}}),
              ThrowsMessage<Error>(HasSubstr("slot -1 has no sequence")));
  EXPECT_THAT(step({{slot, 7}}),
              ThrowsMessage<Error>(HasSubstr(
                  "expected an id below the vocabulary of 7, got 7")));
  EXPECT_THAT(step({{slot, 0}, {slot, -1}}),
              ThrowsMessage<Error>(HasSubstr("token 1: expected an id")));
  EXPECT_THAT(step({{slot, 0}, {slot, 0}, {slot, 0}}),
              ThrowsMessage<Error>(HasSubstr("--max-rows")));
  EXPECT_EQ(session.getLength(slot), 0);
  for (int i = 0; i < 16; ++i)
    session.step(std::vector<StepToken>{{slot, 1}}, logits);
  EXPECT_THAT(step({{slot, 0}}),
              ThrowsMessage<Error>(HasSubstr(
                  "expected a position below the context of 16, got 16")));
  int32_t other = session.add();
  for (int i = 0; i < 8; ++i)
    session.step(std::vector<StepToken>{{other, 1}}, logits);
  EXPECT_THAT(
      step({{other, 0}}),
      ThrowsMessage<Error>(HasSubstr("the step needs 1 pages but 0 are free")));
  EXPECT_THAT([&] { session.add(); },
              ThrowsMessage<Error>(HasSubstr("all 2 sequences are in use")));
  session.drop(slot);
  EXPECT_THAT([&] { session.drop(slot); },
              ThrowsMessage<Error>(HasSubstr("slot 0 has no sequence")));
  session.step(std::vector<StepToken>{{other, 0}}, logits);
}

TEST(Session, GridsThatNobodyCanRunAreRefused) {
  PackageBuilder builder;
  auto &grid = builder.plan.kernels[0]->grid;
  grid[0]->program = {
      varve::package::GridOp(INT64_MAX, varve::package::GridOpcode::Constant)};
  std::shared_ptr<const Package> package = builder.open();
  std::shared_ptr<Device> device = makeCpuDevice(2);
  Session session(std::make_shared<Model>(
      PlannedModel(package, choosePlan(*package, *device), device,
                   writeCheckpoint(), Capacity{})));
  std::vector<StepToken> tokens = {{session.add(), 1, true}};
  std::vector<float> logits;
  EXPECT_THAT(
      [&] { session.step(tokens, logits); },
      ThrowsMessage<Error>(HasSubstr(
          "its grid of 9223372036854775807 has more than 2^48 blocks")));
}

TEST(Session, ProfilesEveryLaunchThatRuns) {
  Session session(loadToy(wide));
  int32_t slot = session.add();
  session.pretendLength(slot, 20);
  auto times = session.profile(std::vector<StepToken>{{slot, 1}});
  // One of the two variants of the first kernel.
  ASSERT_EQ(times.size(), 4u);
  EXPECT_EQ(times[0].first, 0u);
  EXPECT_EQ(times[1].first, 2u);
  EXPECT_EQ(session.getLength(slot), 21);
}

TEST(Session, AllocatesWhatWasComputed) {
  for (Capacity capacity : {Capacity(), wide, Capacity{2, 16, 6, 2, 3}}) {
    std::shared_ptr<const Package> package = PackageBuilder().open();
    std::shared_ptr<Device> device = makeCpuDevice(1);
    for (const char *weights : {"random:3", ""}) {
      PlannedModel planned(package, choosePlan(*package, *device), device,
                           *weights ? weights : writeCheckpoint(), capacity);
      EXPECT_EQ(device->getAllocated(), 0);
      int64_t need = planned.getLayout().getTotal();
      EXPECT_GT(need, 0);
      {
        Model model(std::move(planned));
        EXPECT_EQ(device->getAllocated(), need);
      }
      EXPECT_EQ(device->getAllocated(), 0);
    }
  }
}

TEST(Session, TooLittleMemoryIsOneErrorWithTheNumbers) {
  PackageBuilder builder;
  builder.plan.pools[0]->row_bytes = int64_t(1) << 50;
  std::shared_ptr<const Package> package = builder.open();
  std::shared_ptr<Device> device = makeCpuDevice(1);
  PlannedModel planned(package, choosePlan(*package, *device), device, "random",
                       {});
  EXPECT_THAT([&] { Model model(std::move(planned)); },
              ThrowsMessage<Error>(::testing::AllOf(
                  HasSubstr("has too little memory: needed are weights"),
                  HasSubstr("free are"), HasSubstr("lower --context"))));
  EXPECT_EQ(device->getAllocated(), 0);
}

} // namespace
