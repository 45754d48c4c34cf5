//===- LayerCosts.cpp - The cost of each kind of layer, once --------------===//

#include "lib/Explore/LayerCosts.h"
#include "dialects/Varve/Varve.h"
#include "lib/Explore/KernelPrograms.h"
#include "lib/Explore/Variants.h"
#include "lib/Import/Import.h"
#include "lib/Model/LayerPattern.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/PrecisionPolicy.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::varve;

namespace varve {

/// A function's costs; empty between its request and its import.
struct LayerCosts::Kind {
  std::shared_ptr<const KindCost> cost;
};

LayerCosts::LayerCosts(MLIRContext &context, Conditions conditions)
    : context(context), conditions(std::move(conditions)) {
  context.loadDialect<VarveDialect, func::FuncDialect>();
}

LayerCosts::~LayerCosts() = default;

//===----------------------------------------------------------------------===//
// Costs of a function
//===----------------------------------------------------------------------===//

/// How much a product counts in operations of FP8 (specification 9.4): bf16
/// attention twice, f4 index scores half, weights always once.
static double getWeight(Mechanism mechanism, const OpCost &cost) {
  if (mechanism != Mechanism::Attention && mechanism != Mechanism::Indexer)
    return 1;
  if (cost.flopsF4)
    return 0.5;
  if (cost.flopsF8)
    return 1;
  return cost.flopsBF16 ? 2 : 4;
}

static void addOp(StepCost &sum, const OpWork &work, const OpCost &cost,
                  double tokens) {
  sum.total += cost;
  double products = cost.productFlops / tokens;
  switch (work.mechanism) {
  case Mechanism::Indexer:
    sum.flopsIndexer += products;
    sum.keyBytesRead += cost.poolBytesRead;
    break;
  case Mechanism::Attention:
    sum.flopsAttention += products;
    sum.entryBytesRead += cost.poolBytesRead - cost.windowBytesRead;
    break;
  default:
    sum.flopsWeights += products;
    sum.stateBytesRead += cost.poolBytesRead;
  }
  sum.flopsEquivalent += products * getWeight(work.mechanism, cost);
}

char getLetter(const FunctionWork &work) {
  for (const OpWork &item : work.ops)
    if (auto op = dyn_cast<SparseAttentionOp>(item.op)) {
      if (!op.getEntriesAttr())
        return 'S';
      if (op.getWindowAttr())
        return op.getIndices() ? 'C' : 'H';
      return op.getIndices() ? 'D' : 'G';
    }
  return '-';
}

/// Fills in what an attention reads.
static void describeAttention(const FunctionWork &work, KindCost &kind) {
  for (const OpWork &item : work.ops) {
    auto op = dyn_cast<SparseAttentionOp>(item.op);
    if (!op)
      continue;
    if (op.getWindowAttr())
      if (PoolOp pool = lookupPool(op, op.getWindowAttr()))
        kind.window = pool.getSize().value_or(0);
    if (op.getEntriesAttr())
      if (PoolOp pool = lookupPool(op, op.getEntriesAttr()))
        kind.ratio = pool.getRowTokens();
    if (op.getIndices())
      kind.topk =
          cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1);
  }
}

static std::string makeTitle(const FunctionWork &work, const KindCost &kind) {
  if (!work.isLayer())
    return work.name;
  std::string title(1, kind.letter);
  if (kind.ratio)
    title += llvm::formatv(" {0}:1", kind.ratio);
  if (kind.topk)
    title += llvm::formatv(" top {0}", kind.topk);
  // Layers that attend alike may still differ behind their attention.
  bool hash = llvm::any_of(
      work.ops, [](const OpWork &item) { return isa<RouteHashOp>(item.op); });
  bool dense = llvm::none_of(
      work.ops, [](const OpWork &item) { return isa<ExpertsOp>(item.op); });
  return title + (hash ? ", hash-routed" : dense ? ", dense" : "");
}

namespace {
/// What is timed as one: an op at level E0, a kernel at level E1.
struct Piece {
  KernelWork kernel;
  bool launches = false;
};
} // namespace

static std::vector<Piece> makePieces(const FunctionWork &work,
                                     llvm::ArrayRef<KernelWork> kernels,
                                     Level level) {
  std::vector<Piece> pieces;
  if (level == Level::ClosedForm) {
    for (auto [index, item] : llvm::enumerate(work.ops))
      pieces.push_back(
          {{item.kind.str(), {static_cast<unsigned>(index)}}, item.anchor});
    return pieces;
  }
  for (const KernelWork &kernel : kernels)
    pieces.push_back({kernel, true});
  return pieces;
}

