//===- Memory.cpp - What sequences occupy ---------------------------------===//

#include "lib/CostModel/Memory.h"
#include "dialects/Varve/Varve.h"
#include "varve/Support/Assert.h"

using namespace mlir::varve;

namespace varve {

SequenceMemory getSequenceMemory(mlir::ModuleOp module, int64_t context) {
  VARVE_ASSERT(context >= 0, "a context is a number of tokens");
  SequenceMemory memory;
  memory.context = context;
  for (PoolOp pool : module.getOps<PoolOp>()) {
    int64_t bytes = pool.getBytesOf(context);
    switch (pool.getKind()) {
    case PoolKind::Entries:
      memory.entryBytes += bytes;
      break;
    case PoolKind::Window:
      memory.windowBytes += bytes;
      break;
    case PoolKind::State:
      memory.stateBytes += bytes;
      break;
    }
  }
  return memory;
}

double getBytesPerToken(mlir::ModuleOp module) {
  double bytes = 0;
  for (PoolOp pool : module.getOps<PoolOp>())
    if (pool.getKind() == PoolKind::Entries && !pool.getSelect())
      bytes += static_cast<double>(pool.getFormat().getRowBytes()) /
               pool.getRowTokens();
  return bytes;
}

} // namespace varve
