//===- LowerKernels.cpp - Kernels to tile functions, functions to plans ---===//

#include "passes/Lower/FunctionLowering.h"
#include "passes/Lower/KernelBuilder.h"
#include "passes/Lower/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_LOWERKERNELSPASS
#include "passes/Lower/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using ::varve::TargetModel;

/// The declaration of a pool for the runtime, in front of the model's.
static void lowerPool(PoolOp pool) {
  OpBuilder builder(pool);
  std::string format;
  llvm::raw_string_ostream os(format);
  os << pool.getFormat();
  // "#varve.format<…>" without what says that it is one.
  StringRef text = format;
  text.consume_front("#varve.format");
  text = text.trim("<>");
  plan::PoolOp::create(
      builder, pool.getLoc(), pool.getSymNameAttr(),
      plan::PoolKindAttr::get(
          pool.getContext(),
          static_cast<plan::PoolKind>(static_cast<unsigned>(pool.getKind()))),
      pool.getSizeAttr(), pool.getRatioAttr(), pool.getPageAttr(),
      builder.getStringAttr(text), TypeAttr::get(getPoolType(pool)));
}

static LogicalResult lowerModule(ModuleOp module) {
  auto name = module->getAttrOfType<StringAttr>(kTargetAttrName);
  if (!name)
    return module.emitOpError("expected a 'varve.target'");
  auto target = TargetModel::lookup(name.getValue());
  if (!target)
    return module.emitError() << llvm::toString(target.takeError());

  SymbolTable symbols(module);
  llvm::StringMap<KernelSignature> signatures;
  auto kernels = llvm::to_vector(module.getOps<KernelFuncOp>());
  for (KernelFuncOp kernel : kernels) {
    // What replaces a kernel takes its name.
    symbols.remove(kernel);
    KernelBuilder builder(kernel, **target, symbols);
    FailureOr<KernelSignature> signature = builder.run();
    if (failed(signature))
      return failure();
    signatures[kernel.getSymName()] = *signature;
  }
  shareEqualFunctions(module);
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  for (func::FuncOp function : functions)
    if (failed(lowerFunction(function, signatures)))
      return failure();
  auto pools = llvm::to_vector(module.getOps<PoolOp>());
  for (PoolOp pool : pools)
    lowerPool(pool);
  for (Operation *op : functions)
    op->erase();
  for (Operation *op : kernels)
    op->erase();
  for (Operation *op : pools)
    op->erase();
  return success();
}

namespace {

struct LowerKernelsPass
    : mlir::varve::impl::LowerKernelsPassBase<LowerKernelsPass> {
  void runOnOperation() override {
    for (auto nested : getOperation().getOps<ModuleOp>())
      if (failed(lowerModule(nested)))
        return signalPassFailure();
  }
};

} // namespace
