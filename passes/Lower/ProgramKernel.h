//===- ProgramKernel.h - A tile program as a kernel's function -*- C++ -*-===//
//
// Programs (Programs/) are written without knowing of plans: they add arguments
// in an order that their builders document. Here the arguments are plan tensors
// and scalars, given in that order.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMKERNEL_H
#define VARVE_PASSES_LOWER_PROGRAMKERNEL_H

#include "passes/Lower/Programs/PoolRows.h"
#include "passes/Lower/TileKernel.h"

namespace mlir::varve {

class ProgramKernel final : public ProgramHost {
public:
  ProgramKernel(KernelBuilder &builder, StringRef suffix, int64_t warps,
                ArrayRef<Value> operands)
      : kernel(builder, suffix, warps),
        program(kernel.b, kernel.b.getLoc(), *this), operands(operands) {}

  /// The function, and who writes its body.
  TileKernel kernel;
  TileProgram program;

  //===--------------------------------------------------------------------===//
  // ProgramHost
  //===--------------------------------------------------------------------===//
  Value addArgument(Type type) override;
  AffineExpr getSize(Value view, int64_t dim) override {
    return kernel.size(view, dim);
  }
  void finish(ArrayRef<AffineExpr> grid) override;

private:
  SmallVector<Value> operands;
  size_t next = 0;
};

/// The memory of a pool, part by part (getPoolParts).
SmallVector<Value> getPoolMemory(KernelBuilder &builder,
                                 FlatSymbolRefAttr pool);
/// The same as words (getRawPart).
Value getRawPoolMemory(KernelBuilder &builder, FlatSymbolRefAttr pool);
/// The first row of a window pool's staging area, an i32.
Value getStagingRow(KernelBuilder &builder, FlatSymbolRefAttr pool);

/// [T, A, ...] as [T A, ...]; [T, ...] as it is where `rank` is that of the
/// tensor.
Value joinRows(KernelBuilder &builder, Value tensor, int64_t rank);

/// The only memory that a yielded value is stored to, scratch for other values.
/// Fails with a diagnostic where a value is yielded twice.
FailureOr<Value> getResultMemory(KernelBuilder &builder, Value value);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMKERNEL_H
