//===- Append.cpp - Programs that store rows in pools ---------------------===//

#include "passes/Lower/Programs/Append.h"

using namespace mlir;
using namespace mlir::varve;

PoolWriter PoolWriter::addTo(TileProgram &p, const PoolShape &shape) {
  PoolWriter writer;
  writer.shape = shape;
  writer.rows = PoolRows::addTo(p, shape.format);
  int64_t dynamic = ShapedType::kDynamic;
  writer.place = shape.kind == PoolKind::Entries
                     ? p.addView({dynamic, dynamic}, p.i32())
                     : p.addArgument(p.i32());
  return writer;
}

void PoolWriter::write(TileProgram &p, Value values, Value first,
                       Value positions, Value slots) const {
  int64_t N = p.getShape(values)[0];
  Value isStored = p.atLeast(slots, p.integer(0)), none = p.integer(-1);
  if (shape.kind == PoolKind::Entries) {
    Value entry = p.div(positions, p.integer(shape.ratio));
    return rows.scatter(
        p,
        {p.select(isStored, entry, none), place, slots, shape.getRowsPerPage()},
        values);
  }
  Value begin = p.add(place, p.toInteger(first));
  Value row = p.add(p.iota({N}, 0), begin);
  rows.scatter(p, {p.select(isStored, row, none), Value()}, values);
}

void mlir::varve::buildAppend(TileProgram &p, Type element,
                              const PoolShape &pool,
                              const AppendStrategy &strategy) {
  int64_t N = strategy.rows, width = pool.format.getWidth();
  Value rows = p.addRows({width}, element);
  Value positions = p.addRows({}, p.i32()), slots = p.addRows({}, p.i32());
  PoolWriter writer = PoolWriter::addTo(p, pool);
  Value first = p.mul(p.programId(0), p.index(N));
  Value tile = p.load(rows, {first, p.index(0)}, {N, width});
  // Rows beyond the last have no slot.
  Value slot = p.load(slots, first, {N}, {}, {}, p.integer(-1));
  Value position = p.load(positions, first, {N});
  writer.write(p, p.convert(tile, p.f32()), first, position, slot);
  p.finish(p.getSize(rows, 0).ceilDiv(N));
}

void mlir::varve::buildCommitWindow(TileProgram &p, const PoolShape &pool,
                                    const AppendStrategy &strategy) {
  int64_t N = strategy.rows, W = pool.size;
  PoolPart raw = getRawPart(pool.format);
  Value positions = p.addRows({}, p.i32()), slots = p.addRows({}, p.i32());
  Value ends = p.addRows({}, p.i32());
  Value memory = p.addRows({raw.width}, raw.element);
  Value staging = p.addArgument(p.i32());

  Value first = p.mul(p.programId(0), p.index(N));
  Value position = p.load(positions, first, {N});
  Value slot = p.load(slots, first, {N}, {}, {}, p.integer(-1));
  Value end = p.load(ends, first, {N});
  Value isKept = p.both(p.atLeast(slot, p.integer(0)),
                        p.greater(position, p.sub(end, p.integer(W))));
  Value from = p.add(p.iota({N}, 0), p.add(staging, p.toInteger(first)));
  Value to = p.add(p.mul(slot, p.integer(W)), p.rem(position, p.integer(W)));
  Value none = p.integer(-1);
  from = p.select(isKept, from, none);
  to = p.select(isKept, to, none);
  Value row = p.gather(memory, from, p.index(0), {N, raw.width});
  p.scatter(row, memory, to, p.index(0));
  p.finish(p.getSize(positions, 0).ceilDiv(N));
}
