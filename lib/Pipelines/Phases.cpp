//===- Phases.cpp - The compiler's phases, as data ------------------------===//

#include "lib/Pipelines/Phases.h"
#include "dialects/Plan/Plan.h"
#include "lib/Binary/Passes.h"
#include "lib/Package/Package.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Engine/Passes.h"
#include "passes/Fusion/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Plan/Passes.h"
#include "passes/Quantize/Passes.h"
#include "passes/Schedule/Passes.h"
#include "passes/Verify/Passes.h"
#include "varve/Support/DiagnosedError.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace ::varve;
using ::varve::Phase;
using ::varve::PhaseOptions;
namespace plan = mlir::varve::plan;

static void verifyImport(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyModelPass());
}

static void buildQuantize(OpPassManager &pm, const PhaseOptions &options) {
  pm.addPass(mlir::varve::createApplyPrecisionPass({options.precision}));
}

static void verifyQuantize(OpPassManager &pm, const PhaseOptions &options) {
  pm.addPass(mlir::varve::createVerifyModelPass());
  pm.addPass(mlir::varve::createVerifyQuantizedPass({options.precision}));
}

static void buildFuse(OpPassManager &pm, const PhaseOptions &options) {
  pm.addPass(mlir::varve::createInsertCommitsPass());
  if (options.storedPrograms)
    pm.addPass(mlir::varve::createExposeStoredPass());
  pm.addPass(mlir::varve::createFormKernelsPass());
}

static void verifyFuse(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyFusedPass());
}

static void buildSchedule(OpPassManager &pm, const PhaseOptions &options) {
  if (options.layerPrograms)
    pm.addPass(mlir::varve::createExposeLayersPass());
  pm.addPass(mlir::varve::createOutlineKernelsPass());
  mlir::varve::SplitTargetsPassOptions split;
  llvm::append_range(split.targets, options.targets);
  if (split.targets.empty())
    split.targets.push_back("x86-64");
  pm.addPass(mlir::varve::createSplitTargetsPass(split));
  pm.addPass(mlir::varve::createChooseStrategiesPass());
}

static void verifySchedule(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyScheduledPass());
}

static void buildLower(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createLowerKernelsPass());
  pm.addPass(createCSEPass());
}

static void verifyLower(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyLoweredPass());
}

static void buildTarget(OpPassManager &pm, const PhaseOptions &options) {
  OpPassManager &target = pm.nest<ModuleOp>();
  target.addPass(mlir::varve::createPlanInlinePass());
  target.addPass(createCanonicalizerPass());
  target.addPass(mlir::varve::createPlanVerifyPass());
  target.addNestedPass<plan::FuncOp>(mlir::varve::createPlanShareStoragePass());
  target.addPass(mlir::varve::createPlanOutlineKernelsPass());
  if (options.recallKernels)
    target.addPass(mlir::varve::createRecallKernelsPass({options.ptx}));
  target.addNestedPass<plan::KernelOp>(mlir::varve::createLowerKernelPass());
}

static void verifyTarget(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyTargetsPass());
}

static void verifyBinary(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyTargetsPass({/*compiled=*/true}));
}

static void buildBinary(OpPassManager &pm, const PhaseOptions &options) {
  mlir::varve::CompileKernelsPassOptions compile;
  compile.ptx = options.ptx;
  pm.addPass(mlir::varve::createCompileKernelsPass(compile));
}

/// Nothing is left to be done with the module; its artefact is the package.
static void buildPackage(OpPassManager &, const PhaseOptions &) {}

static llvm::Error writePackageFile(ModuleOp module, llvm::raw_ostream &os) {
  FailureOr<std::string> package = ::varve::writePackage(module);
  if (failed(package))
    return llvm::make_error<DiagnosedError>("phase 'package' failed");
  os << *package;
  return llvm::Error::success();
}

static const Phase phaseTable[] = {
    {"import", "the model on tensors, weights by name, pools declared",
     ".model.mlir",
     /*build=*/nullptr, verifyImport},
    {"quantize", "a precision policy: element types, scales, pool formats",
     ".quant.mlir", buildQuantize, verifyQuantize},
    {"fuse", "kernels: ops that run together", ".fused.mlir", buildFuse,
     verifyFuse},
    {"schedule", "each distinct kernel once per target, with strategies",
     ".sched.mlir", buildSchedule, verifySchedule},
    {"lower", "tile programs and the plan that launches them", ".tile.mlir",
     buildLower, verifyLower},
    {"target", "kernels for each target's back end, storages for tensors",
     ".llvm.mlir", buildTarget, verifyTarget},
    {"binary", "machine code of every kernel, with what the assembler reports",
     ".bin.mlir", buildBinary, verifyBinary},
    {"package", "one file with plans and kernels, for the runtime", ".varve",
     buildPackage, verifyBinary, writePackageFile},
};

namespace varve {

llvm::ArrayRef<Phase> phases() { return phaseTable; }

llvm::Expected<const Phase *> findPhase(llvm::StringRef name) {
  SmallVector<StringRef> names;
  for (const Phase &phase : phases()) {
    if (phase.name == name)
      return &phase;
    names.push_back(phase.name);
  }
  return llvm::createStringError("expected one of the phases " +
                                 llvm::join(names, ", ") + ", got '" + name +
                                 "'" + didYouMean(name, names));
}

/// Runs a phase, or checks its artefact alone.
static llvm::Error runOne(ModuleOp module, const Phase &phase,
                          const PhaseOptions &options, bool checkOnly = false) {
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  if (phase.build && !checkOnly)
    phase.build(pm, options);
  phase.verify(pm, options);
  if (succeeded(pm.run(module)))
    return llvm::Error::success();
  if (checkOnly)
    return llvm::make_error<DiagnosedError>(
        ("expected the artefact of phase '" + phase.name + "'").str());
  return llvm::make_error<DiagnosedError>(
      ("phase '" + phase.name + "' failed").str());
}

llvm::Error
runPhases(ModuleOp module, const Phase *from, const Phase &to,
          const PhaseOptions &options,
          llvm::function_ref<llvm::Error(const Phase &)> afterPhase) {
  if (from)
    if (llvm::Error error = runOne(module, *from, options, /*checkOnly=*/true))
      return error;
  const Phase *first = from ? from + 1 : phases().begin();
  for (const Phase *phase = first; phase <= &to; ++phase) {
    if (llvm::Error error = runOne(module, *phase, options))
      return error;
    if (llvm::Error error = afterPhase(*phase))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error writeArtefact(ModuleOp module, const Phase &phase,
                          llvm::raw_ostream &os) {
  if (phase.write)
    return phase.write(module, os);
  OpPrintingFlags flags;
  flags.enableDebugInfo();
  module.print(os, flags);
  os << '\n';
  return llvm::Error::success();
}

void registerPhasePipelines() {
  for (const Phase &phase : phases()) {
    if (!phase.build)
      continue;
    // The table is static, so the names outlive the registration.
    std::string argument = ("varve-" + phase.name + "-pipeline").str();
    PassPipelineRegistration<PhaseOptions>(
        argument, phase.description,
        [&phase](OpPassManager &pm, const PhaseOptions &options) {
          phase.build(pm, options);
          phase.verify(pm, options);
        });
  }
}

} // namespace varve
