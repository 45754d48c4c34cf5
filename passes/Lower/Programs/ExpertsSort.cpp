//===- ExpertsSort.cpp - Pairs by expert ----------------------------------===//

#include "passes/Lower/Programs/ExpertsProgram.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

/// Experts whose pairs are looked at together.
static constexpr int64_t kExpertsAtOnce = 64;

int64_t mlir::varve::getExpertRoom(const ExpertsShape &shape) {
  return llvm::PowerOf2Ceil(std::max(shape.experts, kExpertsAtOnce));
}

/// Which of the pairs of this block belong to which of `kExpertsAtOnce` experts
/// from `first` on.
static Value matchPairs(TileProgram &p, Value ids, Value first) {
  int64_t P = p.getShape(ids)[0];
  Value experts = p.add(p.iota({kExpertsAtOnce}, 0), p.toInteger(first));
  return p.equal(p.broadcast(ids, {P, kExpertsAtOnce}, {0}),
                 p.broadcast(experts, {P, kExpertsAtOnce}, {1}));
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
    Value matches = p.convert(matchPairs(p, mine, first), p.i32());
    p.store(p.sum(matches, 0), counts, {p.programId(0), first}, {1});
  });
  p.finish(p.getSize(ids, 0).ceilDiv(strategy.pairs));
}

/// The expert of each tile, whose first tiles are numbers `begins`.
static void storeTiles(TileProgram &p, Value counts, Value begins) {
  Value tiles = p.addRows({}, p.i32());
  int64_t X = p.getShape(counts)[0];
  Value most = p.toIndex(p.largest(counts, 0));
  p.loop(p.index(0), most, 1, [&](Value number) {
    Value i = p.toInteger(number);
    Value place = p.select(p.less(i, counts), p.add(begins, i), p.integer(-1));
    p.scatter(p.iota({X}, 0), tiles, place, Value());
  });
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
  Value tilesOf = p.ceilDiv(totals, strategy.rows);
  Value tilesBehind = p.scan(tilesOf, 0);
  p.store(tilesBehind, tileEnds, zero);
  if (strategy.stages > 1)
    storeTiles(p, tilesOf, p.sub(tilesBehind, tilesOf));
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
  // How many pairs before each are its expert's is a product, with ones where
  // one pair is before another. Numbers up to P are exact, and so are places.
  Type bf16 = p.builder.getBF16Type();
  Value isBefore = p.less(p.iota({P, P}, 1), p.iota({P, P}, 0));
  Value before = p.alloc({P, P}, bf16, P);
  auto toNumbers = [&](Value isTrue) {
    return p.select(isTrue, p.splat(p.getShape(isTrue), p.f32(), 1.0),
                    p.zeros(p.getShape(isTrue)));
  };
  p.write(p.convert(toNumbers(isBefore), bf16), before);
  Value places = p.loop(
      p.index(0), p.index(shape.experts), E, p.splat({P}, p.i32(), 0),
      [&](Value first, ValueRange carried) -> Values {
        Value matches = matchPairs(p, mine, first);
        Value begins = p.load(counts, {chunk, first}, {E}, {1});
        Value earlier = p.dot(before, p.convert(toNumbers(matches), bf16),
                              p.zeros({P, E}), /*transposed=*/false);
        Value place = p.add(p.convert(earlier, p.i32()),
                            p.broadcast(begins, {P, E}, {1}));
        Value mine = p.select(matches, place, p.splat({P, E}, p.i32(), 0));
        return {p.add(carried[0], p.sum(mine, 1))};
      })[0];
  Value isThere = p.atLeast(mine, p.integer(0));
  Value pairs = p.add(p.iota({P}, 0), p.toInteger(p.mul(chunk, p.index(P))));
  p.scatter(pairs, order, p.select(isThere, places, p.integer(-1)), Value());
  p.finish(p.getSize(ids, 0).ceilDiv(P));
}
