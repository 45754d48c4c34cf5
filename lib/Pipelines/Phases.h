//===- Phases.h - The compiler's phases, as data ---------------*- C++ -*-===//
//
// The one list of phases. Stopping (`--to`), resuming (`--from`), dumping
// (`--dump`), the textual pipelines of `varve-opt`, and the help are derived
// from it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PIPELINES_PHASES_H
#define VARVE_PIPELINES_PHASES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace varve {

/// What the phases behind the import need to know. The driver and the textual
/// pipelines fill the same struct.
struct PhaseOptions : mlir::PassPipelineOptions<PhaseOptions> {
  Option<std::string> precision{
      *this, "precision",
      llvm::cl::desc("Precision policy: f32, bf16, native, or a file of rules"),
      llvm::cl::init("f32")};
  ListOption<std::string> targets{
      *this, "targets",
      llvm::cl::desc("Target models to compile for (default: x86-64)")};
  Option<bool> ptx{*this, "ptx",
                   llvm::cl::desc("Leave NVIDIA kernels to the driver's "
                                  "assembler, even if ptxas is here"),
                   llvm::cl::init(false)};
  Option<bool> layerPrograms{
      *this, "layer-programs",
      llvm::cl::desc("A program for every layer besides the step"),
      llvm::cl::init(false)};
  Option<bool> storedPrograms{
      *this, "stored-programs",
      llvm::cl::desc("Programs that show the values inside layers"),
      llvm::cl::init(false)};
  Option<bool> recallKernels{
      *this, "recall-kernels",
      llvm::cl::desc("Kernels that are in the cache are not lowered; the run "
                     "must go on to the binary phase"),
      llvm::cl::init(false)};
};

struct Phase {
  llvm::StringRef name;
  llvm::StringRef description;
  /// Of the artefact, with the leading dot.
  llvm::StringRef extension;
  /// Adds the phase's passes; null for the import, which has a model instead
  /// of a module.
  void (*build)(mlir::OpPassManager &, const PhaseOptions &);
  /// Adds the pass that checks the phase's result.
  void (*verify)(mlir::OpPassManager &, const PhaseOptions &);
  /// Writes the artefact; null where it is the module's text.
  llvm::Error (*write)(mlir::ModuleOp, llvm::raw_ostream &) = nullptr;
};

/// In order.
llvm::ArrayRef<Phase> phases();

/// Errors name the nearest phase and list all.
llvm::Expected<const Phase *> findPhase(llvm::StringRef name);

/// Runs the phases behind `from` up to and including `to` on `module`, the
/// artefact of `from`, which is checked first; with `from` null the module is
/// fresh from the import. `afterPhase` sees the module at the end of each
/// phase. Failures have been reported as diagnostics; the message says which
/// phase failed.
llvm::Error
runPhases(mlir::ModuleOp module, const Phase *from, const Phase &to,
          const PhaseOptions &options,
          llvm::function_ref<llvm::Error(const Phase &)> afterPhase);

/// Writes the artefact of a phase: the module with all locations, or what the
/// phase makes of it.
llvm::Error writeArtefact(mlir::ModuleOp module, const Phase &phase,
                          llvm::raw_ostream &os);

/// Registers `varve-<phase>-pipeline` for every phase with passes.
void registerPhasePipelines();

} // namespace varve

#endif // VARVE_PIPELINES_PHASES_H
