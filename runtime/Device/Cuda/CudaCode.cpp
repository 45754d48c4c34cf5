//===- CudaCode.cpp - Kernels on an NVIDIA GPU ----------------------------===//

#include "runtime/Device/Cuda/CudaCode.h"
#include "runtime/Error.h"
#include "varve/Support/Assert.h"
#include <algorithm>
#include <optional>

namespace varve::runtime::cuda {

namespace {

/// More than this a kernel gets only after it asked.
constexpr uint32_t kSharedBytesWithoutAsking = 48 << 10;
constexpr int64_t kMostBlocksX = INT32_MAX, kMostBlocksYZ = 65535;

/// CUtensorMapDataType by Element. Narrow floats are bytes to a copy.
int dataTypeOf(Element element) {
  switch (element) {
  case Element::I16:
    return 1;
  case Element::I32:
    return 3;
  case Element::I64:
    return 5;
  case Element::F16:
    return 6;
  case Element::F32:
    return 7;
  case Element::F64:
    return 8;
  case Element::BF16:
    return 9;
  default:
    return 0;
  }
}

/// CUtensorMapSwizzle.
int swizzleOf(uint32_t bytes) {
  switch (bytes) {
  case 32:
    return 1;
  case 64:
    return 2;
  case 128:
    return 3;
  default:
    return 0;
  }
}

TensorMapBits encodeMap(const Driver &driver, const Kernel &kernel,
                        const TensorMap &map, const PreparedView &view) {
  constexpr int kPromote128 = 2;
  size_t rank = map.box.size();
  // The driver counts dimensions from the innermost.
  uint64_t sizes[5], strides[5];
  unsigned box[5], steps[5];
  unsigned packed = bitsOf(map.element) < 8 ? 2 : 1;
  for (size_t i = 0; i < rank; ++i) {
    size_t from = rank - 1 - i;
    sizes[i] = view.sizes[from] / (i == 0 ? packed : 1);
    box[i] = map.box[from] / (i == 0 ? packed : 1);
    steps[i] = 1;
    // The innermost stride is implied.
    if (i > 0)
      strides[i - 1] = view.strides[from];
  }
  TensorMapBits bits;
  Result result = driver.tensorMapEncode(
      &bits, dataTypeOf(map.element), rank,
      reinterpret_cast<void *>(view.address), sizes, strides, box, steps,
      /*interleave=*/0, swizzleOf(map.swizzle), kPromote128, /*fill=*/0);
  if (result != kSuccess)
    fail(ErrorCode::Device,
         "kernel {}: its tensor map is refused: {}: address {:#x}, sizes {}, "
         "strides {} bytes, box {}",
         inQuotes(kernel.name), driver.describe(result), view.address,
         shapeText(view.sizes), shapeText(view.strides), shapeText(map.box));
  return bits;
}

/// The driver's words about an architecture or a version, if the log is empty.
std::string logOr(const std::vector<char> &log, const std::string &otherwise) {
  std::string text(log.data());
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  return text.empty() ? otherwise : text;
}

} // namespace

//===----------------------------------------------------------------------===//
// Batches
//===----------------------------------------------------------------------===//

class CudaBatch final : public Batch {
public:
  CudaBatch(const CudaCode &code, std::vector<PreparedLaunch> prepared,
            Code::Use use)
      : Batch(std::move(prepared)), code(code) {
    for (PreparedLaunch &launch : launches) {
      const Kernel &kernel = code.kernels[launch.kernel];
      for (size_t i = 0; i < launch.grid.size(); ++i)
        if (launch.grid[i] > (i == 0 ? kMostBlocksX : kMostBlocksYZ))
          fail(ErrorCode::Device,
               "kernel {}: {} blocks in dimension {} are more than a GPU "
               "launches; use fewer tokens a step (--max-tokens)",
               inQuotes(kernel.name), launch.grid[i], i);
      std::vector<TensorMapBits> &bits = maps.emplace_back();
      for (size_t i = 0; i < launch.maps.size(); ++i)
        bits.push_back(encodeMap(*code.context.driver, kernel,
                                 kernel.tensorMaps[i], launch.maps[i]));
    }
    if (use != Code::Use::Once && !launches.empty())
      record(/*overlapped=*/use == Code::Use::Overlapped);
  }

