//===- ThreadPool.cpp - A loop on several threads -------------------------===//

#include "runtime/Device/ThreadPool.h"
#include <algorithm>
#include <sched.h>

namespace varve::runtime {

/// Turns of active waiting, some tens of microseconds.
static constexpr int kSpins = 4000;

static void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

unsigned usableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(unsigned threads) {
  for (unsigned thread = 1; thread < threads; ++thread)
    workers.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  generation.fetch_add(1, std::memory_order_release);
  generation.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::takeRanges(unsigned thread) {
  while (true) {
    int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
    if (begin >= count)
      return;
    (*body)(thread, begin, std::min(begin + grain, count));
  }
}

void ThreadPool::work(unsigned thread) {
  uint32_t seen = 0;
  while (true) {
    uint32_t now = generation.load(std::memory_order_acquire);
    for (int spin = 0; now == seen && spin < kSpins; ++spin) {
      pause();
      now = generation.load(std::memory_order_acquire);
    }
    while (now == seen) {
      generation.wait(seen, std::memory_order_acquire);
      now = generation.load(std::memory_order_acquire);
    }
    if (now % 2)
      return;
    seen = now;
    takeRanges(thread);
    running.fetch_sub(1, std::memory_order_release);
  }
}

void ThreadPool::run(int64_t newCount, const Body &newBody) {
  if (workers.empty() || newCount == 1) {
    newBody(0, 0, newCount);
    return;
  }
  body = &newBody;
  count = newCount;
  // A few ranges a thread even out what the blocks differ in.
  grain = std::max<int64_t>(1, newCount / (4 * getNumThreads()));
  next.store(0, std::memory_order_relaxed);
  running.store(workers.size(), std::memory_order_relaxed);
  generation.fetch_add(2, std::memory_order_release);
  generation.notify_all();
  takeRanges(0);
  // The last ranges are short; sleeping would take longer than they do.
  for (int spin = 0; running.load(std::memory_order_acquire); ++spin) {
    if (spin < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
}

} // namespace varve::runtime
