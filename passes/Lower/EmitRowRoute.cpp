//===- EmitRowRoute.cpp - Choices of experts ------------------------------===//
//
// One row of scores per token. Experts are chosen by `tile.select_topk`, whose
// rule for equal scores is the routers'; a chosen expert's own score is found
// again by its number, as the only term of a sum that is not zero.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Lower/RowEmitter.h"

using namespace mlir;
using namespace mlir::varve;

static Value getLowest(TileBuilder &b, Value like) {
  return b.like(like, -std::numeric_limits<double>::infinity());
}

/// Columns that are experts: i1 [R, C].
static Value isExpert(TileBuilder &b, Value tile, int64_t experts) {
  Value column = b.iota(TileBuilder::getShape(tile), 1);
  return b.compare(arith::CmpIPredicate::slt, column,
                   b.likeInt(column, experts));
}

/// `a = scoring(logits)`, f32 [R, C]; 0 in columns that are no experts.
static Value emitScores(TileBuilder &b, Value logits, Scoring scoring,
                        int64_t experts) {
  Value scores;
  Value valid = isExpert(b, logits, experts);
  switch (scoring) {
  case Scoring::SqrtSoftplus: {
    // softplus(z) = max(z, 0) + ln(1 + e^-|z|)
    Value magnitude = math::AbsFOp::create(b, logits);
    Value e = math::ExpOp::create(b, arith::NegFOp::create(b, magnitude));
    Value softplus = b.addf(b.maxf(logits, 0.0), math::Log1pOp::create(b, e));
    scores = math::SqrtOp::create(b, softplus);
    break;
  }
  case Scoring::Sigmoid:
    scores = b.sigmoid(logits);
    break;
  case Scoring::Softmax: {
    int64_t columns = TileBuilder::getShape(logits)[1];
    Value masked = b.select(valid, logits, getLowest(b, logits));
    Value largest = b.reduce(tile::ReduceKind::Max, masked, 1);
    Value e = math::ExpOp::create(
        b, b.subf(masked, b.acrossColumns(largest, columns)));
    Value mass = b.reduce(tile::ReduceKind::Sum, e, 1);
    scores = b.divf(e, b.acrossColumns(mass, columns));
    break;
  }
  }
  return b.select(valid, scores, b.like(scores, 0.0));
}

/// `a[ids]`, divided by their sum if `normalize`, times `scale`.
static void setWeights(RowEmitter &emitter, Value result, Value scores,
                       ArrayRef<Value> ids, bool normalize, double scale) {
  TileBuilder &b = emitter.b;
  Value expert = b.iota(TileBuilder::getShape(scores), 1);
  int64_t columns = TileBuilder::getShape(scores)[1];
  SmallVector<Value> weights;
  Value sum;
  for (Value id : ids) {
    Value isChosen = b.compare(arith::CmpIPredicate::eq, expert,
                               b.acrossColumns(id, columns));
    Value weight = b.reduce(tile::ReduceKind::Sum,
                            b.select(isChosen, scores, b.like(scores, 0.0)), 1);
    weights.push_back(weight);
    sum = sum ? b.addf(sum, weight) : weight;
  }
  if (normalize) {
    Value isZero = b.compare(arith::CmpFPredicate::OEQ, sum, b.like(sum, 0.0));
    for (Value &weight : weights)
      weight = b.select(isZero, b.like(weight, 0.0), b.divf(weight, sum));
  }
  for (Value &weight : weights)
    weight = b.mulf(weight, static_cast<float>(scale));
  emitter.setNarrow(result, weights);
}

/// Column i of an i32 tile [R, C] as [R].
static SmallVector<Value> getColumns(TileBuilder &b, Value tile,
                                     int64_t count) {
  int64_t rows = TileBuilder::getShape(tile)[0];
  SmallVector<Value> columns;
  for (int64_t i = 0; i < count; ++i)
    columns.push_back(b.reshape(b.slice(tile, {0, i}, {rows, 1}), {rows}));
  return columns;
}

static LogicalResult expectTokens(RowEmitter &emitter, Operation *op) {
  if (emitter.window.form == RowForm::Tokens && !emitter.window.firstColumn)
    return success();
  return op->emitOpError("needs whole rows of tokens, but its kernel has "
                         "others");
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, RouteTopkOp op) {
  if (failed(expectTokens(emitter, op)))
    return failure();
  TileBuilder &b = emitter.b;
  int64_t experts = emitter.getWidth(op.getLogits());
  auto active = static_cast<int64_t>(op.getActive());
  Value logits = emitter.getF32(op.getLogits());
  Value scores = emitScores(b, logits, op.getScoring(), experts);
  Value biased = scores;
  if (op.getBias())
    biased = b.addf(scores, b.acrossRows(emitter.getColumnWeight(op.getBias()),
                                         emitter.window.rows));
  biased = b.select(isExpert(b, biased, experts), biased, getLowest(b, biased));
  SmallVector<int64_t> shape = {emitter.window.rows, active};
  auto best = tile::SelectTopkOp::create(
      b, RankedTensorType::get(shape, b.getF32Type()),
      RankedTensorType::get(shape, b.getI32Type()), biased, Value());
  SmallVector<Value> ids = getColumns(b, best.getIndices(), active);
  emitter.setNarrow(op.getIds(), ids);
  setWeights(emitter, op.getWeights(), scores, ids, op.getNormalize(),
             op.getScale().convertToDouble());
  return success();
}

LogicalResult mlir::varve::emitRow(RowEmitter &emitter, RouteHashOp op) {
  if (failed(expectTokens(emitter, op)))
    return failure();
  TileBuilder &b = emitter.b;
  int64_t experts = emitter.getWidth(op.getLogits());
  int64_t active = op.getTable().getType().getDimSize(1);
  Value logits = emitter.getF32(op.getLogits());
  Value scores = emitScores(b, logits, op.getScoring(), experts);
  Value table =
      emitter.kernel.view(emitter.kernel.getKernel().getMemory(op.getTable()));
  Value named = b.gather(table, emitter.getNarrow(op.getTokenIds()).front(),
                         active, b.index(0));
  if (!TileBuilder::getElement(named).isInteger(32))
    named = arith::TruncIOp::create(
        b, RankedTensorType::get(TileBuilder::getShape(named), b.getI32Type()),
        named);
  SmallVector<Value> ids = getColumns(b, named, active);
  emitter.setNarrow(op.getIds(), ids);
  setWeights(emitter, op.getWeights(), scores, ids, op.getNormalize(),
             op.getScale().convertToDouble());
  return success();
}
