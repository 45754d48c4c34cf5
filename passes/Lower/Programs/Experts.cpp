//===- Experts.cpp - Programs of experts' products ------------------------===//

#include "passes/Lower/Programs/Experts.h"
#include "passes/Lower/Programs/PoolRows.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

namespace {

/// What programs for few and for many tokens share: arguments, and what follows
/// the products.
class ExpertsProgram {
public:
  ExpertsProgram(TileProgram &p, const ExpertsShape &shape,
                 const ExpertsStrategy &strategy);

  void addInputs();
  void addWeights();
  void addResults();
  /// Codes or numbers [BN, BK] of a weight, in its element type.
  Value loadWeight(unsigned i, Value expert, Value k);
  /// Their scales [rows, BK / columns], in f32: one row for all of the tile's
  /// columns where they lie in one block.
  Value loadWeightScales(unsigned i, Value expert, Value k);
  /// [rows, G] as [BN, groups], repeated along both.
  Value expandScales(Value scales, int64_t rows, int64_t groups);
  /// Products [rows, BN] of all weights to the result, f32, rounded.
  Value finish(ArrayRef<Value> products, Value routing);
  void store(Value tile,
             function_ref<void(Value tile, Value view, Value column)> write);

  TileProgram &p;
  const ExpertsShape &shape;
  const ExpertsStrategy &strategy;
  int64_t BN, BK;
  Value x, xScales, routing, result, resultScales;
  SmallVector<Value> weights, weightScales;
  /// The first column of this block's tile of the result.
  Value column;
};

} // namespace

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
  Value zero = p.splat(p.getShape(gate), p.f32(), 0.0);
  Value silu = p.div(gate, p.add(p.exp(p.sub(zero, gate)), p.number(1.0)));
  Value gated = p.mul(silu, up);
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
// Sorting
//===----------------------------------------------------------------------===//

/// Experts whose pairs are looked at together.
static constexpr int64_t kExpertsAtOnce = 16;

static int64_t getExpertRoom(const ExpertsShape &shape) {
  return llvm::PowerOf2Ceil(std::max(shape.experts, kExpertsAtOnce));
}

/// Which of the pairs of this block belong to which of `kExpertsAtOnce` experts
/// from `first` on: an i32 tile of 0 and 1.
static Value matchPairs(TileProgram &p, Value ids, Value first) {
  int64_t P = p.getShape(ids)[0];
  Value experts = p.add(p.iota({kExpertsAtOnce}, 0), p.toInteger(first));
  Value matches = p.equal(p.broadcast(ids, {P, kExpertsAtOnce}, {0}),
                          p.broadcast(experts, {P, kExpertsAtOnce}, {1}));
  return p.convert(matches, p.i32());
}

static Value loadIds(TileProgram &p, Value ids, int64_t pairs) {
  Value first = p.mul(p.programId(0), p.index(pairs));
  return p.load(ids, first, {pairs}, {}, {}, p.integer(-1));
}

void mlir::varve::buildCountPairs(TileProgram &p, const ExpertsShape &shape,
                                  const ExpertsStrategy &strategy) {
  Value ids = p.addRows({}, p.i32());
  Value counts = p.addRows({shape.experts}, p.i32());
  Value mine = loadIds(p, ids, strategy.pairs);
  p.loop(p.index(0), p.index(shape.experts), kExpertsAtOnce, [&](Value first) {
    p.store(p.sum(matchPairs(p, mine, first), 0), counts,
            {p.programId(0), first}, {1});
  });
  p.finish(p.getSize(ids, 0).ceilDiv(strategy.pairs));
}

void mlir::varve::buildScanPairs(TileProgram &p, const ExpertsShape &shape,
                                 const ExpertsStrategy &strategy) {
  Value ids = p.addRows({}, p.i32());
  Value counts = p.addRows({shape.experts}, p.i32());
  Value ends = p.addView({shape.experts}, p.i32());
  Value tileEnds = p.addView({shape.experts}, p.i32());
  int64_t X = getExpertRoom(shape);
  Value chunks = p.ceilDiv(p.dim(ids, 0), strategy.pairs), zero = p.index(0);
  auto loadCounts = [&](Value chunk) {
    return p.load(counts, {chunk, zero}, {X}, {1});
  };
  Value none = p.splat({X}, p.i32(), 0);
  Value totals = p.loop(zero, chunks, 1, none,
                        [&](Value chunk, ValueRange carried) -> Values {
                          return {p.add(carried[0], loadCounts(chunk))};
                        })[0];
  Value behind = p.scan(totals, 0);
  p.store(behind, ends, zero);
  p.store(p.scan(p.ceilDiv(totals, strategy.rows), 0), tileEnds, zero);
  // Counts become the places of each chunk's first pairs.
  p.loop(zero, chunks, 1, p.sub(behind, totals),
         [&](Value chunk, ValueRange carried) -> Values {
           Value next = p.add(carried[0], loadCounts(chunk));
           p.store(carried[0], counts, {chunk, zero}, {1});
           return {next};
         });
  p.finish(p.getConstant(1));
}

void mlir::varve::buildOrderPairs(TileProgram &p, const ExpertsShape &shape,
                                  const ExpertsStrategy &strategy) {
  int64_t P = strategy.pairs, E = kExpertsAtOnce;
  Value ids = p.addRows({}, p.i32());
  Value counts = p.addRows({shape.experts}, p.i32());
  Value order = p.addRows({}, p.i32());
  Value mine = loadIds(p, ids, P), chunk = p.programId(0);
  Value places =
      p.loop(p.index(0), p.index(shape.experts), E, p.splat({P}, p.i32(), 0),
             [&](Value first, ValueRange carried) -> Values {
               Value matches = matchPairs(p, mine, first);
               Value begins = p.load(counts, {chunk, first}, {E}, {1});
               // How many of the chunk's pairs before each are the expert's.
               Value before = p.sub(p.scan(matches, 0), matches);
               Value place = p.add(before, p.broadcast(begins, {P, E}, {1}));
               return {p.add(carried[0], p.sum(p.mul(matches, place), 1))};
             })[0];
  Value isThere = p.atLeast(mine, p.integer(0));
  Value pairs = p.add(p.iota({P}, 0), p.toInteger(p.mul(chunk, p.index(P))));
  p.scatter(pairs, order, p.select(isThere, places, p.integer(-1)), Value());
  p.finish(p.getSize(ids, 0).ceilDiv(P));
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
