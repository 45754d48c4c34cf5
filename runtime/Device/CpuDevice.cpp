//===- CpuDevice.cpp - Kernels on this machine's processor ----------------===//
//
// The package's shared object is written to an anonymous file in memory and
// loaded from there, so nothing of it is left on disk. The way kernels are
// called is the x86 engine's (passes/Engine/X86/Abi.h).
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/Device.h"
#include "runtime/Device/ThreadPool.h"
#include "runtime/Error.h"
#include "varve/Support/Assert.h"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

namespace varve::runtime {

namespace {

using KernelFn = void(const uint64_t *arguments, const int64_t *grid,
                      int64_t begin, int64_t end, void *scratch);

constexpr int64_t kScratchAlignment = 64;
/// What is filled at once.
constexpr int64_t kPieceBytes = 32 << 20;

int64_t alignUp(int64_t value, int64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// A shared object, loaded from memory.
class SharedObject {
public:
  SharedObject(Bytes image, const std::string &name) {
    int descriptor = ::memfd_create("varve-kernels", MFD_CLOEXEC);
    if (descriptor < 0)
      fail(ErrorCode::Device, "kernels cannot be loaded: memfd_create: {}",
           std::strerror(errno));
    const uint8_t *rest = image.data();
    size_t left = image.size();
    while (left) {
      ssize_t written = ::write(descriptor, rest, left);
      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0) {
        int error = errno;
        ::close(descriptor);
        fail(ErrorCode::Device, "kernels cannot be loaded: {}",
             std::strerror(error));
      }
      rest += written;
      left -= written;
    }
    std::string path = fmt::format("/proc/self/fd/{}", descriptor);
    handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    std::string reason = handle ? "" : ::dlerror();
    ::close(descriptor);
    if (!handle)
      fail("{} of the package cannot be loaded: {}; compile it again",
           inQuotes(name), reason);
  }
  SharedObject(SharedObject &&other) noexcept
      : handle(std::exchange(other.handle, nullptr)) {}
  ~SharedObject() {
    if (handle)
      ::dlclose(handle);
  }

  KernelFn *find(const std::string &symbol) const {
    return reinterpret_cast<KernelFn *>(::dlsym(handle, symbol.c_str()));
  }

private:
  void *handle = nullptr;
};

class CpuCode;

class CpuBatch final : public Batch {
public:
  CpuBatch(CpuCode &code, std::vector<PreparedLaunch> launches)
      : Batch(std::move(launches)), code(code) {}
  void run() override;
  std::vector<double> runTimed() override;

private:
  CpuCode &code;
};

class CpuCode final : public Code {
public:
  CpuCode(ThreadPool &pool, const Plan &plan, const std::vector<Bytes> &files)
      : pool(pool) {
    for (size_t i = 0; i < files.size(); ++i)
      objects.emplace_back(files[i], plan.files[i].member);
    for (const Kernel &kernel : plan.kernels) {
      KernelFn *function = objects[kernel.file].find(kernel.symbol);
      if (!function)
        fail("{} of the package has no kernel {}; compile it again",
             inQuotes(plan.files[kernel.file].member), inQuotes(kernel.symbol));
      functions.push_back(function);
      scratchBytes = std::max<int64_t>(scratchBytes, kernel.scratchBytes);
    }
    scratchBytes = alignUp(scratchBytes, kScratchAlignment);
    int64_t total = scratchBytes * pool.getNumThreads();
    if (total) {
      scratch.reset(std::aligned_alloc(kScratchAlignment, total));
      if (!scratch)
        fail(ErrorCode::Device,
             "not enough memory: the kernels need {} of scratch for {} "
             "threads; use fewer threads",
             bytesText(total), pool.getNumThreads());
    }
  }

  int64_t getResidentBlocks(uint32_t) override { return pool.getNumThreads(); }

  std::unique_ptr<Batch> prepare(std::vector<PreparedLaunch> launches,
                                 Use) override {
    return std::make_unique<CpuBatch>(*this, std::move(launches));
  }

  void run(const PreparedLaunch &launch) {
    KernelFn *function = functions[launch.kernel];
    int64_t blocks = 1;
    for (int64_t extent : launch.grid)
      blocks *= extent;
    auto *base = static_cast<char *>(scratch.get());
    pool.run(blocks, [&](unsigned thread, int64_t begin, int64_t end) {
      function(launch.words.data(), launch.grid.data(), begin, end,
               base + thread * scratchBytes);
    });
  }

private:
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };

