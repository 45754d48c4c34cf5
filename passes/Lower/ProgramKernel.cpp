//===- ProgramKernel.cpp - A tile program as a kernel's function ----------===//

#include "passes/Lower/ProgramKernel.h"

#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve;
using plan::DeviceTensorType;
using plan::LinearAttr;

Value ProgramKernel::addArgument(Type type) {
  VARVE_ASSERT(next < operands.size(), "a program has the operands it expects");
  Value operand = operands[next++];
  Value argument = isa<DeviceTensorType>(operand.getType())
                       ? kernel.view(operand)
                       : kernel.scalar(operand);
  VARVE_ASSERT(argument.getType() == type,
               "operands come in the order of the program's arguments");
  return argument;
}

void ProgramKernel::finish(ArrayRef<AffineExpr> grid) {
  VARVE_ASSERT(next == operands.size(), "a program takes all its operands");
  kernel.setGrid(grid);
  kernel.launch();
}

static Value getPart(KernelBuilder &builder, FlatSymbolRefAttr symbol,
                     const PoolPart &part) {
  PoolOp pool = builder.lookupPool(symbol);
  SmallVector<LinearAttr> shape = {getPoolRows(pool), builder.size(part.width)};
  SmallVector<int64_t> strides;
  if (part.rowStride != part.width)
    strides = {part.rowStride, 1};
  return builder.getPool(symbol,
                         DeviceTensorType::get(shape, part.element, strides),
                         part.byteOffset);
}

SmallVector<Value> mlir::varve::getPoolMemory(KernelBuilder &builder,
                                              FlatSymbolRefAttr pool) {
  SmallVector<Value> memory;
  for (const PoolPart &part :
       getPoolParts(builder.lookupPool(pool).getFormat()))
    memory.push_back(getPart(builder, pool, part));
  return memory;
}

Value mlir::varve::getRawPoolMemory(KernelBuilder &builder,
                                    FlatSymbolRefAttr pool) {
  return getPart(builder, pool,
                 getRawPart(builder.lookupPool(pool).getFormat()));
}

Value mlir::varve::getStagingRow(KernelBuilder &builder,
                                 FlatSymbolRefAttr pool) {
  auto size = static_cast<int64_t>(*builder.lookupPool(pool).getSize());
  return plan::SizeOp::create(
      builder.getPlanBuilder(), builder.getKernel().getLoc(),
      IntegerType::get(builder.getContext(), 32),
      LinearAttr::get(builder.getContext(), plan::Symbol::Slots, size));
}

Value mlir::varve::joinRows(KernelBuilder &builder, Value tensor,
                            int64_t rank) {
  auto type = cast<DeviceTensorType>(tensor.getType());
  if (type.getRank() == rank)
    return tensor;
  ArrayRef<LinearAttr> shape = type.getShape();
  SmallVector<LinearAttr> joined = {shape[0].times(shape[1].getConstant())};
  llvm::append_range(joined, shape.drop_front(2));
  return builder.reshape(tensor, joined);
}

FailureOr<Value> mlir::varve::getResultMemory(KernelBuilder &builder,
                                              Value value) {
  SmallVector<Value> outputs = builder.getOutputs(value);
  if (outputs.size() > 1)
    return value.getDefiningOp()->emitOpError(
        "cannot be lowered in a kernel that yields its result twice");
  if (outputs.size() == 1)
    return outputs.front();
  DeviceTensorType type =
      getPlanType(cast<RankedTensorType>(value.getType()), false);
  return builder.allocate(type.getShape(), type.getElementType());
}
