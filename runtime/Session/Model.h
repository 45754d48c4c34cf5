//===- Model.h - A package on a device, with weights and pools -*- C++ -*-===//
//
// Everything that a plan needs to run: its kernels loaded, weights in place,
// pools and scratch allocated. Turns a program and the sizes of a step into
// launches with numbers, and keeps them for steps of the same sizes.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_SESSION_MODEL_H
#define VARVE_RUNTIME_SESSION_MODEL_H

#include "runtime/Device/Device.h"
#include "runtime/Package/Package.h"
#include "runtime/Session/Memory.h"
#include "runtime/Weights/WeightSource.h"
#include <functional>
#include <list>
#include <map>

namespace varve::runtime {

/// Called while weights are loaded: bytes done and bytes in all.
using Progress = std::function<void(int64_t done, int64_t total)>;

/// A plan chosen for a device, and the weights for it: what is known before
/// anything is allocated.
class PlannedModel {
public:
  /// Checks that the device can run the plan and the source has its weights.
  PlannedModel(std::shared_ptr<const Package> package, Plan plan,
               std::shared_ptr<Device> device, const std::string &weights,
               const Capacity &capacity);

  const Plan &getPlan() const { return plan; }
  const Capacity &getCapacity() const { return capacity; }
  const MemoryLayout &getLayout() const { return layout; }
  Device &getDevice() const { return *device; }
  const WeightSource &getWeights() const { return *source; }

private:
  friend class Model;
  std::shared_ptr<const Package> package;
  Plan plan;
  std::shared_ptr<Device> device;
  std::unique_ptr<WeightSource> source;
  Capacity capacity;
  MemoryLayout layout;
};

class Model {
public:
  /// Allocates what the layout says, loads kernels and weights. Throws, with
  /// everything released, if the device has too little memory or refuses the
  /// code.
  explicit Model(PlannedModel planned, const Progress &progress = {});

  const Plan &getPlan() const { return planned.plan; }
  const Capacity &getCapacity() const { return planned.capacity; }
  const MemoryLayout &getLayout() const { return planned.layout; }
  Device &getDevice() { return *planned.device; }
  const WeightSource &getWeights() const { return *planned.source; }

  /// The sizes of a step.
  Sizes sizesOf(int64_t tokens, int64_t rows) const;

  /// Where pool `index` begins.
  uint64_t getPool(size_t index) const;
  /// The buffer of inputs and outputs.
  uint64_t getPorts() const { return ports.getAddress(); }

  /// The launches of a program, ready to run, with its ports at the given
  /// addresses. They are kept if they will be used more than once, for the same
  /// program, sizes and addresses. Valid until the next call.
  Batch &prepare(const Program &program, const Sizes &sizes,
                 const std::vector<uint64_t> &portAddresses, Code::Use use);

private:
  void load(const Progress &progress);
  void loadWeight(size_t index, int64_t &done, const Progress &progress);
  std::vector<PreparedLaunch>
  evaluate(const Program &program, const Sizes &sizes,
           const std::vector<uint64_t> &portAddresses, Code::Use use);

  PlannedModel planned;
  Buffer weights, pools, scratch, ports;
  std::vector<uint64_t> weightAddresses;
  std::unique_ptr<Code> code;

  /// Batches by program, tokens, rows and addresses; the last used in front.
  struct Kept {
    const Program *program;
    Sizes sizes;
    std::vector<uint64_t> portAddresses;
    Code::Use use;
    std::unique_ptr<Batch> batch;
  };
  std::list<Kept> kept;
  std::unique_ptr<Batch> passing;
};

/// The plan of a package for a device, loaded and verified: the best of its
/// targets that the device runs. `target`, if not empty, names one. Throws if
/// there is none, saying what the package has and what the device is.
Plan choosePlan(const Package &package, const Device &device,
                const std::string &target = "");

/// A device by name: "cpu", "cuda", "cuda:1"; "" and "best" take the first
/// GPU that has code in the package, else the CPU. `threads` of a CPU; 0: all.
/// `why`, if given, receives why no GPU was taken.
std::shared_ptr<Device> openDevice(const std::string &name,
                                   const Package *package, unsigned threads,
                                   std::string *why = nullptr);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_MODEL_H
