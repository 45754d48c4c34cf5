//===- EndToEnd.h - Whole sequences, step by step --------------*- C++ -*-===//
//
// Feeds the sequences of a reference to whatever executes the model and
// compares the logits. Standard library only: the interpreter's check and the
// runtime's share it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECK_ENDTOEND_H
#define VARVE_CHECK_ENDTOEND_H

#include "lib/Check/Comparison.h"
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace varve {

/// How the sequences of the reference are fed.
struct Schedule {
  /// Prompt tokens of a sequence in one step; 0: all.
  int64_t chunk = 0;
  /// Start a second copy of every sequence later, so that prompt chunks and
  /// decode steps of different sequences share steps.
  bool mixed = false;
};

struct FedToken {
  int32_t slot;
  int64_t id;
};

/// What executes steps.
class SequenceRunner {
public:
  virtual ~SequenceRunner() = default;
  virtual int32_t add() = 0;
  virtual void drop(int32_t slot) = 0;
  /// Processes the tokens and puts their logits [tokens, vocabulary] in
  /// `logits`. False: it failed, and the runner knows why.
  virtual bool step(std::span<const FedToken> tokens,
                    std::vector<float> &logits) = 0;
};

/// What another implementation computed: `batch` sequences of `prompt` tokens
/// fed at once and `decode` tokens fed one by one.
struct EndToEndReference {
  int64_t batch = 0, prompt = 0, decode = 0, vocab = 0;
  /// By sequence, [prompt + decode].
  std::vector<std::span<const int64_t>> ids;
  std::span<const float> prefillLogits; ///< [batch, prompt, vocab]
  std::span<const float> decodeLogits;  ///< [batch, decode, vocab]
};

/// Sequences that run at the same time.
int64_t sequencesOf(const EndToEndReference &reference,
                    const Schedule &schedule);

/// Most tokens that a step has.
int64_t mostTokensOf(const EndToEndReference &reference,
                     const Schedule &schedule);

/// Three rows a sequence: prefill, decode, and the worst step of the decode.
/// No value: the runner failed.
std::optional<std::vector<CheckRow>>
runEndToEnd(SequenceRunner &runner, const EndToEndReference &reference,
            const Schedule &schedule, const CheckLimits &limits);

} // namespace varve

#endif // VARVE_CHECK_ENDTOEND_H