static OpCost getPieceCost(const FunctionWork &work, const Piece &piece,
                           const StepShape &step, Level level) {
  if (level != Level::ClosedForm)
    return getKernelCost(work, piece.kernel, step);
  Operation *op = work.ops[piece.kernel.ops.front()].op;
  return cast<CostOpInterface>(op).getCost(step);
}

/// The piece without its costs. It is called after the op that does most of
/// its work: its anchor, or its first op.
static OpDetail describePiece(const FunctionWork &work, const Piece &piece) {
  OpDetail detail;
  detail.kind = piece.kernel.kind;
  detail.anchor = piece.launches;
  if (piece.kernel.ops.empty()) {
    detail.name = piece.kernel.kind;
    detail.mechanism = getMechanismName(Mechanism::Rowwise);
    return detail;
  }
  unsigned main = piece.kernel.ops.front();
  for (unsigned index : piece.kernel.ops)
    if (work.ops[index].anchor && !work.ops[main].anchor)
      main = index;
  detail.name = work.ops[main].name;
  if (piece.kernel.ops.size() > 1)
    detail.name += llvm::formatv(" and {0} more", piece.kernel.ops.size() - 1);
  detail.mechanism = getMechanismName(work.ops[main].mechanism);
  return detail;
}

/// Targets of the devices, each once.
static llvm::SmallVector<const TargetModel *>
getTargets(llvm::ArrayRef<Roofline> devices) {
  llvm::SmallVector<const TargetModel *> targets;
  for (const Roofline &device : devices)
    if (!llvm::is_contained(targets, device.getDevice().target))
      targets.push_back(device.getDevice().target);
  return targets;
}

/// Replaces the launch of a kernel by those that the compiler makes, and adds
/// the time of their programs.
static LaunchDetail addPrograms(llvm::ArrayRef<LaunchWork> launches,
                                const OpCost &cost, const StepShape &step,
                                const Roofline &device, OpTime &time,
                                DeviceCost &sum) {
  LaunchDetail detail;
  double longest = -1;
  for (const LaunchWork &launch : launches) {
    LaunchTime one =
        getLaunchTime(launch, getActiveShare(launch, cost), device);
    time.program += one.getTotal();
    sum.occupancy += one.occupancy * one.getTotal();
    sum.registers = std::max(sum.registers, launch.registers);
    sum.spillBytes += launch.spillBytes;
    if (one.getTotal() <= longest)
      continue;
    longest = one.getTotal();
    detail = {launch.kernel,      static_cast<int64_t>(launches.size()),
              launch.blocks,      launch.threads,
              launch.sharedBytes, launch.registers,
              launch.spillBytes,  one};
  }
  time.launch = launches.size() * device.getLaunch(step.tokens);
  if (time.launch >= time.getKernel())
    time.bound = Bound::Launch;
  else if (time.program > time.getRoof())
    time.bound = detail.time.getBound();
  else if (time.bound == Bound::Launch)
    time.bound = Bound::Weights;
  sum.launches += launches.size();
  return detail;
}

/// Adds the pieces of a function in one step.
static void addPieces(const FunctionWork &work, llvm::ArrayRef<Piece> pieces,
                      const KernelPrograms *programs, size_t stepIndex,
                      const Conditions &conditions, KindCost &kind) {
  const StepShape &step = conditions.steps[stepIndex];
  StepCost &sum = kind.steps[stepIndex];
  Level level = conditions.level;
  llvm::SmallVector<const TargetModel *> targets =
      getTargets(conditions.devices);
  for (auto [index, piece] : llvm::enumerate(pieces)) {
    OpCost cost = getPieceCost(work, piece, step, level);
    if (level != Level::ClosedForm) {
      sum.total.activationBytesRead += cost.activationBytesRead;
      sum.total.activationBytesWritten += cost.activationBytesWritten;
    }
    llvm::SmallDenseMap<const TargetModel *, std::vector<LaunchWork>> launches;
    if (programs)
      for (const TargetModel *target : targets)
        launches[target] =
            programs->getLaunches(*target, work.name, index, step);
    for (auto [device, seconds] :
         llvm::zip_equal(conditions.devices, sum.devices)) {
      OpTime time = device.getTime(cost, piece.launches);
      if (programs) {
        LaunchDetail detail = addPrograms(launches[device.getDevice().target],
                                          cost, step, device, time, seconds);
        if (conditions.keepOps)
          kind.opDetails[index].launches.push_back(std::move(detail));
      } else {
        seconds.launches += piece.launches;
      }
      seconds.roof += time.getRoof();
      seconds.kernels += time.getKernel();
      seconds.launch += time.launch;
      seconds.byBound[static_cast<unsigned>(time.bound)] += time.getTotal();
      if (conditions.keepOps)
        kind.opDetails[index].times.push_back(time);
    }
    if (conditions.keepOps)
      kind.opDetails[index].costs.push_back(cost);
  }
}

