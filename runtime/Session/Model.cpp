//===- Model.cpp - A package on a device, with weights and pools ----------===//

#include "runtime/Session/Model.h"
#include "runtime/Device/ThreadPool.h"
#include "runtime/Error.h"
#include "runtime/Session/Dependencies.h"
#include "varve/Support/Assert.h"
#include <algorithm>
#include <thread>

namespace varve::runtime {

namespace {

/// Shapes of steps that are kept.
constexpr size_t mostKept = 64;

/// Reads a piece of a weight with several threads: making random weights costs
/// more than copying them.
void readStage(const WeightSource &source, const Weight &weight, int64_t begin,
               std::span<uint8_t> out) {
  int64_t granule = granuleOf(weight);
  int64_t rows = out.size() / granule;
  int64_t threads = std::min<int64_t>(usableCores(), rows);
  if (static_cast<int64_t>(out.size()) < (1 << 20) || threads < 2) {
    source.read(weight, begin, out);
    return;
  }
  std::vector<std::thread> workers;
  for (int64_t i = 0; i < threads; ++i) {
    int64_t from = rows * i / threads * granule;
    int64_t to = rows * (i + 1) / threads * granule;
    workers.emplace_back([&, from, to] {
      source.read(weight, begin + from, out.subspan(from, to - from));
    });
  }
  for (std::thread &worker : workers)
    worker.join();
}

/// Blocks of a launch. More would take years, and thread pools add to it.
constexpr int64_t mostBlocks = int64_t(1) << 48;

int64_t floorDivide(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && a < 0);
}

/// A number of blocks. `sizes` are the launch's.
int64_t evaluateGrid(const std::vector<GridOp> &ops,
                     std::span<const int64_t> sizes, const Kernel &kernel) {
  std::vector<int64_t> stack;
  for (const GridOp &op : ops) {
    if (op.code == GridOp::Code::Constant) {
      stack.push_back(op.value);
      continue;
    }
    if (op.code == GridOp::Code::Size) {
      stack.push_back(sizes[op.value]);
      continue;
    }
    int64_t b = stack.back();
    stack.pop_back();
    int64_t &a = stack.back();
    bool good = true;
    switch (op.code) {
    case GridOp::Code::Add:
      good = !__builtin_add_overflow(a, b, &a);
      break;
    case GridOp::Code::Multiply:
      good = !__builtin_mul_overflow(a, b, &a);
      break;
    case GridOp::Code::FloorDivide:
      good = b > 0;
      a = good ? floorDivide(a, b) : 0;
      break;
    case GridOp::Code::CeilDivide:
      good = b > 0;
      a = good ? floorDivide(a, b) + (a % b != 0) : 0;
      break;
    default:
      good = b > 0;
      a = good ? a % b + (a % b < 0 ? b : 0) : 0;
      break;
    }
    if (!good)
      fail("kernel {}: its grid divides by {} or overflows; the package was "
           "made by a faulty compiler",
           inQuotes(kernel.name), b);
  }
  return stack.back();
}

} // namespace

//===----------------------------------------------------------------------===//
// PlannedModel
//===----------------------------------------------------------------------===//

PlannedModel::PlannedModel(std::shared_ptr<const Package> package, Plan plan,
                           std::shared_ptr<Device> device,
                           const std::string &weights, const Capacity &wanted)
    : package(std::move(package)), plan(std::move(plan)),
      device(std::move(device)) {
  source = openWeights(weights, this->plan.weights);
  source->check(this->plan.weights);
  capacity = resolve(wanted, this->plan);
  layout = layoutMemory(this->plan, capacity, *source, this->device->isHost(),
                        this->device->wantsFewShapes());
}

//===----------------------------------------------------------------------===//
// Model
//===----------------------------------------------------------------------===//

Model::Model(PlannedModel whole, const Progress &progress)
    : planned(std::move(whole)) {
  Device &device = getDevice();
  const MemoryLayout &layout = getLayout();
  int64_t free = device.getFreeMemory();
  if (layout.getTotal() > free)
    fail(ErrorCode::Device,
         "{} has too little memory: needed are {}, free are {} ({} bytes); "
         "lower --context, --max-sequences or --max-tokens",
         device.describe(), layout.describe(), bytesText(free),
         withCommas(free));
  // Kernels first: loading them is quick, and fails more often.
  code = device.load(getPlan(), planned.package->getFiles(getPlan()));
  pools = Buffer(device, layout.poolBytes);
  scratch = Buffer(device, layout.scratchBytes);
  ports = Buffer(device, layout.portBytes);
  weights = Buffer(device, layout.weightBytes);
  // Rows that nobody wrote are never used, but may be multiplied by zero.
  if (layout.poolBytes)
    device.clear(pools.getAddress(), layout.poolBytes);
  if (layout.portBytes)
    device.clear(ports.getAddress(), layout.portBytes);
  load(progress);
}

