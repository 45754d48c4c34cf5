//===- RingState.h - What the stages of a ring are doing -------*- C++ -*-===//
//
// The symbolic state of one ring while a pipeline's text is executed. Stages
// are numbered absolutely; two states are the same when they agree after
// rotating the next stage to acquire to the front.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TILE_RINGSTATE_H
#define VARVE_PASSES_TILE_RINGSTATE_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include <deque>
#include <string>

namespace mlir::varve {

class RingState {
public:
  /// A reader whose releases take effect `lag` releases later.
  struct Reader {
    std::string role;
    unsigned lag = 0;
  };

  RingState(unsigned numStages, SmallVector<Reader> readers);

  unsigned getNumStages() const { return stages.size(); }
  /// The number of a reader; there is one per role that receives.
  unsigned getReader(StringRef role) const;

  /// The transitions. The ones that wait return the stage, or nothing when they
  /// would wait forever; `why` then says what the stage is doing.
  std::optional<unsigned> acquire(std::string &why);
  void commit(unsigned stage);
  std::optional<unsigned> receive(unsigned reader, std::string &why);
  void release(unsigned reader, unsigned stage);

  /// Lets all releases take effect: the end of a loop, of a role's work.
  void flush();

  bool isAllEmpty() const;
  /// Stages that are not empty, in words: "1 filled, 1 held by math".
  std::string describe() const;
  /// `stage` counted from the next one to acquire.
  unsigned getRelative(unsigned stage) const;
  /// Whether the states agree up to rotation.
  bool isEquivalent(const RingState &other) const;
  bool operator==(const RingState &other) const = default;

private:
  enum class Progress { Waiting, Held, Done };
  enum class Content { Empty, Filling, Filled };
  struct Stage {
    Content content = Content::Empty;
    SmallVector<Progress, 2> progress;
    bool operator==(const Stage &other) const = default;
  };

  void finish(unsigned reader, unsigned stage);
  std::string describe(const Stage &stage) const;

  SmallVector<Stage, 4> stages;
  SmallVector<std::string, 2> readers;
  SmallVector<unsigned, 2> lags;
  unsigned nextAcquire = 0;
  SmallVector<unsigned, 2> nextReceive;
  /// Releases that have not taken effect yet, by reader.
  SmallVector<std::deque<unsigned>, 2> pending;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_TILE_RINGSTATE_H
