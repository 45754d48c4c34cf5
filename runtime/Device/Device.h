//===- Device.h - What executes kernels ------------------------*- C++ -*-===//
//
// One interface for the CPU and for NVIDIA GPUs. Memory is an address of the
// device; work is a batch of launches that is prepared once and run many times.
// Everything that a device does is in order: a copy sees what the launches
// before it wrote.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_DEVICE_DEVICE_H
#define VARVE_RUNTIME_DEVICE_DEVICE_H

#include "runtime/MappedFile.h"
#include "runtime/Package/Plan.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace varve::runtime {

/// A view that a kernel wants as a tensor map, with its numbers: sizes in
/// elements, strides in bytes, outermost dimension first.
struct PreparedView {
  uint64_t address = 0;
  std::vector<int64_t> sizes, strides;
};

/// A launch with its numbers.
struct PreparedLaunch {
  uint32_t kernel = 0;
  std::vector<uint64_t> words;
  std::vector<PreparedView> maps;
  /// Blocks per dimension, none of them zero.
  std::vector<int64_t> grid;
  /// Position among the launches of its program.
  uint32_t launch = 0;
  /// Launches of the batch, by position, behind which it must run; what they
  /// in turn must wait for is not repeated. All are in front of it.
  std::vector<uint32_t> after;
};

/// Launches that are ready to run.
class Batch {
public:
  explicit Batch(std::vector<PreparedLaunch> launches)
      : launches(std::move(launches)) {}
  virtual ~Batch() = default;
  /// Which launch of its program the i-th one is.
  uint32_t getLaunch(size_t i) const { return launches[i].launch; }
  /// Queues the launches.
  virtual void run() = 0;
  /// Runs them one by one and returns the seconds that each took.
  virtual std::vector<double> runTimed() = 0;

protected:
  std::vector<PreparedLaunch> launches;
};

/// The kernels of a plan, loaded. Must not outlive its device.
class Code {
public:
  virtual ~Code() = default;
  /// Blocks of a kernel that the device runs at the same time; at least 1.
  virtual int64_t getResidentBlocks(uint32_t kernel) = 0;
  /// How a batch will run.
  enum class Use {
    Once,       ///< as soon as possible, launch by launch
    Ordered,    ///< often, so preparing may take longer
    Overlapped, ///< often, and launches may run side by side, each behind those
                ///< that it names
  };
  virtual std::unique_ptr<Batch> prepare(std::vector<PreparedLaunch> launches,
                                         Use use) = 0;
};

class Device {
public:
  virtual ~Device() = default;

  /// "CPU (2 threads, x86-64-v4)", "cuda:0 NVIDIA H200 (sm_90, 139.8 GiB)".
  virtual std::string describe() const = 0;
  /// How well it runs a plan, the more the better; negative if it cannot, with
  /// the reason in `why`.
  virtual int rate(const Plan &plan, std::string &why) const = 0;
  /// Whether its memory is the host's.
  virtual bool isHost() const = 0;
  /// Whether steps should be padded to few shapes and replayed.
  virtual bool wantsFewShapes() const = 0;
  /// Bytes that can be allocated at the moment.
  virtual int64_t getFreeMemory() = 0;
  /// Bytes a second that a large copy reads and writes; measured.
  virtual double measureCopyBandwidth() = 0;

  virtual uint64_t allocate(int64_t bytes) = 0;
  virtual void release(uint64_t address, int64_t bytes) noexcept = 0;

  /// Copies from the host; `from` may be changed when it returns.
  virtual void upload(uint64_t to, Bytes from) = 0;
  /// Writes bytes [begin, begin + out.size()) of something to `out`.
  using Fill = std::function<void(int64_t begin, std::span<uint8_t> out)>;
  /// Copies `bytes` bytes that `fill` makes piece by piece, from the first to
  /// the last, each piece but the last a multiple of `granule` bytes.
  virtual void upload(uint64_t to, int64_t bytes, int64_t granule,
                      const Fill &fill) = 0;
  /// Copies to the host; the bytes are there when it returns.
  virtual void download(std::span<uint8_t> to, uint64_t from) = 0;
  virtual void copy(uint64_t to, uint64_t from, int64_t bytes) = 0;
  virtual void clear(uint64_t address, int64_t bytes) = 0;
  /// Waits for everything that was queued.
  virtual void synchronize() = 0;

  /// Loads the kernels of `plan`; `files` are the contents of its files and
  /// must outlive the code.
  virtual std::unique_ptr<Code> load(const Plan &plan,
                                     std::vector<Bytes> files) = 0;

  /// Bytes allocated and not released.
  int64_t getAllocated() const { return allocated; }

protected:
  int64_t allocated = 0;
};

/// An allocation.
class Buffer {
public:
  Buffer() = default;
  /// Of no bytes: nothing is allocated, and the address is 0.
  Buffer(Device &device, int64_t bytes)
      : device(&device), bytes(bytes),
        address(bytes ? device.allocate(bytes) : 0) {}
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    std::swap(device, other.device);
    std::swap(bytes, other.bytes);
    std::swap(address, other.address);
    return *this;
  }
  ~Buffer() {
    if (bytes)
      device->release(address, bytes);
  }
  uint64_t getAddress() const { return address; }
  int64_t getBytes() const { return bytes; }

private:
  Device *device = nullptr;
  int64_t bytes = 0;
  uint64_t address = 0;
};

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

/// The processor; `threads` of 0: one per core that the process may use.
std::unique_ptr<Device> makeCpuDevice(unsigned threads = 0);

/// GPU number `ordinal`. Throws if there is no driver, it is too old, or there
/// is no such GPU.
std::unique_ptr<Device> makeCudaDevice(int ordinal = 0);

/// The compute capability of GPU `ordinal`, ten times major plus minor; no
/// value, with the reason in `why`, if it cannot be used.
std::optional<int> probeCuda(int ordinal, std::string &why);

/// What the device of a plan must have: "x86-64-v3" for the CPU.
bool cpuSupports(std::string_view level);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_DEVICE_DEVICE_H
