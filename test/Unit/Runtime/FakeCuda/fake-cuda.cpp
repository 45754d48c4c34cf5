//===- fake-cuda.cpp - A driver without a GPU -----------------------------===//
//
// libcuda.so.1 for tests: memory is the host's, work is queued until somebody
// waits for it, and "PTX" is a shared object whose kernels are called like the
// x86 engine's. So what the runtime says to the driver (order, copies, padding,
// graphs, releases) is tested everywhere; that the numbers are the right ones
// for NVIDIA's driver is not.
//
// | variable | effect |
// |---|---|
// | FAKE_CUDA_INIT | result of cuInit |
// | FAKE_CUDA_VERSION | what the driver says it supports (12040) |
// | FAKE_CUDA_DEVICES | number of GPUs (1) |
// | FAKE_CUDA_MEMORY | bytes of a GPU (1 GiB) |
// | FAKE_CUDA_CAPABILITY | (90) |
// | FAKE_CUDA_JIT | the assembler refuses everything with these words |
// | FAKE_CUDA_LAUNCH | result of launches |
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/Cuda/Driver.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace varve::runtime::cuda;

namespace {

using Work = std::function<void()>;

/// What exists at the moment, for leak checks.
int live = 0;
size_t allocatedBytes = 0;
int numGraphLaunches = 0, numLaunches = 0;

long variable(const char *name, long otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atol(text) : otherwise;
}

struct FakeStream {
  std::vector<Work> queue;

  void drain() {
    for (Work &work : queue)
      work();
    queue.clear();
  }
  void add(Work work) { queue.push_back(std::move(work)); }
};

struct FakeNode {
  Work work;
  std::vector<FakeNode *> after;
};

/// In the order in which its nodes were added.
using FakeGraph = std::vector<std::unique_ptr<FakeNode>>;

/// The nodes in an order that their dependencies admit, and that is as far from
/// the order in which they were added as can be: what forgets a dependency is
/// found out.
std::vector<Work> scheduled(const FakeGraph &graph) {
  std::vector<Work> result;
  std::set<const FakeNode *> done;
  while (result.size() < graph.size())
    for (size_t i = graph.size(); i-- > 0;) {
      const FakeNode &node = *graph[i];
      bool ready =
          !done.count(&node) &&
          std::all_of(node.after.begin(), node.after.end(),
                      [&](FakeNode *other) { return done.count(other); });
      if (!ready)
        continue;
      done.insert(&node);
      result.push_back(node.work);
      break;
    }
  return result;
}

struct FakeFunction {
  void *code;
  int numWords;
};

struct FakeModule {
  void *handle;
  std::vector<std::unique_ptr<FakeFunction>> functions;
};

struct FakeEvent {
  FakeStream *stream = nullptr;
};

template <typename To, typename From> To *cast(From *handle) {
  return reinterpret_cast<To *>(handle);
}

/// Bytes of an ELF file: its section headers lie at the end.
size_t elfSize(const void *image) {
  const auto *header = static_cast<const Elf64_Ehdr *>(image);
  return header->e_shoff + header->e_shnum * header->e_shentsize;
}

Work workOf(Function function, int64_t grid, void **parameters) {
  auto *fake = cast<FakeFunction>(function);
  std::vector<uint64_t> words;
  for (int i = 0; i < fake->numWords; ++i)
    words.push_back(*static_cast<uint64_t *>(parameters[i]));
  auto *code = reinterpret_cast<void (*)(const uint64_t *, const int64_t *,
                                         int64_t, int64_t, void *)>(fake->code);
  return [=] {
    ++numLaunches;
    char scratch[64];
    code(words.data(), &grid, 0, grid, scratch);
  };
}

} // namespace

