//===- Experts.cpp - Programs of experts' products ------------------------===//

#include "passes/Lower/Programs/ExpertsProgram.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

//===----------------------------------------------------------------------===//
// Few tokens
//===----------------------------------------------------------------------===//

void mlir::varve::buildExperts(TileProgram &p, const ExpertsShape &shape,
                               const ExpertsStrategy &strategy) {
  ExpertsProgram e(p, shape, strategy);
  e.addInputs();
  Value ids = p.addRows({}, p.i32());
  e.addWeights();
  e.addResults();
  int64_t BN = e.BN, BK = e.BK;
  Value pair = p.programId(0);
  e.column = p.mul(p.programId(1), p.index(BN));
  Value expert = p.toIndex(p.loadScalar(ids, pair));
  Value row = shape.hasRowPerExpert ? pair : p.div(pair, p.index(shape.active));

  // Groups of g columns share the scales of both operands.
  int64_t g = BK;
  for (int64_t block : {shape.xBlock, shape.blockColumns})
    if (block)
      g = std::min(g, block);
  if (strategy.laneBytes)
    g = std::min(g,
                 8 * strategy.laneBytes / shape.weight.getIntOrFloatBitWidth());
  int64_t groups = BK / g;
  Values sums(shape.getNumWeights(), p.zeros({BN, groups}));
  sums = p.loop(
      p.index(0), p.index(shape.K), BK, sums, [&](Value k, ValueRange carried) {
        Value x = p.convert(p.load(e.x, {row, k}, {BK}, {1}), p.f32());
        x = p.broadcast(p.reshape(x, {groups, g}), {BN, groups, g}, {1, 2});
        Value xScales;
        if (shape.xScale) {
          int64_t count = BK / shape.xBlock;
          xScales = p.convert(p.load(e.xScales,
                                     {row, p.div(k, p.index(shape.xBlock))},
                                     {count}, {1}),
                              p.f32());
          xScales = e.expandScales(p.reshape(xScales, {1, count}), BN, groups);
        }
        Values next;
        for (auto [i, sum] : llvm::enumerate(carried)) {
          Value w = p.reshape(e.loadWeight(i, expert, k), {BN, groups, g});
          Value partial = p.sum(p.mul(p.convert(w, p.f32()), x), 2);
          Value scales = xScales;
          if (shape.weightScale) {
            Value own =
                e.expandScales(e.loadWeightScales(i, expert, k), BN, groups);
            scales = scales ? p.mul(scales, own) : own;
          }
          if (scales)
            partial = p.mul(partial, scales);
          next.push_back(p.add(sum, partial));
        }
        return next;
      });
  Value routing;
  if (shape.isWeighted)
    routing = p.loadScalar(e.routing, pair);
  SmallVector<Value> products = llvm::map_to_vector(
      sums, [&](Value v) { return p.reshape(p.sum(v, 1), {1, BN}); });
  e.store(e.finish(products, routing),
          [&](Value tile, Value view, Value column) {
            p.store(tile, view, {pair, column});
          });
  p.finish({p.getSize(ids, 0), p.getConstant(llvm::divideCeil(shape.N, BN))});
}

//===----------------------------------------------------------------------===//
// Many tokens
//===----------------------------------------------------------------------===//

/// Whether bf16 products are exact: x is bf16 and weights are bf16 or codes.
static bool isNarrow(const ExpertsShape &shape) {
  return shape.x.isBF16() && (shape.weight.isBF16() || shape.weightScale);
}

void mlir::varve::buildGroupedExperts(TileProgram &p, const ExpertsShape &shape,
                                      const ExpertsStrategy &strategy) {
  ExpertsProgram e(p, shape, strategy);
  e.addInputs();
  Value ends = p.addView({shape.experts}, p.i32());
  Value tileEnds = p.addView({shape.experts}, p.i32());
  Value order = p.addRows({}, p.i32());
  e.addWeights();
  e.addResults();
  int64_t BM = strategy.rows, BN = e.BN, BK = e.BK, X = getExpertRoom(shape);
  Type compute = strategy.narrow && isNarrow(shape)
                     ? Type(p.builder.getBF16Type())
                     : p.f32();

  // The grid has a block for every tile that there may be.
  Value tile = p.toInteger(p.programId(0)), zero = p.index(0);
  e.column = p.mul(p.programId(1), p.index(BN));
  Value all = p.load(tileEnds, zero, {X}, {}, {},
                     p.integer(std::numeric_limits<int32_t>::max()));
  Value isBefore = p.less(all, p.add(tile, p.integer(1)));
  Value number = p.sum(p.convert(isBefore, p.i32()), 0);
  p.ifThen(p.less(number, p.integer(shape.experts)), [&] {
    Value expert = p.toIndex(number);
    Value before = p.sub(expert, p.index(1));
    // Outside the views, before the first expert, there is a zero.
    Value first = p.add(
        p.loadScalar(ends, before),
        p.mul(p.sub(tile, p.loadScalar(tileEnds, before)), p.integer(BM)));
    Value end = p.loadScalar(ends, expert), none = p.integer(-1);
    Value place = p.add(p.iota({BM}, 0), first);
    Value pairs = p.load(order, p.toIndex(first), {BM}, {}, {}, none);
    pairs = p.select(p.less(place, end), pairs, none);
    Value rows = pairs;
    if (!shape.hasRowPerExpert)
      rows = p.select(p.atLeast(pairs, p.integer(0)),
                      p.div(pairs, p.integer(shape.active)), none);

    bool areCodes = bool(shape.xScale);
    Values sums(shape.getNumWeights(), p.zeros({BM, BN}));
    sums = p.loop(
        zero, p.index(shape.K), BK, sums, [&](Value k, ValueRange carried) {
          Value x = p.gather(e.x, rows, k, {BM, BK});
          Value xScales;
          if (areCodes)
            xScales = p.convert(p.gather(e.xScales, rows,
                                         p.div(k, p.index(shape.xBlock)),
                                         {BM, BK / shape.xBlock}),
                                p.f32());
          else
            x = p.convert(x, compute);
          Values next;
          for (auto [i, sum] : llvm::enumerate(carried)) {
            Value w = e.loadWeight(i, expert, k);
            Value scales;
            if (shape.weightScale)
              scales = e.loadWeightScales(i, expert, k);
            if (areCodes) {
              next.push_back(p.scaledDot(x, xScales, w, scales, sum));
              continue;
            }
            if (shape.weightScale) {
              int64_t g = shape.blockColumns;
              Value factor = p.broadcast(e.expandScales(scales, BN, BK / g),
                                         {BN, BK / g, g}, {0, 1});
              Value codes = p.convert(p.reshape(w, {BN, BK / g, g}), p.f32());
              w = p.reshape(p.convert(p.mul(codes, factor), compute), {BN, BK});
            }
            next.push_back(p.dot(x, p.convert(w, compute), sum, true));
          }
          return next;
        });
    Value routing;
    if (shape.isWeighted)
      routing =
          p.broadcast(p.gather(e.routing, pairs, Value(), {BM}), {BM, BN}, {0});
    e.store(e.finish(sums, routing), [&](Value tile, Value view, Value column) {
      p.scatter(tile, view, pairs, column);
    });
  });
  AffineExpr tiles =
      p.getSize(order, 0).ceilDiv(BM) + p.getConstant(shape.experts);
  p.finish({tiles, p.getConstant(llvm::divideCeil(shape.N, BN))});
}
