//===- ProductCount.h - Counting the reference's products ------*- C++ -*-===//
//
// For tests of costs: how many operations products really took, counted where
// they are computed.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_REFERENCE_PRODUCTCOUNT_H
#define VARVE_INTERPRET_REFERENCE_PRODUCTCOUNT_H

#include <atomic>
#include <cstdint>

namespace varve::reference {

/// Where products are counted; null, which is usual, counts none.
inline std::atomic<std::atomic<int64_t> *> productCount = nullptr;

/// Says that `count` numbers were multiplied and added to a sum.
inline void countProducts(int64_t count) {
  if (std::atomic<int64_t> *total =
          productCount.load(std::memory_order_relaxed))
    total->fetch_add(2 * count, std::memory_order_relaxed);
}

/// Counts the products of its lifetime, of all threads, in operations.
class ScopedProductCount {
public:
  ScopedProductCount() { productCount = &total; }
  ~ScopedProductCount() { productCount = nullptr; }
  ScopedProductCount(const ScopedProductCount &) = delete;
  ScopedProductCount &operator=(const ScopedProductCount &) = delete;

  /// The operations since the last call.
  int64_t take() { return total.exchange(0); }

private:
  std::atomic<int64_t> total = 0;
};

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_PRODUCTCOUNT_H