extern "C" {

int fake_cuda_live() { return live; }
int fake_cuda_graph_launches() { return numGraphLaunches; }
int fake_cuda_launches() { return numLaunches; }

Result cuInit(unsigned) { return variable("FAKE_CUDA_INIT", 0); }
Result cuDriverGetVersion(int *version) {
  *version = variable("FAKE_CUDA_VERSION", 12040);
  return kSuccess;
}
Result cuDeviceGetCount(int *count) {
  *count = variable("FAKE_CUDA_DEVICES", 1);
  return kSuccess;
}
Result cuDeviceGet(DeviceHandle *device, int ordinal) {
  *device = ordinal;
  return kSuccess;
}
Result cuDeviceGetName(char *name, int size, DeviceHandle) {
  std::strncpy(name, "Fake", size);
  return kSuccess;
}
Result cuDeviceGetAttribute(int *value, int attribute, DeviceHandle) {
  int capability = variable("FAKE_CUDA_CAPABILITY", 90);
  *value = attribute == kMultiprocessors    ? 4
           : attribute == kCapabilityMajor  ? capability / 10
           : attribute == kCapabilityMinor  ? capability % 10
           : attribute == kSharedBytesOptIn ? 232448
                                            : 0;
  return kSuccess;
}
Result cuDeviceTotalMem_v2(size_t *bytes, DeviceHandle) {
  *bytes = variable("FAKE_CUDA_MEMORY", 1 << 30);
  return kSuccess;
}
Result cuDevicePrimaryCtxRetain(Context *context, DeviceHandle) {
  ++live;
  *context = reinterpret_cast<Context>(&live);
  return kSuccess;
}
Result cuDevicePrimaryCtxRelease_v2(DeviceHandle) {
  --live;
  return kSuccess;
}
Result cuCtxSetCurrent(Context) { return kSuccess; }
Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  *total = variable("FAKE_CUDA_MEMORY", 1 << 30);
  *free = *total > allocatedBytes ? *total - allocatedBytes : 0;
  return kSuccess;
}

Result cuMemAlloc_v2(Address *address, size_t bytes) {
  if (allocatedBytes + bytes >
      static_cast<size_t>(variable("FAKE_CUDA_MEMORY", 1 << 30)))
    return kOutOfMemory;
  ++live;
  allocatedBytes += bytes;
  auto *memory = static_cast<size_t *>(
      std::aligned_alloc(256, 256 + (bytes + 255) / 256 * 256));
  memory[0] = bytes;
  std::memset(memory + 32, 0xFF, bytes);
  *address = reinterpret_cast<Address>(memory + 32);
  return kSuccess;
}
Result cuMemFree_v2(Address address) {
  --live;
  auto *memory = reinterpret_cast<size_t *>(address) - 32;
  allocatedBytes -= memory[0];
  std::free(memory);
  return kSuccess;
}
Result cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  ++live;
  *memory = std::malloc(bytes);
  return kSuccess;
}
Result cuMemFreeHost(void *memory) {
  --live;
  std::free(memory);
  return kSuccess;
}

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes,
                            Stream stream) {
  cast<FakeStream>(stream)->add(
      [=] { std::memcpy(reinterpret_cast<void *>(to), from, bytes); });
  return kSuccess;
}
Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes,
                            Stream stream) {
  cast<FakeStream>(stream)->add(
      [=] { std::memcpy(to, reinterpret_cast<void *>(from), bytes); });
  return kSuccess;
}
Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes,
                            Stream stream) {
  cast<FakeStream>(stream)->add([=] {
    std::memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from),
                bytes);
  });
  return kSuccess;
}
Result cuMemsetD8Async(Address to, unsigned char value, size_t bytes,
                       Stream stream) {
  cast<FakeStream>(stream)->add(
      [=] { std::memset(reinterpret_cast<void *>(to), value, bytes); });
  return kSuccess;
}

Result cuModuleLoadDataEx(Module *module, const void *image, unsigned count,
                          int *options, void **values) {
  if (const char *words = std::getenv("FAKE_CUDA_JIT")) {
    size_t room = 0;
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == kJitErrorLogBytes)
        room = reinterpret_cast<size_t>(values[i]);
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == kJitErrorLog)
        std::strncpy(static_cast<char *>(values[i]), words, room);
    return 218;
  }
  int descriptor = ::memfd_create("fake", 0);
  size_t size = elfSize(image);
  if (::write(descriptor, image, size) != static_cast<ssize_t>(size))
    return 1;
  std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  void *handle = ::dlopen(path.c_str(), RTLD_NOW);
  ::close(descriptor);
  if (!handle)
    return 200;
  ++live;
  *module = cast<ModuleTag>(new FakeModule{handle, {}});
  return kSuccess;
}
Result cuModuleUnload(Module module) {
  --live;
  auto *fake = cast<FakeModule>(module);
  ::dlclose(fake->handle);
  delete fake;
  return kSuccess;
}
Result cuModuleGetFunction(Function *function, Module module,
                           const char *name) {
  auto *fake = cast<FakeModule>(module);
  void *code = ::dlsym(fake->handle, name);
  auto *words = static_cast<const int *>(
      ::dlsym(fake->handle, (std::string(name) + "_num_words").c_str()));
  if (!code || !words)
    return 500;
  fake->functions.push_back(
      std::make_unique<FakeFunction>(FakeFunction{code, *words}));
  *function = cast<FunctionTag>(fake->functions.back().get());
  return kSuccess;
}
Result cuFuncSetAttribute(Function, int, int) { return kSuccess; }
Result cuFuncGetAttribute(int *value, int, Function) {
  *value = 32;
  return kSuccess;
}
Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Function, int,
                                                   size_t) {
  *blocks = 2;
  return kSuccess;
}

