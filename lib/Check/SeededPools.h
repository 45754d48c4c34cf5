//===- SeededPools.h - State from a seed for the interpreter ---*- C++ -*-===//
#ifndef VARVE_CHECK_SEEDEDPOOLS_H
#define VARVE_CHECK_SEEDEDPOOLS_H

#include "lib/Interpret/Interpreter.h"

namespace varve {

/// Gives `slot`, whose rows are absent, the rows of a sequence of `context`
/// tokens that SeededState.h makes of `seed` and `sequence`, in every pool of
/// the module, rounded to the pools' formats.
void seedPools(Interpreter &interpreter, int32_t slot, int64_t context,
               uint64_t seed, int64_t sequence);

} // namespace varve

#endif // VARVE_CHECK_SEEDEDPOOLS_H
