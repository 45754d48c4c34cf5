//===- ModelLoader.cpp - From MODEL on the command line to a module -------===//

#include "lib/Tools/ModelLoader.h"
#include "dialects/Varve/Varve.h"
#include "lib/Checkpoint/RandomWeights.h"
#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/HfConfig.h"
#include "lib/Model/Overrides.h"
#include "lib/Tools/Tool.h"
#include "mlir/Parser/Parser.h"
#include "varve/Support/DiagnosedError.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace varve;
namespace cl = llvm::cl;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

ModelOptions::ModelOptions(cl::SubCommand &command,
                           cl::OptionCategory &category, bool hasLayerPattern)
    // Not cl::Required: LLVM's message does not say what is missing.
    : model(cl::Positional, cl::desc("MODEL"), cl::sub(command),
            cl::cat(category)),
      overrides(
          "set", cl::value_desc("field=value"),
          cl::desc("override a field of the configuration (index_topk=256, "
                   "ratio.csa=8)"),
          cl::sub(command), cl::cat(category)),
      precision(
          "precision", cl::value_desc("policy"),
          cl::desc("f32, bf16, native, or a file of rules; without it what "
                   "suits the weights"),
          cl::sub(command), cl::cat(category)),
      weights("weights", cl::value_desc("DIR|random[:seed]"),
              cl::desc("weights to run with instead of the folder's"),
              cl::sub(command), cl::cat(category)) {
  if (hasLayerPattern)
    layers = std::make_unique<cl::opt<std::string>>(
        "layers", cl::value_desc("pattern"),
        cl::desc(
            "replace the layers: S sliding, C compressed sparse, H heavily "
            "compressed, as in 'SS(CH)*C'"),
        cl::sub(command), cl::cat(category));
}

static bool isModuleFile(StringRef model) { return model.ends_with(".mlir"); }

Expected<ModelConfig> varve::loadConfig(StringRef model, std::string &source) {
  if (fs::is_directory(model)) {
    llvm::SmallString<256> file(model);
    path::append(file, "config.json");
    source = file.str().str();
    if (!fs::exists(file))
      return createStringError("'" + model +
                               "': expected a Hugging Face folder, but there "
                               "is no config.json in it");
    return readHfConfig(source);
  }
  source = model.str();
  if (fs::exists(model))
    return readHfConfig(model);
  if (model.contains('/') || model.ends_with(".json"))
    return createStringError("'" + model + "': no such file or folder");
  return loadBuiltinConfig(model);
}

/// Random weights of the model's own sizes.
static std::unique_ptr<WeightSource> randomWeights(uint64_t seed,
                                                   const ModelConfig &config) {
  RandomWeightsOptions options;
  options.seed = seed;
  options.numExperts = config.numExperts;
  options.scaleBlockColumns = config.storage.scaleBlockColumns;
  options.expertScaleBlock = config.storage.expertScaleBlock;
  return std::make_unique<RandomWeights>(options);
}

/// `--weights`; a path is that of a folder or file that exists.
static Expected<WeightsOption> readWeightsOption(const ModelOptions &options) {
  Expected<WeightsOption> where = parseWeightsOption(options.weights);
  if (!where)
    return createStringError("--weights: " + llvm::toString(where.takeError()));
  if (!where->isRandom() && !fs::exists(where->path))
    return createStringError("--weights: expected the folder of a checkpoint, "
                             "'random' or 'random:SEED', got '" +
                             options.weights + "', which does not exist");
  return where;
}

static Error openWeights(const ModelOptions &options, LoadedModel &model) {
  WeightsOption where;
  if (options.weights.getNumOccurrences()) {
    Expected<WeightsOption> parsed = readWeightsOption(options);
    if (!parsed)
      return parsed.takeError();
    where = *parsed;
    if (where.isRandom()) {
      model.weights = randomWeights(where.seed, *model.config);
      return Error::success();
    }
  } else if (fs::is_directory(options.model.getValue())) {
    where.path = options.model;
  } else {
    return Error::success();
  }
  auto checkpoint = CheckpointWeights::open(where.path, *model.config);
  if (!checkpoint)
    return checkpoint.takeError();
  model.checkpoint = checkpoint->get();
  model.weights = std::move(*checkpoint);
  return Error::success();
}

Expected<LoadedModel> varve::loadModel(const ModelOptions &options) {
  if (options.model.empty())
    return llvm::make_error<UsageError>("expected a MODEL: " +
                                        modelKinds().str());
  LoadedModel model;
  bool hasLayers = options.layers && options.layers->getNumOccurrences();
  if (isModuleFile(options.model)) {
    model.source = options.model;
    if (!fs::exists(model.source))
      return createStringError("'" + model.source + "': no such file");
    if (!options.overrides.empty() || hasLayers)
      return createStringError(
          "'" + options.model +
          "': --set and --layers change a configuration; an "
          ".mlir file has none");
    return model;
  }
  Expected<ModelConfig> config = loadConfig(options.model, model.source);
  if (!config)
    return config.takeError();
  std::optional<StringRef> layers;
  if (hasLayers)
    layers = options.layers->getValue();
  std::vector<std::string> overrides(options.overrides.begin(),
                                     options.overrides.end());
  if (Error error = applyOverrides(*config, overrides, layers))
    return std::move(error);
  model.config = std::move(*config);
  if (Error error = openWeights(options, model))
    return std::move(error);
  return model;
}

