//===- LayerCosts.h - The cost of each kind of layer, once -----*- C++ -*-===//
//
// A model has many layers and few kinds of them: layers of one kind have equal
// ops, whatever their number. So only one of each kind is imported, in a model
// of one layer, and its costs are kept by what the kind depends on; a mix is a
// sum. Ten thousand mixes of one base need some hundred kinds.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_LAYERCOSTS_H
#define VARVE_EXPLORE_LAYERCOSTS_H

#include "lib/CostModel/Kernels.h"
#include "lib/CostModel/LaunchTime.h"
#include "lib/CostModel/Roofline.h"
#include "lib/CostModel/Work.h"
#include "lib/Explore/Base.h"
#include "lib/Explore/Query.h"
#include "lib/Explore/Rules.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringMap.h"
#include <memory>

namespace varve {

/// Conditions of rows: every step, on every device.
struct Conditions {
  std::vector<mlir::varve::StepShape> steps;
  std::vector<Roofline> devices;
  Level level = Level::ClosedForm;
  bool keepOps = false; ///< for reports of few mixes
};

/// Seconds of a function on a device.
struct DeviceCost {
  double roof = 0, launch = 0;
  double kernels = 0; ///< of programs, at least the roof; equal at level E0
  int64_t launches = 0;
  double occupancy = 0;                  ///< times seconds of programs
  int64_t registers = 0, spillBytes = 0; ///< most of a program; of all
  double byBound[kNumBounds] = {};       ///< op times by what bounds them
};

/// Costs of a function in a step.
struct StepCost {
  mlir::varve::OpCost total;
  double flopsWeights = 0, flopsIndexer = 0, flopsAttention = 0;
  double flopsEquivalent = 0;
  int64_t entryBytesRead = 0, keyBytesRead = 0, stateBytesRead = 0;
  double attendedKeys = 0;
  int64_t scratchBytes = 0;
  int64_t cacheBytes = 0, fixedBytes = 0; ///< of one sequence
  int64_t allocatedBytes = 0;             ///< of all sequences' pools
  std::vector<DeviceCost> devices;
};

/// The longest of a kernel's launches.
struct LaunchDetail {
  std::string kernel;
  int64_t launches = 0; ///< of the kernel
  int64_t blocks = 0, threads = 0, sharedBytes = 0;
  int64_t registers = 0, spillBytes = 0; ///< of level E2
  LaunchTime time;
};

/// An op of a function, or a kernel of several, for reports.
struct OpDetail {
  std::string name, kind, mechanism;
  bool anchor = false;
  std::vector<mlir::varve::OpCost> costs; ///< by step
  std::vector<OpTime> times;              ///< by step, then by device
  std::vector<LaunchDetail> launches;     ///< the same; empty at level E0
};

/// A function once.
struct KindCost {
  char letter = 'S';  ///< see getLetter
  std::string title;  ///< "C 4:1"
  int64_t ratio = 0;  ///< tokens per entry; 0 without entries
  int64_t window = 0; ///< 0 without
  int64_t topk = 0;   ///< chosen entries; 0: all
  int64_t weightBytes = 0;
  int64_t ops = 0;
  double growth = 0; ///< bytes per token
  std::vector<StepCost> steps;
  std::vector<OpDetail> opDetails;
};

/// How often a kind occurs in a model.
struct KindCount {
  std::shared_ptr<const KindCost> kind;
  int64_t count = 0;
};

/// A model as a sum.
struct ModelCost {
  std::string layers; ///< a pattern
  std::vector<KindCount> layerKinds;
  std::vector<KindCount> ends; ///< embedding and head
  std::vector<unsigned> strip; ///< for every layer its place in `layerKinds`
};

class KernelPrograms;

class LayerCosts {
public:
  LayerCosts(mlir::MLIRContext &context, Conditions conditions);
  ~LayerCosts();

  const Conditions &getConditions() const { return conditions; }

  /// Costs of a configuration that `checkMix` accepted. A mix that its
  /// precision or its pools contradict is refused.
  std::optional<Refusal> getCost(const BaseModel &base,
                                 const ModelConfig &config,
                                 llvm::ArrayRef<Setting> settings,
                                 ModelCost &cost);

  /// Costs of a module.
  std::optional<Refusal> getModuleCost(const BaseModel &base,
                                       llvm::ArrayRef<Setting> settings,
                                       ModelCost &cost);

  /// Kinds that were imported so far.
  size_t getNumKinds() const { return kinds.size(); }

private:
  struct Kind;
  std::optional<Refusal> importKind(const BaseModel &base,
                                    const ModelConfig &config,
                                    llvm::ArrayRef<Setting> settings,
                                    llvm::StringRef key);
  /// Behind level E0 `programs` are those of the function's module.
  KindCost makeKind(const FunctionWork &work,
                    const KernelPrograms *programs) const;
  std::optional<Refusal>
  makeKinds(mlir::ModuleOp module,
            llvm::function_ref<void(const FunctionWork &, KindCost)> use);

  mlir::MLIRContext &context;
  Conditions conditions;
  llvm::StringMap<Kind> kinds;
};

/// What a layer attends to, as a letter: S window only, C window and chosen
/// entries, H window and all entries, D chosen keys of all tokens, G the keys
/// of all tokens.
char getLetter(const FunctionWork &work);

} // namespace varve

#endif // VARVE_EXPLORE_LAYERCOSTS_H
