//===- ThreadPool.h - A loop on several threads ----------------*- C++ -*-===//
//
// Runs the blocks of one kernel after another. Between two of them the threads
// wait actively for a moment, since a model's step is hundreds of short loops,
// and then sleep. Which thread runs which block is left to chance; kernels do
// not depend on it.
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

  /// Ranges [begin, end) for a thread, numbered from 0.
  using Body = std::function<void(unsigned thread, int64_t begin, int64_t end)>;

  /// Calls `body`, which must not throw, on ranges that cover [0, count), and
  /// returns when all are done. Not reentrant.
  void run(int64_t count, const Body &body);

private:
  void work(unsigned thread);
  void takeRanges(unsigned thread);

  std::vector<std::thread> workers;
  const Body *body = nullptr;
  int64_t count = 0, grain = 1;
  std::atomic<int64_t> next = 0;
  /// Counts loops; odd numbers end the workers.
  std::atomic<uint32_t> generation = 0;
  std::atomic<uint32_t> running = 0;
};

/// Cores that this process may run on.
unsigned usableCores();

} // namespace varve::runtime

#endif // VARVE_RUNTIME_DEVICE_THREADPOOL_H