Result cuLaunchKernelEx(const LaunchConfig *config, Function function,
                        void **parameters, void **) {
  if (Result result = variable("FAKE_CUDA_LAUNCH", 0))
    return result;
  cast<FakeStream>(config->stream)
      ->add(workOf(function, config->grid[0], parameters));
  return kSuccess;
}

Result cuStreamCreate(Stream *stream, unsigned) {
  ++live;
  *stream = cast<StreamTag>(new FakeStream);
  return kSuccess;
}
Result cuStreamDestroy_v2(Stream stream) {
  --live;
  delete cast<FakeStream>(stream);
  return kSuccess;
}
Result cuStreamSynchronize(Stream stream) {
  cast<FakeStream>(stream)->drain();
  return kSuccess;
}
Result cuGraphCreate(Graph *graph, unsigned) {
  ++live;
  *graph = cast<GraphTag>(new FakeGraph);
  return kSuccess;
}
Result cuGraphAddKernelNode_v2(GraphNode *node, Graph graph,
                               const GraphNode *after, size_t count,
                               const KernelNode *kernel) {
  if (Result result = variable("FAKE_CUDA_LAUNCH", 0))
    return result;
  auto made = std::make_unique<FakeNode>();
  made->work = workOf(kernel->function, kernel->grid[0], kernel->parameters);
  for (size_t i = 0; i < count; ++i)
    made->after.push_back(cast<FakeNode>(after[i]));
  *node = cast<GraphNodeTag>(made.get());
  cast<FakeGraph>(graph)->push_back(std::move(made));
  return kSuccess;
}
Result cuGraphInstantiateWithFlags(GraphExec *exec, Graph graph,
                                   unsigned long long) {
  ++live;
  *exec = cast<GraphExecTag>(
      new std::vector<Work>(scheduled(*cast<FakeGraph>(graph))));
  return kSuccess;
}
Result cuGraphLaunch(GraphExec exec, Stream stream) {
  ++numGraphLaunches;
  for (Work &work : *cast<std::vector<Work>>(exec))
    cast<FakeStream>(stream)->add(work);
  return kSuccess;
}
Result cuGraphExecDestroy(GraphExec exec) {
  --live;
  delete cast<std::vector<Work>>(exec);
  return kSuccess;
}
Result cuGraphDestroy(Graph graph) {
  --live;
  delete cast<FakeGraph>(graph);
  return kSuccess;
}

Result cuEventCreate(Event *event, unsigned) {
  ++live;
  *event = cast<EventTag>(new FakeEvent);
  return kSuccess;
}
Result cuEventDestroy_v2(Event event) {
  --live;
  delete cast<FakeEvent>(event);
  return kSuccess;
}
Result cuEventRecord(Event event, Stream stream) {
  cast<FakeEvent>(event)->stream = cast<FakeStream>(stream);
  return kSuccess;
}
Result cuEventSynchronize(Event event) {
  if (FakeStream *stream = cast<FakeEvent>(event)->stream)
    stream->drain();
  return kSuccess;
}
Result cuEventElapsedTime(float *milliseconds, Event, Event) {
  *milliseconds = 0.5f;
  return kSuccess;
}
Result cuTensorMapEncodeTiled(TensorMapBits *, int, unsigned, void *,
                              const uint64_t *, const uint64_t *,
                              const unsigned *, const unsigned *, int, int, int,
                              int) {
  return kSuccess;
}
Result cuGetErrorName(Result result, const char **name) {
  *name = result == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == 218        ? "CUDA_ERROR_INVALID_PTX"
                                 : "CUDA_ERROR_FAKE";
  return kSuccess;
}
Result cuGetErrorString(Result, const char **text) {
  *text = "the fake driver says so";
  return kSuccess;
}

} // extern "C"
