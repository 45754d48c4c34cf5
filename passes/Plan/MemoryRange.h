//===- MemoryRange.h - Which memory a plan tensor is -----------*- C++ -*-===//
#ifndef VARVE_PASSES_PLAN_MEMORYRANGE_H
#define VARVE_PASSES_PLAN_MEMORYRANGE_H

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"

namespace mlir::varve::plan {

/// A tensor as bytes of the memory that it is part of.
struct MemoryRange {
  /// What tensors of the same memory have in common: the symbol of a pool, the
  /// name of a weight, or the value of an alloc or of a function's argument.
  llvm::PointerUnion<Attribute, Value> memory;
  /// Bytes from the start of that memory; null if it is not linear.
  LinearAttr offset;
  DeviceTensorType type;
};

/// Follows views to where a tensor's memory comes from.
MemoryRange getMemoryRange(Value tensor);

/// The alloc that a tensor is part of, or null.
AllocOp getAlloc(Value tensor);

/// Whether the tensors can be shown to have no byte in common, for all sizes.
bool areDisjoint(const MemoryRange &a, const MemoryRange &b);

/// How a kernel uses an argument.
struct ArgumentAccess {
  bool reads = false;
  bool writes = false;
};

/// Per argument of the kernel.
SmallVector<ArgumentAccess> getAccesses(tile::FuncOp kernel);

} // namespace mlir::varve::plan

#endif // VARVE_PASSES_PLAN_MEMORYRANGE_H