KindCost LayerCosts::makeKind(const FunctionWork &work,
                              const KernelPrograms *programs) const {
  KindCost kind;
  kind.letter = getLetter(work);
  describeAttention(work, kind);
  kind.title = makeTitle(work, kind);
  kind.weightBytes = work.weightBytes;
  kind.ops = work.ops.size();
  std::vector<Piece> pieces = makePieces(
      work,
      programs ? programs->getKernels(work.name) : llvm::ArrayRef<KernelWork>(),
      conditions.level);
  if (conditions.keepOps)
    for (const Piece &piece : pieces)
      kind.opDetails.push_back(describePiece(work, piece));
  for (const PoolWork &pool : work.pools)
    kind.growth += pool.getGrowth();
  kind.steps.resize(conditions.steps.size());
  for (auto [index, step] : llvm::enumerate(conditions.steps)) {
    StepCost &sum = kind.steps[index];
    for (const OpWork &item : work.ops)
      addOp(sum, item, cast<CostOpInterface>(item.op).getCost(step),
            static_cast<double>(step.tokens));
    if (conditions.level != Level::ClosedForm)
      sum.total.activationBytesRead = sum.total.activationBytesWritten = 0;
    sum.devices.resize(conditions.devices.size());
    addPieces(work, pieces, programs, index, conditions, kind);
    sum.attendedKeys = work.getAttendedKeys(step);
    sum.scratchBytes = work.getScratchBytes(step);
    for (const PoolWork &pool : work.pools) {
      int64_t bytes = pool.getBytes(step.context);
      sum.cacheBytes += bytes;
      sum.allocatedBytes += pool.getAllocatedBytes(step);
      if (!pool.grows())
        sum.fixedBytes += bytes;
    }
  }
  return kind;
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

/// Runs `body`; a diagnostic that it emits becomes a refusal.
static std::optional<Refusal>
refuseDiagnostics(MLIRContext &context, llvm::StringRef remedy,
                  llvm::function_ref<LogicalResult()> body) {
  std::optional<Refusal> refusal;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (refusal || diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    std::string op;
    if (auto name = dyn_cast<NameLoc>(diagnostic.getLocation()))
      op = name.getName().str();
    refusal = Refusal{op, diagnostic.str(), remedy.str()};
    return success();
  });
  if (succeeded(body()))
    return std::nullopt;
  if (!refusal)
    refusal = Refusal{"", "the mix could not be built", remedy.str()};
  return refusal;
}

/// Applies the precision and the pools' variants of a mix.
static std::optional<Refusal> finishModule(MLIRContext &context,
                                           ModuleOp module,
                                           llvm::StringRef precision,
                                           llvm::ArrayRef<Setting> settings) {
  if (!precision.empty())
    if (auto refusal = refuseDiagnostics(
            context, "take another --precision, or sizes that its blocks fit",
            [&] {
              PassManager pm(&context, ModuleOp::getOperationName());
              pm.addPass(createApplyPrecisionPass({precision.str()}));
              return pm.run(module);
            }))
      return refusal;
  return applyVariants(module, settings);
}

/// Refuses ops that the fuse phase does not know, as comparison modules use
/// them to put rows together.
static std::optional<Refusal>
refuseForeignOps(llvm::ArrayRef<FunctionWork> functions) {
  for (const FunctionWork &work : functions)
    for (Operation &op : work.function->getRegion(0).front())
      if (!isa<VarveDialect>(op.getDialect()) &&
          !op.hasTrait<OpTrait::IsTerminator>()) {
        auto name = dyn_cast<NameLoc>(op.getLoc());
        return Refusal{
            name ? name.getName().str() : "",
            llvm::formatv("expected ops of the varve dialect, which are all "
                          "that the fuse phase forms kernels of, but got '{0}'",
                          op.getName())
                .str(),
            "take --level=e0, which needs no kernels"};
      }
  return std::nullopt;
}

/// Refuses selections, which no program does.
static std::optional<Refusal> refuseSelections(ModuleOp module) {
  for (PoolOp pool : module.getOps<PoolOp>())
    if (pool.getSelect())
      return Refusal{pool.getSymName().str(),
                     "expected pools without a selection, which no program "
                     "makes",
                     "take --level=e0, which needs no kernels"};
  return std::nullopt;
}