void Model::load(const Progress &progress) {
  const Plan &plan = getPlan();
  int64_t done = 0;
  if (progress)
    progress(0, getLayout().weightBytes);
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    int64_t offset = getLayout().weights[i];
    if (offset < 0) {
      const Weight &owner = plan.weights[getLayout().owners[i]];
      Bytes mapped = *getWeights().map(owner);
      if (getLayout().owners[i] == i)
        checkScales(owner, 0, mapped);
      weightAddresses.push_back(reinterpret_cast<uint64_t>(mapped.data()));
      continue;
    }
    weightAddresses.push_back(weights.getAddress() + offset);
    if (getLayout().owners[i] == i)
      loadWeight(i, done, progress);
  }
  getDevice().synchronize();
  if (progress)
    progress(getLayout().weightBytes, getLayout().weightBytes);
}

void Model::loadWeight(size_t index, int64_t &done, const Progress &progress) {
  const Weight &weight = getPlan().weights[index];
  int64_t total = getLayout().weightBytes;
  getDevice().upload(weightAddresses[index], weight.getBytes(),
                     granuleOf(weight),
                     [&](int64_t begin, std::span<uint8_t> out) {
                       readStage(getWeights(), weight, begin, out);
                       checkScales(weight, begin, out);
                       done += out.size();
                       if (progress)
                         progress(std::min(done, total), total);
                     });
}

Sizes Model::sizesOf(int64_t tokens, int64_t rows) const {
  Sizes sizes = largestSizes(getCapacity(), getPlan());
  sizes[Symbol::Tokens] = tokens;
  sizes[Symbol::Rows] = rows;
  return sizes;
}

uint64_t Model::getPool(size_t index) const {
  return pools.getAddress() + getLayout().pools[index];
}

std::vector<PreparedLaunch>
Model::evaluate(const Program &program, const Sizes &sizes,
                const std::vector<uint64_t> &portAddresses, Code::Use use) {
  const Plan &plan = getPlan();
  std::vector<int64_t> values;
  for (const Linear &linear : plan.sizes)
    values.push_back(linear.evaluate(sizes));
  // Apart if that fits the arena; else what shares memory waits for each other.
  ScratchLayout pieces = layoutApart(program, sizes);
  if (use != Code::Use::Overlapped || pieces.bytes > scratch.getBytes())
    pieces = layoutScratch(program, largestSizes(getCapacity(), plan));
  auto numberOf = [&](const Word &word, uint32_t kernel) -> uint64_t {
    switch (word.kind) {
    case Word::Kind::Constant:
      return word.value;
    case Word::Kind::Size:
      return values[word.value];
    case Word::Kind::Resident:
      return code->getResidentBlocks(kernel);
    case Word::Kind::Port:
      return portAddresses[word.index] + values[word.value];
    case Word::Kind::Weight:
      return weightAddresses[word.index] + values[word.value];
    case Word::Kind::Pool:
      return getPool(word.index) + values[word.value];
    case Word::Kind::Scratch:
      return scratch.getAddress() + pieces.offsets[word.index] +
             values[word.value];
    }
    return 0;
  };
  std::vector<PreparedLaunch> launches;
  std::vector<int64_t> gridSizes;
  Dependencies dependencies(pieces.memories);
  for (size_t index : program.launchesFor(plan, sizes)) {
    const Launch &launch = program.launches[index];
    const Kernel &kernel = plan.kernels[launch.kernel];
    PreparedLaunch prepared;
    prepared.kernel = launch.kernel;
    prepared.launch = index;
    gridSizes.clear();
    for (const Word &word : launch.gridSizes)
      gridSizes.push_back(numberOf(word, launch.kernel));
    bool empty = false;
    for (const std::vector<GridOp> &ops : kernel.grid) {
      prepared.grid.push_back(evaluateGrid(ops, gridSizes, kernel));
      empty |= prepared.grid.back() < 1;
    }
    if (empty)
      continue;
    int64_t blocks = 1;
    for (int64_t extent : prepared.grid)
      if (__builtin_mul_overflow(blocks, extent, &blocks) ||
          blocks > mostBlocks)
        fail("kernel {}: its grid of {} has more than 2^48 blocks; the package "
             "was made by a faulty compiler",
             inQuotes(kernel.name), fmt::join(prepared.grid, " x "));
    for (const Word &word : launch.words)
      prepared.words.push_back(numberOf(word, launch.kernel));
    for (const MappedView &map : launch.maps) {
      PreparedView &view = prepared.maps.emplace_back();
      view.address = numberOf(map.address, launch.kernel);
      for (const Word &word : map.sizes)
        view.sizes.push_back(numberOf(word, launch.kernel));
      for (const Word &word : map.strides)
        view.strides.push_back(numberOf(word, launch.kernel));
    }
    prepared.after = dependencies.add(launch, kernel);
    launches.push_back(std::move(prepared));
  }
  return launches;
}

