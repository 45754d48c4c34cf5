//===- Dispatch.h - Which function of an engine lowers an op ---*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_COMMON_DISPATCH_H
#define VARVE_PASSES_ENGINE_COMMON_DISPATCH_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::varve::engine {

/// Sends the ops of tile functions to a `Lowering`, which makes this its friend
/// and has: `code.loc`, `refuse`, `lowerFor`, `lowerIf`, `lowerWhile`,
/// `lowerTileOp`, `lowerScalarOp`, `lowerConstant` (of tiles) and
/// `lowerElementwise`. Those that return nothing cannot fail.
class Dispatch {
public:
  template <typename Lowering>
  static LogicalResult block(Lowering &lowering, Block &block) {
    for (Operation &op : block.without_terminator()) {
      lowering.code.loc = op.getLoc();
      if (failed(Dispatch::op(lowering, &op)))
        return failure();
    }
    lowering.code.loc = block.getTerminator()->getLoc();
    return success();
  }

  template <typename Lowering>
  static LogicalResult op(Lowering &lowering, Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return lowering.lowerFor(loop);
    if (auto branch = dyn_cast<scf::IfOp>(op))
      return lowering.lowerIf(branch);
    if (auto loop = dyn_cast<scf::WhileOp>(op))
      return lowering.lowerWhile(loop);
    if (isa<tile::TileDialect>(op->getDialect()))
      return lowering.lowerTileOp(op);
    if (op->getNumRegions() != 0 || !isMemoryEffectFree(op))
      return lowering.refuse(op, "a tile function holds tile, arith and math "
                                 "ops, scf.for, scf.if and scf.while");
    if (llvm::none_of(op->getResults(), isTile) &&
        llvm::none_of(op->getOperands(), isTile))
      return call([&] { return lowering.lowerScalarOp(op); });
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return call([&] { return lowering.lowerConstant(constant); });
    if (!OpTrait::hasElementwiseMappableTraits(op) || op->getNumResults() != 1)
      return lowering.refuse(op, "on tiles, only element-wise ops are known");
    return call([&] { return lowering.lowerElementwise(op); });
  }

private:
  static bool isTile(Value value) {
    return isa<RankedTensorType>(value.getType());
  }

  template <typename Fn> static LogicalResult call(Fn lower) {
    if constexpr (std::is_void_v<decltype(lower())>) {
      lower();
      return success();
    } else {
      return lower();
    }
  }
};

} // namespace mlir::varve::engine

#endif // VARVE_PASSES_ENGINE_COMMON_DISPATCH_H