  ThreadPool &pool;
  std::vector<SharedObject> objects;
  std::vector<KernelFn *> functions;
  int64_t scratchBytes = 0;
  std::unique_ptr<void, Free> scratch;
};

void CpuBatch::run() {
  for (const PreparedLaunch &launch : launches)
    code.run(launch);
}

std::vector<double> CpuBatch::runTimed() {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (const PreparedLaunch &launch : launches) {
    Clock::time_point start = Clock::now();
    code.run(launch);
    seconds.push_back(
        std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

class CpuDevice final : public Device {
public:
  explicit CpuDevice(unsigned threads)
      : pool(threads ? threads : usableCores()) {}

  std::string describe() const override {
    const char *level = "x86-64";
    for (const char *better : {"x86-64-v2", "x86-64-v3", "x86-64-v4"})
      if (cpuSupports(better))
        level = better;
    return fmt::format("CPU ({} thread{}, {})", pool.getNumThreads(),
                       pool.getNumThreads() == 1 ? "" : "s", level);
  }
  int rate(const Plan &plan, std::string &why) const override {
    if (!plan.isCpu()) {
      why = "it is code for a GPU";
      return -1;
    }
    if (!cpuSupports(plan.cpuLevel)) {
      why = fmt::format("it needs a processor of level {}", plan.cpuLevel);
      return -1;
    }
    // The levels are named in ascending order.
    return plan.cpuLevel.back() - '0';
  }
  bool isHost() const override { return true; }
  bool wantsFewShapes() const override { return false; }

  int64_t getFreeMemory() override {
    return static_cast<int64_t>(::sysconf(_SC_AVPHYS_PAGES)) *
           ::sysconf(_SC_PAGESIZE);
  }

  double measureCopyBandwidth() override {
    constexpr int64_t bytes = 64 << 20;
    Buffer from(*this, bytes), to(*this, bytes);
    clear(from.getAddress(), bytes);
    clear(to.getAddress(), bytes);
    using Clock = std::chrono::steady_clock;
    Clock::time_point start = Clock::now();
    constexpr int64_t pieces = 64, each = bytes / pieces;
    pool.run(pieces, [&](unsigned, int64_t begin, int64_t end) {
      copy(to.getAddress() + begin * each, from.getAddress() + begin * each,
           (end - begin) * each);
    });
    return 2 * bytes /
           std::chrono::duration<double>(Clock::now() - start).count();
  }

  uint64_t allocate(int64_t bytes) override {
    // Fresh pages are zero and cost nothing until they are touched.
    void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      fail(ErrorCode::Device, "not enough memory: {} cannot be allocated: {}",
           bytesText(bytes), std::strerror(errno));
    allocated += bytes;
    return reinterpret_cast<uint64_t>(memory);
  }

  void release(uint64_t address, int64_t bytes) noexcept override {
    ::munmap(reinterpret_cast<void *>(address), bytes);
    allocated -= bytes;
  }

  void upload(uint64_t to, Bytes from) override {
    if (from.empty())
      return;
    std::memcpy(reinterpret_cast<void *>(to), from.data(), from.size());
  }
  void upload(uint64_t to, int64_t bytes, int64_t granule,
              const Fill &fill) override {
    int64_t piece = std::max<int64_t>(kPieceBytes / granule, 1) * granule;
    auto *memory = reinterpret_cast<uint8_t *>(to);
    for (int64_t begin = 0; begin < bytes; begin += piece)
      fill(begin, {memory + begin,
                   static_cast<size_t>(std::min(piece, bytes - begin))});
  }
  void download(std::span<uint8_t> to, uint64_t from) override {
    // Nothing may lie at a null pointer, which memcpy does not take.
    if (to.empty())
      return;
    std::memcpy(to.data(), reinterpret_cast<void *>(from), to.size());
  }
  void copy(uint64_t to, uint64_t from, int64_t bytes) override {
    std::memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from),
                bytes);
  }
  void clear(uint64_t address, int64_t bytes) override {
    std::memset(reinterpret_cast<void *>(address), 0, bytes);
  }
  void synchronize() override {}

  std::unique_ptr<Code> load(const Plan &plan,
                             std::vector<Bytes> files) override {
    return std::make_unique<CpuCode>(pool, plan, files);
  }

private:
  ThreadPool pool;
};

} // namespace

std::unique_ptr<Device> makeCpuDevice(unsigned threads) {
  return std::make_unique<CpuDevice>(threads);
}

} // namespace varve::runtime
