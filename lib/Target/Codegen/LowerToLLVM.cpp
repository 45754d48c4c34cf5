//===- LowerToLLVM.cpp - From upstream dialects to LLVM IR -----*- C++ -*-===//
#include "lib/Target/Codegen/LowerToLLVM.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/LLVMTranslationInterface.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Target/Passes.h"

using namespace mlir;
using namespace ::varve;

namespace varve {

void registerTargetDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect,
                  cf::ControlFlowDialect, func::FuncDialect,
                  index::IndexDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, NVVM::NVVMDialect, scf::SCFDialect,
                  ub::UBDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

void buildLowerToLLVMPipeline(OpPassManager &pm, const TargetModel &target,
                              bool nativeBF16) {
  if (target.isGpu())
    pm.addPass(mlir::varve::createLowerMathToNVVMPass());
  else
    pm.addPass(mlir::varve::createLowerMathToPolynomialsPass());

  // Arithmetic in types that have only conversions goes through f32.
  arith::ArithEmulateUnsupportedFloatsOptions emulate;
  mlir::varve::ExpandNarrowFloatsPassOptions expand;
  expand.types = {"f8E4M3FN", "f8E5M2", "f4E2M1FN", "f8E8M0FNU"};
  if (target.isGpu())
    expand.target = target.getName().str();
  else if (!nativeBF16)
    expand.types.push_back("bf16");
  emulate.sourceTypeStrs.assign(expand.types.begin(), expand.types.end());
  pm.addPass(arith::createArithEmulateUnsupportedFloats(emulate));
  pm.addPass(mlir::varve::createExpandNarrowFloatsPass(expand));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());

  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertNVVMToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(mlir::varve::createAttachLineDirectivesPass());
}

/// Names the ops that no pass of the pipeline converted.
static LogicalResult verifyConverted(ModuleOp module) {
  bool ok = true;
  module.walk([&](Operation *op) {
    if (op == module ||
        isa_and_present<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect()))
      return;
    ok = false;
    op->emitOpError("was not lowered to the LLVM dialect");
  });
  return success(ok);
}

/// Many upstream passes merge blocks with equal ops, whatever the ops are. For
/// threads that meet at a barrier in one arm of a branch and threads that meet
/// at another in the other arm, one barrier is a different program. An
/// attribute that numbers the ops keeps them apart.
static void pinSideEffects(ModuleOp module, StringAttr attribute) {
  int64_t number = 0;
  Builder builder(module.getContext());
  module.walk([&](Operation *op) {
    if (op->getNumRegions() == 0 && !op->hasTrait<OpTrait::IsTerminator>() &&
        !isMemoryEffectFree(op))
      op->setDiscardableAttr(attribute, builder.getI64IntegerAttr(number++));
  });
}

static void unpinSideEffects(ModuleOp module, StringAttr attribute) {
  module.walk([&](Operation *op) { op->removeDiscardableAttr(attribute); });
}

FailureOr<LlvmModule> lowerToLLVMIR(ModuleOp module, const TargetModel &target,
                                    bool nativeBF16) {
  MLIRContext *context = module.getContext();
  auto *llvmDialect = context->getOrLoadDialect<LLVM::LLVMDialect>();
  if (!llvmDialect->getRegisteredInterface<LLVMTranslationDialectInterface>()) {
    DialectRegistry registry;
    registerTargetDialects(registry);
    context->appendDialectRegistry(registry);
  }
  PassManager pm(context, ModuleOp::getOperationName());
  buildLowerToLLVMPipeline(pm, target, nativeBF16);
  auto pin = StringAttr::get(context, "varve.side_effect");
  if (target.isGpu())
    pinSideEffects(module, pin);
  if (failed(pm.run(module)) || failed(verifyConverted(module)))
    return failure();
  unpinSideEffects(module, pin);

  LlvmModule result;
  result.context = std::make_unique<llvm::LLVMContext>();
  result.module = translateModuleToLLVMIR(module, *result.context, "varve");
  if (!result.module)
    return emitError(module.getLoc(),
                     "the module does not translate to LLVM IR");
  return result;
}

} // namespace varve
