//===- EmitRowAppend.cpp - Storage of rows in pools -----------------------===//

#include "passes/Lower/ProgramKernel.h"
#include "passes/Lower/Programs/Append.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, AppendOp op) {
  TileBuilder &b = emitter.b;
  KernelBuilder &builder = emitter.kernel.getKernel();
  const RowWindow &window = emitter.window;
  int64_t width = emitter.getWidth(op.getRows());
  if (window.form != RowForm::Tokens || window.firstColumn)
    return op.emitOpError("needs whole rows of tokens, but its kernel has "
                          "others");
  PoolShape shape = PoolShape::of(builder.lookupPool(op.getPoolAttr()));
  if (failed(verifyPoolParts(shape.format, [&] { return op.emitOpError(); })))
    return failure();

  SmallVector<Value> views = llvm::map_to_vector(
      getPoolMemory(builder, op.getPoolAttr()),
      [&](Value memory) { return emitter.kernel.view(memory); });
  Value place =
      shape.kind == PoolKind::Entries
          ? emitter.kernel.view(builder.getStepInput(StepInput::PageTable))
          : emitter.kernel.scalar(getStagingRow(builder, op.getPoolAttr()));
  PoolWriter writer(shape, views, place);

  Value values = emitter.getF32(op.getRows());
  values = b.slice(values, {0, 0}, {window.rows, width});
  Value slots = emitter.getNarrow(op.getSlots()).front();
  if (isa<BlockArgument>(op.getSlots())) {
    // Rows behind the last are zeros, which are a slot and a position.
    Value count =
        b.dim(emitter.kernel.view(builder.getMemory(op.getSlots())), 0);
    TileProgram program(b, b.getLoc());
    Value row = b.numbersFrom(window.firstRow, window.rows);
    Value isRow = program.less(row, program.toInteger(count));
    slots = program.select(isRow, slots, program.integer(-1));
  }
  TileProgram program(b, b.getLoc());
  writer.write(program, values, window.firstRow,
               emitter.getNarrow(op.getPositions()).front(), slots);
  return success();
}
