//===- Driver.h - NVIDIA's driver, loaded at run time ----------*- C++ -*-===//
//
// The part of the CUDA driver API that the runtime uses: its own declarations
// of a stable binary interface, so that neither building nor starting needs
// anything of NVIDIA's. The numbers are those of the interface's documentation.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_DEVICE_CUDA_DRIVER_H
#define VARVE_RUNTIME_DEVICE_CUDA_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace varve::runtime::cuda {

using Result = int;
using DeviceHandle = int;
using Address = unsigned long long;
using Context = struct ContextTag *;
using Stream = struct StreamTag *;
using Event = struct EventTag *;
using Module = struct ModuleTag *;
using Function = struct FunctionTag *;
using Graph = struct GraphTag *;
using GraphExec = struct GraphExecTag *;
using GraphNode = struct GraphNodeTag *;

inline constexpr Result kSuccess = 0;
inline constexpr Result kOutOfMemory = 2;
inline constexpr Result kNoDevice = 100;

// Device attributes.
inline constexpr int kMultiprocessors = 16;
inline constexpr int kCapabilityMajor = 75;
inline constexpr int kCapabilityMinor = 76;
inline constexpr int kSharedBytesOptIn = 97;
// Function attributes.
inline constexpr int kNumRegisters = 4;
inline constexpr int kMaxDynamicSharedBytes = 8;
// Options of the assembler.
inline constexpr int kJitErrorLog = 5;
inline constexpr int kJitErrorLogBytes = 6;
// Flags.
inline constexpr unsigned kStreamNonBlocking = 1;
// Launch attributes.
inline constexpr unsigned kProgrammaticStreamSerialization = 6;

/// CUtensorMap.
struct alignas(64) TensorMapBits {
  uint64_t words[16];
};

/// CUlaunchAttribute.
struct LaunchAttribute {
  unsigned id;
  char padding[4];
  union {
    char bytes[64];
    int programmaticStreamSerializationAllowed;
  } value;
};
static_assert(sizeof(LaunchAttribute) == 72);

/// CUlaunchConfig.
struct LaunchConfig {
  unsigned grid[3];
  unsigned block[3];
  unsigned sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned numAttributes;
};
static_assert(sizeof(LaunchConfig) == 56);

/// CUDA_KERNEL_NODE_PARAMS, version 2.
struct KernelNode {
  Function function;
  unsigned grid[3];
  unsigned block[3];
  unsigned sharedBytes;
  void **parameters;
  void **extra;
  void *kernel;
  Context context;
};
static_assert(sizeof(KernelNode) == 72);

// name of the member, exported symbol, parameters
#define VARVE_CUDA_FUNCTIONS(F)                                                \
  F(init, "cuInit", (unsigned))                                                \
  F(driverVersion, "cuDriverGetVersion", (int *))                              \
  F(deviceCount, "cuDeviceGetCount", (int *))                                  \
  F(deviceGet, "cuDeviceGet", (DeviceHandle *, int))                           \
  F(deviceName, "cuDeviceGetName", (char *, int, DeviceHandle))                \
  F(deviceAttribute, "cuDeviceGetAttribute", (int *, int, DeviceHandle))       \
  F(deviceMemory, "cuDeviceTotalMem_v2", (size_t *, DeviceHandle))             \
  F(contextRetain, "cuDevicePrimaryCtxRetain", (Context *, DeviceHandle))      \
  F(contextRelease, "cuDevicePrimaryCtxRelease_v2", (DeviceHandle))            \
  F(contextSetCurrent, "cuCtxSetCurrent", (Context))                           \
  F(memoryInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                       \
  F(memoryAllocate, "cuMemAlloc_v2", (Address *, size_t))                      \
  F(memoryFree, "cuMemFree_v2", (Address))                                     \
  F(hostAllocate, "cuMemHostAlloc", (void **, size_t, unsigned))               \
  F(hostFree, "cuMemFreeHost", (void *))                                       \
  F(copyToDevice, "cuMemcpyHtoDAsync_v2",                                      \
    (Address, const void *, size_t, Stream))                                   \
  F(copyToHost, "cuMemcpyDtoHAsync_v2", (void *, Address, size_t, Stream))     \
  F(copyOnDevice, "cuMemcpyDtoDAsync_v2", (Address, Address, size_t, Stream))  \
  F(fill, "cuMemsetD8Async", (Address, unsigned char, size_t, Stream))         \
  F(moduleLoad, "cuModuleLoadDataEx",                                          \
    (Module *, const void *, unsigned, int *, void **))                        \
  F(moduleUnload, "cuModuleUnload", (Module))                                  \
  F(moduleFunction, "cuModuleGetFunction", (Function *, Module, const char *)) \
  F(functionSetAttribute, "cuFuncSetAttribute", (Function, int, int))          \
  F(functionAttribute, "cuFuncGetAttribute", (int *, int, Function))           \
  F(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor",                  \
    (int *, Function, int, size_t))                                            \
  F(launch, "cuLaunchKernelEx",                                                \
    (const LaunchConfig *, Function, void **, void **))                        \
  F(streamCreate, "cuStreamCreate", (Stream *, unsigned))                      \
  F(streamDestroy, "cuStreamDestroy_v2", (Stream))                             \
  F(streamSynchronize, "cuStreamSynchronize", (Stream))                        \
  F(graphCreate, "cuGraphCreate", (Graph *, unsigned))                         \
  F(graphAddKernel, "cuGraphAddKernelNode_v2",                                 \
    (GraphNode *, Graph, const GraphNode *, size_t, const KernelNode *))       \
  F(graphInstantiate, "cuGraphInstantiateWithFlags",                           \
    (GraphExec *, Graph, unsigned long long))                                  \
  F(graphLaunch, "cuGraphLaunch", (GraphExec, Stream))                         \
  F(graphExecDestroy, "cuGraphExecDestroy", (GraphExec))                       \
  F(graphDestroy, "cuGraphDestroy", (Graph))                                   \
  F(eventCreate, "cuEventCreate", (Event *, unsigned))                         \
  F(eventDestroy, "cuEventDestroy_v2", (Event))                                \
  F(eventRecord, "cuEventRecord", (Event, Stream))                             \
  F(eventSynchronize, "cuEventSynchronize", (Event))                           \
  F(eventElapsed, "cuEventElapsedTime", (float *, Event, Event))               \
  F(tensorMapEncode, "cuTensorMapEncodeTiled",                                 \
    (TensorMapBits *, int, unsigned, void *, const uint64_t *,                 \
     const uint64_t *, const unsigned *, const unsigned *, int, int, int,      \
     int))                                                                     \
  F(errorName, "cuGetErrorName", (Result, const char **))                      \
  F(errorString, "cuGetErrorString", (Result, const char **))

class Driver {
public:
  /// The driver of this machine, loaded and initialised once a process; null
  /// with the reason in `why` if there is none that can be used.
  static const Driver *find(std::string &why);

#define VARVE_CUDA_MEMBER(name, symbol, parameters)                            \
  Result(*name) parameters = nullptr;
  VARVE_CUDA_FUNCTIONS(VARVE_CUDA_MEMBER)
#undef VARVE_CUDA_MEMBER

  /// Throws unless `result` is success: "`what`: out of memory (...)".
  void check(Result result, const char *what) const;
  std::string describe(Result result) const;

  /// Supported version of CUDA: 1000 times major plus 10 times minor.
  int version = 0;

private:
  /// Empty, or why the driver cannot be used.
  std::string load();
};

} // namespace varve::runtime::cuda

#endif // VARVE_RUNTIME_DEVICE_CUDA_DRIVER_H
