//===- Memory.h - What sequences occupy ------------------------*- C++ -*-===//
//
// Bytes of the pools of a module, from their formats: what the state of a
// sequence takes under the module's precision. Page padding and the spare rows
// of an executor are not counted; what is, is what the model needs.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_COSTMODEL_MEMORY_H
#define VARVE_COSTMODEL_MEMORY_H

#include "mlir/IR/BuiltinOps.h"
#include <cstdint>

namespace varve {

/// Bytes that one sequence occupies in all pools of a module.
struct SequenceMemory {
  int64_t context = 0;     ///< tokens
  int64_t entryBytes = 0;  ///< compressed entries and index keys: grow
  int64_t windowBytes = 0; ///< sliding windows: bounded
  int64_t stateBytes = 0;  ///< partial windows of the compressors: constant

  int64_t getTotal() const { return entryBytes + windowBytes + stateBytes; }
  /// What does not grow once the windows are full.
  int64_t getFixed() const { return windowBytes + stateBytes; }
};

/// Of a sequence of `context` tokens, which is not negative. An entry counts
/// from the token that completes it (specification 5.4).
SequenceMemory getSequenceMemory(mlir::ModuleOp module, int64_t context);

/// Bytes by which a sequence grows per token in the long run: every entry
/// pool's row, divided by the tokens that it stands for.
double getBytesPerToken(mlir::ModuleOp module);

} // namespace varve

#endif // VARVE_COSTMODEL_MEMORY_H
