//===- Explorer.cpp - From mixes to rows ----------------------------------===//

#include "lib/Explore/Explorer.h"
#include "lib/Explore/Layers.h"
#include "lib/Explore/Variants.h"
#include "lib/Model/Overrides.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace llvm;
using mlir::varve::StepShape;

namespace varve {

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

static Expected<Conditions> makeConditions(const Query &query, bool keepOps) {
  Conditions conditions;
  conditions.keepOps = keepOps;
  conditions.level = query.level;
  for (const std::string &target : query.targets) {
    Expected<Device> device = findDevice(target);
    if (!device)
      return createStringError("--target: " + toString(device.takeError()));
    conditions.devices.emplace_back(*device);
  }
  for (int64_t batch : query.batches)
    for (int64_t context : query.contexts) {
      StepShape step;
      step.sequences = batch;
      if (MulOverflow(batch, query.tokens, step.tokens))
        step.tokens = std::numeric_limits<int64_t>::max();
      step.context = context;
      step.logitRows = batch;
      if (Error error = step.check())
        return createStringError(
            formatv("--batch={0} --tokens={1} --context={2}: ", batch,
                    query.tokens, context)
                .str() +
            toString(std::move(error)));
      conditions.steps.push_back(step);
    }
  return conditions;
}

size_t ExploreResult::getStep(const Row &row) const {
  for (auto [index, step] : enumerate(conditions.steps))
    if (step.sequences == row.batch && step.context == row.context)
      return index;
  llvm_unreachable("every row has a step");
}

//===----------------------------------------------------------------------===//
// A mix
//===----------------------------------------------------------------------===//

/// Settings of the explorer's own beside those of variants.
static bool isRuleSetting(StringRef name) {
  return name == "indexer.csa" || name == "indexer.hca";
}

/// Checks the form of a setting that is not a model's.
static Error checkOwnSetting(const Setting &setting) {
  if (isVariantSetting(setting.name))
    return checkVariantSetting(setting);
  if (setting.value != "true" && setting.value != "false")
    return createStringError("set '" + setting.name + "=" + setting.value +
                             "': expected true or false");
  return Error::success();
}

/// Whether the base takes a setting that a mix of it does not: then the mix is
/// to be refused, and the query is right.
static bool baseTakes(const ModelConfig &base, StringRef setting) {
  ModelConfig config = base;
  Error error = assignOverride(config, setting);
  bool taken = !error;
  consumeError(std::move(error));
  return taken;
}

/// The configuration of a mix, judged as far as its settings can be applied.
static Error applyMix(const ModelConfig &base, const Mix &mix,
                      ModelConfig &config, std::optional<Refusal> &refusal) {
  std::optional<int64_t> count;
  for (const Setting &setting : mix.settings)
    if (int64_t number; setting.name == "num_hidden_layers" &&
                        !StringRef(setting.value).getAsInteger(10, number))
      count = number;
  if (!mix.layers.empty())
    if (Error error = applyLayers(config, mix.layers, count))
      return error;
  for (const Setting &setting : mix.settings) {
    if (isVariantSetting(setting.name) || isRuleSetting(setting.name)) {
      if (Error error = checkOwnSetting(setting))
        return error;
      continue;
    }
    std::string text = setting.name + "=" + setting.value;
    Error error = assignOverride(config, text);
    if (!error)
      continue;
    if (!baseTakes(base, text))
      return error;
    if (!refusal)
      refusal = Refusal{"", toString(std::move(error)),
                        "leave the setting out for these layers"};
    else
      consumeError(std::move(error));
  }
  return Error::success();
}

Expected<ModelConfig> makeConfig(const BaseModel &base, const Mix &mix) {
  ModelConfig config = *base.config;
  std::optional<Refusal> refusal;
  if (Error error = applyMix(*base.config, mix, config, refusal))
    return std::move(error);
  if (refusal)
    return createStringError(refusal->rule);
  return config;
}

static Error checkModuleMix(const Mix &mix) {
  if (!mix.layers.empty())
    return createStringError("--layers: '" + mix.model +
                             "' is a module, whose layers are as they are");
  for (const Setting &setting : mix.settings) {
    if (!isVariantSetting(setting.name))
      return createStringError("set '" + setting.name + "': '" + mix.model +
                               "' is a module; only its pools can be set "
                               "(pool.*, select.*)");
    if (Error error = checkOwnSetting(setting))
      return error;
  }
  return Error::success();
}

static Expected<MixResult> costMix(LayerCosts &costs, const BaseModel &base,
                                   Mix mix) {
  MixResult result;
  result.mix = std::move(mix);
  result.precision = base.precision;
  if (!base.config) {
    if (Error error = checkModuleMix(result.mix))
      return std::move(error);
    result.refusal =
        costs.getModuleCost(base, result.mix.settings, result.cost);
    return result;
  }
  ModelConfig config = *base.config;
  if (Error error = applyMix(*base.config, result.mix, config, result.refusal))
    return std::move(error);
  if (!result.refusal)
    result.refusal = checkMix(config, result.mix.settings);
  if (!result.refusal)
    result.refusal =
        costs.getCost(base, config, result.mix.settings, result.cost);
  if (result.refusal)
    result.cost = ModelCost();
  else if (result.cost.layers.empty())
    result.cost.layers = describeLayers(config);
  return result;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static void addKind(const KindCount &entry, size_t stepIndex, size_t device,
                    Figures &f, double (&byBound)[kNumBounds]) {
  const KindCost &kind = *entry.kind;
  const StepCost &step = kind.steps[stepIndex];
  const DeviceCost &seconds = step.devices[device];
  double n = static_cast<double>(entry.count);
  f[Metric::RoofMs] += n * seconds.roof * 1e3;
  f[Metric::KernelMs] += n * seconds.kernels * 1e3;
  f[Metric::LaunchMs] += n * seconds.launch * 1e3;
  f[Metric::Launches] += n * seconds.launches;
  f[Metric::Occupancy] += n * seconds.occupancy * 1e3;
  f[Metric::Registers] =
      std::max(f[Metric::Registers], static_cast<double>(seconds.registers));
  f[Metric::SpillBytes] += n * seconds.spillBytes;
  f[Metric::Ops] += n * kind.ops;
  f[Metric::KvPerToken] += n * kind.growth;
  f[Metric::CacheBytes] += n * step.cacheBytes;
  f[Metric::FixedBytes] += n * step.fixedBytes;
  f[Metric::AllocatedBytes] += n * step.allocatedBytes;
  f[Metric::WeightBytes] += n * kind.weightBytes;
  f[Metric::ScratchBytes] =
      std::max(f[Metric::ScratchBytes], static_cast<double>(step.scratchBytes));
  f[Metric::WeightBytesRead] += n * step.total.weightBytes;
  f[Metric::PoolBytesRead] += n * step.total.poolBytesRead;
  f[Metric::WindowBytesRead] += n * step.total.windowBytesRead;
  f[Metric::EntryBytesRead] += n * step.entryBytesRead;
  f[Metric::KeyBytesRead] += n * step.keyBytesRead;
  f[Metric::StateBytesRead] += n * step.stateBytesRead;
  f[Metric::PoolBytesWritten] += n * step.total.poolBytesWritten;
  f[Metric::ValueBytes] +=
      n * (step.total.activationBytesRead + step.total.activationBytesWritten);
  f[Metric::FlopsF32] += n * step.total.flopsF32;
  f[Metric::FlopsBF16] += n * step.total.flopsBF16;
  f[Metric::FlopsF8] += n * step.total.flopsF8;
  f[Metric::FlopsF4] += n * step.total.flopsF4;
  f[Metric::FlopsWeights] += n * step.flopsWeights;
  f[Metric::FlopsIndexer] += n * step.flopsIndexer;
  f[Metric::FlopsAttention] += n * step.flopsAttention;
  f[Metric::FlopsEquivalent] += n * step.flopsEquivalent;
  f[Metric::AttendedKeys] += n * step.attendedKeys;
  for (unsigned bound = 0; bound < kNumBounds; ++bound)
    byBound[bound] += n * seconds.byBound[bound];
}

static Row makeRow(const ModelCost &cost, const Conditions &conditions,
                   size_t stepIndex, size_t device) {
  const StepShape &step = conditions.steps[stepIndex];
  Row row;
  row.context = step.context;
  row.batch = step.sequences;
  row.device = device;
  double byBound[kNumBounds] = {};
  Figures &f = row.figures;
  for (const auto *kinds : {&cost.layerKinds, &cost.ends})
    for (const KindCount &entry : *kinds)
      addKind(entry, stepIndex, device, f, byBound);
  f[Metric::StepMs] = f[Metric::KernelMs] + f[Metric::LaunchMs];
  if (f[Metric::KernelMs] > 0)
    f[Metric::Occupancy] /= f[Metric::KernelMs];
  f[Metric::TokensPerSecond] = step.tokens / f[Metric::StepMs] * 1e3;
  f[Metric::FlopsToken] = f[Metric::FlopsWeights] + f[Metric::FlopsIndexer] +
                          f[Metric::FlopsAttention];
  f[Metric::MemoryBytes] = f[Metric::WeightBytes] + f[Metric::ScratchBytes] +
                           f[Metric::AllocatedBytes];
  f[Metric::Devices] =
      std::ceil(f[Metric::MemoryBytes] /
                static_cast<double>(
                    conditions.devices[device].getDevice().model->memoryBytes));
  row.bound = static_cast<Bound>(
      std::max_element(std::begin(byBound), std::end(byBound)) -
      std::begin(byBound));
  return row;
}

Expected<ExploreResult> explore(mlir::MLIRContext &context, const Query &query,
                                LoadBaseFn loadBase, bool keepOps) {
  if (query.countMixes() > kMaxMixes)
    return createStringError(
        formatv("expected at most {0} mixes, got {1}; give fewer values to "
                "--set or --layers",
                kMaxMixes, query.countMixes())
            .str());
  Expected<Conditions> conditions = makeConditions(query, keepOps);
  if (!conditions)
    return conditions.takeError();
  ExploreResult result;
  result.conditions = *conditions;
  result.level = query.level;
  result.tokens = query.tokens;
  LayerCosts costs(context, std::move(*conditions));
  StringMap<BaseModel> bases;
  Error error = query.forEachMix([&](Mix mix) -> Error {
    auto base = bases.find(mix.model);
    if (base == bases.end()) {
      Expected<BaseModel> loaded = loadBase(mix.model);
      if (!loaded)
        return loaded.takeError();
      base = bases.try_emplace(mix.model, std::move(*loaded)).first;
    }
    Expected<MixResult> mixResult =
        costMix(costs, base->second, std::move(mix));
    if (!mixResult)
      return mixResult.takeError();
    unsigned index = result.mixes.size();
    if (!mixResult->refusal)
      for (size_t device = 0; device < result.conditions.devices.size();
           ++device)
        for (size_t step = 0; step < result.conditions.steps.size(); ++step) {
          Row row = makeRow(mixResult->cost, result.conditions, step, device);
          row.mix = index;
          result.rows.push_back(row);
        }
    result.mixes.push_back(std::move(*mixResult));
    return Error::success();
  });
  if (error)
    return std::move(error);
  result.numKinds = costs.getNumKinds();
  return result;
}

} // namespace varve
