//===- SeededPools.cpp - State from a seed for the interpreter ------------===//

#include "lib/Check/SeededPools.h"
#include "varve/Support/SeededState.h"

using namespace varve;
using mlir::varve::PoolKind;
using mlir::varve::PoolOp;

static RowRange rememberedRows(PoolOp pool, int64_t context) {
  if (pool.getKind() == PoolKind::Entries)
    return rememberedEntries(context, *pool.getRatio());
  return rememberedPositions(context, *pool.getSize());
}

void varve::seedPools(Interpreter &interpreter, int32_t slot, int64_t context,
                      uint64_t seed, int64_t sequence) {
  for (PoolOp pool : interpreter.getModule().getOps<PoolOp>()) {
    RowRange rows = rememberedRows(pool, context);
    std::vector<float> row(pool.getFormat().getWidth());
    for (int64_t i = rows.first; i < rows.end; ++i) {
      fillSeededRow(seed, pool.getSymName(), sequence, i, row);
      interpreter.getPools().append(pool, slot, i, row);
    }
  }
}
