//===- ThreadPoolTest.cpp - A loop on several threads ---------------------===//

#include "runtime/Device/ThreadPool.h"
#include <gtest/gtest.h>
#include <memory>

using varve::runtime::ThreadPool;

namespace {

TEST(ThreadPool, RunsEveryBlockOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.getNumThreads(), threads);
    for (int64_t count : {1, 2, 3, 7, 64, 1000}) {
      auto seen = std::make_unique<std::atomic<int>[]>(count);
      for (int repetition = 0; repetition < 20; ++repetition)
        pool.run(count, [&](unsigned thread, int64_t begin, int64_t end) {
          EXPECT_LT(thread, threads);
          for (int64_t i = begin; i < end; ++i)
            ++seen[i];
        });
      for (int64_t i = 0; i < count; ++i)
        EXPECT_EQ(seen[i], 20) << i;
    }
  }
}

TEST(ThreadPool, WakesAfterASleep) {
  ThreadPool pool(3);
  for (int i = 0; i < 5; ++i) {
    std::atomic<int64_t> sum = 0;
    pool.run(100, [&](unsigned, int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k)
        sum += k;
    });
    EXPECT_EQ(sum, 4950);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

} // namespace
