//===- ThreadPool.h - A loop on several threads ----------------*- C++ -*-===//
//
// Runs the blocks of one kernel after another. A model's step is hundreds of
// short loops, so the calling thread works too and waits for nobody who has not
// begun: on a busy machine it may run a whole loop alone. Between loops the
// other threads wait actively for a moment, and then sleep. Which thread runs
// which block is left to chance; kernels do not depend on it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_DEVICE_THREADPOOL_H
#define VARVE_RUNTIME_DEVICE_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace varve::runtime {

class ThreadPool {
public:
  /// The caller of run() is one of the `threads`, at least 1.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();

  unsigned getNumThreads() const { return workers.size() + 1; }

  /// Blocks [begin, end) for a thread, numbered from 0.
  using Body = std::function<void(unsigned thread, int64_t begin, int64_t end)>;

  /// Calls `body`, which must not throw, on ranges that cover [0, count), and
  /// returns when all are done. Not reentrant.
  void run(int64_t count, const Body &body);

private:
  void work(unsigned thread);
  bool runRange(unsigned thread);

  std::vector<std::thread> workers;

  // The loop. A thread that takes a range checks with the ticket that what it
  // read here belongs together: run() changes it only while the ticket is
  // closed.
  std::atomic<const Body *> body = nullptr;
  std::atomic<int64_t> count = 0, grain = 1;
  std::atomic<uint32_t> ranges = 0;
  /// Number of the loop, and in the low half the next range or kClosed.
  std::atomic<uint64_t> ticket;
  std::atomic<uint32_t> done = 0;

  /// Counts loops, to sleep on.
  std::atomic<uint32_t> generation = 0;
  std::atomic<bool> ending = false;
};

/// Cores that this process may run on.
unsigned usableCores();

} // namespace varve::runtime

#endif // VARVE_RUNTIME_DEVICE_THREADPOOL_H
