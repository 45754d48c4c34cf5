//===- VarveEffects.cpp - Which pools an op touches -----------------------===//
//
// Effects are recorded per pool symbol, so that two layers' pools never look
// like one memory to a pass.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"

using namespace mlir;
using namespace mlir::varve;

using Pools = SmallVectorImpl<FlatSymbolRefAttr>;
using Effects = SmallVectorImpl<MemoryEffects::EffectInstance>;

static void addPoolEffects(PoolUserOpInterface op, Effects &effects) {
  SmallVector<FlatSymbolRefAttr> pools;
  op.getReadPools(pools);
  for (FlatSymbolRefAttr pool : pools)
    effects.emplace_back(MemoryEffects::Read::get(), pool, PoolResource::get());
  pools.clear();
  op.getWrittenPools(pools);
  for (FlatSymbolRefAttr pool : pools)
    effects.emplace_back(MemoryEffects::Write::get(), pool,
                         PoolResource::get());
}

void AppendOp::getReadPools(Pools &) {}
void AppendOp::getWrittenPools(Pools &pools) { pools.push_back(getPoolAttr()); }
void AppendOp::getEffects(Effects &effects) {
  addPoolEffects(cast<PoolUserOpInterface>(getOperation()), effects);
}

void CompressOp::getReadPools(Pools &pools) { pools.push_back(getStateAttr()); }
void CompressOp::getWrittenPools(Pools &pools) {
  pools.push_back(getStateAttr());
}
void CompressOp::getEffects(Effects &effects) {
  addPoolEffects(cast<PoolUserOpInterface>(getOperation()), effects);
}

void IndexScoreOp::getReadPools(Pools &pools) {
  pools.push_back(getKeysAttr());
}
void IndexScoreOp::getWrittenPools(Pools &) {}
void IndexScoreOp::getEffects(Effects &effects) {
  addPoolEffects(cast<PoolUserOpInterface>(getOperation()), effects);
}

void SparseAttentionOp::getReadPools(Pools &pools) {
  for (FlatSymbolRefAttr pool : {getWindowAttr(), getWindowValuesAttr(),
                                 getEntriesAttr(), getEntryValuesAttr()})
    if (pool)
      pools.push_back(pool);
}
void SparseAttentionOp::getWrittenPools(Pools &) {}
void SparseAttentionOp::getEffects(Effects &effects) {
  addPoolEffects(cast<PoolUserOpInterface>(getOperation()), effects);
}