  ~CudaBatch() override {
    // Graphs must go before their context does; a failure has no one to hear.
    static_cast<void>(
        code.context.driver->contextSetCurrent(code.context.context));
  }

  void run() override {
    code.context.makeCurrent();
    const Driver &driver = *code.context.driver;
    if (graph.get()) {
      driver.check(driver.graphLaunch(graph.get(), code.context.stream),
                   "cuGraphLaunch");
      return;
    }
    for (size_t i = 0; i < launches.size(); ++i)
      enqueue(i, /*overlaps=*/i > 0);
  }

  std::vector<double> runTimed() override {
    code.context.makeCurrent();
    const Driver &driver = *code.context.driver;
    std::vector<OwnedEvent> events;
    for (size_t i = 0; i <= launches.size(); ++i)
      events.push_back(makeEvent(driver));
    auto record = [&](size_t i) {
      driver.check(driver.eventRecord(events[i].get(), code.context.stream),
                   "cuEventRecord");
    };
    record(0);
    for (size_t i = 0; i < launches.size(); ++i) {
      enqueue(i, /*overlaps=*/false);
      record(i + 1);
    }
    driver.check(driver.streamSynchronize(code.context.stream),
                 "waiting for kernels");
    std::vector<double> seconds;
    for (size_t i = 0; i < launches.size(); ++i) {
      float milliseconds = 0;
      driver.check(driver.eventElapsed(&milliseconds, events[i].get(),
                                       events[i + 1].get()),
                   "cuEventElapsedTime");
      seconds.push_back(milliseconds * 1e-3);
    }
    return seconds;
  }

private:
  /// Blocks of a launch in the driver's dimensions.
  static void setGrid(const PreparedLaunch &launch, const Kernel &kernel,
                      unsigned (&grid)[3], unsigned (&block)[3]) {
    for (size_t i = 0; i < 3; ++i) {
      grid[i] = i < launch.grid.size() ? launch.grid[i] : 1;
      block[i] = i == 0 ? kernel.threads : 1;
    }
  }

  std::vector<void *> parametersOf(size_t index) {
    std::vector<void *> parameters;
    for (uint64_t &word : launches[index].words)
      parameters.push_back(&word);
    for (TensorMapBits &map : maps[index])
      parameters.push_back(&map);
    return parameters;
  }

  void check(Result result, const PreparedLaunch &launch) const {
    if (result != kSuccess)
      fail(ErrorCode::Device, "kernel {} of {} blocks cannot be launched: {}",
           inQuotes(code.kernels[launch.kernel].name), shapeText(launch.grid),
           code.context.driver->describe(result));
  }

  void enqueue(size_t index, bool overlaps) {
    const PreparedLaunch &launch = launches[index];
    const Kernel &kernel = code.kernels[launch.kernel];
    LaunchAttribute attribute = {};
    attribute.id = kProgrammaticStreamSerialization;
    attribute.value.programmaticStreamSerializationAllowed = 1;
    LaunchConfig config = {};
    setGrid(launch, kernel, config.grid, config.block);
    config.sharedBytes = kernel.sharedBytes;
    config.stream = code.context.stream;
    config.attributes = &attribute;
    config.numAttributes = overlaps && kernel.dependentLaunch ? 1 : 0;
    check(code.context.driver->launch(&config, code.functions[launch.kernel],
                                      parametersOf(index).data(), nullptr),
          launch);
  }

  /// Makes a graph with a node for each launch, behind the one before it or, if
  /// `overlapped`, behind those that it names.
  void record(bool overlapped) {
    code.context.makeCurrent();
    const Driver &driver = *code.context.driver;
    Graph created = nullptr;
    driver.check(driver.graphCreate(&created, 0), "cuGraphCreate");
    OwnedGraph owned(driver, created);
    std::vector<GraphNode> nodes;
    for (size_t i = 0; i < launches.size(); ++i) {
      const PreparedLaunch &launch = launches[i];
      const Kernel &kernel = code.kernels[launch.kernel];
      std::vector<GraphNode> before;
      if (overlapped)
        for (uint32_t other : launch.after)
          before.push_back(nodes[other]);
      else if (i > 0)
        before.push_back(nodes.back());
      std::vector<void *> parameters = parametersOf(i);
      KernelNode node = {};
      node.function = code.functions[launch.kernel];
      setGrid(launch, kernel, node.grid, node.block);
      node.sharedBytes = kernel.sharedBytes;
      node.parameters = parameters.data();
      GraphNode added = nullptr;
      check(driver.graphAddKernel(&added, created, before.data(), before.size(),
                                  &node),
            launch);
      nodes.push_back(added);
    }
    GraphExec exec = nullptr;
    driver.check(driver.graphInstantiate(&exec, created, 0),
                 "cuGraphInstantiate");
    graph = OwnedGraphExec(driver, exec);
  }

