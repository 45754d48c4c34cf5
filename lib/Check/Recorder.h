//===- Recorder.h - What the interpreter computes, to a folder -*- C++ -*-===//
//
// Writes a reference.safetensors of prompts run by the reference interpreter,
// under whatever precision the module has. Checks then hold a target against
// the interpreter with the same roundings, layer by layer; how far the
// interpreter itself is from other implementations is what test/data is for.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECK_RECORDER_H
#define VARVE_CHECK_RECORDER_H

#include "lib/Interpret/Interpreter.h"
#include "llvm/Support/Error.h"

namespace varve {

struct RecordOptions {
  int64_t batch = 1;  ///< sequences
  int64_t prompt = 1; ///< tokens of each
  /// Tokens that each sequence has before, with the state that SeededState.h
  /// makes of `seed`.
  int64_t context = 0;
  /// Of token ids and states.
  uint64_t seed = 0;
};

/// Runs `embed`, every layer, and `head` on random token ids, and writes
/// `input_ids`, `hidden.0` ... and `prefill_logits`, with a context also
/// `context` and `state_seed`, as docs/testing.md describes them. Errors: the
/// module is no model, a context beyond its positions, an op that fails (a
/// diagnostic says why), a folder that cannot be written.
llvm::Error recordReference(Interpreter &interpreter,
                            const RecordOptions &options,
                            llvm::StringRef folder);

} // namespace varve

#endif // VARVE_CHECK_RECORDER_H
