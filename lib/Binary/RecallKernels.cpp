//===- RecallKernels.cpp - Kernels that were compiled before --------------===//

#include "lib/Binary/KernelRecord.h"
#include "lib/Binary/Passes.h"
#include "mlir/IR/Threading.h"
#include "passes/Engine/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_RECALLKERNELSPASS
#include "lib/Binary/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using ::varve::CacheEntry;
using ::varve::KernelCache;
using ::varve::PtxasTool;
using ::varve::TargetModel;

namespace {

struct Search {
  plan::KernelOp kernel;
  std::string key;
  std::optional<CacheEntry> record;
};

struct RecallKernels
    : public mlir::varve::impl::RecallKernelsPassBase<RecallKernels> {
  using RecallKernelsPassBase::RecallKernelsPassBase;

  void runOnOperation() override;
};

/// The assembler that the binary phase is going to use; it says so if there is
/// none.
std::optional<PtxasTool> findAssembler(const TargetModel &target, bool ptx) {
  if (ptx || !target.isGpu())
    return std::nullopt;
  llvm::Expected<PtxasTool> tool = PtxasTool::find();
  if (tool)
    return *tool;
  llvm::consumeError(tool.takeError());
  return std::nullopt;
}

void RecallKernels::runOnOperation() {
  ModuleOp module = getOperation();
  FailureOr<const TargetModel *> target = getTargetOf(module);
  if (failed(target))
    return signalPassFailure();
  std::unique_ptr<KernelCache> cache = ::varve::openKernelCache();
  if (!cache)
    return;
  std::optional<PtxasTool> assembler = findAssembler(**target, ptx);
  std::vector<Search> searches;
  for (auto kernel : module.getOps<plan::KernelOp>())
    searches.push_back({kernel, {}, {}});
  parallelForEach(&getContext(), searches, [&](Search &search) {
    search.key = makeRecordKey(search.kernel, **target,
                               assembler ? &*assembler : nullptr, strict);
    search.record = cache->lookup(search.key);
  });
  for (Search &search : searches) {
    if (search.record &&
        succeeded(replaceByRecord(search.kernel, **target, *search.record)))
      continue;
    search.kernel->setAttr(::varve::kRecordKeyAttrName,
                           StringAttr::get(&getContext(), search.key));
  }
}

} // namespace
