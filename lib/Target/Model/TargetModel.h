//===- TargetModel.h - Facts about the machines compiled for ---*- C++ -*-===//
//
// The only place that knows what a device can do. Each architecture is one
// file in targets/, embedded in the library; passes, schedules and the cost
// model ask a TargetModel and never compare chip names.
//
// Units: bytes, GB/s = 1e9 bytes per second, TFLOPS = 1e12 operations per
// second (a multiply-add is two), microseconds. Peaks are dense.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_MODEL_TARGETMODEL_H
#define VARVE_TARGET_MODEL_TARGETMODEL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace varve {

/// What a target may be able to do; see Features.def.
enum class Feature : uint8_t {
#define VARVE_FEATURE(id, name, ptx, description) id,
#include "lib/Target/Model/Features.def"
};

inline constexpr unsigned kNumFeatures = 0
#define VARVE_FEATURE(id, name, ptx, description) +1
#include "lib/Target/Model/Features.def"
    ;

/// The name of a feature in target files ("mma_sync_fp8").
llvm::StringRef getFeatureName(Feature feature);

/// What a feature is, as a noun phrase for messages.
llvm::StringRef getFeatureDescription(Feature feature);

/// The first PTX version, times ten, that can express the feature; 0 for
/// features of other machines.
unsigned getFeaturePtxVersion(Feature feature);

enum class TargetKind : uint8_t { Nvidia, X86 };

/// Element types of matrix products and of peak rates.
enum class NumericType : uint8_t {
  F32,
  TF32,
  F16,
  BF16,
  F8E4M3FN,
  F8E5M2,
  F4E2M1FN,
  I8
};
inline constexpr unsigned kNumNumericTypes = 8;

/// The name as MLIR spells the type ("f8E4M3FN").
llvm::StringRef getNumericTypeName(NumericType type);

/// What executes a matrix product.
enum class MatrixEngine : uint8_t {
  /// Scalar or vector multiply-add.
  Fma,
  /// Warp-level products with operands in registers.
  MmaSync,
  /// Warp-level products that take a scale per block of elements.
  MmaBlockScale,
  /// Warpgroup products with operands in shared memory.
  Wgmma,
  /// Products with accumulators in tensor memory.
  Tcgen05
};

/// The name in target files ("mma.sync").
llvm::StringRef getMatrixEngineName(MatrixEngine engine);

/// How data gets from global to shared memory without passing registers.
enum class AsyncCopyKind : uint8_t { None, CpAsync, Tma };

/// Resources of one multiprocessor and of one block. All zero for targets
/// that have none.
struct TargetLimits {
  uint32_t registersPerSM = 0;
  uint32_t maxRegistersPerThread = 0;
  /// Registers of a warp are allotted in multiples of this.
  uint32_t registerAllocationUnit = 0;
  uint32_t sharedBytesPerSM = 0;
  /// Largest dynamic shared memory of a block, opted in.
  uint32_t sharedBytesPerBlock = 0;
  /// What a block may use without opting in.
  uint32_t staticSharedBytesPerBlock = 0;
  /// Shared memory that the system takes of every block.
  uint32_t reservedSharedBytesPerBlock = 0;
  uint32_t warpsPerSM = 0;
  uint32_t blocksPerSM = 0;
  uint32_t threadsPerBlock = 0;
  uint32_t threadsPerWarp = 0;
  /// Largest cluster that every device of the architecture can launch; 1
  /// where there are no clusters.
  uint32_t blocksPerCluster = 1;
  /// Width of a vector register in bits; 0 on GPUs.
  uint32_t vectorBits = 0;
};

/// What a launch costs, in microseconds.
struct LaunchCost {
  /// Between dependent kernels launched one by one on a stream.
  double stream = 0;
  /// Between dependent kernels of a graph, caches cold.
  double graph = 0;
  /// The same with programmatic dependent launch and early prefetch; equals
  /// `graph` where the target lacks it.
  double dependent = 0;
  /// Where the figures come from.
  std::string source;
};

/// Rates that were measured, not promised.
struct MeasuredRates {
  std::optional<double> copyGBps;
  std::optional<double> readGBps;
  std::array<std::optional<double>, kNumNumericTypes> tflops;
  std::string source;
};

