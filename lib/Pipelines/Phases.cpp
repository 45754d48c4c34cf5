//===- Phases.cpp - The compiler's phases, as data ------------------------===//

#include "lib/Pipelines/Phases.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/Fusion/Passes.h"
#include "passes/Quantize/Passes.h"
#include "passes/Verify/Passes.h"
#include "varve/Support/DiagnosedError.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace ::varve;
using ::varve::Phase;
using ::varve::PhaseOptions;

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

static void buildFuse(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createInsertCommitsPass());
  pm.addPass(mlir::varve::createFormKernelsPass());
}

static void verifyFuse(OpPassManager &pm, const PhaseOptions &) {
  pm.addPass(mlir::varve::createVerifyFusedPass());
}

static const Phase phaseTable[] = {
    {"import", "the model on tensors, weights by name, pools declared",
     ".model.mlir",
     /*build=*/nullptr, verifyImport},
    {"quantize", "a precision policy: element types, scales, pool formats",
     ".quant.mlir", buildQuantize, verifyQuantize},
    {"fuse", "kernels: ops that run together", ".fused.mlir", buildFuse,
     verifyFuse},
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
