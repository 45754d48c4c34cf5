//===- LowerKernel.cpp - Choose and run the engine of a target ------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Engine/Nvidia/Abi.h"
#include "passes/Engine/Nvidia/Passes.h"
#include "passes/Engine/Passes.h"
#include "passes/Engine/X86/Abi.h"
#include "passes/Engine/X86/Passes.h"
#include "passes/Tile/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_LOWERKERNELPASS
#include "passes/Engine/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using ::varve::TargetModel;

FailureOr<const TargetModel *> mlir::varve::getTargetOf(Operation *op) {
  for (Operation *module = op; module; module = module->getParentOp()) {
    auto name = module->getAttrOfType<StringAttr>(kTargetAttrName);
    if (!name)
      continue;
    llvm::Expected<const TargetModel *> target = TargetModel::lookup(name);
    if (target)
      return *target;
    return op->emitError(llvm::toString(target.takeError()));
  }
  return op->emitError() << "expected to be in a module with attribute "
                         << kTargetAttrName;
}

static void buildX86Engine(OpPassManager &pm, const TargetModel &target) {
  TileToX86PassOptions options;
  options.vectorBits = target.getLimits().vectorBits;
  pm.addPass(createTileToX86Pass(options));
}

namespace {
struct LowerKernel
    : public mlir::varve::impl::LowerKernelPassBase<LowerKernel> {
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
    if ((*target)->isGpu())
      buildTileToNvidiaPipeline(engine, **target);
    else
      buildX86Engine(engine, **target);
    if (failed(runPipeline(engine, kernel.getModule())) ||
        failed(copyFacts(kernel))) {
      // The engine has said what is wrong.
      kernel.getContext()->getDiagEngine().emit(kernel.getLoc(),
                                                DiagnosticSeverity::Note)
          << "kernel '" << kernel.getSymName() << "' could not be lowered for "
          << (*target)->getName();
      return signalPassFailure();
    }
  }

  LogicalResult copyFacts(plan::KernelOp kernel);
};

/// The maps that an engine asks for, as dictionaries, in the plan's own words.
FailureOr<ArrayAttr> readTensorMaps(plan::KernelOp kernel, ArrayAttr maps) {
  SmallVector<Attribute> result;
  for (auto map : maps.getAsRange<DictionaryAttr>()) {
    auto argument = map.getAs<IntegerAttr>("argument");
    auto box = map.getAs<DenseI64ArrayAttr>("box");
    auto swizzle = map.getAs<IntegerAttr>("swizzle");
    if (!argument || !box || !swizzle)
      return kernel.emitError() << "expected a tensor map with argument, box "
                                   "and swizzle but got "
                                << map;
    auto attribute = plan::TensorMapAttr::getChecked(
        [&] { return kernel.emitError(); }, kernel.getContext(),
        argument.getInt(), box.asArrayRef(), swizzle.getInt());
    if (!attribute)
      return failure();
    result.push_back(attribute);
  }
  return ArrayAttr::get(kernel.getContext(), result);
}

/// What the engine wrote on the function, as properties of the kernel.
LogicalResult LowerKernel::copyFacts(plan::KernelOp kernel) {
  Operation *function =
      SymbolTable::lookupSymbolIn(kernel.getModule(), kernel.getSymName());
  if (!function)
    return kernel.emitError() << "the engine left no function of that name";
  auto getNumber = [&](StringRef name) -> int64_t {
    auto number = function->getAttrOfType<IntegerAttr>(name);
    return number ? number.getInt() : 0;
  };
  kernel.setScratchBytes(getNumber(::varve::x86::kScratchBytesAttrName));
  kernel.setThreads(getNumber(::varve::nvidia::kThreadsAttrName));
  kernel.setSharedBytes(getNumber(::varve::nvidia::kSharedBytesAttrName));
  kernel.setBlocksPerMultiprocessor(
      getNumber(::varve::nvidia::kBlocksPerMultiprocessorAttrName));
  kernel.setDependentLaunch(
      function->hasAttr(::varve::nvidia::kDependentLaunchAttrName));
  auto maps =
      function->getAttrOfType<ArrayAttr>(::varve::nvidia::kTensorMapsAttrName);
  if (!maps)
    return success();
  FailureOr<ArrayAttr> read = readTensorMaps(kernel, maps);
  if (failed(read))
    return failure();
  kernel.setTensorMapsAttr(*read);
  return success();
}
} // namespace