Batch &Model::prepare(const Program &program, const Sizes &sizes,
                      const std::vector<uint64_t> &portAddresses,
                      Code::Use use) {
  VARVE_ASSERT(portAddresses.size() == program.ports.size(),
               "an address for every port");
  for (auto it = kept.begin(); it != kept.end(); ++it)
    if (it->program == &program && it->use == use &&
        it->sizes.values == sizes.values &&
        it->portAddresses == portAddresses) {
      kept.splice(kept.begin(), kept, it);
      return *kept.front().batch;
    }
  std::unique_ptr<Batch> batch =
      code->prepare(evaluate(program, sizes, portAddresses, use), use);
  if (use == Code::Use::Once) {
    passing = std::move(batch);
    return *passing;
  }
  if (kept.size() == mostKept) {
    // Its launches may still be queued.
    getDevice().synchronize();
    kept.pop_back();
  }
  kept.push_front({&program, sizes, portAddresses, use, std::move(batch)});
  return *kept.front().batch;
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

Plan choosePlan(const Package &package, const Device &device,
                const std::string &target) {
  std::optional<Plan> best;
  int bestRate = -1;
  std::string reasons;
  if (!target.empty()) {
    const std::vector<std::string> &targets = package.getTargets();
    if (std::find(targets.begin(), targets.end(), target) == targets.end())
      fail("{}: the package has no target {}; it has {}",
           inQuotes(package.getPath()), inQuotes(target),
           fmt::join(targets, ", "));
  }
  for (const std::string &name : package.getTargets()) {
    if (!target.empty() && name != target)
      continue;
    Plan plan = package.loadPlan(name);
    std::string why;
    int rate = device.rate(plan, why);
    if (rate < 0)
      reasons += fmt::format("\n  {}: {}", name, why);
    if (rate > bestRate) {
      bestRate = rate;
      best = std::move(plan);
    }
  }
  if (!best)
    fail(ErrorCode::Device,
         "{}: the package has no code for {}; compile it with --target for "
         "this device. It has:{}",
         inQuotes(package.getPath()), device.describe(), reasons);
  return std::move(*best);
}

/// N of "cuda:N"; -1 for another name.
static int ordinalOf(const std::string &name) {
  constexpr std::string_view prefix = "cuda:";
  if (!name.starts_with(prefix))
    return -1;
  std::string digits = name.substr(prefix.size());
  bool good = !digits.empty() && digits.size() <= 3 &&
              std::all_of(digits.begin(), digits.end(),
                          [](char c) { return c >= '0' && c <= '9'; });
  return good ? std::stoi(digits) : -1;
}

std::shared_ptr<Device> openDevice(const std::string &name,
                                   const Package *package, unsigned threads,
                                   std::string *why) {
  if (name == "cpu")
    return makeCpuDevice(threads);
  if (name == "cuda")
    return makeCudaDevice(0);
  if (int ordinal = ordinalOf(name); ordinal >= 0)
    return makeCudaDevice(ordinal);
  if (!name.empty() && name != "best")
    fail("--device: expected best, cpu, cuda or cuda:N, got {}",
         inQuotes(name));
  std::string reason;
  if (!probeCuda(0, reason)) {
    if (why)
      *why = reason;
    return makeCpuDevice(threads);
  }
  std::shared_ptr<Device> device = makeCudaDevice(0);
  if (package) {
    bool runs = false;
    for (const std::string &target : package->getTargets())
      runs |= device->rate(package->loadPlan(target), reason) >= 0;
    if (!runs) {
      if (why)
        *why =
            fmt::format("the package has no code for {}", device->describe());
      return makeCpuDevice(threads);
    }
  }
  return device;
}

} // namespace varve::runtime
