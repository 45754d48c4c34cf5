//===- TileKernel.h - One tile function and its launch ---------*- C++ -*-===//
#ifndef VARVE_PASSES_LOWER_TILEKERNEL_H
#define VARVE_PASSES_LOWER_TILEKERNEL_H

#include "mlir/IR/AffineExpr.h"
#include "passes/Lower/KernelBuilder.h"
#include "passes/Lower/TileBuilder.h"

namespace mlir::varve {

/// A `tile.func` under construction. Memory is passed by naming it: `view`
/// gives the argument for a plan tensor. `launch` ends the function and adds
/// its launch to the plan.
class TileKernel {
public:
  /// `suffix` is appended to the kernel's name where it has several functions.
  TileKernel(KernelBuilder &kernel, StringRef suffix, int64_t warps);

  TileBuilder b;

  KernelBuilder &getKernel() { return kernel; }

  /// The view of a plan tensor, with its constant sizes and strides; the same
  /// argument every time.
  Value view(Value tensor);
  /// A scalar argument.
  Value scalar(Value planScalar);

  /// A symbol for the grid: dimension `dim` of a view argument.
  AffineExpr size(Value view, int64_t dim);
  AffineExpr constant(int64_t value) {
    return getAffineConstantExpr(value, b.getContext());
  }
  /// 1 to 3 numbers of blocks.
  void setGrid(ArrayRef<AffineExpr> grid);

  tile::FuncOp getFunction() { return function; }
  void launch();

private:
  KernelBuilder &kernel;
  tile::FuncOp function;
  SmallVector<Value> operands;
  DenseMap<Value, Value> arguments;
  SmallVector<Attribute> sizes;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_TILEKERNEL_H
