//===- Session.cpp - Sequences on the reference interpreter ---------------===//

#include "lib/Interpret/Session.h"
#include "varve/Support/DiagnosedError.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace mlir;
using namespace ::varve;
using llvm::ArrayRef;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;
using mlir::varve::ModelAttr;

namespace varve {
HostTensor numbersOf(MLIRContext &context, std::vector<int32_t> numbers) {
  int64_t count = numbers.size();
  return HostTensor::ofNumbers(IntegerType::get(&context, 32), {count},
                               std::move(numbers));
}
} // namespace varve

Expected<Session> Session::create(Interpreter &interpreter) {
  ModuleOp module = interpreter.getModule();
  auto model = module->getAttrOfType<ModelAttr>(mlir::varve::kModelAttrName);
  if (!model)
    return createStringError("expected the module to have the attribute '" +
                             mlir::varve::kModelAttrName +
                             "': only whole models can be run");
  if (!module.lookupSymbol<func::FuncOp>("step"))
    return createStringError("expected the module to have a function @step");
  return Session(interpreter, model);
}

int32_t Session::addSequence() {
  auto freeSlot = std::find(used.begin(), used.end(), false);
  int32_t slot = freeSlot - used.begin();
  if (freeSlot == used.end()) {
    used.push_back(true);
    lengths.push_back(0);
  }
  used[slot] = true;
  lengths[slot] = 0;
  interpreter->getPools().clear(slot);
  return slot;
}

void Session::dropSequence(int32_t slot) {
  used[slot] = false;
  lengths[slot] = 0;
  interpreter->getPools().clear(slot);
}

int32_t Session::forkSequence(int32_t slot) {
  int32_t fork = addSequence();
  lengths[fork] = lengths[slot];
  interpreter->getPools().copy(slot, fork);
  return fork;
}

Error Session::check(ArrayRef<StepToken> tokens) const {
  std::map<int32_t, int64_t> next;
  for (auto [i, token] : llvm::enumerate(tokens)) {
    if (token.slot < 0 || token.slot >= static_cast<int32_t>(used.size()) ||
        !used[token.slot])
      return createStringError(
          formatv("token {0}: slot {1} has no sequence", i, token.slot).str());
    if (token.id < 0 || token.id >= model.getVocab())
      return createStringError(
          formatv(
              "token {0}: expected an id below the vocabulary of {1}, got {2}",
              i, model.getVocab(), token.id)
              .str());
    int64_t position = lengths[token.slot] + next[token.slot]++;
    if (position >= model.getMaxPositions())
      return createStringError(formatv("token {0}: expected a position below "
                                       "the model's maximum of {1}, "
                                       "got {2}",
                                       i, model.getMaxPositions(), position)
                                   .str());
  }
  return Error::success();
}

Expected<HostTensor> Session::step(ArrayRef<StepToken> tokens) {
  if (Error error = check(tokens))
    return std::move(error);
  std::vector<int32_t> ids, positions, slots, rows;
  std::vector<int64_t> next = lengths;
  for (auto [i, token] : llvm::enumerate(tokens)) {
    ids.push_back(token.id);
    positions.push_back(next[token.slot]++);
    slots.push_back(token.slot);
    if (token.wantsLogits)
      rows.push_back(i);
  }
  MLIRContext &context = *model.getContext();
  auto results =
      interpreter->call("step", {numbersOf(context, std::move(ids)),
                                 numbersOf(context, std::move(positions)),
                                 numbersOf(context, std::move(slots)),
                                 numbersOf(context, std::move(rows))});
  if (failed(results))
    return llvm::make_error<DiagnosedError>("the step failed");
  lengths = std::move(next);
  return results->front();
}
