//===- Memory.h - How much memory a model takes ----------------*- C++ -*-===//
//
// Computed before anything is allocated, from the plan and from what the caller
// wants room for; what is allocated afterwards is exactly this.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_SESSION_MEMORY_H
#define VARVE_RUNTIME_SESSION_MEMORY_H

#include "runtime/Package/Plan.h"
#include "runtime/Weights/WeightSource.h"
#include <string>
#include <vector>

namespace varve::runtime {

/// What the caller wants room for. 0 takes the default, which `resolve` fills
/// in.
struct Capacity {
  int64_t maxSequences = 0; ///< at the same time; default 4
  int64_t context = 0;   ///< tokens of a sequence; default 8192, or the model's
                         ///< maximum if that is less
  int64_t maxTokens = 0; ///< of a step; default 512, or the context if less
  int64_t maxRows = 0; ///< of logits of a step; default max(maxSequences, 16),
                       ///< or maxTokens if that is less
  int64_t pages = 0;   ///< of all sequences together; default as many as
                       ///< maxSequences sequences of `context` tokens fill
  int64_t expertSets = 0; ///< layers whose routed experts serve all layers;
                          ///< default 0: every layer has its own
};

/// Fills in the defaults. Throws if a number is negative or beyond the model's.
Capacity resolve(const Capacity &wanted, const Plan &plan);

/// Tokens of a page; 0 if the model has no entry pools.
int64_t pageOf(const Plan &plan);

/// The sizes of the largest step, for a resolved capacity.
Sizes largestSizes(const Capacity &capacity, const Plan &plan);

/// Where things lie, in bytes from the start of the buffer that they share.
struct MemoryLayout {
  /// By weight; -1: used where the source has it.
  std::vector<int64_t> weights;
  /// By weight: the weight whose bytes it uses, mostly itself.
  std::vector<size_t> owners;
  std::vector<int64_t> pools;
  /// By program, by piece of scratch, in the arena that all programs share.
  std::vector<std::vector<int64_t>> storages;
  int64_t pageTable = 0; ///< in the buffer of inputs and outputs
  int64_t inputs = 0;    ///< per-token inputs, packed anew for each step
  int64_t outputs = 0;   ///< logits

  // Bytes of the buffers.
  int64_t weightBytes = 0, poolBytes = 0, scratchBytes = 0, portBytes = 0;
  /// Weights that stay in the mapped files, and allocate nothing.
  int64_t mappedBytes = 0;
  /// Weights that use the bytes of others, and allocate nothing.
  int64_t sharedBytes = 0;

  int64_t getTotal() const {
    return weightBytes + poolBytes + scratchBytes + portBytes;
  }
  /// "weights 1.20 GiB + pools 0.50 GiB + ... = 2.00 GiB".
  std::string describe() const;
};

/// `mapsWeights`: weights that the source has in one piece, aligned to their
/// elements, are used there. `overlaps`: scratch has room for steps of one
/// token whose launches overlap.
MemoryLayout layoutMemory(const Plan &plan, const Capacity &capacity,
                          const WeightSource &source, bool mapsWeights,
                          bool overlaps);

/// Pieces of scratch in an arena, and by piece the number of the memory that it
/// shares: pieces with the same number overlap.
struct ScratchLayout {
  std::vector<int64_t> offsets;
  std::vector<uint32_t> memories;
  int64_t bytes = 0;
};

/// For all steps up to these sizes, pieces of one group in one place: launches
/// must run in their order.
ScratchLayout layoutScratch(const Program &program, const Sizes &most);

/// For steps of exactly these sizes, every piece in a place of its own:
/// launches may overlap.
ScratchLayout layoutApart(const Program &program, const Sizes &sizes);

/// Bytes from one per-token input to the next of a step with `count` of them.
int64_t inputStride(int64_t count);

/// Offsets start at multiples of this.
int64_t alignMemory(int64_t bytes);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_MEMORY_H
