//===- TargetModel.cpp - Facts about the machines compiled for --*- C++ -*-===//
//
// Look-up and derived figures. The facts are in targets/; TargetModelReader
// turns them into models, once, on first use.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/Model/TargetModel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Host.h"
#include <algorithm>
#include <limits>

using namespace llvm;
using namespace varve;

namespace varve {
/// The embedded files, as (name, text); generated from targets/ by CMake.
ArrayRef<std::pair<StringRef, StringRef>> getEmbeddedTargetFiles();
} // namespace varve

StringRef varve::getFeatureName(Feature feature) {
  switch (feature) {
#define VARVE_FEATURE(id, name, ptx, description)                              \
  case Feature::id:                                                            \
    return name;
#include "lib/Target/Model/Features.def"
  }
  llvm_unreachable("unknown feature");
}

StringRef varve::getFeatureDescription(Feature feature) {
  switch (feature) {
#define VARVE_FEATURE(id, name, ptx, description)                              \
  case Feature::id:                                                            \
    return description;
#include "lib/Target/Model/Features.def"
  }
  llvm_unreachable("unknown feature");
}

unsigned varve::getFeaturePtxVersion(Feature feature) {
  switch (feature) {
#define VARVE_FEATURE(id, name, ptx, description)                              \
  case Feature::id:                                                            \
    return ptx;
#include "lib/Target/Model/Features.def"
  }
  llvm_unreachable("unknown feature");
}

StringRef varve::getNumericTypeName(NumericType type) {
  switch (type) {
  case NumericType::F32:
    return "f32";
  case NumericType::TF32:
    return "tf32";
  case NumericType::F16:
    return "f16";
  case NumericType::BF16:
    return "bf16";
  case NumericType::F8E4M3FN:
    return "f8E4M3FN";
  case NumericType::F8E5M2:
    return "f8E5M2";
  case NumericType::F4E2M1FN:
    return "f4E2M1FN";
  case NumericType::I8:
    return "i8";
  }
  llvm_unreachable("unknown type");
}

StringRef varve::getMatrixEngineName(MatrixEngine engine) {
  switch (engine) {
  case MatrixEngine::Fma:
    return "fma";
  case MatrixEngine::MmaSync:
    return "mma.sync";
  case MatrixEngine::MmaBlockScale:
    return "mma.block_scale";
  case MatrixEngine::Wgmma:
    return "wgmma";
  case MatrixEngine::Tcgen05:
    return "tcgen05";
  }
  llvm_unreachable("unknown engine");
}

std::optional<double> DeviceModel::getCeilingTflops(NumericType type) const {
  auto index = static_cast<unsigned>(type);
  return measured.tflops[index] ? measured.tflops[index] : peakTflops[index];
}

ArrayRef<TargetModel> TargetModel::getAll() {
  static const std::vector<TargetModel> models = [] {
    std::vector<TargetModel> result;
    for (auto [name, text] : getEmbeddedTargetFiles()) {
      Expected<TargetModel> model = parse(text, name);
      // The files are part of the program: a bad one is our mistake.
      if (!model)
        report_fatal_error(model.takeError());
      result.push_back(std::move(*model));
    }
    return result;
  }();
  return models;
}

/// "sm_80, sm_86, x86-64".
static std::string listNames(ArrayRef<const TargetModel *> models) {
  return join(
      map_range(models,
                [](const TargetModel *m) { return m->getName().str(); }),
      ", ");
}

static SmallVector<const TargetModel *> getPointers() {
  return map_to_vector(TargetModel::getAll(),
                       [](const TargetModel &m) { return &m; });
}

Expected<const TargetModel *> TargetModel::lookup(StringRef name) {
  const TargetModel *nearest = nullptr;
  unsigned best = std::numeric_limits<unsigned>::max();
  for (const TargetModel &model : getAll()) {
    if (model.getName() == name)
      return &model;
    unsigned distance = name.edit_distance(model.getName());
    // "sm_90" means sm_90a rather than sm_80.
    if (!name.empty() && model.getName().starts_with(name))
      distance = 0;
    if (distance < best)
      best = distance, nearest = &model;
  }
  std::string hint;
  if (best <= std::max<size_t>(2, name.size() / 3))
    hint = "; did you mean '" + nearest->getName().str() + "'?";
  return createStringError("unknown target '" + name + "'" + hint +
                           " (known targets: " + listNames(getPointers()) +
                           ")");
}

