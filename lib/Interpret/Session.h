//===- Session.h - Sequences on the reference interpreter ------*- C++ -*-===//
//
// What a user of a model does: add sequences, process tokens of any of them in
// steps of any shape, read logits. Checks everything that comes from outside.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_SESSION_H
#define VARVE_INTERPRET_SESSION_H

#include "lib/Interpret/Interpreter.h"
#include "llvm/Support/Error.h"

namespace varve {

/// One token of a step.
struct StepToken {
  int32_t slot = 0;
  int64_t id = 0;
  /// Whether the caller wants this token's logits.
  bool wantsLogits = true;
};

class Session {
public:
  /// Errors if the module has no `varve.model` attribute or no `@step`.
  static llvm::Expected<Session> create(Interpreter &interpreter);

  /// Adds an empty sequence and returns its slot.
  int32_t addSequence();

  /// Makes the slot free for another sequence.
  void dropSequence(int32_t slot);

  /// Adds a sequence with the tokens of `slot`, which go on independently.
  int32_t forkSequence(int32_t slot);

  /// Tokens that the sequence has processed.
  int64_t getLength(int32_t slot) const { return lengths[slot]; }

  /// Processes tokens; those of one sequence are consecutive positions in the
  /// given order. Returns the logits [rows, vocabulary] of the tokens that want
  /// them, in order. Nothing is stored on error: an id outside the vocabulary,
  /// a position beyond the model's maximum.
  llvm::Expected<HostTensor> step(llvm::ArrayRef<StepToken> tokens);

  int64_t getVocabSize() const { return model.getVocab(); }
  mlir::varve::ModelAttr getModel() const { return model; }

private:
  Session(Interpreter &interpreter, mlir::varve::ModelAttr model)
      : interpreter(&interpreter), model(model) {}
  llvm::Error check(llvm::ArrayRef<StepToken> tokens) const;

  Interpreter *interpreter;
  mlir::varve::ModelAttr model;
  std::vector<int64_t> lengths;
  std::vector<bool> used;
};

/// An i32 tensor of one dimension, as the step function takes them.
HostTensor numbersOf(mlir::MLIRContext &context, std::vector<int32_t> numbers);

} // namespace varve

#endif // VARVE_INTERPRET_SESSION_H