/// A product that carries the architecture.
struct DeviceModel {
  /// "NVIDIA H200".
  std::string name;
  uint32_t multiprocessors = 0;
  uint64_t memoryBytes = 0;
  uint64_t l2Bytes = 0;
  double bandwidthGBps = 0;
  /// Datasheet peaks; absent where the maker gives none.
  std::array<std::optional<double>, kNumNumericTypes> peakTflops;
  MeasuredRates measured;
  LaunchCost launch;
  std::string source;

  std::optional<double> getPeakTflops(NumericType type) const {
    return peakTflops[static_cast<unsigned>(type)];
  }
  /// The measured ceiling where there is one, else the datasheet's.
  std::optional<double> getCeilingTflops(NumericType type) const;
  /// The measured read bandwidth where there is one, else the datasheet's.
  double getCeilingGBps() const {
    return measured.readGBps.value_or(bandwidthGBps);
  }
};

/// One architecture. Immutable; the built-in ones live as long as the program.
class TargetModel {
public:
  /// All built-in models, in the order of their names in help texts.
  static llvm::ArrayRef<TargetModel> getAll();

  /// The model called `name` ("sm_90a", "x86-64"). The error names the
  /// nearest model and lists all.
  static llvm::Expected<const TargetModel *> lookup(llvm::StringRef name);

  /// The model to compile for on a device of this compute capability: the
  /// architecture's own, else the newest older one whose PTX every later
  /// device accepts.
  static llvm::Expected<const TargetModel *>
  forComputeCapability(unsigned major, unsigned minor);

  /// The model for the processor that this process runs on.
  static llvm::Expected<const TargetModel *> forHost();

  /// Reads a target file. `origin` is its name for messages.
  static llvm::Expected<TargetModel> parse(llvm::StringRef json,
                                           llvm::StringRef origin);

  llvm::StringRef getName() const { return name; }
  llvm::StringRef getSummary() const { return summary; }
  TargetKind getKind() const { return kind; }
  bool isGpu() const { return kind == TargetKind::Nvidia; }

  /// The processor name that LLVM and the assembler use.
  llvm::StringRef getLlvmCpu() const { return llvmCpu; }
  /// Compute capability; {0, 0} for processors.
  std::pair<unsigned, unsigned> getComputeCapability() const {
    return {ccMajor, ccMinor};
  }
  /// True if code runs on this architecture only: later devices reject even
  /// its PTX.
  bool isArchSpecific() const { return archSpecific; }
  /// The PTX version, times ten, that is emitted: the oldest that covers the
  /// architecture's features, for the sake of old drivers.
  unsigned getPtxVersion() const { return ptxVersion; }
  /// The PTX version as an LLVM feature ("+ptx86").
  std::string getPtxFeature() const;

  /// True if the silicon has it and the emitted PTX version can express it.
  bool supports(Feature feature) const {
    return features.test(static_cast<unsigned>(feature));
  }
  /// Engines that multiply `type` natively, best first; empty if none does.
  llvm::ArrayRef<MatrixEngine> getDotEngines(NumericType type) const {
    return dotEngines[static_cast<unsigned>(type)];
  }
  AsyncCopyKind getAsyncCopyKind() const;

  const TargetLimits &getLimits() const { return limits; }

  /// Blocks of `threads` threads that fit one multiprocessor together; 0 if
  /// a single one does not.
  unsigned getResidentBlocks(unsigned threads, unsigned registersPerThread,
                             unsigned sharedBytesPerBlock) const;

  llvm::ArrayRef<DeviceModel> getDevices() const { return devices; }
  /// The device whose name is contained in what the driver reports, else the
  /// nearest by number of multiprocessors, else null.
  const DeviceModel *findDevice(llvm::StringRef driverName,
                                unsigned multiprocessors) const;

private:
  friend class TargetModelReader;

  std::string name, summary, llvmCpu;
  TargetKind kind = TargetKind::X86;
  unsigned ccMajor = 0, ccMinor = 0, ptxVersion = 0;
  bool archSpecific = false;
  std::bitset<kNumFeatures> features;
  std::array<llvm::SmallVector<MatrixEngine, 2>, kNumNumericTypes> dotEngines;
  TargetLimits limits;
  std::vector<DeviceModel> devices;
};

/// Names of all targets that have `feature`, comma-separated, for messages.
std::string listTargetsWith(Feature feature);

} // namespace varve

#endif // VARVE_TARGET_MODEL_TARGETMODEL_H
