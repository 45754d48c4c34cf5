//===- Session.h - Sequences on a loaded model -----------------*- C++ -*-===//
//
// What a user of a model does: add sequences, process tokens of any of them in
// steps of any shape, read logits, fork and drop. Checks everything that comes
// from outside before anything is changed.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_SESSION_SESSION_H
#define VARVE_RUNTIME_SESSION_SESSION_H

#include "runtime/Session/Model.h"
#include "runtime/Session/PageTable.h"
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace varve::runtime {

/// One token of a step.
struct StepToken {
  int32_t slot = 0;
  int64_t id = 0;
  /// Whether the caller wants this token's logits.
  bool wantsLogits = true;
};

/// A tensor of the caller for a port of a program.
struct PortData {
  std::string name;
  std::span<uint8_t> bytes; ///< read for inputs, written for outputs
};

class Session {
public:
  /// `small`: how the launches of small steps run, which recur; those of large
  /// ones run once.
  explicit Session(std::shared_ptr<Model> model,
                   Code::Use small = Code::Use::Overlapped);

  Model &getModel() { return *model; }
  int64_t getVocabSize() const { return model->getPlan().model.vocab; }

  /// Adds an empty sequence and returns its slot. Throws if all are taken.
  int32_t add();
  /// Makes the slot free for another sequence.
  void drop(int32_t slot);
  /// Adds a sequence with the tokens of `slot`, which go on independently.
  int32_t fork(int32_t slot);
  /// Tokens that the sequence has processed.
  int64_t getLength(int32_t slot) const;

  /// Processes tokens; those of one sequence are consecutive positions in the
  /// given order. Puts the logits [rows, vocabulary] of the tokens that want
  /// them, in order, in `logits`. Throws, with nothing changed, for a slot
  /// without sequence, an id outside the vocabulary, a position beyond the
  /// context, more tokens or rows than there is room for, or no free page.
  void step(std::span<const StepToken> tokens, std::vector<float> &logits);

  /// Runs a program other than `step` on the tokens, which are grouped by
  /// sequence already. `ports` are the inputs and outputs that the runtime does
  /// not fill, all of them. Sequences advance as in a step.
  void run(std::string_view program, std::span<const StepToken> tokens,
           std::span<const PortData> ports);

  /// For measurements: makes the sequence `length` tokens long without
  /// processing any. What it remembers of them is undefined.
  void pretendLength(int32_t slot, int64_t length);

  /// For measurements and comparisons: gives an empty sequence the state of one
  /// of `length` tokens, with the rows that SeededState.h makes of `seed` and
  /// `sequence`. Throws as pretendLength, and for pools whose rows the host
  /// cannot write.
  void seedState(int32_t slot, int64_t length, uint64_t seed, int64_t sequence);

  /// For comparisons: the first `count` entries of a sequence in an entry pool,
  /// as numbers. Throws if there is no such pool, or it has fewer.
  std::vector<float> readEntries(std::string_view pool, int32_t slot,
                                 int64_t count);

  /// For comparisons: what the last step appended to a window pool, as numbers;
  /// a row for each of its `count` tokens, grouped by sequence.
  std::vector<float> readAppended(std::string_view pool, int64_t count);

  /// Runs `step` on the tokens, launch by launch, and returns the seconds that
  /// each launch took, with the launch's number.
  std::vector<std::pair<uint32_t, double>>
  profile(std::span<const StepToken> tokens);

  /// For measurements: runs the launches of such a step `repetitions` times
  /// behind one another and returns the seconds that one run took, without
  /// uploads and downloads. Sequences advance once.
  double timeLaunches(std::span<const StepToken> tokens, int64_t repetitions);

private:
  struct Sequence {
    bool used = false;
    int64_t length = 0;
  };
  /// A step, ready to be uploaded.
  struct Arranged {
    int64_t tokens = 0, rows = 0; ///< with padding
    std::vector<int32_t> inputs;  ///< packed as on the device
    std::vector<int64_t> lengths; ///< by slot, afterwards
    int64_t stride = 0;           ///< bytes from one input to the next
    int64_t realRows = 0;
  };

  void checkSlot(int32_t slot) const;
  Arranged arrange(std::span<const StepToken> tokens, bool mustBeGrouped,
                   bool padded);
  /// Checks the tokens, uploads them, and returns the launches of `step`.
  Batch &begin(std::span<const StepToken> tokens, Code::Use use,
               Arranged &step);
  void upload(const Arranged &step);
  void advance(const Arranged &step);
  /// Address of a port that the runtime fills; 0 for others.
  uint64_t runtimePort(const Port &port, const Arranged &step) const;
  std::vector<uint64_t> stepPorts(const Program &program, const Arranged &step);
  int64_t paddedCount(int64_t count, int64_t most) const;
  void copyRows(int32_t from, int32_t to);
  void copyPages(const std::vector<PageTable::Copy> &copies);
  void seedPool(size_t index, int32_t slot, int64_t length, uint64_t seed,
                int64_t sequence);
  size_t findPool(std::string_view name, PoolKind kind) const;
  void readRows(size_t pool, int64_t first, std::span<float> out);
  int64_t rowOf(const Pool &pool, int32_t slot, int64_t row) const;

  std::shared_ptr<Model> model;
  Code::Use small;
  PageTable pages;
  std::vector<Sequence> sequences;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_SESSION_H
