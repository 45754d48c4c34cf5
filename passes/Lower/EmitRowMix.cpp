//===- EmitRowMix.cpp - Streams, gates and sums of rows -------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, EmbedOp op) {
  TileBuilder &b = emitter.b;
  int64_t width = emitter.getWidth(op.getResult());
  Value table =
      emitter.kernel.view(emitter.kernel.getKernel().getMemory(op.getTable()));
  Value rows =
      b.gather(table, emitter.getNarrow(op.getIds()).front(),
               emitter.getColumns(width), emitter.getFirstColumn(width));
  emitter.setRounded(op.getResult(), b.toF32(rows));
  return success();
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, StreamExpandOp op) {
  Value x = emitter.getWide(op.getX()).front();
  emitter.setWide(
      op.getResult(),
      SmallVector<Value>(op.getResult().getType().getDimSize(1), x));
  return success();
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, StreamCollapseOp op) {
  TileBuilder &b = emitter.b;
  RowEmitter::Parts streams = emitter.getWide(op.getStreams());
  RowEmitter::Parts pre = emitter.getNarrow(op.getPre());
  Value sum;
  for (auto [stream, factor] : llvm::zip_equal(streams, pre)) {
    int64_t columns = TileBuilder::getShape(stream)[1];
    Value term = b.mulf(b.acrossColumns(factor, columns), b.toF32(stream));
    sum = sum ? b.addf(sum, term) : term;
  }
  emitter.setRounded(op.getResult(), sum);
  return success();
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, StreamMixOp op) {
  TileBuilder &b = emitter.b;
  Value y = emitter.getF32(op.getY());
  RowEmitter::Parts streams = emitter.getWide(op.getStreams());
  RowEmitter::Parts post = emitter.getNarrow(op.getPost());
  RowEmitter::Parts comb = emitter.getNarrow(op.getComb());
  int64_t columns = TileBuilder::getShape(y)[1];
  size_t n = streams.size();
  Type element = op.getResult().getType().getElementType();
  SmallVector<Value> results;
  for (size_t k = 0; k < n; ++k) {
    Value mixed;
    for (size_t j = 0; j < n; ++j) {
      Value term = b.mulf(b.acrossColumns(comb[j * n + k], columns),
                          b.toF32(streams[j]));
      mixed = mixed ? b.addf(mixed, term) : term;
    }
    Value own = b.mulf(b.acrossColumns(post[k], columns), y);
    results.push_back(b.round(b.addf(own, mixed), element));
  }
  emitter.setWide(op.getResult(), results);
  return success();
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, SwigluOp op) {
  TileBuilder &b = emitter.b;
  RowEmitter::Parts gates = emitter.getWide(op.getGate());
  RowEmitter::Parts ups = emitter.getWide(op.getUp());
  RowEmitter::Parts weights;
  if (op.getWeights()) {
    weights = emitter.getNarrow(op.getWeights());
    if (weights.size() != gates.size())
      return op.emitOpError("cannot be lowered with weights in this kernel");
  }
  auto limit = static_cast<float>(op.getLimit().convertToDouble());
  Type element = op.getResult().getType().getElementType();
  SmallVector<Value> results;
  for (size_t i = 0; i < gates.size(); ++i) {
    Value gate = b.toF32(gates[i]), up = b.toF32(ups[i]);
    if (limit > 0.0f) {
      gate = b.minf(gate, limit);
      up = b.minf(b.maxf(up, -limit), limit);
    }
    Value e = math::ExpOp::create(b, arith::NegFOp::create(b, gate));
    Value silu = b.divf(gate, b.addf(e, 1.0));
    Value v = b.mulf(silu, up);
    if (!weights.empty())
      v = b.mulf(v, b.acrossColumns(weights[i], TileBuilder::getShape(v)[1]));
    results.push_back(b.round(v, element));
  }
  emitter.setWide(op.getResult(), results);
  return success();
}

/// For every place r in ascending order of the ids, which of the experts it is:
/// i32 [R] each.
static SmallVector<Value> getOrder(TileBuilder &b, ArrayRef<Value> ids) {
  SmallVector<Value> ranks, order;
  for (size_t i = 0; i < ids.size(); ++i) {
    Value rank = b.likeInt(ids[i], 0), one = b.likeInt(ids[i], 1), zero = rank;
    for (size_t j = 0; j < ids.size(); ++j) {
      if (i == j)
        continue;
      // Of equal ids the earlier comes first.
      Value before = b.compare(j < i ? arith::CmpIPredicate::sle
                                     : arith::CmpIPredicate::slt,
                               ids[j], ids[i]);
      rank = b.addi(rank, b.select(before, one, zero));
    }
    ranks.push_back(rank);
  }
  for (size_t r = 0; r < ids.size(); ++r) {
    Value which = b.likeInt(ids.front(), 0);
    for (size_t i = 1; i < ids.size(); ++i) {
      Value isHere = b.compare(arith::CmpIPredicate::eq, ranks[i],
                               b.likeInt(ranks[i], static_cast<int64_t>(r)));
      which =
          b.select(isHere, b.likeInt(which, static_cast<int64_t>(i)), which);
    }
    order.push_back(which);
  }
  return order;
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, CombineOp op) {
  if (emitter.window.form != RowForm::Tokens || emitter.has(op.getX()))
    return op.emitOpError("needs the experts' results in memory");
  TileBuilder &b = emitter.b;
  KernelBuilder &kernel = emitter.kernel.getKernel();
  auto type =
      cast<plan::DeviceTensorType>(kernel.getMemory(op.getX()).getType());
  auto active = type.getShape()[1].getConstant();
  int64_t width = emitter.getWidth(op.getX());
  int64_t columns = emitter.getColumns(width);
  // The experts' rows, [T A, D], fetched in the order in which they are added.
  Value rows = emitter.kernel.view(
      kernel.reshape(kernel.getMemory(op.getX()),
                     {type.getShape()[0].times(active), type.getShape()[2]}));
  Value token = emitter.getTokens();
  Value first = b.muli(token, b.likeInt(token, active));
  Value sum = b.zeros({emitter.window.rows, columns}, b.getF32Type());
  for (Value expert : getOrder(b, emitter.getNarrow(op.getIds()))) {
    Value row = b.gather(rows, b.addi(first, expert), columns,
                         emitter.getFirstColumn(width));
    sum = b.addf(sum, b.toF32(row));
  }
  if (op.getShared())
    sum = b.addf(sum, emitter.getF32(op.getShared()));
  emitter.setRounded(op.getResult(), sum);
  return success();
}
