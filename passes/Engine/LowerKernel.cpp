//===- LowerKernel.cpp - Choose and run the engine of a target ------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Engine/Passes.h"
#include "passes/Engine/X86/Abi.h"
#include "passes/Engine/X86/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_LOWERKERNELPASS
#include "passes/Engine/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using ::varve::TargetModel;

FailureOr<const TargetModel *> mlir::varve::getTargetOf(Operation *op) {
  for (Operation *module = op; module; module = module->getParentOp()) {
    auto name = module->getAttrOfType<StringAttr>(kTargetModelAttrName);
    if (!name)
      continue;
    llvm::Expected<const TargetModel *> target = TargetModel::lookup(name);
    if (target)
      return *target;
    return op->emitError(llvm::toString(target.takeError()));
  }
  return op->emitError() << "expected to be in a module with attribute "
                         << kTargetModelAttrName;
}

static void buildX86Engine(OpPassManager &pm, const TargetModel &target) {
  TileToX86PassOptions options;
  options.vectorBits = target.getLimits().vectorBits;
  pm.addPass(createTileToX86Pass(options));
}

namespace {
struct LowerKernel : public mlir::varve::impl::LowerKernelPassBase<LowerKernel> {
  // Of all engines: which one runs is known only when it runs.
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                    math::MathDialect, NVVM::NVVMDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    plan::KernelOp kernel = getOperation();
    FailureOr<const TargetModel *> target = getTargetOf(kernel);
    if (failed(target))
      return signalPassFailure();
    OpPassManager engine(ModuleOp::getOperationName());
    if ((*target)->isGpu()) {
      kernel.emitError() << "there is no engine for NVIDIA GPUs";
      return signalPassFailure();
    }
    buildX86Engine(engine, **target);
    if (failed(runPipeline(engine, kernel.getModule()))) {
      kernel.emitError() << "kernel '" << kernel.getSymName()
                         << "' could not be lowered for "
                         << (*target)->getName();
      return signalPassFailure();
    }
    copyFacts(kernel);
  }

  /// What the engine wrote on the function, as properties of the kernel.
  void copyFacts(plan::KernelOp kernel) {
    Operation *function =
        SymbolTable::lookupSymbolIn(kernel.getModule(), kernel.getSymName());
    auto getNumber = [&](StringRef name) -> int64_t {
      auto number = function->getAttrOfType<IntegerAttr>(name);
      return number ? number.getInt() : 0;
    };
    kernel.setScratchBytes(getNumber(::varve::x86::kScratchBytesAttrName));
  }
};
} // namespace
