//===- RingTest.cpp - What the symbolic ring states promise ---------------===//
//
// tile-check-pipelines accepts a text when every acquire and receive, taken in
// textual order, finds its stage ready. The claim behind it is that roles which
// run their own parts at any speed can then neither hang nor read a wrong
// stage. Here random texts that RingState accepts are run by an independent
// model of what a GPU has: a barrier per stage and direction, whose waiters
// know one bit of its phase.
//
//===----------------------------------------------------------------------===//

#include "passes/Tile/RingState.h"

#include "gtest/gtest.h"

#include <deque>
#include <random>

using namespace mlir::varve;

namespace {

enum class Kind { Acquire, Commit, Receive, Release };

struct Event {
  Kind kind;
  unsigned ring, stage;
};

/// A barrier that counts arrivals and flips a phase bit.
struct Barrier {
  unsigned expected, arrived = 0, phase = 0;
  void arrive() {
    if (++arrived == expected) {
      arrived = 0;
      ++phase;
    }
  }
  /// Whether the phase of this parity has completed, as `try_wait.parity` tells
  /// it: by one bit.
  bool hasPassed(unsigned parity) const { return (phase & 1) != parity; }
};

struct RingModel {
  unsigned stages;
  std::vector<Barrier> full, empty;
  std::vector<unsigned> content;
};

/// Roles 0 to 2; ring r is written by `writer` and read by the others given.
struct RingPlan {
  unsigned stages, writer;
  std::vector<unsigned> readers;
};

class Program {
public:
  Program(std::vector<RingPlan> plans, uint32_t seed)
      : plans(std::move(plans)), random(seed) {
    for (const RingPlan &plan : this->plans) {
      mlir::SmallVector<RingState::Reader> readers;
      for (unsigned reader : plan.readers)
        readers.push_back({std::to_string(reader), 0});
      states.emplace_back(plan.stages, readers);
    }
  }

  /// Adds random events that RingState accepts, in textual order, then drains.
  void write(unsigned count) {
    roles.assign(3, {});
    held.assign(plans.size(), std::vector<std::deque<unsigned>>(4));
    for (unsigned i = 0; i < count; ++i)
      step(random() % plans.size(), random() % 2 == 0);
    // Whatever is under way is finished, or the end of the pipeline would hang.
    for (unsigned i = 0; i < 100 * plans.size(); ++i)
      step(i % plans.size(), /*mayAcquire=*/false);
    for (const RingState &state : states)
      ASSERT_TRUE(state.isAllEmpty());
  }

  /// Runs the roles at random speeds; false when they hang.
  bool run(uint32_t seed) {
    std::mt19937 choose(seed);
    std::vector<RingModel> rings;
    for (const RingPlan &plan : plans)
      rings.push_back(
          {plan.stages, std::vector<Barrier>(plan.stages, Barrier{1}),
           std::vector<Barrier>(plan.stages, Barrier{static_cast<unsigned>(
                                                 plan.readers.size())}),
           std::vector<unsigned>(plan.stages, ~0u)});
    std::vector<size_t> next(roles.size());
    std::vector<std::vector<unsigned>> acquired(
        roles.size(), std::vector<unsigned>(plans.size())),
        received = acquired;
    auto isDone = [&](size_t role) { return next[role] == roles[role].size(); };
    while (true) {
      std::vector<size_t> ready;
      bool allDone = true;
      for (size_t role = 0; role < roles.size(); ++role) {
        allDone &= isDone(role);
        if (!isDone(role) &&
            canRun(rings, role, next[role], acquired[role], received[role]))
          ready.push_back(role);
      }
      if (ready.empty())
        return allDone;
      size_t role = ready[choose() % ready.size()];
      execute(rings, roles[role][next[role]++], acquired[role], received[role]);
    }
  }

private:
  /// One random legal event on a ring, if there is one.
  void step(unsigned ring, bool mayAcquire) {
    const RingPlan &plan = plans[ring];
    std::string why;
    unsigned pick = random() % (plan.readers.size() + 1);
    if (pick == plan.readers.size()) {
      std::deque<unsigned> &slots = held[ring][3];
      if (mayAcquire && random() % 2) {
        if (auto stage = states[ring].acquire(why)) {
          slots.push_back(*stage);
          roles[plan.writer].push_back({Kind::Acquire, ring, *stage});
        }
      } else if (!slots.empty()) {
        // Stages are committed in the order of the acquires: readers receive
        // them in that order.
        states[ring].commit(slots.front());
        roles[plan.writer].push_back({Kind::Commit, ring, slots.front()});
        slots.pop_front();
      }
      return;
    }
    unsigned reader = plan.readers[pick];
    std::deque<unsigned> &slots = held[ring][reader];
    if (random() % 2) {
      if (auto stage = states[ring].receive(pick, why)) {
        slots.push_back(*stage);
        roles[reader].push_back({Kind::Receive, ring, *stage});
      }
    } else if (!slots.empty()) {
      // In any order.
      unsigned which = random() % slots.size();
      states[ring].release(pick, slots[which]);
      roles[reader].push_back({Kind::Release, ring, slots[which]});
      slots.erase(slots.begin() + which);
    }
  }

