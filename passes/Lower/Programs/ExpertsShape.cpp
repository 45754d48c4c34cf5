//===- ExpertsShape.cpp - What programs of experts compute ----------------===//

#include "passes/Lower/Programs/Experts.h"

using namespace mlir;
using namespace mlir::varve;

ExpertsShape ExpertsShape::of(ExpertsOp op) {
  auto weight = cast<RankedTensorType>(op.getWeight().getType());
  auto x = cast<RankedTensorType>(op.getX().getType());
  ExpertsShape shape;
  shape.experts = weight.getDimSize(0);
  shape.active = cast<RankedTensorType>(op.getIds().getType()).getDimSize(1);
  shape.N = weight.getDimSize(1);
  shape.K = weight.getDimSize(2);
  shape.hasRowPerExpert = x.getRank() == 3;
  shape.x = x.getElementType();
  if (op.getXScale()) {
    shape.xScale = getElementTypeOrSelf(op.getXScale().getType());
    shape.xBlock = *op.getXBlock();
  }
  shape.weight = weight.getElementType();
  if (op.getWeightScale()) {
    shape.weightScale = getElementTypeOrSelf(op.getWeightScale().getType());
    shape.blockRows = (*op.getWeightBlock())[0];
    shape.blockColumns = (*op.getWeightBlock())[1];
  }
  shape.product = getElementTypeOrSelf(op.getType());
  shape.hasShortSums = op.getShortSums();
  return shape;
}

ExpertsShape ExpertsShape::of(ExpertsOp gate, SwigluOp swiglu) {
  ExpertsShape shape = of(gate);
  shape.isGated = true;
  // One program sums both: what one of them forbids holds for the other.
  shape.hasShortSums &=
      cast<ExpertsOp>(swiglu.getUp().getDefiningOp()).getShortSums();
  shape.limit = swiglu.getLimit().convertToDouble();
  shape.isWeighted = bool(swiglu.getWeights());
  shape.gated = getElementTypeOrSelf(swiglu.getType());
  return shape;
}

void ExpertsShape::addQuantize(QuantizeOp op) {
  code = getElementTypeOrSelf(op.getCodes().getType());
  codeScale = getElementTypeOrSelf(op.getScales().getType());
  codeBlock = op.getBlock();
}

LogicalResult
mlir::varve::verifyExperts(const ExpertsShape &shape,
                           function_ref<InFlightDiagnostic()> emitError) {
  // Tiles of columns hold whole blocks of scales, or lie within one.
  if (shape.blockRows > 1 && !llvm::isPowerOf2_64(shape.blockRows))
    return emitError() << "expected scales of a power of two of rows, but they "
                          "are of "
                       << shape.blockRows;
  for (int64_t block : {shape.xBlock, shape.blockColumns, shape.codeBlock})
    if (block && (!llvm::isPowerOf2_64(block) || block > 1024))
      return emitError() << "expected scales of a power of two of columns, up "
                            "to 1024, but they are of "
                         << block;
  if (shape.code && shape.N % shape.codeBlock != 0)
    return emitError() << "expected blocks of codes that divide the row of "
                       << shape.N << " elements, but they have "
                       << shape.codeBlock;
  return success();
}
