//===- Memory.cpp - How much memory a model takes -------------------------===//

#include "runtime/Session/Memory.h"
#include "runtime/Error.h"
#include "runtime/Weights/SharedExperts.h"
#include "varve/Package/Format.h"
#include <algorithm>
#include <map>

namespace varve::runtime {

namespace {

/// Per-token inputs: ids, positions, slots, starts, ends, rows of logits.
constexpr int64_t numInputs = 6;

int64_t roundUp(int64_t value, int64_t multiple) {
  int64_t result;
  if (__builtin_add_overflow(value, multiple - 1, &result))
    fail("a size of the plan overflows 64 bits; choose a smaller context, "
         "fewer sequences or fewer tokens a step");
  return result / multiple * multiple;
}

/// Pieces of one buffer, one behind another.
class Packer {
public:
  int64_t add(int64_t bytes) {
    int64_t offset = end;
    if (bytes < 0 || __builtin_add_overflow(end, alignMemory(bytes), &end))
      fail("the memory need overflows 64 bits; choose a smaller context, fewer "
           "sequences or fewer tokens a step");
    return offset;
  }
  int64_t getEnd() const { return end; }

private:
  int64_t end = 0;
};

} // namespace

int64_t alignMemory(int64_t bytes) {
  return roundUp(bytes, varve::package::kMemoryAlignment);
}

int64_t inputStride(int64_t count) {
  constexpr int64_t alignment = 64;
  return roundUp(count * static_cast<int64_t>(sizeof(int32_t)), alignment);
}

int64_t pageOf(const Plan &plan) {
  for (const Pool &pool : plan.pools)
    if (pool.kind == PoolKind::Entries)
      return pool.page;
  return 0;
}

Capacity resolve(const Capacity &wanted, const Plan &plan) {
  constexpr int64_t most = INT32_MAX;
  Capacity result = wanted;
  auto choose = [](int64_t &value, const char *name, int64_t limit,
                   const char *limitName, int64_t normal) {
    if (value < 0 || value > limit)
      fail("{}: expected 1 to {} ({}), got {}", name, limit, limitName, value);
    if (value == 0)
      value = std::min(normal, limit);
  };
  choose(result.maxSequences, "--max-sequences", 65536, "the runtime's limit",
         4);
  choose(result.context, "--context", plan.model.maxPositions,
         "the model's positions", 8192);
  choose(result.maxTokens, "--max-tokens", 1 << 20, "the runtime's limit",
         std::min<int64_t>(512, result.context));
  choose(result.maxRows, "--max-rows", result.maxTokens, "--max-tokens",
         std::max<int64_t>(result.maxSequences, 16));
  int64_t page = pageOf(plan);
  int64_t each = page ? (result.context + page - 1) / page : 0;
  choose(result.pages, "--pages", most, "the runtime's limit",
         std::min(most, each * result.maxSequences));
  if (!page)
    result.pages = 0;
  if (result.expertSets && !countExpertLayers(plan.weights))
    fail("--share-experts: the model has no routed experts");
  if (result.expertSets)
    choose(result.expertSets, "--share-experts",
           countExpertLayers(plan.weights), "the layers that have experts", 0);
  return result;
}

Sizes largestSizes(const Capacity &capacity, const Plan &plan) {
  int64_t page = pageOf(plan);
  Sizes sizes;
  sizes[Symbol::Tokens] = capacity.maxTokens;
  sizes[Symbol::Rows] = capacity.maxRows;
  sizes[Symbol::Slots] = capacity.maxSequences;
  sizes[Symbol::Pages] = capacity.pages;
  sizes[Symbol::SequencePages] =
      page ? (capacity.context + page - 1) / page : 0;
  sizes[Symbol::MaxTokens] = capacity.maxTokens;
  return sizes;
}

ScratchLayout layoutScratch(const Program &program, const Sizes &most) {
  ScratchLayout layout;
  // Memories in the order in which their first piece comes, with their bytes.
  std::map<uint32_t, uint32_t> memoryOf;
  std::vector<int64_t> bytes;
  for (const Storage &storage : program.storages) {
    auto memory = static_cast<uint32_t>(bytes.size());
    if (storage.group)
      memory = memoryOf.try_emplace(*storage.group, memory).first->second;
    if (memory == bytes.size())
      bytes.push_back(0);
    bytes[memory] = std::max(bytes[memory], storage.evaluate(most));
    layout.memories.push_back(memory);
  }
  Packer packer;
  std::vector<int64_t> offsets;
  for (int64_t size : bytes)
    offsets.push_back(packer.add(size));
  for (uint32_t memory : layout.memories)
    layout.offsets.push_back(offsets[memory]);
  layout.bytes = packer.getEnd();
  return layout;
}

ScratchLayout layoutApart(const Program &program, const Sizes &sizes) {
  ScratchLayout layout;
  Packer packer;
  for (const Storage &storage : program.storages) {
    layout.memories.push_back(static_cast<uint32_t>(layout.offsets.size()));
    layout.offsets.push_back(packer.add(storage.evaluateStep(sizes)));
  }
  layout.bytes = packer.getEnd();
  return layout;
}

MemoryLayout layoutMemory(const Plan &plan, const Capacity &capacity,
                          const WeightSource &source, bool mapsWeights,
                          bool overlaps) {
  MemoryLayout layout;
  Sizes sizes = largestSizes(capacity, plan);
  Sizes one = sizes;
  one[Symbol::Tokens] = one[Symbol::Rows] = 1;
  Packer weights, pools, ports;
  layout.owners = weightOwners(plan.weights, capacity.expertSets);
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Weight &weight = plan.weights[i];
    if (layout.owners[i] != i) {
      layout.sharedBytes += weight.getBytes();
      layout.weights.push_back(-1);
      continue;
    }
    std::optional<Bytes> mapped =
        mapsWeights ? source.map(weight) : std::nullopt;
    uintptr_t alignment = std::max(1u, bitsOf(weight.element) / 8);
    if (mapped &&
        reinterpret_cast<uintptr_t>(mapped->data()) % alignment == 0) {
      layout.weights.push_back(-1);
      layout.mappedBytes += weight.getBytes();
      continue;
    }
    layout.weights.push_back(weights.add(weight.getBytes()));
  }
  for (size_t i = 0; i < plan.weights.size(); ++i)
    layout.weights[i] = layout.weights[layout.owners[i]];
  layout.weightBytes = weights.getEnd();
  for (const Pool &pool : plan.pools)
    layout.pools.push_back(pools.add(pool.bytes.evaluate(sizes)));
  layout.poolBytes = pools.getEnd();
  for (const Program &program : plan.programs) {
    ScratchLayout scratch = layoutScratch(program, sizes);
    layout.storages.push_back(std::move(scratch.offsets));
    layout.scratchBytes = std::max(layout.scratchBytes, scratch.bytes);
    if (overlaps)
      layout.scratchBytes =
          std::max(layout.scratchBytes, layoutApart(program, one).bytes);
  }
  layout.pageTable = ports.add(sizes[Symbol::Slots] *
                               sizes[Symbol::SequencePages] * sizeof(int32_t));
  layout.inputs = ports.add(numInputs * inputStride(capacity.maxTokens));
  layout.outputs = ports.getEnd();
  if (const Program *step = plan.find("step"))
    for (const Port &port : step->ports)
      if (port.isOutput)
        ports.add(port.type.getBytes()->evaluate(sizes));
  layout.portBytes = ports.getEnd();
  Packer whole;
  for (int64_t bytes : {layout.weightBytes, layout.poolBytes,
                        layout.scratchBytes, layout.portBytes})
    whole.add(bytes);
  return layout;
}

std::string MemoryLayout::describe() const {
  std::string mapped;
  if (mappedBytes)
    mapped += fmt::format(" ({} more stay in the mapped files)",
                          bytesText(mappedBytes));
  if (sharedBytes)
    mapped += fmt::format(" ({} more are experts that layers share)",
                          bytesText(sharedBytes));
  return fmt::format(
      "weights {}{} + pools {} + scratch {} + inputs and outputs "
      "{} = {} ({} bytes)",
      bytesText(weightBytes), mapped, bytesText(poolBytes),
      bytesText(scratchBytes), bytesText(portBytes), bytesText(getTotal()),
      withCommas(getTotal()));
}

} // namespace varve::runtime
