//===- Dependencies.cpp - Which launches must wait for which --------------===//

#include "runtime/Session/Dependencies.h"
#include "runtime/Session/Memory.h"
#include <algorithm>

namespace varve::runtime {

namespace {

constexpr uint32_t bitsEach = 64;

void insert(std::vector<uint64_t> &set, uint32_t element) {
  set[element / bitsEach] |= uint64_t(1) << element % bitsEach;
}

bool contains(const std::vector<uint64_t> &set, uint32_t element) {
  return element / bitsEach < set.size() &&
         (set[element / bitsEach] >> element % bitsEach & 1);
}

} // namespace

/// The memories that a launch names, and whether it may write them. Views
/// behind tensor maps are among its words.
std::map<std::pair<Word::Kind, uint32_t>, bool>
Dependencies::accessesOf(const Launch &launch, const Kernel &kernel) const {
  std::map<std::pair<Word::Kind, uint32_t>, bool> accesses;
  for (size_t i = 0; i < launch.words.size(); ++i) {
    const Word &word = launch.words[i];
    if (!word.isAddress() || word.kind == Word::Kind::Weight)
      continue;
    bool writes = !kernel.writes || std::binary_search(kernel.writes->begin(),
                                                       kernel.writes->end(), i);
    uint32_t memory =
        word.kind == Word::Kind::Scratch ? scratch[word.index] : word.index;
    accesses[{word.kind, memory}] |= writes;
  }
  return accesses;
}

std::vector<uint32_t> Dependencies::add(const Launch &launch,
                                        const Kernel &kernel) {
  auto number = static_cast<uint32_t>(behind.size());
  Set direct(number / bitsEach + 1);
  for (auto [key, writes] : accessesOf(launch, kernel)) {
    Memory &memory = memories[key];
    if (memory.writer)
      insert(direct, *memory.writer);
    if (!writes) {
      memory.readers.push_back(number);
      continue;
    }
    for (uint32_t reader : memory.readers)
      insert(direct, reader);
    memory = {number, {}};
  }
  std::vector<uint32_t> result = reduce(direct);
  for (uint32_t other : result)
    for (size_t i = 0; i < behind[other].size(); ++i)
      direct[i] |= behind[other][i];
  behind.push_back(std::move(direct));
  return result;
}

std::vector<uint32_t> Dependencies::reduce(const Set &all) const {
  std::vector<uint32_t> kept;
  // From the last on: whatever makes another one superfluous comes behind it.
  for (auto i = static_cast<uint32_t>(behind.size()); i-- > 0;) {
    if (!contains(all, i))
      continue;
    bool implied = std::any_of(kept.begin(), kept.end(), [&](uint32_t other) {
      return contains(behind[other], i);
    });
    if (!implied)
      kept.push_back(i);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

int64_t longestChain(const Plan &plan, const Program &program,
                     const Sizes &sizes) {
  ScratchLayout apart = layoutApart(program, sizes);
  Dependencies dependencies(apart.memories);
  std::vector<int64_t> lengths;
  for (size_t index : program.launchesFor(plan, sizes)) {
    const Launch &launch = program.launches[index];
    int64_t before = 0;
    for (uint32_t other : dependencies.add(launch, plan.kernels[launch.kernel]))
      before = std::max(before, lengths[other]);
    lengths.push_back(before + 1);
  }
  return lengths.empty() ? 0
                         : *std::max_element(lengths.begin(), lengths.end());
}

} // namespace varve::runtime
