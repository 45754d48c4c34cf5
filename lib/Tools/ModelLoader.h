//===- ModelLoader.h - From MODEL to a module -------------------*- C++ -*-===//
#ifndef VARVE_TOOLS_MODELLOADER_H
#define VARVE_TOOLS_MODELLOADER_H

#include "lib/Checkpoint/CheckpointWeights.h"
#include "lib/Model/ModelConfig.h"
#include "lib/Pipelines/Phases.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/CommandLine.h"

namespace varve {

/// The options of every command that takes a MODEL.
class ModelOptions {
public:
  ModelOptions(llvm::cl::SubCommand &command,
               llvm::cl::OptionCategory &category, bool hasLayerPattern = true);

  llvm::cl::opt<std::string> model;
  llvm::cl::list<std::string> overrides;
  llvm::cl::opt<std::string> precision;
  llvm::cl::opt<std::string> weights;
  /// Absent where the command uses `--layers` for something else.
  std::unique_ptr<llvm::cl::opt<std::string>> layers;
};

/// What MODEL stands for. A `.mlir` file has no configuration.
struct LoadedModel {
  std::optional<ModelConfig> config;
  /// The weights to run with: the folder's, `--weights`, or none. Those of a
  /// `.mlir` file are opened with its module.
  std::unique_ptr<WeightSource> weights;
  /// The same when they are a checkpoint.
  const CheckpointWeights *checkpoint = nullptr;
  /// For messages and locations.
  std::string source;
};

/// The configuration of a folder, of a config.json, or of a built-in name;
/// `source` becomes the file's name, for messages and locations.
llvm::Expected<ModelConfig> loadConfig(llvm::StringRef model,
                                       std::string &source);

/// Resolves MODEL: a folder with a config.json, a config.json, or the name of
/// a built-in configuration; applies `--layers` and `--set`, and opens the
/// weights if there are any. A missing MODEL is a UsageError.
llvm::Expected<LoadedModel> loadModel(const ModelOptions &options);

/// The module of a model at the end of the import phase; for a `.mlir` file,
/// what it contains, and `model` gets the weights that `--weights` names.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
loadModule(mlir::MLIRContext &context, const ModelOptions &options,
           LoadedModel &model);

/// `--precision`; or the one that `module` has already; or what suits its
/// weights: native for FP8 linears, f32 otherwise.
std::string resolvePrecision(const ModelOptions &options,
                             mlir::ModuleOp module);

/// The module ready to be executed by the reference interpreter: imported and
/// with its precision applied. A `.mlir` file may be the artefact of either
/// phase.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
loadExecutable(mlir::MLIRContext &context, const ModelOptions &options,
               LoadedModel &model);

} // namespace varve

#endif // VARVE_TOOLS_MODELLOADER_H