  bool canRun(const std::vector<RingModel> &rings, size_t role, size_t at,
              const std::vector<unsigned> &acquired,
              const std::vector<unsigned> &received) const {
    const Event &event = roles[role][at];
    const RingModel &ring = rings[event.ring];
    if (event.kind == Kind::Acquire) {
      unsigned number = acquired[event.ring];
      return ring.empty[number % ring.stages].hasPassed(
          number / ring.stages % 2 ^ 1);
    }
    if (event.kind == Kind::Receive) {
      unsigned number = received[event.ring];
      return ring.full[number % ring.stages].hasPassed(number / ring.stages %
                                                       2);
    }
    return true;
  }

  void execute(std::vector<RingModel> &rings, const Event &event,
               std::vector<unsigned> &acquired,
               std::vector<unsigned> &received) {
    RingModel &ring = rings[event.ring];
    switch (event.kind) {
    case Kind::Acquire:
      EXPECT_EQ(acquired[event.ring] % ring.stages, event.stage);
      ring.content[event.stage] = acquired[event.ring]++;
      break;
    case Kind::Commit:
      ring.full[event.stage].arrive();
      break;
    case Kind::Receive:
      EXPECT_EQ(ring.content[event.stage], received[event.ring]++)
          << "a stage was read that holds something else";
      break;
    case Kind::Release:
      ring.empty[event.stage].arrive();
      break;
    }
  }

  std::vector<RingPlan> plans;
  std::vector<RingState> states;
  std::mt19937 random;
  std::vector<std::vector<Event>> roles;
  /// Per ring: slots of readers 0 to 2, of the writer at 3.
  std::vector<std::vector<std::deque<unsigned>>> held;
};

TEST(RingTest, AcceptedTextsNeverHangAtAnySpeed) {
  const std::vector<RingPlan> plans[] = {
      {{1, 0, {1}}},
      {{3, 0, {1}}},
      {{2, 0, {1, 2}}},
      // Both ways between two roles, and a ring of two readers besides.
      {{2, 0, {1, 2}}, {1, 1, {2}}, {1, 2, {1}}},
      {{4, 0, {1, 2}}, {2, 1, {0}}, {3, 2, {0, 1}}},
  };
  for (size_t i = 0; i < std::size(plans); ++i)
    for (uint32_t seed = 0; seed < 60; ++seed) {
      Program program(plans[i], 100 * i + seed);
      program.write(120);
      for (uint32_t speed = 0; speed < 10; ++speed)
        ASSERT_TRUE(program.run(speed)) << "plan " << i << " seed " << seed;
    }
}

TEST(RingTest, StatesAreEqualUpToRotation) {
  RingState a(3, {{"r", 0}}), b(3, {{"r", 0}});
  std::string why;
  // One round through the first stage leaves everything empty, one further on.
  auto stage = a.acquire(why);
  a.commit(*stage);
  a.release(0, *a.receive(0, why));
  EXPECT_TRUE(a.isEquivalent(b));
  EXPECT_FALSE(a == b);
  a.acquire(why);
  EXPECT_FALSE(a.isEquivalent(b));
  b.acquire(why);
  EXPECT_TRUE(a.isEquivalent(b));
}

TEST(RingTest, LateReleasesHoldTheirStages) {
  RingState ring(2, {{"r", 1}});
  std::string why;
  for (int i = 0; i < 2; ++i)
    ring.commit(*ring.acquire(why));
  ring.release(0, *ring.receive(0, why));
  EXPECT_FALSE(ring.acquire(why));
  EXPECT_EQ(why, "held by r");
  ring.release(0, *ring.receive(0, why));
  EXPECT_TRUE(ring.acquire(why));
  EXPECT_FALSE(ring.acquire(why));
  ring.flush();
  EXPECT_TRUE(ring.acquire(why));
}

} // namespace
