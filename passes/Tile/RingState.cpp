//===- RingState.cpp - What the stages of a ring are doing ----------------===//

#include "passes/Tile/RingState.h"

#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace mlir;
using namespace mlir::varve;

RingState::RingState(unsigned numStages, SmallVector<Reader> readerList)
    : stages(numStages) {
  for (Reader &reader : readerList) {
    readers.push_back(std::move(reader.role));
    lags.push_back(reader.lag);
  }
  nextReceive.assign(readers.size(), 0);
  pending.resize(readers.size());
}

unsigned RingState::getReader(StringRef role) const {
  auto it = llvm::find(readers, role);
  VARVE_ASSERT(it != readers.end(), "a role that receives is a reader");
  return it - readers.begin();
}

std::optional<unsigned> RingState::acquire(std::string &why) {
  Stage &stage = stages[nextAcquire];
  if (stage.content != Content::Empty) {
    why = describe(stage);
    return std::nullopt;
  }
  stage.content = Content::Filling;
  unsigned result = nextAcquire;
  nextAcquire = (nextAcquire + 1) % stages.size();
  return result;
}

void RingState::commit(unsigned stage) {
  VARVE_ASSERT(stages[stage].content == Content::Filling,
               "an open slot of the writer is being filled");
  stages[stage].content = Content::Filled;
  stages[stage].progress.assign(readers.size(), Progress::Waiting);
}

std::optional<unsigned> RingState::receive(unsigned reader, std::string &why) {
  unsigned position = nextReceive[reader];
  Stage &stage = stages[position];
  if (stage.content != Content::Filled ||
      stage.progress[reader] != Progress::Waiting) {
    why = describe(stage);
    return std::nullopt;
  }
  stage.progress[reader] = Progress::Held;
  nextReceive[reader] = (position + 1) % stages.size();
  return position;
}

void RingState::release(unsigned reader, unsigned stage) {
  pending[reader].push_back(stage);
  while (pending[reader].size() > lags[reader]) {
    finish(reader, pending[reader].front());
    pending[reader].pop_front();
  }
}

void RingState::finish(unsigned reader, unsigned stage) {
  SmallVector<Progress, 2> &progress = stages[stage].progress;
  progress[reader] = Progress::Done;
  if (llvm::all_equal(progress))
    stages[stage] = Stage();
}

void RingState::flush() {
  for (unsigned reader = 0; reader < readers.size(); ++reader) {
    for (unsigned stage : pending[reader])
      finish(reader, stage);
    pending[reader].clear();
  }
}

bool RingState::isAllEmpty() const {
  return llvm::all_of(stages, [](const Stage &stage) {
    return stage.content == Content::Empty;
  });
}

std::string RingState::describe(const Stage &stage) const {
  if (stage.content == Content::Empty)
    return "empty";
  if (stage.content == Content::Filling)
    return "being filled";
  SmallVector<std::string> held, waiting;
  for (auto [reader, progress] : llvm::zip_equal(readers, stage.progress)) {
    if (progress == Progress::Held)
      held.push_back(reader);
    if (progress == Progress::Waiting)
      waiting.push_back(reader);
  }
  if (!held.empty())
    return "held by " + llvm::join(held, " and ");
  return "filled and not received by " + llvm::join(waiting, " and ");
}

std::string RingState::describe() const {
  std::map<std::string, unsigned> counts;
  for (const Stage &stage : stages)
    ++counts[describe(stage)];
  SmallVector<std::string> parts;
  for (auto &[text, count] : counts)
    parts.push_back(llvm::formatv("{0} {1}", count, text).str());
  return llvm::join(parts, ", ");
}

unsigned RingState::getRelative(unsigned stage) const {
  return (stage + stages.size() - nextAcquire) % stages.size();
}

bool RingState::isEquivalent(const RingState &other) const {
  unsigned n = stages.size();
  for (unsigned i = 0; i < n; ++i)
    if (!(stages[(nextAcquire + i) % n] ==
          other.stages[(other.nextAcquire + i) % n]))
      return false;
  for (unsigned reader = 0; reader < readers.size(); ++reader)
    if (getRelative(nextReceive[reader]) !=
        other.getRelative(other.nextReceive[reader]))
      return false;
  return true;
}