  const CudaCode &code;
  std::vector<std::vector<TensorMapBits>> maps;
  OwnedGraphExec graph;
};

//===----------------------------------------------------------------------===//
// CudaCode
//===----------------------------------------------------------------------===//

CudaCode::CudaCode(const CudaContext &context, const Plan &plan,
                   const std::vector<Bytes> &files)
    : context(context), kernels(plan.kernels) {
  context.makeCurrent();
  for (size_t i = 0; i < files.size(); ++i)
    modules.push_back(loadModule(plan.files[i], files[i]));
  for (const Kernel &kernel : kernels)
    loadKernel(kernel);
}

CudaCode::~CudaCode() {
  static_cast<void>(context.driver->contextSetCurrent(context.context));
}

OwnedModule CudaCode::loadModule(const KernelFile &file, Bytes bytes) const {
  const Driver &driver = *context.driver;
  std::vector<char> log(16384, '\0');
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  Module module = nullptr;
  Result result = driver.moduleLoad(&module, bytes.data(), 2, options, values);
  if (result != kSuccess)
    fail(ErrorCode::Device,
         "{} of the package is refused by the driver (CUDA {}.{}) for {}: {}: "
         "{}; update the driver, or compile with --target for this GPU",
         inQuotes(file.member), driver.version / 1000,
         driver.version % 1000 / 10, context.name, driver.describe(result),
         logOr(log, "it gives no reason"));
  return {driver, module};
}

void CudaCode::loadKernel(const Kernel &kernel) {
  const Driver &driver = *context.driver;
  Function function = nullptr;
  Result result = driver.moduleFunction(&function, modules[kernel.file].get(),
                                        kernel.symbol.c_str());
  if (result != kSuccess)
    fail(ErrorCode::Device,
         "the package's code has no kernel {}: {}; compile it again",
         inQuotes(kernel.symbol), driver.describe(result));
  if (kernel.sharedBytes > static_cast<uint32_t>(context.sharedBytes))
    fail(ErrorCode::Device,
         "kernel {} needs {} bytes of shared memory a block, but {} has {}; "
         "compile with --target for this GPU",
         inQuotes(kernel.name), kernel.sharedBytes, context.name,
         context.sharedBytes);
  if (kernel.sharedBytes > kSharedBytesWithoutAsking)
    driver.check(driver.functionSetAttribute(function, kMaxDynamicSharedBytes,
                                             kernel.sharedBytes),
                 "asking for shared memory");
  // Also makes sure that the kernel is loaded: captures could not do that.
  int registers = 0, blocks = 0;
  driver.check(driver.functionAttribute(&registers, kNumRegisters, function),
               "loading a kernel");
  driver.check(
      driver.occupancy(&blocks, function, kernel.threads, kernel.sharedBytes),
      "asking for a kernel's occupancy");
  if (blocks < 1)
    fail(ErrorCode::Device,
         "kernel {} with {} threads, {} registers each, does not fit {}; "
         "compile with --target for this GPU",
         inQuotes(kernel.name), kernel.threads, registers, context.name);
  functions.push_back(function);
  residentBlocks.push_back(int64_t(blocks) * context.multiprocessors);
}

int64_t CudaCode::getResidentBlocks(uint32_t kernel) {
  return residentBlocks[kernel];
}

std::unique_ptr<Batch> CudaCode::prepare(std::vector<PreparedLaunch> launches,
                                         Use use) {
  return std::make_unique<CudaBatch>(*this, std::move(launches), use);
}

} // namespace varve::runtime::cuda
