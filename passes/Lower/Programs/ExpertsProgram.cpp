//===- ExpertsProgram.cpp - Parts of experts' programs --------------------===//

#include "passes/Lower/Programs/ExpertsProgram.h"

#include "passes/Lower/Programs/PoolRows.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

ExpertsProgram::ExpertsProgram(TileProgram &p, const ExpertsShape &shape,
                               const ExpertsStrategy &strategy)
    : p(p), shape(shape), strategy(strategy) {
  BN = strategy.columns;
  if (shape.code)
    BN = llvm::alignTo(BN, shape.codeBlock);
  BK = std::max({strategy.depth, shape.xBlock, shape.blockColumns});
}

void ExpertsProgram::addInputs() {
  x = p.addRows({shape.K}, shape.x);
  if (shape.xScale)
    xScales = p.addRows(
        {static_cast<int64_t>(llvm::divideCeil(shape.K, shape.xBlock))},
        shape.xScale);
}

void ExpertsProgram::addWeights() {
  for (int64_t i = 0; i < shape.getNumWeights(); ++i) {
    weights.push_back(
        p.addView({shape.experts, shape.N, shape.K}, shape.weight));
    if (shape.weightScale)
      weightScales.push_back(p.addView(
          {shape.experts,
           static_cast<int64_t>(llvm::divideCeil(shape.N, shape.blockRows)),
           static_cast<int64_t>(llvm::divideCeil(shape.K, shape.blockColumns))},
          shape.weightScale));
  }
  if (shape.isWeighted)
    routing = p.addRows({}, p.f32());
}

void ExpertsProgram::addResults() {
  if (!shape.code) {
    result = p.addRows({shape.N}, shape.getResult());
    return;
  }
  result = p.addRows({shape.N}, shape.code);
  resultScales = p.addRows({shape.N / shape.codeBlock}, shape.codeScale);
}

Value ExpertsProgram::loadWeight(unsigned i, Value expert, Value k) {
  return p.load(weights[i], {expert, column, k}, {BN, BK}, {1, 2});
}

Value ExpertsProgram::loadWeightScales(unsigned i, Value expert, Value k) {
  int64_t rows = std::max<int64_t>(BN / shape.blockRows, 1);
  Value scales = p.load(weightScales[i],
                        {expert, p.div(column, p.index(shape.blockRows)),
                         p.div(k, p.index(shape.blockColumns))},
                        {rows, BK / shape.blockColumns}, {1, 2});
  return p.convert(scales, p.f32());
}

Value ExpertsProgram::expandScales(Value scales, int64_t rows, int64_t groups) {
  int64_t R = p.getShape(scales)[0], G = p.getShape(scales)[1];
  if (G != groups)
    scales =
        p.reshape(p.broadcast(scales, {R, G, groups / G}, {0, 1}), {R, groups});
  if (R == rows)
    return scales;
  if (R == 1)
    return p.broadcast(p.reshape(scales, {groups}), {rows, groups}, {1});
  return p.reshape(p.broadcast(scales, {R, rows / R, groups}, {0, 2}),
                   {rows, groups});
}

Value ExpertsProgram::finish(ArrayRef<Value> products, Value routing) {
  SmallVector<Value> rounded = llvm::map_to_vector(
      products, [&](Value v) { return p.roundTo(v, shape.product); });
  if (!shape.isGated)
    return rounded.front();
  Value gate = rounded[0], up = rounded[1];
  if (shape.limit > 0) {
    gate = p.min(gate, p.number(shape.limit));
    up = p.max(p.min(up, p.number(shape.limit)), p.number(-shape.limit));
  }
  Value gated = p.mul(p.silu(gate, /*approximate=*/shape.gated.isBF16()), up);
  if (routing)
    gated = p.mul(gated, routing);
  return p.roundTo(gated, shape.gated);
}

void ExpertsProgram::store(
    Value tile,
    function_ref<void(Value tile, Value view, Value column)> write) {
  if (!shape.code)
    return write(p.convert(tile, shape.getResult()), result, column);
  auto [codes, scales] = emitQuantize(p, tile, shape.codeBlock, shape.code);
  write(codes, result, column);
  write(p.convert(scales, shape.codeScale), resultScales,
        p.div(column, p.index(shape.codeBlock)));
}
