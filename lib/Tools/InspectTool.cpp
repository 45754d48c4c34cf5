//===- InspectTool.cpp - varve inspect ------------------------------------===//

#include "lib/Checkpoint/WeightInventory.h"
#include "lib/CostModel/Memory.h"
#include "lib/Model/LayerPattern.h"
#include "lib/Tools/ModelLoader.h"
#include "lib/Tools/Tool.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace varve;
namespace cl = llvm::cl;
namespace json = llvm::json;
using llvm::createStringError;
using llvm::Expected;

namespace {

cl::SubCommand command("inspect",
                       "Describe a model: layers, tensors, bytes, memory");
ModelOptions modelOptions(command, toolCategory());
cl::opt<bool> asJson("json", cl::desc("print JSON"), cl::sub(command),
                     cl::cat(toolCategory()));

cl::opt<bool>
    verify("verify",
           cl::desc("read every weight of a checkpoint and look for values "
                    "that cannot be: NaN, infinities, bad scales"),
           cl::sub(command), cl::cat(toolCategory()));

struct TypeCount {
  int64_t tensors = 0;
  int64_t bytes = 0;
};

struct Description {
  const ModelConfig *config;
  WeightTotals all, draft;
  llvm::MapVector<llvm::StringRef, TypeCount> byType, byComponent;
  std::string precision;
  /// Bytes by which a sequence grows per token, in the long run.
  double bytesPerToken = 0;
  std::vector<SequenceMemory> memory;
};

} // namespace

static void countWeights(const WeightInventory &inventory,
                         Description &description) {
  description.all = inventory.getTotals();
  description.draft =
      inventory.getTotals([](const WeightSpec &w) { return w.draft; });
  for (const WeightSpec &spec : inventory.getSpecs()) {
    for (TypeCount *count :
         {&description.byType[stringifyWeightType(spec.type)],
          &description.byComponent[stringifyWeightComponent(spec.component)]}) {
      count->tensors += spec.count;
      count->bytes += spec.getBytes();
    }
  }
}

static void countMemory(mlir::ModuleOp module, int64_t maxPositions,
                        Description &description) {
  std::vector<int64_t> contexts;
  for (int64_t context : {int64_t(4096), int64_t(65536), int64_t(1048576)})
    if (context < maxPositions)
      contexts.push_back(context);
  contexts.push_back(maxPositions);
  for (int64_t context : contexts)
    description.memory.push_back(getSequenceMemory(module, context));
  description.bytesPerToken = getBytesPerToken(module);
}

static std::string kindCounts(const ModelConfig &config) {
  int64_t sliding = 0, csa = 0, hca = 0;
  for (const LayerConfig &layer : config.layers)
    ++(layer.attention == AttentionKind::Sliding ? sliding
       : layer.attention == AttentionKind::CSA   ? csa
                                                 : hca);
  return llvm::formatv(
             "{0} sliding, {1} compressed sparse, {2} heavily compressed",
             sliding, csa, hca)
      .str();
}

static std::string gibibytes(int64_t bytes) {
  return llvm::formatv("{0:f2} GiB", static_cast<double>(bytes) / (1 << 30))
      .str();
}

static void
printCounts(llvm::raw_ostream &os,
            const llvm::MapVector<llvm::StringRef, TypeCount> &counts) {
  for (const auto &[name, count] : counts)
    os << llvm::formatv("  {0,-16} {1,10} tensors {2,20} bytes\n", name,
                        withCommas(count.tensors), withCommas(count.bytes));
}

static void printText(llvm::raw_ostream &os, const Description &d) {
  const ModelConfig &config = *d.config;
  os << "model       " << config.name << '\n'
     << "layers      " << config.numLayers() << "  " << layerString(config)
     << "  (" << kindCounts(config) << ")\n"
     << "parameters  " << withCommas(d.all.parameters - d.draft.parameters);
  if (d.draft.parameters)
    os << " (and " << withCommas(d.draft.parameters) << " in draft blocks)";
  os << "\ntensors     " << withCommas(d.all.tensors) << "\nbytes       "
     << withCommas(d.all.bytes) << " (" << gibibytes(d.all.bytes) << ")\n\n";
  os << "stored as\n";
  printCounts(os, d.byType);
  os << "\nby component\n";
  printCounts(os, d.byComponent);
  os << "\nmemory of a sequence, precision " << d.precision << ": "
     << llvm::formatv("{0:f2}", d.bytesPerToken)
     << " bytes a token and a fixed part\n"
     << llvm::formatv("  {0,12} {1,18} {2,14} {3,14} {4,18}\n", "tokens",
                      "entries", "windows", "states", "total bytes");
  for (const SequenceMemory &m : d.memory)
    os << llvm::formatv("  {0,12} {1,18} {2,14} {3,14} {4,18}\n",
                        withCommas(m.context), withCommas(m.entryBytes),
                        withCommas(m.windowBytes), withCommas(m.stateBytes),
                        withCommas(m.getTotal()));
}