Expected<const TargetModel *>
TargetModel::forComputeCapability(unsigned major, unsigned minor) {
  std::pair<unsigned, unsigned> wanted(major, minor);
  const TargetModel *best = nullptr;
  for (const TargetModel &model : getAll()) {
    if (!model.isGpu())
      continue;
    if (model.getComputeCapability() == wanted)
      return &model;
    if (!model.isArchSpecific() && model.getComputeCapability() < wanted &&
        (!best || best->getComputeCapability() < model.getComputeCapability()))
      best = &model;
  }
  if (best)
    return best;
  return createStringError(
      "no target for compute capability " + Twine(major) + "." + Twine(minor) +
      ": expected 8.0 or later (known targets: " + listNames(getPointers()) +
      "); use --target=x86-64 to run on the processor");
}

Expected<const TargetModel *> TargetModel::forHost() {
  StringMap<bool> host = sys::getHostCPUFeatures();
  auto has = [&](std::initializer_list<StringRef> names) {
    return all_of(names, [&](StringRef name) { return host.lookup(name); });
  };
  if (!has({"avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"}))
    return createStringError(
        "this processor (" + sys::getHostCPUName() +
        ") lacks AVX2 or FMA: the x86-64 target needs micro-architecture "
        "level 3; use --target=reference to interpret the model instead");
  bool level4 =
      has({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
  return lookup(level4 ? "x86-64-v4" : "x86-64");
}

std::string TargetModel::getPtxFeature() const {
  return "+ptx" + utostr(ptxVersion);
}

AsyncCopyKind TargetModel::getAsyncCopyKind() const {
  if (supports(Feature::Tma))
    return AsyncCopyKind::Tma;
  return supports(Feature::CpAsync) ? AsyncCopyKind::CpAsync
                                    : AsyncCopyKind::None;
}

unsigned TargetModel::getResidentBlocks(unsigned threads,
                                        unsigned registersPerThread,
                                        unsigned sharedBytesPerBlock) const {
  const TargetLimits &l = limits;
  if (!isGpu() || threads == 0 || threads > l.threadsPerBlock ||
      registersPerThread > l.maxRegistersPerThread ||
      sharedBytesPerBlock > l.sharedBytesPerBlock)
    return 0;
  unsigned warps = divideCeil(threads, l.threadsPerWarp);
  // Registers go to warps in fixed units.
  uint64_t registersPerWarp =
      alignTo(uint64_t(std::max(registersPerThread, 1u)) * l.threadsPerWarp,
              l.registerAllocationUnit);
  uint64_t shared = sharedBytesPerBlock + l.reservedSharedBytesPerBlock;
  uint64_t blocks =
      std::min<uint64_t>({l.blocksPerSM, l.warpsPerSM / warps,
                          l.registersPerSM / registersPerWarp / warps,
                          l.sharedBytesPerSM / shared});
  return static_cast<unsigned>(blocks);
}

const DeviceModel *TargetModel::findDevice(StringRef driverName,
                                           unsigned multiprocessors) const {
  const DeviceModel *named = nullptr;
  for (const DeviceModel &device : devices)
    if (driverName.contains(device.name) &&
        (!named || device.name.size() > named->name.size()))
      named = &device;
  if (named)
    return named;
  auto distance = [&](const DeviceModel &device) {
    return std::max(device.multiprocessors, multiprocessors) -
           std::min(device.multiprocessors, multiprocessors);
  };
  auto nearest = min_element(
      devices, [&](auto &a, auto &b) { return distance(a) < distance(b); });
  return nearest == devices.end() ? nullptr : &*nearest;
}

std::string varve::listTargetsWith(Feature feature) {
  SmallVector<const TargetModel *> models = getPointers();
  erase_if(models, [&](const TargetModel *m) { return !m->supports(feature); });
  return listNames(models);
}
