//===- GenerationBench.h - A prompt and an answer, measured ----*- C++ -*-===//
#ifndef VARVE_RUNTIME_TOOL_GENERATIONBENCH_H
#define VARVE_RUNTIME_TOOL_GENERATIONBENCH_H

#include "runtime/Tool/Common.h"

namespace varve::runtime {

/// A phase of a generation, and what it must read at least.
struct PhaseRow {
  std::string phase; ///< load, prefill, decode or "decode, device alone"
  int64_t tokens = 0, steps = 0;
  double seconds = 0; ///< of all steps
  /// Weights that the steps read, once a step; what they can read of the
  /// sequence's memory; operations of the products with weights.
  double weightBytes = 0, cacheBytes = 0, operations = 0;
};

struct GenerationReport {
  std::vector<PhaseRow> phases;
  /// Tokens generated, equal ones counted once.
  int64_t distinctTokens = 0;
  /// Smallest and largest logit of all steps; all are finite.
  double lowest = 0, highest = 0;
  /// Whether the token ids and the bits of all logits were the same in every
  /// run, and with graphs and without.
  bool repeats = false, sameWithoutGraphs = false;
  /// A part of the experts' bytes is missing in `weightBytes`.
  bool expertsUnknown = false;
};

/// Processes a prompt of pseudo-random ids in steps as large as there is room
/// for, generates greedily, and does so again: once to warm up, `repetitions`
/// times of which the fastest counts, and once without graphs. Throws if a
/// logit is not finite.
GenerationReport measureGeneration(const LoadedPackage &loaded, int64_t prompt,
                                   int64_t generated, int64_t repetitions,
                                   Code::Use small);

std::string generationTable(const GenerationReport &report, bool csv);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_TOOL_GENERATIONBENCH_H
