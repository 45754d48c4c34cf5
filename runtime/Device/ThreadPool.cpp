//===- ThreadPool.cpp - A loop on several threads -------------------------===//

#include "runtime/Device/ThreadPool.h"
#include <algorithm>
#include <sched.h>

namespace varve::runtime {

/// Turns of active waiting, some tens of microseconds.
static constexpr int kSpins = 4000;
static constexpr uint32_t kClosed = UINT32_MAX;
/// More would not fit half a ticket.
static constexpr int64_t kMostRanges = 1 << 20;

static void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static uint64_t makeTicket(uint32_t loop, uint32_t range) {
  return static_cast<uint64_t>(loop) << 32 | range;
}

unsigned usableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(unsigned threads) : ticket(makeTicket(0, kClosed)) {
  for (unsigned thread = 1; thread < threads; ++thread)
    workers.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  ending.store(true, std::memory_order_relaxed);
  generation.fetch_add(1, std::memory_order_release);
  generation.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

/// Takes and runs one range; false if there is none.
bool ThreadPool::runRange(unsigned thread) {
  uint64_t seen = ticket.load(std::memory_order_acquire);
  const Body *loop = body.load(std::memory_order_relaxed);
  int64_t blocks = count.load(std::memory_order_relaxed);
  int64_t each = grain.load(std::memory_order_relaxed);
  auto range = static_cast<uint32_t>(seen);
  if (range == kClosed || range >= ranges.load(std::memory_order_relaxed))
    return false;
  // Fails if another thread was faster, and if the loop is another one by now.
  if (ticket.compare_exchange_strong(seen, seen + 1,
                                     std::memory_order_acq_rel)) {
    int64_t begin = range * each;
    (*loop)(thread, begin, std::min(begin + each, blocks));
    done.fetch_add(1, std::memory_order_release);
  }
  return true;
}

void ThreadPool::work(unsigned thread) {
  uint32_t slept = 0;
  for (int idle = 0; !ending.load(std::memory_order_relaxed);) {
    if (runRange(thread)) {
      idle = 0;
      continue;
    }
    if (++idle < kSpins) {
      pause();
      continue;
    }
    uint32_t now = generation.load(std::memory_order_acquire);
    if (now == slept)
      generation.wait(now, std::memory_order_acquire);
    slept = now;
    idle = 0;
  }
}

void ThreadPool::run(int64_t newCount, const Body &newBody) {
  if (workers.empty() || newCount == 1) {
    newBody(0, 0, newCount);
    return;
  }
  // A few ranges a thread even out what the blocks differ in.
  int64_t wanted = std::min<int64_t>(4 * getNumThreads(), kMostRanges);
  int64_t each = (newCount + wanted - 1) / wanted;
  auto total = static_cast<uint32_t>((newCount + each - 1) / each);
  body.store(&newBody, std::memory_order_relaxed);
  count.store(newCount, std::memory_order_relaxed);
  grain.store(each, std::memory_order_relaxed);
  ranges.store(total, std::memory_order_relaxed);
  done.store(0, std::memory_order_relaxed);
  uint32_t loop = generation.fetch_add(1, std::memory_order_release) + 1;
  ticket.store(makeTicket(loop, 0), std::memory_order_release);
  generation.notify_all();
  while (runRange(0)) {
  }
  // What others have begun is short; sleeping would take longer.
  for (int spin = 0; done.load(std::memory_order_acquire) != total; ++spin) {
    if (spin < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
  // Nothing of the next loop may be seen before this.
  ticket.exchange(makeTicket(loop, kClosed), std::memory_order_acq_rel);
}

} // namespace varve::runtime
