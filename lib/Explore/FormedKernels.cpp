//===- FormedKernels.cpp - Kernels, as the fuse phase forms them ----------===//

#include "lib/Explore/FormedKernels.h"
#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Fusion/Passes.h"

using namespace mlir;
using namespace mlir::varve;

namespace varve {

static llvm::StringRef nameOf(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  return name ? name.getName().getValue() : llvm::StringRef();
}

FailureOr<KernelMap> formKernels(ModuleOp module,
                                 llvm::ArrayRef<FunctionWork> functions) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  pm.addPass(createInsertCommitsPass());
  pm.addPass(createFormKernelsPass());
  if (failed(pm.run(*copy)))
    return failure();
  KernelMap kernels;
  for (const FunctionWork &work : functions) {
    // Names are unique, and of the ops of one name (fusion may split one) the
    // kind decides.
    llvm::StringMap<unsigned> numbers;
    for (auto [index, item] : llvm::enumerate(work.ops))
      numbers[(nameOf(item.op) + " " + item.kind).str()] = index;
    std::vector<KernelWork> &list = kernels[work.name];
    auto function = copy->lookupSymbol<func::FuncOp>(work.name);
    function.walk([&](KernelOp kernel) {
      KernelWork &entry = list.emplace_back();
      entry.kind = kernel.getKind().str();
      kernel.walk([&](Operation *op) {
        auto found = numbers.find(
            (nameOf(op) + " " + op->getName().stripDialect()).str());
        if (found != numbers.end())
          entry.ops.push_back(found->second);
      });
    });
  }
  return kernels;
}

} // namespace varve
