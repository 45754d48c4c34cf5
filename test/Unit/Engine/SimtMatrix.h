//===- SimtMatrix.h - Matrix instructions and copies, simulated *- C++ -*-===//
//
// The part of the simulated machine that knows ldmatrix, mma.sync, byte
// permutation and cp.async. Asynchronous copies take place as late as they may,
// when their group is waited for: a wait that is missing or too short shows as
// a wrong result.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_ENGINE_SIMTMATRIX_H
#define VARVE_TEST_UNIT_ENGINE_SIMTMATRIX_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"

#include <array>
#include <optional>

namespace varve::test {

/// What the machine offers to instructions (SimtMachine.cpp).
using WarpWords = std::array<uint32_t, 32>;
const WarpWords &exchangeWord(uint32_t value);
uint32_t getSimtThread();
char *getSimtShared();

/// Forgets all copies under way: at the start of a block.
void resetCopies(int64_t numThreads);

/// Calls a function of this process; without a result type it returns nothing.
using CallFn = llvm::function_ref<mlir::Value(const void *function, mlir::Type,
                                              mlir::ValueRange)>;

/// Replaces an op that this file knows by calls; nothing for others.
std::optional<mlir::LogicalResult>
translateMatrixOp(mlir::Operation *op, mlir::OpBuilder &builder, CallFn call);

} // namespace varve::test

#endif // VARVE_TEST_UNIT_ENGINE_SIMTMATRIX_H
