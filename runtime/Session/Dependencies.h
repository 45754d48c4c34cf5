//===- Dependencies.h - Which launches must wait for which -----*- C++ -*-===//
#ifndef VARVE_RUNTIME_SESSION_DEPENDENCIES_H
#define VARVE_RUNTIME_SESSION_DEPENDENCIES_H

#include "runtime/Package/Plan.h"
#include <map>

namespace varve::runtime {

/// Takes launches in the order of the plan and says behind which earlier ones
/// each must run: those with which it shares memory that one of the two writes.
/// Memory is a whole pool, port or piece of scratch; weights are never written.
class Dependencies {
public:
  /// `scratch`: by piece of scratch, the number of its memory; pieces with the
  /// same number overlap.
  explicit Dependencies(std::span<const uint32_t> scratch) : scratch(scratch) {}

  /// The launches, counted in the order of the calls from 0, behind which the
  /// next one must run, ascending. One that another of them is behind anyway is
  /// left out.
  std::vector<uint32_t> add(const Launch &launch, const Kernel &kernel);

private:
  struct Memory {
    std::optional<uint32_t> writer;
    /// Since it was written.
    std::vector<uint32_t> readers;
  };
  /// A bit per launch.
  using Set = std::vector<uint64_t>;

  std::map<std::pair<Word::Kind, uint32_t>, bool>
  accessesOf(const Launch &launch, const Kernel &kernel) const;
  std::vector<uint32_t> reduce(const Set &all) const;

  std::span<const uint32_t> scratch;
  std::map<std::pair<Word::Kind, uint32_t>, Memory> memories;
  /// By launch: everything that it is behind, directly or not.
  std::vector<Set> behind;
};

/// Launches of the longest chain of dependencies in a step of these sizes, with
/// every piece of scratch in a place of its own.
int64_t longestChain(const Plan &plan, const Program &program,
                     const Sizes &sizes);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_DEPENDENCIES_H