/// Costs every function of a module that is finished.
std::optional<Refusal> LayerCosts::makeKinds(
    ModuleOp module,
    llvm::function_ref<void(const FunctionWork &, KindCost)> use) {
  std::vector<FunctionWork> functions = collectWork(module);
  FailureOr<KernelPrograms> programs = failure();
  if (conditions.level != Level::ClosedForm) {
    if (auto refusal = refuseForeignOps(functions))
      return refusal;
    if (auto refusal = refuseSelections(module))
      return refusal;
    if (auto refusal = refuseDiagnostics(
            context, "take --level=e0, which needs no kernels", [&] {
              programs = KernelPrograms::make(
                  module, functions, getTargets(conditions.devices),
                  conditions.level == Level::Compiled);
              return success(succeeded(programs));
            }))
      return refusal;
  }
  for (const FunctionWork &work : functions)
    use(work, makeKind(work, succeeded(programs) ? &*programs : nullptr));
  return std::nullopt;
}

/// Adds a function of a whole module, a kind of its own.
static void addFunction(const FunctionWork &work, KindCost made,
                        ModelCost &cost) {
  auto kind = std::make_shared<const KindCost>(std::move(made));
  if (!work.isLayer()) {
    cost.ends.push_back({std::move(kind), work.repeat});
    return;
  }
  cost.strip.insert(cost.strip.end(), work.repeat, cost.layerKinds.size());
  cost.layerKinds.push_back({std::move(kind), work.repeat});
}

/// The layers of a module as a pattern of letters and how often each follows.
static std::string describeStrip(const ModelCost &cost) {
  std::string letters, text;
  for (unsigned place : cost.strip)
    letters += cost.layerKinds[place].kind->letter;
  for (size_t first = 0; first < letters.size();) {
    size_t last = letters.find_first_not_of(letters[first], first);
    size_t count = std::min(last, letters.size()) - first;
    text += letters[first];
    if (count > 1)
      text += std::to_string(count);
    first += count;
  }
  return text;
}

