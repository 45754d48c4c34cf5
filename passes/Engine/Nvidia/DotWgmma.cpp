//===- DotWgmma.cpp - Matrix products by warpgroups -----------------------===//
//
// A product becomes one group of asynchronous instructions; AsyncProducts says
// when somebody has to wait for it. Operands that are swizzled shared buffers
// are multiplied where they lie; a left operand may be in registers; anything
// else goes through a swizzled buffer of this op's own.
//
// With scales, each block of K that shares them is a product of its own into
// registers of its own, which are then added to the sum. 4-bit codes of a left
// operand are multiplied from registers (WgmmaCodes.h).
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Engine/Nvidia/WgmmaCodes.h"
#include "passes/Engine/Nvidia/WgmmaPlan.h"
#include "passes/Engine/Nvidia/WgmmaScales.h"
#include "passes/Tile/DotFamily.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace {
class WgmmaDot : public DotLowering {
public:
  LogicalResult lower(Lowering &lowering, DotOp op) override;
};
} // namespace

/// Each block of K that shares scales has sums of its own.
static LogicalResult lowerScaled(Lowering &lowering, DotOp op,
                                 WgmmaPlan &plan) {
  Code &code = lowering.code;
  int64_t block = op.getScaleBlock();
  if (block % plan.instruction.getK() != 0)
    return lowering.refuse(op, "blocks of " + Twine(block) +
                                   " elements share scales, and an instruction "
                                   "takes " +
                                   Twine(plan.instruction.getK()));
  AsyncProducts &products = *lowering.products;
  SmallVector<Value> sums = lowering.getTile(op.getAccumulator()).registers;
  WgmmaScales rows(lowering, op, op.getAScale(), 0);
  WgmmaScales columns(lowering, op, op.getBScale(), 1);
  // What other threads write behind the next barrier must have been read.
  llvm::DenseMap<std::pair<Value, Value>, Value> factors;
  for (int64_t k = 0; k < plan.k; k += block) {
    SmallVector<Value> partial;
    for (Value sum : sums)
      partial.push_back(code.create<LLVM::UndefOp>(sum.getType()));
    plan.multiply(lowering, partial, k, k + block, std::nullopt);
    SmallVector<Value> scales;
    for (size_t reg = 0; reg < sums.size(); ++reg) {
      Value a = rows.get(reg, k), b = columns.get(reg, k);
      Value &factor = factors[{a, b}];
      if (!factor)
        factor =
            a && b ? code.create<arith::MulFOp>(a, b).getResult() : (a ? a : b);
      scales.push_back(factor);
    }
    partial = products.finishNow(partial);
    for (size_t reg = 0; reg < sums.size(); ++reg)
      sums[reg] =
          code.create<math::FmaOp>(partial[reg], scales[reg], sums[reg]);
  }
  lowering.setTile(op.getResult(), sums);
  return success();
}

LogicalResult WgmmaDot::lower(Lowering &lowering, DotOp op) {
  Code &code = lowering.code;
  SharedArena::Scope scope(lowering.shared);
  AsyncProducts &products = *lowering.products;
  // Products that came over an edge are waited for before others start.
  products.beforeProduct(op.getAccumulator());
  FailureOr<WgmmaPlan> made = makeWgmmaPlan(lowering, op);
  if (failed(made))
    return failure();
  WgmmaPlan &plan = *made;
  std::optional<CodeProduct> codes = getCodeProduct(op);
  if (codes && codes != CodeProduct::Folded) {
    codes == CodeProduct::SumsOfWords ? multiplyWords(lowering, op, plan)
                                      : multiplyShifted(lowering, op, plan);
    return success();
  }
  bool isFolded = codes.has_value();
  if (!isFolded && (op.getAScale() || op.getBScale()))
    return lowerScaled(lowering, op, plan);

  std::optional<Value> accumulate = products.getAccumulate(op.getAccumulator());
  SmallVector<Value> registers =
      lowering.tiles.find(op.getAccumulator())->second.registers;
  if (!accumulate)
    for (Value &value : registers)
      value = code.create<LLVM::UndefOp>(value.getType());
  if (isFolded)
    multiplyFolded(lowering, op, plan, registers, accumulate);
  else
    plan.multiply(lowering, registers, 0, plan.k, accumulate);
  lowering.setTile(op.getResult(), registers);
  SmallVector<Value> buffers;
  for (Value buffer : {plan.a.buffer, plan.b.buffer})
    if (buffer)
      buffers.push_back(buffer);
  products.afterProduct(op, buffers);
  // Memory of this op, and buffers that the role writes itself, may be written
  // again after the next barrier.
  bool isOwn = plan.hasOwnBuffers || !products.mayOverlap;
  for (Value buffer : buffers)
    isOwn |= lowering.getBuffer(buffer).range.size() != 0;
  if (isOwn)
    products.settle(op.getResult());
  return success();
}

std::unique_ptr<DotLowering> mlir::varve::nvidia::createWgmmaDot() {
  return std::make_unique<WgmmaDot>();
}