static void printJson(llvm::raw_ostream &os, const Description &d) {
  auto counts = [](const llvm::MapVector<llvm::StringRef, TypeCount> &map) {
    json::Object object;
    for (const auto &[name, count] : map)
      object[name] =
          json::Object{{"tensors", count.tensors}, {"bytes", count.bytes}};
    return object;
  };
  json::Array memory;
  for (const SequenceMemory &m : d.memory)
    memory.push_back(json::Object{{"tokens", m.context},
                                  {"entries", m.entryBytes},
                                  {"windows", m.windowBytes},
                                  {"states", m.stateBytes},
                                  {"total", m.getTotal()}});
  json::Value value = json::Object{
      {"model", d.config->name},
      {"layers", layerString(*d.config)},
      {"layer_count", d.config->numLayers()},
      {"parameters", d.all.parameters - d.draft.parameters},
      {"draft_parameters", d.draft.parameters},
      {"tensors", d.all.tensors},
      {"bytes", d.all.bytes},
      {"by_type", counts(d.byType)},
      {"by_component", counts(d.byComponent)},
      {"precision", d.precision},
      {"bytes_per_token", d.bytesPerToken},
      {"memory_per_sequence", std::move(memory)},
  };
  os << llvm::formatv("{0:2}\n", value);
}

/// Adds a tensor, or the stack of all experts', as it is stored.
static void countStored(const CheckpointWeights &weights,
                        const std::string &name, TypeCount &count) {
  Expected<TensorInfo> info = weights.lookup(name);
  if (!info)
    // Tensors that a model has only with some stored types, such as scales.
    return llvm::consumeError(info.takeError());
  int64_t elements = 1;
  for (int64_t size : info->shape)
    elements *= size;
  count.tensors += llvm::StringRef(name).contains('*') ? info->shape[0] : 1;
  count.bytes += elements * bitsOf(info->type) / 8;
}

/// What the files hold takes the place of what the configuration implies.
static void countStored(const CheckpointWeights &weights,
                        const WeightInventory &inventory,
                        Description &description) {
  description.byComponent.clear();
  for (const WeightSpec &spec : inventory.getSpecs()) {
    // Scales are looked for beside every weight, whatever the configuration
    // says of its type.
    if (spec.role == WeightRole::LinearScale ||
        spec.role == WeightRole::ExpertScale)
      continue;
    TypeCount &count =
        description.byComponent[stringifyWeightComponent(spec.component)];
    countStored(weights, spec.name, count);
    llvm::StringRef stem = spec.name;
    if (stem.consume_back(".weight"))
      countStored(weights, (stem + ".scale").str(), count);
  }
  description.byType.clear();
  description.all.tensors = description.all.bytes = 0;
  for (const CheckpointTensor &tensor : weights.getCheckpoint().getTensors()) {
    TypeCount &count =
        description.byType[stringifySafetensorsType(tensor.info->type)];
    int64_t bytes = tensor.info->end - tensor.info->begin;
    ++count.tensors;
    count.bytes += bytes;
    ++description.all.tensors;
    description.all.bytes += bytes;
  }
}

static Expected<int> runInspect() {
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  if (!model->config)
    return createStringError(
        "'" + modelOptions.model +
        "': expected a folder, a config.json or a built-in "
        "configuration; an .mlir file can be read as it is");
  if (verify && !model->checkpoint)
    return createStringError("--verify: expected a checkpoint, but '" +
                             modelOptions.model + "' has no weights");
  if (verify)
    if (llvm::Error error = model->checkpoint->verifyValues())
      return std::move(error);
  auto inventory = WeightInventory::create(*model->config);
  if (!inventory)
    return inventory.takeError();
  ToolContext context;
  auto module = loadExecutable(*context, modelOptions, *model);
  if (!module)
    return module.takeError();

  Description description;
  description.config = &*model->config;
  description.precision = resolvePrecision(modelOptions, **module);
  countWeights(*inventory, description);
  if (model->checkpoint)
    countStored(*model->checkpoint, *inventory, description);
  countMemory(**module, model->config->maxPositions, description);
  (asJson ? printJson : printText)(llvm::outs(), description);
  return kExitOk;
}

Command varve::inspectCommand() { return {&command, runInspect}; }
