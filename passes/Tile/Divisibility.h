//===- Divisibility.h - What divides a scalar ------------------*- C++ -*-===//
#ifndef VARVE_PASSES_TILE_DIVISIBILITY_H
#define VARVE_PASSES_TILE_DIVISIBILITY_H

#include "mlir/IR/Value.h"

namespace mlir::varve::tile {

/// A positive number that divides an integer or index value of a tile function
/// whatever its arguments are; 1 when nothing is known. Zero counts as
/// divisible by 2^30.
int64_t getDivisor(Value value);

} // namespace mlir::varve::tile

#endif // VARVE_PASSES_TILE_DIVISIBILITY_H