/// Random weights for a module: its ops say what a configuration would.
static std::unique_ptr<WeightSource> randomWeights(uint64_t seed,
                                                   mlir::ModuleOp module) {
  using namespace mlir::varve;
  RandomWeightsOptions options;
  options.seed = seed;
  auto useBlock = [&](std::optional<llvm::ArrayRef<int64_t>> block,
                      mlir::Value weight) {
    if (!block)
      return;
    auto type = mlir::cast<mlir::ShapedType>(weight.getType());
    (mlir::isa<mlir::Float4E2M1FNType>(type.getElementType())
         ? options.expertScaleBlock
         : options.scaleBlockColumns) = block->back();
  };
  module.walk([&](mlir::Operation *operation) {
    if (auto op = mlir::dyn_cast<LinearOp>(operation))
      useBlock(op.getWeightBlock(), op.getWeight());
    else if (auto op = mlir::dyn_cast<GroupedLinearOp>(operation))
      useBlock(op.getWeightBlock(), op.getWeight());
    else if (auto op = mlir::dyn_cast<ExpertsOp>(operation))
      useBlock(op.getWeightBlock(), op.getWeight());
    else if (auto op = mlir::dyn_cast<RouteHashOp>(operation))
      options.numExperts =
          mlir::cast<mlir::ShapedType>(op.getLogits().getType()).getDimSize(1);
  });
  return std::make_unique<RandomWeights>(options);
}

/// What `--weights` names, for a module without a configuration.
static Error openModuleWeights(const ModelOptions &options,
                               mlir::ModuleOp module, LoadedModel &model) {
  if (!options.weights.getNumOccurrences())
    return Error::success();
  Expected<WeightsOption> where = readWeightsOption(options);
  if (!where)
    return where.takeError();
  if (where->isRandom()) {
    model.weights = randomWeights(where->seed, module);
    return Error::success();
  }
  // The tensors' meaning is in the checkpoint's own configuration; whether
  // they are the module's is found out when it asks for them.
  std::string source;
  Expected<ModelConfig> config = loadConfig(where->path, source);
  if (!config)
    return config.takeError();
  auto checkpoint = CheckpointWeights::open(where->path, *config);
  if (!checkpoint)
    return checkpoint.takeError();
  model.weights = std::move(*checkpoint);
  return Error::success();
}

Expected<mlir::OwningOpRef<mlir::ModuleOp>>
varve::loadModule(mlir::MLIRContext &context, const ModelOptions &options,
                  LoadedModel &model) {
  if (!model.config) {
    auto module = mlir::parseSourceFile<mlir::ModuleOp>(model.source, &context);
    if (!module)
      return llvm::make_error<DiagnosedError>();
    if (Error error = openModuleWeights(options, *module, model))
      return std::move(error);
    return module;
  }
  if (!model.checkpoint)
    return importModel(context, *model.config, model.source);
  return importModel(context, *model.config, model.source,
                     [&](StringRef name, WeightType implied) {
                       Expected<TensorInfo> info =
                           model.checkpoint->lookup(name);
                       if (info)
                         return info->type;
                       // The checkpoint was compared with the model when it was
                       // opened; a tensor that it lacks is reported there.
                       llvm::consumeError(info.takeError());
                       return implied;
                     });
}

std::string varve::resolvePrecision(const ModelOptions &options,
                                    mlir::ModuleOp module) {
  using namespace mlir::varve;
  if (options.precision.getNumOccurrences())
    return options.precision;
  if (auto present =
          module->getAttrOfType<mlir::StringAttr>(kPrecisionAttrName))
    return present.str();
  bool hasCodes =
      module
          .walk([](LinearOp op) {
            auto weight =
                mlir::cast<mlir::ShapedType>(op.getWeight().getType());
            return mlir::isa<mlir::Float8E4M3FNType>(weight.getElementType())
                       ? mlir::WalkResult::interrupt()
                       : mlir::WalkResult::advance();
          })
          .wasInterrupted();
  return hasCodes ? "native" : "f32";
}

Expected<mlir::OwningOpRef<mlir::ModuleOp>>
varve::loadExecutable(mlir::MLIRContext &context, const ModelOptions &options,
                      LoadedModel &model) {
  auto module = loadModule(context, options, model);
  if (!module)
    return module;
  // What the interpreter executes is the artefact of this phase.
  Expected<const Phase *> quantize = findPhase("quantize");
  if (!quantize)
    return quantize.takeError();
  const Phase *from = nullptr;
  if ((**module)->hasAttr(mlir::varve::kPrecisionAttrName) &&
      !options.precision.getNumOccurrences())
    from = *quantize;
  PhaseOptions phaseOptions;
  phaseOptions.precision = resolvePrecision(options, **module);
  if (Error error = runPhases(**module, from, **quantize, phaseOptions,
                              [](const Phase &) { return Error::success(); }))
    return std::move(error);
  return module;
}