std::optional<Refusal>
LayerCosts::getModuleCost(const BaseModel &base,
                          llvm::ArrayRef<Setting> settings, ModelCost &cost) {
  OwningOpRef<ModuleOp> module;
  if (auto refusal = refuseDiagnostics(
          context, "give a module of the varve dialect that verifies", [&] {
            module =
                parseSourceString<ModuleOp>(base.text, &context, base.source);
            return success(static_cast<bool>(module));
          }))
    return refusal;
  if (auto refusal = finishModule(context, *module, "", settings))
    return refusal;
  if (auto refusal =
          makeKinds(*module, [&](const FunctionWork &work, KindCost kind) {
            addFunction(work, std::move(kind), cost);
          }))
    return refusal;
  cost.layers = describeStrip(cost);
  if (cost.layerKinds.empty() && cost.ends.empty())
    return Refusal{"", "expected functions with ops of the varve dialect",
                   "give the artefact of phase 'import' or 'quantize'"};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Kinds
//===----------------------------------------------------------------------===//

namespace {
/// Text that two kinds share if and only if they cost the same.
class KeyBuilder {
public:
  template <typename... Numbers> KeyBuilder &add(Numbers... numbers) {
    ((key += std::to_string(static_cast<int64_t>(numbers)) + ','), ...);
    return *this;
  }
  KeyBuilder &addText(llvm::StringRef text) {
    key += text.str() + ';';
    return *this;
  }
  KeyBuilder &addStorage(const StorageConfig &storage) {
    return add(storage.linear, storage.experts, storage.dense,
               storage.scaleBlockRows, storage.scaleBlockColumns,
               storage.expertScaleBlock);
  }
  std::string take() { return std::move(key); }

private:
  std::string key;
};
} // namespace

static std::string keyOfLayer(const BaseModel &base, const ModelConfig &config,
                              const LayerConfig &layer,
                              llvm::ArrayRef<Setting> settings) {
  KeyBuilder key;
  key.addText("layer").addText(base.precision).addStorage(config.storage);
  key.add(layer.attention, layer.ratio, layer.routing, config.hiddenSize,
          config.numHeads, config.headDim, config.ropeDim, config.queryRank,
          config.outputGroups, config.outputRank, config.window,
          config.numExperts, config.numSharedExperts, config.activeExperts,
          config.expertSize, config.streams, config.sinkhornIterations);
  if (layer.attention == AttentionKind::CSA)
    key.add(config.indexHeads, config.indexHeadDim, config.indexTopk);
  if (layer.routing == RoutingKind::Hash)
    key.add(config.vocabSize);
  for (const Setting &setting : settings) {
    llvm::StringRef name = setting.name;
    bool has =
        name.ends_with(".window") ||
        (name.ends_with(".entries") &&
         layer.attention != AttentionKind::Sliding) ||
        (name.ends_with(".keys") && layer.attention == AttentionKind::CSA);
    if (isVariantSetting(name) && has)
      key.addText(name).addText(setting.value);
  }
  return key.take();
}

static std::string keyOfEnds(const BaseModel &base, const ModelConfig &config) {
  return KeyBuilder()
      .addText("ends")
      .addText(base.precision)
      .addStorage(config.storage)
      .add(config.hiddenSize, config.vocabSize, config.streams)
      .take();
}

std::optional<Refusal> LayerCosts::importKind(const BaseModel &base,
                                              const ModelConfig &config,
                                              llvm::ArrayRef<Setting> settings,
                                              llvm::StringRef key) {
  OwningOpRef<ModuleOp> module = importModel(context, config, base.source);
  if (auto refusal = finishModule(context, *module, base.precision, settings))
    return refusal;
  std::string ends = keyOfEnds(base, config);
  return makeKinds(*module, [&](const FunctionWork &work, KindCost made) {
    Kind &kind = kinds[work.isLayer() ? key.str() : ends + work.name];
    if (!kind.cost)
      kind.cost = std::make_shared<const KindCost>(std::move(made));
  });
}

/// Whether rules of the policy speak of certain layers, so that layers of one
/// kind may differ.
static bool dependsOnLayers(llvm::StringRef precision) {
  llvm::Expected<PrecisionPolicy> policy = loadPrecisionPolicy(precision);
  if (!policy) {
    llvm::consumeError(policy.takeError()); // reported when it is applied
    return false;
  }
  auto isSpecific = [](const NameGlob &glob) {
    llvm::StringRef text = *glob.text;
    return text.contains("layers") && !text.contains("layers.*");
  };
  return llvm::any_of(policy->rules, [&](const PrecisionRule &rule) {
    return llvm::any_of(rule.names, isSpecific) ||
           llvm::any_of(rule.pools, isSpecific);
  });
}

std::optional<Refusal> LayerCosts::getCost(const BaseModel &base,
                                           const ModelConfig &config,
                                           llvm::ArrayRef<Setting> settings,
                                           ModelCost &cost) {
  bool isFile = llvm::StringRef(base.precision).ends_with(".json");
  if (isFile && dependsOnLayers(base.precision)) {
    OwningOpRef<ModuleOp> module = importModel(context, config, base.source);
    if (auto refusal = finishModule(context, *module, base.precision, settings))
      return refusal;
    if (auto refusal =
            makeKinds(*module, [&](const FunctionWork &work, KindCost kind) {
              addFunction(work, std::move(kind), cost);
            }))
      return refusal;
    cost.layers = layerString(config);
    return std::nullopt;
  }

  llvm::SmallVector<const LayerConfig *, 8> distinct;
  cost.strip.reserve(config.layers.size());
  for (const LayerConfig &layer : config.layers) {
    auto *found = llvm::find_if(
        distinct, [&](const LayerConfig *known) { return *known == layer; });
    unsigned place = found - distinct.begin();
    if (found == distinct.end()) {
      std::string key = keyOfLayer(base, config, layer, settings);
      Kind &kind = kinds[key];
      if (!kind.cost) {
        ModelConfig single = config;
        single.layers = {layer};
        single.draft = DraftConfig();
        if (auto refusal = importKind(base, single, settings, key))
          return refusal;
      }
      distinct.push_back(&layer);
      cost.layerKinds.push_back({kinds[key].cost, 0});
    }
    ++cost.layerKinds[place].count;
    cost.strip.push_back(place);
  }
  std::string ends = keyOfEnds(base, config);
  for (llvm::StringRef name : {"embed", "head"}) {
    std::shared_ptr<const KindCost> &kind = kinds[ends + name.str()].cost;
    if (!kind) {
      // All layers were known under another vocabulary.
      ModelConfig single = config;
      single.layers = {config.layers.front()};
      single.draft = DraftConfig();
      if (auto refusal = importKind(
              base, single, settings,
              keyOfLayer(base, config, config.layers.front(), settings)))
        return refusal;
    }
    cost.ends.push_back({kinds[ends + name.str()].cost, 1});
  }
  return std::nullopt;
}

} // namespace varve
